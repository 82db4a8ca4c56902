//! The log of one partition: append, read, follow, delete. One writer at a time, any number of readers beside it.
//!
//! - `open` what a start does with the folder of a partition
//! - `retention` where the log begins: its oldest segments go when they are too old or too many
//!
//! A batch is acknowledged once `write` has returned: a killed process loses nothing that was. With `fsync` the disk has
//! confirmed it too; without, a power cut may take the newest.

mod open;
mod retention;

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tracing::warn;

pub(crate) use self::retention::Retention;
use super::LogError;
use super::batch::Header;
use super::entry::{self, PREFIX_BYTES, Parsed};
use super::segment::{HEADER_BYTES, Segment};

/// Bytes that a read takes beyond what it is asked for, to get from an indexed position to the entry it wants.
const READ_SLACK: usize = 96 * 1024;

/// A partition's name: topic and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionId {
    /// The topic's name.
    pub topic: String,
    /// The partition's number, from 0.
    pub number: u32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.number)
    }
}

/// How a log is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOptions {
    /// A segment of at least this size gets no more entries.
    pub(crate) segment_bytes: u64,
    /// Whether an append waits for the disk.
    pub(crate) fsync: bool,
    /// What may be removed.
    pub(crate) retention: Retention,
}

/// Where a log begins and ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tip {
    /// The offset of the first record that is still kept, or `end` if there is none.
    pub(crate) start: i64,
    /// The offset that the next record will get.
    pub(crate) end: i64,
    /// Bytes of entries on disk.
    pub(crate) bytes: u64,
    /// Whether the topic has been deleted.
    pub(crate) deleted: bool,
}

/// Whole batches, one behind the other, as they go over the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The batches.
    pub(crate) data: Bytes,
    /// The offset behind the last record; where the read began if there is none.
    pub(crate) next: i64,
}

struct Inner {
    /// Ascending; at least one. The log begins with the first one's base offset.
    segments: Vec<Segment>,
    /// A segment whose file was not in its place when that was looked at last.
    lost: Option<PathBuf>,
    failed: bool,
}

/// The log of one partition.
pub(crate) struct PartitionLog {
    id: PartitionId,
    folder: PathBuf,
    options: LogOptions,
    inner: Mutex<Inner>,
    tip: watch::Sender<Tip>,
}

impl fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionLog").field("id", &self.id).field("tip", &*self.tip.borrow()).finish_non_exhaustive()
    }
}

impl PartitionLog {
    /// Whose log this is.
    pub(crate) fn id(&self) -> &PartitionId {
        &self.id
    }

    /// Where the log ends now.
    pub(crate) fn tip(&self) -> Tip {
        *self.tip.borrow()
    }

    /// Follows the end of the log.
    pub(crate) fn follow(&self) -> watch::Receiver<Tip> {
        self.tip.subscribe()
    }

    /// Tells all who follow that the topic is gone, and takes no more: its folder's name may soon be that of a new topic.
    /// The caller removes the files.
    pub(crate) fn mark_deleted(&self) {
        let _no_append = self.lock();
        self.tip.send_modify(|tip| tip.deleted = true);
    }

    /// Stores checked batches, in order, with the next offsets, and gives these. All of them, or after an error none. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// [`LogError::Io`] if the disk is full or broken; [`LogError::Failed`] once such a failure could not be undone;
    /// [`LogError::Lost`] while a file is not where it was; [`LogError::Deleted`].
    pub(crate) fn append(&self, batches: &[Bytes]) -> Result<Range<i64>, LogError> {
        let mut inner = self.lock();
        if self.tip().deleted {
            return Err(LogError::Deleted { partition: self.id.clone() });
        }
        if inner.failed {
            return Err(LogError::Failed { partition: self.id.clone() });
        }
        if let Some(path) = &inner.lost {
            return Err(LogError::Lost { partition: self.id.clone(), path: path.clone() });
        }
        let base = self.tip().end;
        let mut end = base;
        let mut out = Vec::with_capacity(batches.iter().map(|batch| PREFIX_BYTES + batch.len()).sum());
        let mut notes = Vec::with_capacity(batches.len());
        for batch in batches {
            let Some(header) = Header::read(batch) else { continue };
            entry::put(&mut out, batch, end);
            notes.push((end, (PREFIX_BYTES + batch.len()) as u64));
            end = end
                .checked_add(header.count())
                .ok_or_else(|| LogError::OffsetsExhausted { partition: self.id.clone(), end: base })?;
        }
        if notes.is_empty() {
            return Ok(base..end);
        }
        let segment = self.writable(&mut inner, out.len() as u64)?;
        let size = segment.size;
        let written = write(segment, &out, self.options.fsync);
        let written = written.map_err(|source| self.failed("append to", &segment.path)(source));
        // Behind the write: what is acknowledged was in a file that a start finds.
        if let Err(fault) = written.and_then(|()| self.check_place(segment)) {
            if let Err(error) = segment.file().and_then(|file| file.set_len(size)) {
                warn!(partition = %self.id, %error, "could not undo a failed write");
                inner.failed = true;
            }
            return Err(fault);
        }
        for (offset, bytes) in notes {
            segment.note(offset, bytes);
        }
        // Under the lock, so that ends are published in order.
        self.tip.send_modify(|tip| {
            tip.end = end;
            tip.bytes += out.len() as u64;
        });
        Ok(base..end)
    }

    /// Fails if a segment's file was removed, moved or replaced.
    fn check_place(&self, segment: &Segment) -> Result<(), LogError> {
        if segment.is_in_place() {
            return Ok(());
        }
        Err(LogError::Lost { partition: self.id.clone(), path: segment.path.clone() })
    }

