//! Opening the folder of a partition: the start finds where the log begins, checks every segment from there on, and cuts a
//! torn tail.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{Inner, LogError, LogOptions, PartitionId, PartitionLog, Tip, retention};
use crate::log::recover::{self, ScanResult};
use crate::log::segment::{HEADER_BYTES, Segment};

impl PartitionLog {
    /// Makes the folder of a new log, and opens it.
    ///
    /// # Errors
    /// As [`PartitionLog::open`].
    pub(crate) fn create(id: PartitionId, folder: PathBuf, options: LogOptions) -> Result<Self, LogError> {
        std::fs::create_dir_all(&folder).map_err(LogError::io(&id, "make the folder", &folder))?;
        Self::open(id, folder, options)
    }

    /// Opens the log in `folder`, which must exist; checks all of it and cuts a torn tail.
    ///
    /// # Errors
    /// [`LogError::Damaged`] if stored bytes are bad before the tail, or the folder is missing; [`LogError::Io`].
    pub(crate) fn open(id: PartitionId, folder: PathBuf, options: LogOptions) -> Result<Self, LogError> {
        let io_error = |action, path: &Path| LogError::io(&id, action, path);
        if !folder.is_dir() {
            // It is created before its topic: so it was there, and its records are lost.
            let what = "the partition's folder is missing";
            return Err(LogError::Damaged { partition: id, path: folder, position: 0, offset: 0, what });
        }
        let start = retention::read_start(&folder).map_err(io_error("read where the log begins in", &folder))?;
        let Some(start) = start else {
            let (path, what) = (folder.join(retention::START), "it does not say where the log begins");
            return Err(LogError::Damaged { partition: id, path, position: 0, offset: 0, what });
        };
        let mut files = Segment::list(&folder).map_err(io_error("list", &folder))?;
        // Segments before the start, which an earlier run had no time to remove.
        for (_, path) in files.extract_if(.., |(base, _)| *base < start) {
            std::fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
        let mut segments: Vec<Segment> = Vec::with_capacity(files.len().max(1));
        let mut end = start;
        let count = files.len();
        for (at, (base, path)) in files.into_iter().enumerate() {
            let last = at + 1 == count;
            let damaged = |path: &Path, position, what| LogError::Damaged {
                partition: id.clone(),
                path: path.to_owned(),
                position,
                offset: end,
                what,
            };
            if base != end {
                return Err(damaged(&path, 0, "the segment before it ends elsewhere, or is missing"));
            }
            let Some(mut segment) = Segment::open(path.clone(), base).map_err(io_error("open", &path))? else {
                let bytes = std::fs::metadata(&path).map_err(io_error("look at", &path))?.len();
                if !last || bytes > HEADER_BYTES {
                    return Err(damaged(&path, 0, "the segment's header is not sound"));
                }
                warn!(partition = %id, offset = end, bytes, "cut the torn header of the last segment");
                segments.push(Segment::create(&folder, base, options.fsync).map_err(io_error("write", &path))?);
                continue;
            };
            match recover::scan(&mut segment, last).map_err(io_error("read", &path))? {
                ScanResult::Whole(next) => end = next,
                ScanResult::Torn { next, bytes } => {
                    let size = segment.size;
                    segment.file().and_then(|file| file.set_len(size)).map_err(io_error("cut", &path))?;
                    warn!(partition = %id, offset = next, bytes, file = %path.display(), "cut a torn tail");
                    end = next;
                }
                ScanResult::Damaged { offset, what } => {
                    end = offset;
                    let position = segment.size;
                    return Err(LogError::Damaged { partition: id, path, position, offset: end, what });
                }
            }
            if !last {
                segment.close();
            }
            segments.push(segment);
        }
        if segments.is_empty() && start > 0 {
            let what = "every segment is missing from where the log begins";
            return Err(LogError::Damaged { partition: id, path: folder, position: 0, offset: start, what });
        }
        if segments.is_empty() {
            segments.push(Segment::create(&folder, 0, options.fsync).map_err(io_error("write", &folder))?);
        }
        let bytes = segments.iter().map(|segment| segment.size - HEADER_BYTES).sum();
        info!(partition = %id, start, end, segments = segments.len(), "opened");
        let tip = watch::Sender::new(Tip { start, end, bytes, deleted: false });
        Ok(Self { id, folder, options, inner: Mutex::new(Inner { segments, lost: None, failed: false }), tip })
    }
}
