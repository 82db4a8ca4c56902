//! Errors of a partition's log. Each names the file and the next step.

use std::io;
use std::path::{Path, PathBuf};

use fluvio_protocol::link::ErrorCode;

use super::PartitionId;
use crate::reason::plain;

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused something.
    #[error("partition {partition}: cannot {action} {}: {}", path.display(), plain(source))]
    Io { partition: PartitionId, action: &'static str, path: PathBuf, source: io::Error },
    /// Stored bytes are not what was written, and more than a torn tail.
    #[error(
        "partition {partition}: {} is damaged at byte {position} (offset {offset}): {what}; nothing was changed: \
         restore the file from a copy, or delete the topic's folder if its data may be lost",
        path.display()
    )]
    Damaged {
        partition: PartitionId,
        path: PathBuf,
        /// Where in the file the first bad entry begins.
        position: u64,
        /// The offset of the first record that cannot be read.
        offset: i64,
        what: &'static str,
    },
    /// A file is no longer where it was.
    #[error(
        "partition {partition}: {} was removed or replaced while the node ran: the partition takes nothing more. Put the file \
         back as it was, or restart the node", path.display()
    )]
    Lost { partition: PartitionId, path: PathBuf },
    /// A write failed and could not be undone: the partition takes no more.
    #[error("partition {partition}: an earlier write failed halfway and could not be undone; restart the node")]
    Failed { partition: PartitionId },
    /// The topic was deleted meanwhile.
    #[error("partition {partition}: its topic has been deleted")]
    Deleted { partition: PartitionId },
    /// A read starts before what is kept.
    #[error("partition {partition}: offset {offset} is before the log's start {start}")]
    BeforeStart { partition: PartitionId, offset: i64, start: i64 },
    /// A read starts beyond the end.
    #[error("partition {partition}: start offset {offset} is greater than the log's end {end}")]
    BeyondEnd { partition: PartitionId, offset: i64, end: i64 },
    /// Offsets would not fit in 63 bits.
    #[error("partition {partition}: no offsets are left after {end}")]
    OffsetsExhausted { partition: PartitionId, end: i64 },
}

impl LogError {
    /// The error of an action on a file or folder that the operating system refused.
    pub(crate) fn io(partition: &PartitionId, action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let (partition, path) = (partition.clone(), path.to_owned());
        move |source| Self::Io { partition: partition.clone(), action, path: path.clone(), source }
    }

    /// The error code for a client whose read failed.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::BeforeStart { offset, start, .. } => {
                ErrorCode::OffsetEvicted { offset: *offset, next_available: *start }
            }
            Self::Deleted { .. } => ErrorCode::TopicDeleted,
            error => ErrorCode::Other(error.to_string()),
        }
    }
}
