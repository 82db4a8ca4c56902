//! Reads a partition without a SmartModule, batch by stored batch: for `verify`, for dead letters, and to look up where a
//! batch ends.
//!
//! An answer of the SPU may end within a batch. Such a batch is dropped, and only whole ones are acknowledged, so that the
//! SPU sends it again from its beginning; if it is the first one, more is asked for.

use std::collections::VecDeque;

use fluvio::Isolation;
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::{Batch, RawRecords};
use isotherm_model::partial::PartitionId;
use tokio::time::timeout;
use tracing::debug;

use super::batches::{self, RawBatch, Whole};
use super::cluster::Cluster;
use super::error::SourceError;
pub use super::link::Extent;
use super::link::{Answers, Fetch, Link, LinkError, PATIENCE};
use super::policy::backoff;

/// How many bytes are asked for at once, unless a batch is larger.
const ANSWER_BYTES: i32 = 2 << 20;

/// How often in a row, with pauses from 0.2 s to 3.2 s, something is tried before it is given up.
const TRIES: u32 = 6;

/// Why a partition cannot be read without a module.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// The way to the leader is broken, and stays so.
    #[error(
        "partition {partition} of `{topic}` cannot be read from offset {offset} on: {reason}; see whether its broker runs, \
         and run again"
    )]
    Unavailable {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// From where.
        offset: i64,
        /// What the last attempt said.
        reason: String,
    },
    /// The log does not reach back so far any longer.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} by now: the broker's retention has cut {offset}"
    )]
    Evicted {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// What was to be read.
        offset: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log ends before what is to be read.
    #[error(
        "partition {partition} of `{topic}` ends at offset {end}, but is to be read up to {offset}: it is not the log that \
         was read, or its broker lost its tail"
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Up to where it was to be read.
        offset: i64,
        /// Where the log ends.
        end: i64,
    },
    /// Offsets are missing between two batches, or stand in both.
    #[error(
        "partition {partition} of `{topic}`: a batch was to begin at offset {expected}, but begins at {found}: the broker's \
         log is damaged"
    )]
    Misfit {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where the batch before ends.
        expected: i64,
        /// Where the next begins.
        found: i64,
    },
    /// A batch that cannot be read.
    #[error("partition {partition} of `{topic}`: the batch at offset {offset} is damaged in the broker's log: {what}")]
    Damaged {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// The batch's first offset.
        offset: i64,
        /// What is wrong.
        what: String,
    },
    /// The topic is gone.
    #[error("the topic `{topic}` was deleted")]
    Deleted {
        /// The topic.
        topic: String,
    },
    /// The cluster cannot be used.
    #[error(transparent)]
    Cluster(#[from] SourceError),
}

/// Why one attempt failed.
struct Failure {
    error: RawError,
    /// Whether another attempt may go better.
    passes: bool,
}

impl From<RawError> for Failure {
    fn from(error: RawError) -> Self {
        Self { error, passes: false }
    }
}

/// A connection with a stream.
struct Session {
    link: Link,
    answers: Answers,
    /// What has been taken and not been told to the SPU yet: the stream's number, and the offset that comes next.
    taken: Option<(u32, i64)>,
}

/// Reads stored batches in order.
pub struct RawReader {
    cluster: Cluster,
    topic: String,
    partition: PartitionId,
    /// The offset that comes next.
    position: i64,
    /// Whether the position may lie inside a batch.
    inside: bool,
    /// Where reading ends.
    until: i64,
    extent: Extent,
    /// The offset after the last batch that waits in `ready`.
    fetched: i64,
    ready: VecDeque<Batch<RawRecords>>,
    max_bytes: i32,
    session: Option<Session>,
    failures: u32,
    tries: u32,
}

impl RawReader {
    /// Connects to the partition's leader. Reading begins with the batch that holds the offset `from`, and ends where the
    /// log ends now ([`RawReader::seek`] says otherwise).
    ///
    /// # Errors
    /// A [`RawError`]: nobody leads the partition, its leader does not answer, or its log does not hold `from`.
    pub async fn open(cluster: &Cluster, topic: &str, partition: PartitionId, from: i64) -> Result<Self, RawError> {
        Self::open_with(cluster, topic, partition, from, TRIES).await
    }

