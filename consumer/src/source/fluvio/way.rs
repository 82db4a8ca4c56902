//! The reader's whole contact with the world, as the smallest traits, so that tests can script it; and the real thing.

use std::time::Duration;

use async_trait::async_trait;
use fluvio::Isolation;
use isotherm_model::codec;
use isotherm_model::combine::Combiner;
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::batches::RawBatch;
use super::cluster::Cluster;
use super::error::SourceError;
use super::link::{Answer, Answers, Extent, Fetch, Link, LinkError, Module};
use super::module;
use super::raw::{RawError, RawReader};

/// How long a stored batch may be looked for.
const LOOK_UP: Duration = Duration::from_secs(10);

/// How long, where nothing can go on before it is known.
const LOOK: Duration = Duration::from_secs(60);

/// How often something is tried when a stored batch is looked for.
const TRIES: u32 = 2;

/// How many records a look-up reads on from the last one, rather than begin anew.
const NEAR: i64 = 1_000_000;

/// The way to one partition.
#[async_trait]
pub(super) trait Way: Send + Sync {
    /// Connects to the partition's leader.
    async fn connect(&self) -> Result<Box<dyn Line>, NoWay>;

    /// Whether the controller has something else than a module that makes partials under the module's name. If it cannot
    /// be asked, nothing is known.
    async fn is_another_module(&self) -> bool;

    /// The stored batch that holds an offset; `None` if it cannot be had.
    async fn stored(&self, offset: i64) -> Option<Stored>;

    /// What the partition's leader has at an offset by now; an error says why that cannot be known.
    async fn look(&self, offset: i64) -> Result<Look, String>;
}

/// A connection to the partition's leader.
#[async_trait]
pub(super) trait Line: Send + Sync {
    /// Whether the partition has followers, any of which may lead it one day.
    fn is_replicated(&self) -> bool;

    /// Where the partition begins and ends; an error if nothing is heard for so long.
    async fn extent(&self, patience: Duration) -> Result<Extent, LinkError>;

    /// Opens a stream of partials, in answers of up to so many bytes.
    async fn stream(&mut self, offset: i64, max_bytes: i32) -> Result<Box<dyn Stream>, LinkError>;

    /// Everything before `offset` has been taken.
    async fn acknowledge(&self, session: u32, offset: i64, patience: Duration) -> Result<(), LinkError>;
}

/// A stream of answers.
#[async_trait]
pub(super) trait Stream: Send {
    /// The next answer. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Answer, LinkError>;
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum NoWay {
    /// The controller did not answer.
    NoController(String),
    /// The leader is not known.
    NoLeader,
    /// The leader is not reached.
    Link(LinkError),
    /// It cannot be mended by waiting.
    Fatal(SourceError),
}

/// What is known of a stored batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// Its first offset.
    pub(super) first: i64,
    /// The offset after its last one, by its header.
    pub(super) next: i64,
    /// How many bytes its partial takes.
    pub(super) bytes: usize,
    /// The digest of its partial.
    pub(super) digest: u64,
}

impl Stored {
    /// What the module makes of the batch.
    fn of(batch: &RawBatch, settings: &Settings) -> Self {
        let partial = batch.encoded(&mut Combiner::new(settings));
        Self { first: batch.base_offset, next: batch.next, bytes: partial.len(), digest: codec::digest(&partial) }
    }
}

/// What the partition's leader has at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// This batch.
    Batch(Stored),
    /// Something that cannot be read: what.
    Rubbish(String),
    /// Nothing: its log begins further on.
    Cut,
}

/// The way over a Fluvio cluster.
pub(super) struct ClusterWay {
    pub(super) cluster: Cluster,
    pub(super) topic: String,
    pub(super) partition: PartitionId,
    pub(super) module: Module,
    pub(super) settings: Settings,
    /// Where the last look-up stopped, if another one is likely to go on there.
    pub(super) raw: Mutex<Option<RawReader>>,
}

