//! A topic of a Kafka cluster as a [`Log`].
//!
//! A batch is a run of committed records ([`reader`] says where it ends). A topic is known again by its id: one that was deleted and made
//! again is another one. Each partition has one part, by which a store keeps the id.

pub mod address;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use isotherm_engine::state::LogPart;
use isotherm_kafka::{Cluster, KafkaError, Message, Reader};
use isotherm_model::partial::PartitionId;
use tracing::warn;
use xxhash_rust::xxh3::xxh3_64;

use self::address::KafkaAddress;
use self::reader::KafkaReader;
use super::{END_UNKNOWN, Log, LogBatch, LogBounds, LogError, LogIdentity, LogReader, LogRecord, ReadOptions, Records};

/// How an address names a Kafka cluster.
pub(crate) const KAFKA: &str = "kafka";

/// How often in a row, and after which pause, no broker must know a topic that was there, for it to be deleted.
const LOOKS: u32 = 6;
const LOOK: Duration = Duration::from_secs(1);

/// A topic of a cluster.
pub struct KafkaLog {
    identity: LogIdentity,
    shared: Arc<Shared>,
}

/// What all readers of the topic know.
struct Shared {
    cluster: Cluster,
    address: String,
    topic: String,
    /// The digest of cluster and topic ids: what the store says by partition, or else what was found first.
    id: Mutex<Option<u64>>,
    known: Mutex<BTreeMap<PartitionId, u64>>,
}

impl KafkaLog {
    /// Nothing is connected to yet.
    ///
    /// # Errors
    /// [`LogError::Fatal`]: a setting cannot be used.
    pub(crate) fn new(address: &KafkaAddress, topic: &str) -> Result<Self, LogError> {
        let cluster = Cluster::new(&address.servers(), &address.settings, &address.group);
        let cluster = cluster.map_err(|error| LogError::Fatal(error.to_string()))?;
        let stored = address.stored();
        let identity = LogIdentity { kind: KAFKA, address: stored.clone(), topic: topic.to_owned() };
        let (id, known) = (Mutex::default(), Mutex::default());
        let shared = Shared { cluster, address: stored, topic: topic.to_owned(), id, known };
        Ok(Self { identity, shared: Arc::new(shared) })
    }

    /// Asks on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        ask(&self.shared, question).await
    }
}

/// Asks on a thread that may wait.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Shared) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let shared = shared.clone();
    let asked = tokio::task::spawn_blocking(move || question(&shared)).await;
    asked.unwrap_or_else(|error| Err(LogError::Fatal(error.to_string())))
}

impl Shared {
    /// How many partitions the topic has, if it is there and the one that was read.
    fn partitions(&self, is_compaction_looked_for: bool) -> Result<Option<u32>, LogError> {
        let no_answer = |error: KafkaError| match error {
            KafkaError::Fatal(reason) => LogError::Fatal(format!("{}: {reason}", self.address)),
            error => {
                LogError::NoAnswer { name: "Kafka cluster", address: self.address.clone(), reason: error.to_string() }
            }
        };
        let Some(topic) = self.cluster.topic(&self.topic).map_err(no_answer)? else {
            return Ok(None);
        };
        // It may become so while it is read.
        if is_compaction_looked_for && self.cluster.is_compacted(&self.topic).map_err(no_answer)? {
            return Err(LogError::Fatal(format!(
                "the topic `{}` is compacted (cleanup.policy=compact): Kafka deletes records of it that a window may need; \
                 copy its readings into a topic with cleanup.policy=delete",
                self.topic
            )));
        }
        let cluster = self.cluster.id().map_err(no_answer)?;
        let now = xxh3_64(format!("{cluster}/{}", topic.id).as_bytes());
        let mut id = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if *id.get_or_insert(now) == now { Ok(Some(topic.partitions)) } else { Err(self.replaced()) }
    }

