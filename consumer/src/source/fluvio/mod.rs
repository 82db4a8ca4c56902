//! A topic of a Fluvio cluster, each batch made into a partial by the SmartModule at the SPU.
//!
//! The controller is asked for the topic's partitions, again and again ([`discover`]); each partition has a reader of
//! its own ([`partition`]) with a connection of its own to its leader ([`link`], behind the seam [`way`]). What they do when
//! something breaks is in [`mend`], and decided in [`policy`]. The offsets that brokers and clients give to a module's output are never looked at: every
//! partial says itself which part of the log it stands for.

pub mod batches;
pub mod cluster;
pub mod ends;
pub(crate) mod error;
pub mod raw;

mod discover;
mod link;
mod mend;
pub(crate) mod module;
mod partition;
mod policy;
mod reading;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
use isotherm_engine::event::Event;
use isotherm_model::partial::{ModuleVersion, Partial, PartitionId};
use isotherm_model::settings::{Fingerprint, Settings};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use self::cluster::Cluster;
use self::discover::Discovery;
use self::error::{ClusterFlag, SourceError};
use self::link::Module;
use self::partition::{Begin, Message, OPENING, ROOM, Reader};
pub use self::reading::Reading;
use self::way::ClusterWay;
use crate::source::Source;
use crate::topology::Topology;

/// How many messages may wait to be taken, over all partitions (and [`ROOM`] bounds their size). Small: what waits here is
/// memory, and readers that cannot hand on do not acknowledge, so that the broker waits too.
const QUEUE: usize = 64;

/// What all readers of a topic know.
struct Terms {
    topic: String,
    module: String,
    /// The settings that partials are to be made with.
    fingerprint: Fingerprint,
    /// How often a partition's end is asked for.
    poll: Duration,
    /// How long the leader of a partition that has been read to its end may take to answer that: well below `idle`, so
    /// that one that has fallen silent is known to be lost before it could be taken to be quiet.
    patience: Duration,
    /// The controller's address.
    address: String,
    /// How commands find the cluster.
    cluster: ClusterFlag,
    /// Room for streams that the broker makes ready.
    opening: Arc<Semaphore>,
    /// Whether the run was told to go on over gaps.
    accept_data_loss: bool,
    /// Room for partials that wait to be taken.
    room: Arc<Semaphore>,
}

impl Terms {
    /// Whether this version of the module made the partial, with the settings it was given.
    fn is_ours(&self, partial: &Partial) -> bool {
        partial.version == ModuleVersion::CURRENT && partial.fingerprint == self.fingerprint
    }
}

/// The source: all partitions of one topic.
pub struct FluvioSource {
    cluster: Cluster,
    terms: Arc<Terms>,
    settings: Settings,
    /// Partitions found and not told yet, and then that these were all.
    news: std::collections::VecDeque<Event>,
    gates: BTreeMap<PartitionId, watch::Sender<bool>>,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    added: mpsc::Receiver<Result<u32, SourceError>>,
    tasks: JoinSet<()>,
}

impl FluvioSource {
    /// Connects to the cluster and finds the topic and the module there.
    ///
    /// # Errors
    /// No cluster answers, or it has no such topic or module; each says what to do.
    pub async fn open(cluster: Cluster, topology: &Topology, reading: Reading) -> Result<Self, SourceError> {
        cluster.connect().await?;
        let (topic, module) = (topology.topic.clone(), topology.module.clone());
        let address = cluster.address().to_owned();
        let known = cluster.require_topic(&topic).await?;
        cluster.require_module(&module).await?;
        let terms = Arc::new(Terms {
            topic,
            module,
            fingerprint: topology.settings.fingerprint(),
            poll: (topology.idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(1)),
            patience: (topology.idle / 4).clamp(Duration::from_secs(1), Duration::from_secs(10)),
            address,
            cluster: cluster.flag(),
            opening: Arc::new(Semaphore::new(OPENING)),
            accept_data_loss: reading.accept_data_loss,
            room: Arc::new(Semaphore::new(ROOM as usize)),
        });
        let (sender, messages) = mpsc::channel(QUEUE);
        let (added, additions) = mpsc::channel(1);
        let mut source = Self {
            cluster: cluster.clone(),
            terms: terms.clone(),
            settings: topology.settings.clone(),
            news: Default::default(),
            gates: BTreeMap::new(),
            messages,
            sender,
            added: additions,
            tasks: JoinSet::new(),
        };
        source.take_up(known.partitions, |partition| reading.place(partition));
        let (known, fixed) = (known.partitions, reading.fixed_partitions);
        source.tasks.spawn(Discovery { cluster, terms, known, fixed, added }.run());
        Ok(source)
    }

    /// Starts readers for partitions up to `count` that have none.
    fn take_up(&mut self, count: u32, begin: impl Fn(PartitionId) -> Begin) {
        for partition in 0..count {
            if self.gates.contains_key(&partition) {
                continue;
            }
            let (gate, paused) = watch::channel(false);
            self.gates.insert(partition, gate);
            self.news.push_back(Event::Found { partition });
            let params: BTreeMap<String, String> = self.settings.to_params().into_iter().collect();
            let module = Module { name: self.terms.module.clone(), params: SmartModuleExtraParams::from(params) };
            let way = ClusterWay {
                cluster: self.cluster.clone(),
                topic: self.terms.topic.clone(),
                partition,
                module,
                settings: self.settings.clone(),
                raw: Mutex::default(),
            };
            let place = (partition, begin(partition));
            let reader = Reader::new(self.terms.clone(), Box::new(way), place, self.sender.clone(), paused);
            self.tasks.spawn(reader.run());
        }
        self.news.push_back(Event::Listed);
    }

    fn set_paused(&self, partition: PartitionId, paused: bool) {
        if let Some(gate) = self.gates.get(&partition) {
            gate.send_replace(paused);
        }
    }
}

#[async_trait]
impl Source for FluvioSource {
    async fn next(&mut self) -> Result<Event, SourceError> {
        loop {
            if let Some(event) = self.news.pop_front() {
                return Ok(event);
            }
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => return message.what,
                    // This end holds a sender, so that the channel is never closed.
                    None => std::future::pending().await,
                },
                Some(count) = self.added.recv() => self.take_up(count?, |_| Begin::Beginning),
                Some(Err(error)) = self.tasks.join_next() => {
                    return Err(SourceError::ReaderFailed { reason: error.to_string() });
                }
            }
        }
    }

    fn pause(&mut self, partition: PartitionId) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: PartitionId) {
        self.set_paused(partition, false);
    }
}
