//! A log: partitions of batches, each record with an offset. The seam between the consumer and whatever stores readings.
//!
//! A backend says which partitions there are, where each begins and ends, and reads stored batches from a position. A batch
//! tells by its header where the next one begins, so that a reader sees offsets that hold no record. [`open`] chooses the
//! backend by the address.

mod batch;
pub mod ends;
pub mod files;
pub mod fluvio;
mod fluvio_target;
pub mod kafka;
#[cfg(test)]
pub(crate) mod memory;
pub mod target;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use isotherm_engine::state::LogPart;
use isotherm_model::partial::PartitionId;

pub use self::batch::{BatchCombiner, LogBatch, LogRecord, OwnedBatch, OwnedRecord, Records};
use self::files::FilesLog;
use self::files::address::FilesAddress;
use self::fluvio::FluvioLog;
// Pauses between attempts are the same for every log.
pub(crate) use self::fluvio::{Backoff, jitter};
use self::fluvio_target::FluvioTarget;
use self::kafka::KafkaLog;
use self::kafka::address::KafkaAddress;
use self::target::Target;

/// What makes a log known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// What kind of log it is, as an address names it: `fluvio`.
    pub kind: &'static str,
    /// Where it is, as [`open`] takes it.
    pub address: String,
    pub topic: String,
}

impl LogIdentity {
    /// Where it is, for people.
    pub(crate) fn place(&self) -> &str {
        if self.kind == FILES { "this machine" } else { &self.address }
    }
}

impl fmt::Display for LogIdentity {
    /// What people call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, address, topic } = self;
        if *kind == FILES { write!(f, "{topic}") } else { write!(f, "`{topic}` of the cluster at {address}") }
    }
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is still there.
    pub start: i64,
    /// The offset after the last committed record; [`END_UNKNOWN`] where that is known only when it has been reached.
    pub end: i64,
}

/// How a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How many bytes are asked for at once, unless a batch is larger.
    pub bytes: usize,
    /// How often in a row something is tried before it is an error.
    pub tries: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { bytes: 2 << 20, tries: 6 }
    }
}

/// A topic of a log. A stored batch never changes: it keeps its records and its bounds, or is deleted. A log is known again by that.
#[async_trait]
pub trait Log: Send + Sync {
    /// What makes it known again.
    fn identity(&self) -> &LogIdentity;

    /// How many partitions the topic has; `None` if there is no such topic.
    async fn partitions(&self) -> Result<Option<u32>, LogError>;

    /// Where a partition begins and ends now.
    async fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError>;

    /// What people call a partition.
    fn name(&self, partition: PartitionId) -> String {
        format!("partition {partition} of `{}`", self.identity().topic)
    }

    /// What an earlier run knew of a partition: its parts, up to where it had read them, and from where on they are read again. It comes
    /// before anything is asked of the partition. A log whose partitions have no parts needs it not.
    fn resume(&self, _partition: PartitionId, _from: i64, _position: i64, _parts: &[LogPart]) {}

    /// A run has committed these positions: for logs whose own tools show how far a reader has come.
    async fn committed(&self, _positions: Vec<(PartitionId, i64)>) {}

    /// Reads a partition, beginning with the batch that holds `from`, up to where it ends now.
    async fn read(
        &self,
        partition: PartitionId,
        from: i64,
        options: ReadOptions,
    ) -> Result<Box<dyn LogReader>, LogError>;
}

impl dyn Log + '_ {
    /// How many partitions the topic has, which must be there.
    pub async fn require(&self) -> Result<u32, LogError> {
        let LogIdentity { address, topic, .. } = self.identity();
        let missing = || LogError::NoTopic { address: address.clone(), topic: topic.clone() };
        self.partitions().await?.ok_or_else(missing)
    }
}

/// Reads the stored batches of one partition, in order.
#[async_trait]
pub trait LogReader: Send {
    /// Where the partition began and ended when that was last known.
    fn bounds(&self) -> LogBounds;

    /// Asks where it begins and ends now.
    async fn ask(&mut self) -> Result<LogBounds, LogError>;

    /// The offset that comes next: after the last batch that was given, by its header.
    fn position(&self) -> i64;

    /// Goes on with the batch that holds `from`, and ends with the one that holds the last offset before `until`. If `from` is the
    /// position, what has been fetched already is used.
    fn seek(&mut self, from: i64, until: i64);

