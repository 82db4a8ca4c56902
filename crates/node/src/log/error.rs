//! What can go wrong with the log of a partition. Each names the place on disk and the next step.

use std::io;
use std::path::PathBuf;

use fluvio_protocol::link::ErrorCode;

use super::PartitionId;

/// An error of the log of one partition.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused something.
    #[error("partition {partition}: cannot {action} {}: {source}", path.display())]
    Io {
        /// Whose log it is.
        partition: PartitionId,
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Stored bytes are not what was written, and more than a torn tail.
    #[error(
        "partition {partition}: {} is damaged at byte {position} (offset {offset}): {what}; nothing was changed: \
         restore the file from a copy, or delete the topic's folder if its data may be lost",
        path.display()
    )]
    Damaged {
        /// Whose log it is.
        partition: PartitionId,
        /// The file.
        path: PathBuf,
        /// Where in the file the first bad entry begins.
        position: u64,
        /// The offset of the first record that cannot be read.
        offset: i64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A write failed and could not be undone: the partition takes no more.
    #[error("partition {partition}: an earlier write failed halfway and could not be undone; restart the node")]
    Failed {
        /// Whose log it is.
        partition: PartitionId,
    },
    /// The topic was deleted meanwhile.
    #[error("partition {partition}: its topic has been deleted")]
    Deleted {
        /// Whose log it was.
        partition: PartitionId,
    },
    /// A read starts before what is kept.
    #[error("partition {partition}: offset {offset} is before the log's start {start}")]
    BeforeStart {
        /// Whose log it is.
        partition: PartitionId,
        /// The offset asked for.
        offset: i64,
        /// Where the log begins.
        start: i64,
    },
    /// A read starts beyond the end.
    #[error("partition {partition}: start offset {offset} is greater than the log's end {end}")]
    BeyondEnd {
        /// Whose log it is.
        partition: PartitionId,
        /// The offset asked for.
        offset: i64,
        /// The end of the log.
        end: i64,
    },
    /// Offsets would not fit in 63 bits.
    #[error("partition {partition}: no offsets are left after {end}")]
    OffsetsExhausted {
        /// Whose log it is.
        partition: PartitionId,
        /// The end of the log.
        end: i64,
    },
}

impl LogError {
    /// What a client is told whose read failed.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::BeforeStart { offset, start, .. } => {
                ErrorCode::OffsetEvicted { offset: *offset, next_available: *start }
            }
            Self::Deleted { .. } => ErrorCode::TopicDeleted,
            error => ErrorCode::Other(error.to_string()),
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_storage_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}
