//! Why a source cannot be read, or not any longer. The command line adds what to do about it.

use isotherm_model::partial::PartitionId;

use crate::log::LogError;

impl SourceError {
    /// What it means of a file of this name, whose offsets are bytes.
    pub(super) fn of_file(self, name: String) -> Self {
        match self {
            Self::Shorter { position, end, .. } => Self::CutFile { name, position, end },
            Self::OtherLog { offset, .. } => Self::OtherFile { name, offset },
            Self::Behind { resume, start, .. } => Self::GoneFile { name, resume, start },
            other => other,
        }
    }
}

/// Why a source cannot be read, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// What combines batches away from this consumer does not work.
    #[error(transparent)]
    Combiner(Box<dyn std::error::Error + Send + Sync>),
    #[error("the topic `{topic}` was deleted while it was read; nothing more can come from it")]
    TopicDeleted { topic: String },
    #[error(
        "partition {partition} of `{topic}` is read up to offset {position}: {reason}. No client can read that batch whole, \
         and no run can go past it"
    )]
    DamagedBatch { topic: String, partition: PartitionId, position: i64, reason: String },
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} now, but is read up to {position} only: \
         retention has deleted what lies between"
    )]
    Evicted {
        /// Whether the run had been told to accept data loss.
        accept_data_loss: bool,
        topic: String,
        partition: PartitionId,
        position: i64,
        start: i64,
    },
    /// The log begins beyond the offset at which a run before this one said to go on.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} now, but the store says to go on at {resume}: \
         retention has deleted what lies between"
    )]
    Behind { topic: String, partition: PartitionId, resume: i64, start: i64 },
    #[error(
        "partition {partition} of `{topic}` ends at offset {end}, but has been read up to {position}: it is not the log \
         that was read (it was deleted and created again, restored, is another one, or its tail was lost)"
    )]
    Shorter { topic: String, partition: PartitionId, position: i64, end: i64 },
    #[error(
        "partition {partition} of `{topic}`: since the connection was lost, another batch stands at offset {offset} than the \
         one that was counted: the topic was deleted and made again, restored, is another one, or its tail was lost"
    )]
    OtherLog { topic: String, partition: PartitionId, offset: i64 },
    /// A file is shorter than what has been read of it.
    #[error(
        "{name} has {end} bytes, but {position} of it have been read: it was cut, or is another file; what it held is lost \
         to this run"
    )]
    CutFile { name: String, position: i64, end: i64 },
    /// A file that was rotated cannot be found.
    #[error(
        "the file that was {name} when byte {resume} was read is not in its folder any longer, or begins with other bytes: what it held \
         from there up to byte {start} is lost to this run"
    )]
    GoneFile { name: String, resume: i64, start: i64 },
    /// What was read last does not stand there any longer.
    #[error(
        "{name} is not the file that was read: from byte {offset} on it holds something else than what was counted"
    )]
    OtherFile { name: String, offset: i64 },
    #[error("a reader failed: {reason}; this is an error of isotherm-consumer itself: report it")]
    ReaderFailed { reason: String },
}