    /// The segment for the next `bytes` bytes: the last one, or a new one behind it.
    fn writable<'a>(&self, inner: &'a mut Inner, bytes: u64) -> Result<&'a mut Segment, LogError> {
        let io_error = self.failed("start a segment in", &self.folder);
        let full = inner.segments.last().is_none_or(|last| {
            last.size > HEADER_BYTES && last.size.saturating_add(bytes) > self.options.segment_bytes
        });
        if full {
            // Or a segment would be begun in another's folder.
            inner.segments.last().map_or(Ok(()), |last| self.check_place(last))?;
            let segment = Segment::create(&self.folder, self.tip().end, self.options.fsync).map_err(&io_error)?;
            if let Some(full) = inner.segments.last_mut() {
                full.close();
            }
            inner.segments.push(segment);
        }
        inner.segments.last_mut().ok_or_else(|| io_error(io::Error::other("there is no segment")))
    }

    /// Reads whole batches from the one that holds `from` on: at least one if there is any, then as many as fit in
    /// `max_bytes` and are in one segment. Every entry's checksum is verified. Blocks on the disk.
    ///
    /// # Errors
    /// [`LogError::BeforeStart`], [`LogError::BeyondEnd`], [`LogError::Damaged`], [`LogError::Deleted`], [`LogError::Io`].
    pub(crate) fn read(&self, from: i64, max_bytes: usize) -> Result<Chunk, LogError> {
        let (file, path, position, limit) = {
            let inner = self.lock();
            let Tip { start, end, .. } = self.tip();
            if from < start {
                return Err(self.before_start(from, start));
            }
            if from > end {
                return Err(LogError::BeyondEnd { partition: self.id.clone(), offset: from, end });
            }
            let after = inner.segments.partition_point(|segment| segment.base <= from);
            match after.checked_sub(1).and_then(|at| inner.segments.get(at)) {
                Some(segment) if from < end => {
                    (segment.opened(), segment.path.clone(), segment.position_before(from), segment.size)
                }
                _ => {
                    return Ok(Chunk { data: Bytes::new(), next: from });
                }
            }
        };
        let file = match file {
            Some(file) => file,
            None => self.open_closed(&path, from)?,
        };
        let reader = Reader { partition: &self.id, file: &file, path: &path, limit };
        reader.read(position, from, max_bytes)
    }

    /// Opens the file of a segment that takes no more entries.
    fn open_closed(&self, path: &Path, from: i64) -> Result<Arc<File>, LogError> {
        let opened = File::open(path);
        // Looked at behind the opening: until then the name cannot be that of another topic's file.
        let tip = self.tip();
        if tip.deleted {
            return Err(LogError::Deleted { partition: self.id.clone() });
        }
        if from < tip.start {
            return Err(self.before_start(from, tip.start));
        }
        opened.map(Arc::new).map_err(self.failed("open", path))
    }

    fn before_start(&self, offset: i64, start: i64) -> LogError {
        LogError::BeforeStart { partition: self.id.clone(), offset, start }
    }

    /// The error of an action on a file or folder that the operating system refused.
    fn failed(&self, action: &'static str, path: &Path) -> impl Fn(io::Error) -> LogError + use<> {
        LogError::io(&self.id, action, path)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of what is inside is complete before anything in the same section can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(segment: &mut Segment, bytes: &[u8], fsync: bool) -> io::Result<()> {
    let file = segment.file()?;
    file.write_all_at(bytes, segment.size)?;
    if fsync { file.sync_data() } else { Ok(()) }
}

struct Reader<'a> {
    partition: &'a PartitionId,
    file: &'a File,
    path: &'a Path,
    limit: u64,
}

impl Reader<'_> {
    fn read(&self, position: u64, from: i64, max_bytes: usize) -> Result<Chunk, LogError> {
        let left = usize::try_from(self.limit.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        self.extend(&mut bytes, position, max_bytes.saturating_add(READ_SLACK).min(left))?;
        let (mut at, mut kept, mut next) = (0, 0, from);
        while at < left {
            let header = match Parsed::read(&bytes[at..]) {
                Parsed::Entry(header) => header,
                // What was read so far is good; the next read starts here and sees why it ends.
                _ if kept > 0 => break,
                Parsed::Short(needed) if at + needed > bytes.len() && at + needed <= left => {
                    self.extend(&mut bytes, position, at + needed)?;
                    continue;
                }
                Parsed::Short(_) => return Err(self.damaged(position, at, next, "an entry is cut off")),
                Parsed::Bad(what) => return Err(self.damaged(position, at, next, what)),
            };
            let batch = at + PREFIX_BYTES..at + PREFIX_BYTES + header.length;
            at = batch.end;
            if header.last_offset() < from {
                continue;
            }
            if kept > 0 && kept + header.length > max_bytes {
                break;
            }
            bytes.copy_within(batch, kept);
            kept += header.length;
            next = header.last_offset() + 1;
        }
        bytes.truncate(kept);
        Ok(Chunk { data: bytes.into(), next })
    }

    /// Reads on until `bytes`, which begin at `position`, are `wanted` many.
    fn extend(&self, bytes: &mut Vec<u8>, position: u64, wanted: usize) -> Result<(), LogError> {
        let have = bytes.len();
        bytes.resize(wanted.max(have), 0);
        let read = self.file.read_exact_at(&mut bytes[have..], position + have as u64);
        read.map_err(LogError::io(self.partition, "read", self.path))
    }

    fn damaged(&self, position: u64, at: usize, offset: i64, what: &'static str) -> LogError {
        let position = position + at as u64;
        LogError::Damaged { partition: self.partition.clone(), path: self.path.to_owned(), position, offset, what }
    }
}
