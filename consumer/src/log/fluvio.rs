//! A topic of a Fluvio cluster as a [`Log`].

use async_trait::async_trait;
pub(crate) use isotherm_fluvio::{Backoff, jitter};
use isotherm_fluvio::{
    BatchReader, Cluster, ClusterError, ConnectError, Connection, ConnectionError, Damaged, ErrorCode, ReadError,
    StoredBatch, TIMEOUT,
};
use isotherm_model::partial::PartitionId;

use super::{FLUVIO, Log, LogBatch, LogBounds, LogError, LogIdentity, LogReader, LogRecord, ReadOptions, Records};

/// What brokers know this client as.
const CLIENT_ID: &str = "isotherm-consumer";

/// The cluster at `address`, `fluvio://HOST:PORT` or `HOST:PORT`; without one that of the current Fluvio profile.
///
/// # Errors
/// [`LogError::Fatal`]: the address is of another kind.
pub(crate) fn cluster(address: Option<&str>) -> Result<Cluster, LogError> {
    let address = match address.and_then(|address| address.split_once("://")) {
        None => address,
        Some((FLUVIO, address)) => Some(address),
        Some((kind, _)) => {
            let known = "give HOST:PORT of a Fluvio cluster";
            return Err(LogError::Fatal(format!("no log is known by addresses that begin with `{kind}://`; {known}")));
        }
    };
    Ok(Cluster::at(address, CLIENT_ID))
}

/// The first question to a cluster failed.
pub(crate) fn no_answer(cluster: &Cluster, error: &ClusterError) -> LogError {
    LogError::NoAnswer { name: "Fluvio cluster", address: cluster.address().to_owned(), reason: error.to_string() }
}

/// A topic of a cluster.
pub struct FluvioLog {
    cluster: Cluster,
    identity: LogIdentity,
}

impl FluvioLog {
    /// A topic of the cluster at `address`; without one of that of the current Fluvio profile. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`LogError::Fatal`]: the address is of another kind.
    pub fn new(address: Option<&str>, topic: &str) -> Result<Self, LogError> {
        Ok(Self::of(cluster(address)?, topic))
    }

    /// A topic of this cluster.
    pub(crate) fn of(cluster: Cluster, topic: &str) -> Self {
        let identity = LogIdentity { kind: FLUVIO, address: cluster.address().to_owned(), topic: topic.to_owned() };
        Self { cluster, identity }
    }

    fn retry(&self, partition: PartitionId, reason: String) -> LogError {
        LogError::Retry { topic: self.identity.topic.clone(), partition, offset: 0, reason }
    }
}

#[async_trait]
impl Log for FluvioLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn partitions(&self) -> Result<Option<u32>, LogError> {
        let known = self.cluster.topic(&self.identity.topic).await;
        Ok(known.map_err(|error| no_answer(&self.cluster, &error))?.map(|topic| topic.partitions))
    }

    async fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError> {
        let topic = &self.identity.topic;
        let connection = Connection::to_leader(&self.cluster, topic, partition).await;
        let connection = connection.map_err(|error| match error {
            ConnectError::Settings(reason) => settings(self.cluster.address(), &reason),
            error => self.retry(partition, error.to_string()),
        })?;
        match connection.bounds(TIMEOUT).await {
            Ok(bounds) => Ok(LogBounds { start: bounds.start, end: bounds.end }),
            Err(ConnectionError::Code(ErrorCode::TopicDeleted)) => Err(LogError::Deleted { topic: topic.clone() }),
            Err(error) => Err(self.retry(partition, error.to_string())),
        }
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: i64,
        options: ReadOptions,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let options = isotherm_fluvio::ReadOptions { response_bytes: options.bytes, tries: options.tries };
        let reader = BatchReader::open(&self.cluster, &self.identity.topic, partition, from, options).await?;
        Ok(Box::new(reader))
    }
}

#[async_trait]
impl LogReader for BatchReader {
    fn bounds(&self) -> LogBounds {
        let bounds = BatchReader::bounds(self);
        LogBounds { start: bounds.start, end: bounds.end }
    }

    async fn ask(&mut self) -> Result<LogBounds, LogError> {
        BatchReader::ask(self).await?;
        Ok(LogReader::bounds(self))
    }

    fn position(&self) -> i64 {
        BatchReader::position(self)
    }

    fn seek(&mut self, from: i64, until: i64) {
        BatchReader::seek(self, from, until);
    }

    fn follow(&mut self) {
        BatchReader::follow(self);
    }

    async fn next(&mut self) -> Result<Option<LogBatch>, LogError> {
        Ok(BatchReader::next(self).await?.map(LogBatch::from))
    }

    fn ready(&mut self) -> Option<LogBatch> {
        BatchReader::ready(self).map(LogBatch::from)
    }
}

impl From<StoredBatch> for LogBatch {
    fn from(batch: StoredBatch) -> Self {
        Self::new(batch.base_offset, batch.next, batch.base_timestamp, batch)
    }
}

impl Records for StoredBatch {
    fn each(&self, buffer: &mut Vec<u8>, show: &mut dyn FnMut(LogRecord<'_>)) -> Result<(), String> {
        let damaged = |damaged: Damaged| damaged.to_string();
        for record in self.records(buffer).map_err(damaged)? {
            let record = record.map_err(damaged)?;
            show(LogRecord { offset: None, timestamp: record.timestamp, key: record.key, value: Some(record.value) });
        }
        Ok(())
    }

    fn byte_len(&self) -> usize {
        StoredBatch::byte_len(self)
    }
}

fn settings(address: &str, reason: &str) -> LogError {
    LogError::Fatal(format!(
        "the settings for the cluster at {address} cannot be used: {reason}\nMend the Fluvio profile (`fluvio profile list` \
         shows it), or name a cluster without TLS with --cluster HOST:PORT."
    ))
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { topic, partition, offset, reason } => {
                Self::Retry { topic, partition, offset, reason }
            }
            ReadError::Evicted { topic, partition, offset, start } => Self::Evicted { topic, partition, offset, start },
            ReadError::Shorter { topic, partition, offset, end, lagging } => {
                Self::Shorter { topic, partition, offset, end, lagging }
            }
            ReadError::Unreadable { topic, partition, offset, what } => {
                Self::Unreadable { topic, partition, offset, what }
            }
            ReadError::Deleted { topic } => Self::Deleted { topic },
            ReadError::Settings { address, reason } => settings(&address, &reason),
        }
    }
}