    /// [`RawReader::open`], for one of many: asks for so many bytes at once, and for more only if a batch is larger.
    ///
    /// # Errors
    /// As that.
    pub async fn open_with_answers(
        cluster: &Cluster,
        topic: &str,
        partition: PartitionId,
        from: i64,
        bytes: usize,
    ) -> Result<Self, RawError> {
        let max_bytes = i32::try_from(bytes).unwrap_or(ANSWER_BYTES);
        Self { max_bytes, ..Self::new(cluster, topic, partition, from, TRIES) }.opened().await
    }

    /// [`RawReader::open`], with another number of attempts, then and later.
    pub(super) async fn open_with(
        cluster: &Cluster,
        topic: &str,
        partition: PartitionId,
        from: i64,
        tries: u32,
    ) -> Result<Self, RawError> {
        Self::new(cluster, topic, partition, from, tries).opened().await
    }

    fn new(cluster: &Cluster, topic: &str, partition: PartitionId, from: i64, tries: u32) -> Self {
        Self {
            cluster: cluster.clone(),
            topic: topic.to_owned(),
            partition,
            position: from,
            inside: true,
            until: from,
            extent: Extent { start: from, end: from },
            fetched: from,
            ready: VecDeque::new(),
            max_bytes: ANSWER_BYTES,
            session: None,
            failures: 0,
            tries,
        }
    }

    async fn opened(mut self) -> Result<Self, RawError> {
        self.connected().await?;
        self.until = self.extent.end;
        Ok(self)
    }

    /// Where the log began and ended when that was last asked: when reading began, after [`RawReader::ask`], or when the
    /// connection was made anew.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Asks where the log begins and ends by now.
    ///
    /// # Errors
    /// A [`RawError`] if the leader does not answer.
    pub async fn ask(&mut self) -> Result<Extent, RawError> {
        loop {
            self.connected().await?;
            let Some(session) = &self.session else { continue };
            match session.link.extent(PATIENCE).await {
                Ok(extent) => {
                    self.extent = extent;
                    return Ok(extent);
                }
                Err(error) => self.mend(self.broken(error)).await?,
            }
        }
    }

    /// The offset that comes next: after the last batch that was given, by its header.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Goes on with the batch that holds `from`, and ends with the one that holds the last offset before `until`. What
    /// lies ahead is read as it comes if `from` is the position; otherwise another stream is opened.
    pub fn seek(&mut self, from: i64, until: i64) {
        self.until = until;
        if from != self.position {
            (self.position, self.fetched, self.inside) = (from, from, true);
            self.ready.clear();
            self.session = None;
        }
    }

    /// The next batch; `None` when all up to the end has been given. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A [`RawError`] if it cannot be had. What was given before is right.
    pub async fn next(&mut self) -> Result<Option<RawBatch>, RawError> {
        loop {
            if self.position >= self.until {
                return Ok(None);
            }
            if let Some(batch) = self.ready.pop_front() {
                return self.give(batch).map(Some);
            }
            self.connected().await?;
            if let Err(failure) = self.fetch().await {
                self.mend(failure).await?;
            }
        }
    }

    fn give(&mut self, batch: Batch<RawRecords>) -> Result<RawBatch, RawError> {
        let (topic, partition, expected) = (self.topic.clone(), self.partition, self.position);
        let (found, next) = (batch.base_offset, batches::next_offset(&batch));
        let fits = found == expected || (self.inside && found < expected && expected < next);
        if !fits {
            return Err(RawError::Misfit { topic, partition, expected, found });
        }
        let batch = batches::open(batch).map_err(|damaged| self.damaged(damaged))?;
        (self.position, self.inside) = (next, false);
        Ok(batch)
    }