    /// What a store keeps of a partition, once it is known.
    fn part(&self, partition: PartitionId) -> Option<LogPart> {
        let id = (*self.id.lock().unwrap_or_else(PoisonError::into_inner))?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, id);
        known.is_none().then(|| LogPart { base: Some(0), head: id, ..LogPart::default() })
    }

    fn replaced(&self) -> LogError {
        LogError::Replaced { topic: self.topic.clone() }
    }

    /// Whether the topic is the one that was read of this partition.
    fn check(&self, partition: PartitionId) -> Result<(), LogError> {
        // A broker that has just started may not know its topics yet.
        for left in (0..LOOKS).rev() {
            match self.partitions(false)? {
                Some(_) => break,
                None if left == 0 => return Err(LogError::Deleted { topic: self.topic.clone() }),
                None => std::thread::sleep(LOOK),
            }
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied();
        let id = *self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() || known == id { Ok(()) } else { Err(self.replaced()) }
    }

    /// A client that reads a partition from here on.
    fn reader(&self, partition: PartitionId, from: i64, ahead: usize) -> Result<Reader, LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let reader = self.cluster.reader(&self.topic, number, from, ahead);
        reader.map_err(|error| self.error(partition, from, error))
    }

    fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let bounds = self.cluster.bounds(&self.topic, number).map_err(|error| self.error(partition, 0, error))?;
        Ok(LogBounds { start: bounds.start, end: bounds.end })
    }

    fn error(&self, partition: PartitionId, offset: i64, error: KafkaError) -> LogError {
        let topic = self.topic.clone();
        match error {
            // Whether it is gone is asked before it is said.
            KafkaError::NoTopic(_) | KafkaError::OutOfRange | KafkaError::Retry(_) => {
                LogError::Retry { topic, partition, offset, reason: error.to_string() }
            }
            KafkaError::Setting(_) | KafkaError::Fatal(_) => LogError::Fatal(error.to_string()),
        }
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn partitions(&self) -> Result<Option<u32>, LogError> {
        self.ask(|shared| shared.partitions(true)).await
    }

    async fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError> {
        self.ask(move |shared| {
            shared.check(partition)?;
            shared.bounds(partition)
        })
        .await
    }

    fn resume(&self, partition: PartitionId, _from: i64, _position: i64, parts: &[LogPart]) {
        if let Some(part) = parts.last() {
            self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, part.head);
        }
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: i64,
        options: ReadOptions,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let bounds = self.bounds(partition).await?;
        let topic = self.identity.topic.clone();
        if from < bounds.start {
            return Err(LogError::Evicted { topic, partition, offset: from, start: bounds.start });
        }
        if from > bounds.end {
            return Err(LogError::Shorter { topic, partition, offset: from, end: bounds.end, lagging: false });
        }
        Ok(Box::new(KafkaReader::new(self.shared.clone(), options.bytes >> 10, partition, from, bounds)))
    }

    async fn committed(&self, positions: Vec<(PartitionId, i64)>) {
        let told = self.ask(move |shared| {
            let number = |partition| i32::try_from(partition).unwrap_or(i32::MAX);
            let positions: Vec<_> =
                positions.into_iter().map(|(partition, position)| (number(partition), position)).collect();
            Ok(shared.cluster.commit(&shared.topic, &positions))
        });
        if let Ok(Err(error)) = told.await {
            warn!("the consumer group is not told how far `{}` has been read: {error}", self.identity.topic);
        }
    }
}

/// The records of a batch.
struct KafkaRecords(Vec<Message>);

impl Records for KafkaRecords {
    fn each(&self, _buffer: &mut Vec<u8>, show: &mut dyn FnMut(LogRecord<'_>)) -> Result<(), String> {
        for message in &self.0 {
            let (offset, timestamp) = (Some(message.offset()), message.timestamp());
            show(LogRecord { offset, timestamp, key: message.key(), value: message.value() });
        }
        Ok(())
    }

    fn byte_len(&self) -> usize {
        self.0.iter().map(Message::byte_len).fold(0, usize::saturating_add)
    }
}