impl ClusterWay {
    async fn look_up(&self, slot: &mut Option<RawReader>, offset: i64) -> Result<Option<Stored>, RawError> {
        let (topic, partition) = (&self.topic, self.partition);
        let mut reader = match slot.take() {
            Some(reader) => reader,
            None => RawReader::open_with(&self.cluster, topic, partition, offset, TRIES).await?,
        };
        let at = reader.position();
        let near = at <= offset && offset.saturating_sub(at) <= NEAR;
        reader.seek(if near { at } else { offset }, offset.saturating_add(1));
        while let Some(batch) = reader.next().await? {
            if batch.next <= offset {
                continue;
            }
            // Where one batch lacks records others do: the next look-up is not far.
            if i64::from(batch.last_offset_delta) >= i64::try_from(batch.records.len()).unwrap_or(i64::MAX) {
                *slot = Some(reader);
            }
            let settings = self.settings.clone();
            let stored = tokio::task::spawn_blocking(move || Stored::of(&batch, &settings));
            return Ok(stored.await.ok());
        }
        Ok(None)
    }
}

#[async_trait]
impl Way for ClusterWay {
    async fn connect(&self) -> Result<Box<dyn Line>, NoWay> {
        let leader = self.cluster.leader(&self.topic, self.partition).await;
        let leader = leader.map_err(|error| NoWay::NoController(error.to_string()))?.ok_or(NoWay::NoLeader)?;
        let config = self.cluster.spu_config(&leader).map_err(NoWay::Fatal)?;
        match Link::connect(config, &self.topic, self.partition).await {
            Ok(link) => {
                let isolation = if leader.replicated { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
                Ok(Box::new(ClusterLine { link, address: leader.address, isolation, module: self.module.clone() }))
            }
            Err(error) => Err(NoWay::Link(error)),
        }
    }

    async fn is_another_module(&self) -> bool {
        matches!(self.cluster.module(&self.module.name).await, Ok(Some(packed)) if !module::makes_partials(&packed))
    }

    async fn stored(&self, offset: i64) -> Option<Stored> {
        let mut slot = self.raw.lock().await;
        let partition = self.partition;
        match timeout(LOOK_UP, self.look_up(&mut slot, offset)).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                debug!(partition, offset, %error, "no look at the stored batch");
                None
            }
            Err(_) => {
                debug!(partition, offset, "no look at the stored batch in time");
                None
            }
        }
    }

    async fn look(&self, offset: i64) -> Result<Look, String> {
        let mut slot = self.raw.lock().await;
        // What another connection has read ahead need not be this leader's.
        *slot = None;
        match timeout(LOOK, self.look_up(&mut slot, offset)).await {
            Ok(Ok(Some(stored))) => Ok(Look::Batch(stored)),
            Ok(Err(RawError::Evicted { .. })) => Ok(Look::Cut),
            Ok(Err(error @ (RawError::Damaged { .. } | RawError::Misfit { .. }))) => {
                Ok(Look::Rubbish(error.to_string()))
            }
            Ok(Ok(None)) => Err("it does not come".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it does not come within {} s", LOOK.as_secs())),
        }
    }
}

/// A connection to an SPU.
struct ClusterLine {
    link: Link,
    address: String,
    isolation: Isolation,
    module: Module,
}

#[async_trait]
impl Line for ClusterLine {
    fn is_replicated(&self) -> bool {
        self.isolation == Isolation::ReadCommitted
    }

    async fn extent(&self, patience: Duration) -> Result<Extent, LinkError> {
        self.link.extent(patience).await
    }

    async fn stream(&mut self, offset: i64, max_bytes: i32) -> Result<Box<dyn Stream>, LinkError> {
        let fetch = Fetch { module: Some(self.module.clone()), offset, max_bytes, isolation: self.isolation };
        match self.link.stream(fetch).await {
            Ok(answers) => Ok(Box::new(answers)),
            Err(LinkError::TooOld(_)) => Err(LinkError::TooOld(self.address.clone())),
            Err(error) => Err(error),
        }
    }

    async fn acknowledge(&self, session: u32, offset: i64, patience: Duration) -> Result<(), LinkError> {
        self.link.acknowledge(session, offset, patience).await
    }
}

#[async_trait]
impl Stream for Answers {
    async fn next(&mut self) -> Result<Answer, LinkError> {
        self.answer().await
    }
}