    /// Takes an answer.
    async fn fetch(&mut self) -> Result<(), Failure> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let answer = async {
            if let Some((stream, offset)) = session.taken {
                session.link.acknowledge(stream, offset, PATIENCE).await?;
                session.taken = None;
            }
            let answer = timeout(PATIENCE, session.answers.next_stored()).await;
            answer.map_err(|_| LinkError::Silent(PATIENCE))?
        };
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) => return Err(self.broken(error)),
        };
        let stream = answer.session;
        let Whole { batches, cut } = batches::whole(answer.batches).map_err(|damaged| self.damaged(damaged))?;
        let before = self.fetched;
        for batch in batches {
            let next = batches::next_offset(&batch);
            if next > self.fetched {
                self.fetched = next;
                self.ready.push_back(batch);
            }
        }
        if self.fetched > before {
            self.failures = 0;
            if let Some(session) = &mut self.session {
                session.taken = Some((stream, self.fetched));
            }
            return Ok(());
        }
        let needed = cut.unwrap_or(batches::LEAST_ANSWER);
        let needed = i32::try_from(needed).unwrap_or(i32::MAX);
        if needed > self.max_bytes {
            debug!(self.partition, offset = self.fetched, needed, "a batch that is larger than an answer");
            self.max_bytes = needed;
            self.session = None;
            return Ok(());
        }
        Err(self.unavailable("an answer holds no whole batch".to_owned()))
    }

    /// Makes sure that there is a connection.
    async fn connected(&mut self) -> Result<(), RawError> {
        while self.session.is_none() {
            match self.connect().await {
                Ok(session) => self.session = Some(session),
                Err(failure) => self.mend(failure).await?,
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<Session, Failure> {
        let (topic, partition) = (self.topic.clone(), self.partition);
        let leader = self.cluster.leader(&topic, partition).await;
        let leader = leader.map_err(|error| self.unavailable(error.to_string()))?;
        let no_leader = || self.unavailable("the controller knows no leader for it".to_owned());
        let leader = leader.ok_or_else(no_leader)?;
        let config = self.cluster.spu_config(&leader).map_err(RawError::from)?;
        let isolation = if leader.replicated { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let fetch = Fetch { module: None, offset: self.fetched, max_bytes: self.max_bytes, isolation };
        let opened = async {
            let mut link = Link::connect(config, &topic, partition).await?;
            let extent = link.extent(PATIENCE).await?;
            // Beyond the log's ends it would only say that it cannot.
            let answers = if extent.start <= fetch.offset && fetch.offset <= extent.end {
                Some(link.stream(fetch).await?)
            } else {
                None
            };
            Ok((link, extent, answers))
        };
        let (link, extent, answers) = opened.await.map_err(|error| self.broken(error))?;
        self.extent = extent;
        let (offset, Extent { start, end }) = (self.fetched, extent);
        if start > offset {
            return Err(RawError::Evicted { topic, partition, offset, start }.into());
        }
        match answers {
            Some(answers) if end >= self.until => Ok(Session { link, answers, taken: None }),
            // A new leader may not know the whole of what was committed yet.
            _ => {
                let offset = offset.max(self.until);
                Err(Failure { error: RawError::Shorter { topic, partition, offset, end }, passes: true })
            }
        }
    }

    /// Waits a little before the next attempt, unless there is to be none.
    async fn mend(&mut self, failure: Failure) -> Result<(), RawError> {
        self.session = None;
        self.failures += 1;
        if !failure.passes || self.failures >= self.tries {
            self.failures = 0;
            return Err(failure.error);
        }
        debug!(self.partition, offset = self.fetched, error = %failure.error, "trying again");
        tokio::time::sleep(backoff(self.failures - 1, 0.5)).await;
        Ok(())
    }

    fn broken(&self, error: LinkError) -> Failure {
        let (topic, partition, offset) = (self.topic.clone(), self.partition, self.fetched);
        match error {
            LinkError::Code(ErrorCode::OffsetEvicted { next_available, .. }) => {
                // Some brokers do not say.
                let start = next_available.max(offset.saturating_add(1));
                RawError::Evicted { topic, partition, offset, start }.into()
            }
            LinkError::Code(ErrorCode::TopicDeleted) => RawError::Deleted { topic }.into(),
            error => self.unavailable(error.to_string()),
        }
    }

    fn unavailable(&self, reason: String) -> Failure {
        let (topic, partition, offset) = (self.topic.clone(), self.partition, self.fetched);
        Failure { error: RawError::Unavailable { topic, partition, offset, reason }, passes: true }
    }

    fn damaged(&self, batches::Damaged { base_offset, what }: batches::Damaged) -> RawError {
        RawError::Damaged { topic: self.topic.clone(), partition: self.partition, offset: base_offset, what }
    }
}
