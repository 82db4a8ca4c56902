//! Where the log begins. A topic limits the age of its records and the bytes of a partition. What exceeds the limits is
//! removed, a whole segment at a time, the oldest first, but never the one that takes entries. An entry is as old as its
//! segment's last write, as on the SPU.
//!
//! A file beside the segments holds the offset at which the log begins. It is on the disk before older segments are removed.
//! So a start can distinguish a log that was cut from one that has lost a file, whenever the last run was killed.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tracing::info;

use super::{Inner, LogError, PartitionLog};
use crate::log::segment::{HEADER_BYTES, Segment};

/// The file with the offset at which the log begins, in decimal. Without it the log begins at 0.
pub(super) const START: &str = "start";

/// What may be removed. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    /// A segment whose last write is longer ago may go.
    pub(crate) age: Option<Duration>,
    /// The oldest segments may go while the log has more bytes.
    pub(crate) bytes: Option<u64>,
}

impl PartitionLog {
    /// Looks whether all files are in their places, and removes the oldest segments that the topic's retention does not keep at
    /// `now`. Gives the new begin of the log.
    /// Blocks on the disk if there is something to remove.
    ///
    /// # Errors
    /// [`LogError::Io`], [`LogError::Lost`]. What could not be removed is tried again by the next call, or the next start.
    pub(crate) fn clean(&self, now: SystemTime) -> Result<i64, LogError> {
        let mut inner = self.lock();
        inner.lost = inner.segments.iter().find(|segment| !segment.is_in_place()).map(|segment| segment.path.clone());
        // Otherwise the files of another folder could be removed.
        if let Some(path) = &inner.lost {
            return Err(LogError::Lost { partition: self.id.clone(), path: path.clone() });
        }
        let expired = self.expired(&inner, now)?;
        let kept = inner.segments.get(expired).map(|segment| segment.base);
        let Some(start) = kept.filter(|_| expired > 0 && !self.tip().deleted) else {
            return Ok(self.tip().start);
        };
        write_start(&self.folder, start).map_err(self.failed("write where the log begins in", &self.folder))?;
        let removed: Vec<Segment> = inner.segments.drain(..expired).collect();
        // Under the lock, so that no reader looks for a removed segment.
        self.tip.send_modify(|tip| {
            tip.start = start;
            tip.bytes -= removed.iter().map(|segment| segment.size - HEADER_BYTES).sum::<u64>();
        });
        drop(inner);
        info!(partition = %self.id, start, segments = removed.len(), "removed what retention does not keep");
        for segment in removed {
            std::fs::remove_file(&segment.path).map_err(self.failed("remove", &segment.path))?;
        }
        Ok(start)
    }

    /// How many of the oldest segments go. The last one stays: it takes entries.
    fn expired(&self, inner: &Inner, now: SystemTime) -> Result<usize, LogError> {
        let retention = self.options.retention;
        let mut bytes = self.tip().bytes;
        let mut count = 0;
        for segment in inner.segments.iter().take(inner.segments.len().saturating_sub(1)) {
            let old = match retention.age {
                None => false,
                Some(age) => {
                    let written = std::fs::metadata(&segment.path).and_then(|found| found.modified());
                    let written = written.map_err(self.failed("look at", &segment.path))?;
                    // A write in the future is not old.
                    now.duration_since(written).is_ok_and(|elapsed| elapsed > age)
                }
            };
            if !old && retention.bytes.is_none_or(|most| bytes <= most) {
                break;
            }
            bytes = bytes.saturating_sub(segment.size - HEADER_BYTES);
            count += 1;
        }
        Ok(count)
    }
}

/// Where the log in `folder` begins; `None` if the file with the offset is not sound.
pub(super) fn read_start(folder: &Path) -> io::Result<Option<i64>> {
    match std::fs::read_to_string(folder.join(START)) {
        Ok(text) => Ok(text.trim_end().parse().ok().filter(|start| *start >= 0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(0)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_start(folder: &Path, start: i64) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".start-").tempfile_in(folder)?;
    writeln!(file, "{start}")?;
    file.as_file().sync_all()?;
    file.persist(folder.join(START)).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
