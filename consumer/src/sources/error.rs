//! Why a source cannot be read, or not any longer. The command line adds what to do about it.

use isotherm_model::partial::PartitionId;

use crate::log::LogError;

impl SourceError {
    /// What it means of a file of this name, whose offsets are bytes.
    pub(super) fn of_file(self, name: String) -> Self {
        match self {
            Self::Shorter { position, end, .. } => Self::CutFile { name, position, end },
            Self::OtherLog { offset, .. } => Self::OtherFile { name, offset },
            other => other,
        }
    }
}

/// Why a source cannot be read, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What combines batches away from this consumer does not work.
    #[error(transparent)]
    Combiner(Box<dyn std::error::Error + Send + Sync>),
    /// The topic was there, and is not any longer.
    #[error("the topic `{topic}` was deleted while it was read; nothing more can come from it")]
    TopicDeleted {
        /// The topic.
        topic: String,
    },
    /// The records of a batch cannot be told apart.
    #[error(
        "partition {partition} of `{topic}` is read up to offset {position}: {reason}. No client can read that batch whole, \
         and no run can go past it"
    )]
    DamagedBatch {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// Which batch, and what is wrong with it.
        reason: String,
    },
    /// The log does not reach back to where reading goes on.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} now, but is read up to {position} only: the \
         broker's retention has cut what lies between"
    )]
    Evicted {
        /// Whether the run had been told to accept data loss.
        accept_data_loss: bool,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log begins beyond the offset at which a run before this one said to go on.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} now, but the store says to go on at {resume}: the \
         broker's retention has cut what lies between"
    )]
    Behind {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading was to go on.
        resume: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log is shorter than what has been read of it.
    #[error(
        "partition {partition} of `{topic}` ends at offset {end}, but has been read up to {position}: it is not the log \
         that was read (deleted and created again, restored, another cluster's, or cut by a broker that lost its tail)"
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// Where the log ends.
        end: i64,
    },
    /// The log is not the one that was read.
    #[error(
        "partition {partition} of `{topic}`: since the connection was lost, another batch stands at offset {offset} than the \
         one that was counted: the topic was deleted and made again, restored, is another cluster's, or its broker lost its \
         tail"
    )]
    OtherLog {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where the batch is.
        offset: i64,
    },
    /// A file is shorter than what has been read of it.
    #[error(
        "{name} has {end} bytes, but {position} of it have been read: it was cut, or is another file; what it held is lost to this run"
    )]
    CutFile {
        /// The file.
        name: String,
        /// Where reading goes on.
        position: i64,
        /// Where it ends.
        end: i64,
    },
    /// A file is not the one that was read.
    #[error(
        "{name} is not the file that was read: from byte {offset} on it holds something else than what was counted"
    )]
    OtherFile {
        /// The file.
        name: String,
        /// Where the batch is that was read last.
        offset: i64,
    },
    /// The broker refuses, again and again.
    #[error(
        "the SPU refuses to give partition {partition} of `{topic}` from offset {position} on: {reason}\nThe broker's own \
         log says more; run again when it is mended."
    )]
    Refused {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// What the broker said the last time.
        reason: String,
    },
    /// A reader ended without saying why.
    #[error("a reader failed: {reason}; this is an error of isotherm-consumer itself: report it")]
    ReaderFailed {
        /// What is known.
        reason: String,
    },
}