    /// Ends a batch at each of these offsets, where batches of an earlier run ended. A log that stores batches needs not be told.
    fn cut_at(&mut self, _offsets: &[i64]) {}

    /// Reads on without end: [`LogReader::next`] waits at the log's end for what is appended.
    fn follow(&mut self);

    /// The next batch; `None` when all up to the end has been given. A reader that follows gives `None` where the partition ends for
    /// good. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Option<LogBatch>, LogError>;

    /// Parts, with their places, that have begun since the last call, or are better known: a run must keep them before any batch that was
    /// given since.
    fn parts(&mut self) -> Vec<(u32, LogPart)> {
        Vec::new()
    }

    /// The next batch, if it has been fetched already; [`LogReader::next`] says what is wrong with one that cannot be given.
    fn ready(&mut self) -> Option<LogBatch> {
        None
    }
}

/// Why a log cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("no {name} answers at {address}: {reason}")]
    NoAnswer {
        /// What was looked for.
        name: &'static str,
        address: String,
        reason: String,
    },
    #[error("there is no topic `{topic}` at {address}")]
    NoTopic { address: String, topic: String },
    /// The way to the partition is broken. Another attempt may go better.
    #[error("partition {partition} of `{topic}` cannot be read from offset {offset} on: {reason}")]
    Retry { topic: String, partition: PartitionId, offset: i64, reason: String },
    #[error("partition {partition} of `{topic}` begins at offset {start} now: retention has deleted {offset}")]
    Evicted {
        topic: String,
        partition: PartitionId,
        /// What was to be read.
        offset: i64,
        start: i64,
    },
    #[error(
        "partition {partition} of `{topic}` ends at offset {end}, but must be read up to {offset}: it is not the log that \
         was read, or its tail was lost"
    )]
    Shorter {
        topic: String,
        partition: PartitionId,
        /// Up to where it was to be read.
        offset: i64,
        end: i64,
        /// Whether a leader that is new may not know the whole of what was committed yet.
        lagging: bool,
    },
    /// A batch cannot be read, or does not begin where it must.
    #[error("partition {partition} of `{topic}`: {what}")]
    Unreadable { topic: String, partition: PartitionId, offset: i64, what: String },
    #[error("the topic `{topic}` was deleted")]
    Deleted { topic: String },
    #[error("the topic `{topic}` was deleted and made again: it is not the one that was read")]
    Replaced { topic: String },
    /// Nothing of it can be read, and waiting changes nothing.
    #[error("{0}")]
    Fatal(String),
}

impl LogError {
    /// Whether what went wrong, in the system's words, is that this process may open no more files.
    pub(crate) fn is_of_open_files(reason: &str) -> bool {
        // Of the process, and of the system.
        ["os error 24)", "os error 23)"].iter().any(|code| reason.contains(code))
    }
}

/// How an address names a Fluvio cluster.
const FLUVIO: &str = "fluvio";

/// The end of a partition of which nobody knows where it ends before it has been read to there.
pub const END_UNKNOWN: i64 = i64::MAX;

/// What kind of log files are.
pub(crate) const FILES: &str = "files";

/// Opens the topic of the log at `address`: `fluvio://HOST:PORT`, or `HOST:PORT` of a Fluvio cluster; files by the text of a
/// [`FilesAddress`]; a Kafka cluster by `kafka://HOST:PORT[,HOST:PORT…]` or the text of a [`KafkaAddress`]; without one that of the current Fluvio profile. Nothing is connected to yet.
///
/// # Errors
/// [`LogError::Fatal`]: no backend has such addresses.
pub fn open(address: Option<&str>, topic: &str) -> Result<Arc<dyn Log>, LogError> {
    if let Some(kafka) = address.and_then(KafkaAddress::parse) {
        return Ok(Arc::new(KafkaLog::new(&kafka.map_err(LogError::Fatal)?, topic)?));
    }
    match address.and_then(FilesAddress::parse) {
        Some(files) => Ok(Arc::new(FilesLog::new(&files))),
        None => Ok(Arc::new(FluvioLog::new(address, topic)?)),
    }
}

/// Opens a topic to append to, at an address as [`open`] takes it.
pub async fn open_target(address: Option<&str>, topic: &str) -> Result<Box<dyn Target>, LogError> {
    Ok(Box::new(FluvioTarget::open(address, topic).await?))
}
