//! One file of the log: sixteen bytes of header (eight of magic with the format's version, eight of base offset), then
//! entries. Named after its base offset. The index in memory has one position for every 64 KiB, so that it stays small.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::place::FileId;

/// Bytes before the first entry.
pub(super) const HEADER_BYTES: u64 = 16;
const MAGIC: [u8; 8] = *b"isolog\0\x01";
const SUFFIX: &str = ".log";
const INDEX_STEP: u64 = 64 * 1024;

/// A segment. Its file is open while it takes entries: a partition may have any number of segments, a process only so
/// many open files.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: i64,
    pub(super) path: PathBuf,
    /// Which file `path` led to when it was opened.
    id: FileId,
    file: Option<Arc<File>>,
    /// Bytes of whole entries and the header: where the next entry goes.
    pub(super) size: u64,
    index: Vec<(i64, u64)>,
}

impl Segment {
    /// Makes the file of a new segment. What a crash left of the same one, which has no entries, is written over. With
    /// `fsync` it is on the disk, header and name, before there is an entry in it.
    pub(super) fn create(folder: &Path, base: i64, fsync: bool) -> io::Result<Self> {
        let path = folder.join(format!("{base:020}{SUFFIX}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&header(base), 0)?;
        if fsync {
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        Self::new(base, path, file)
    }

    fn new(base: i64, path: PathBuf, file: File) -> io::Result<Self> {
        let id = FileId::of(&file.metadata()?);
        Ok(Self { base, path, id, file: Some(Arc::new(file)), size: HEADER_BYTES, index: Vec::new() })
    }

    /// Opens a file whose header is sound; its entries are still to be noted. `None` if the header is not.
    pub(super) fn open(path: PathBuf, base: i64) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut found = [0; HEADER_BYTES as usize];
        match file.read_exact_at(&mut found, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        if found == header(base) { Self::new(base, path, file).map(Some) } else { Ok(None) }
    }

    /// Whether its path still leads to its file.
    pub(super) fn is_in_place(&self) -> bool {
        self.id.is_at(&self.path)
    }

    /// The file, if it is open.
    pub(super) fn opened(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// The file; opens it if it is closed.
    pub(super) fn file(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(&self.path)?);
        self.file = Some(file.clone());
        Ok(file)
    }

    /// Closes the file: readers open it while they read.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// The base offsets and paths of all segments in `folder`, ascending.
    pub(super) fn list(folder: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
            if let Some(base) = stem.and_then(|digits| digits.parse().ok()) {
                found.push((base, path));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Notes an entry of `bytes` bytes at the end, which begins with `offset`.
    pub(super) fn note(&mut self, offset: i64, bytes: u64) {
        if self.index.last().is_none_or(|&(_, at)| self.size - at >= INDEX_STEP) {
            self.index.push((offset, self.size));
        }
        self.size += bytes;
    }

    /// A position at or before the entry that holds `offset`, at most about 64 KiB and one entry before it.
    pub(super) fn position_before(&self, offset: i64) -> u64 {
        let after = self.index.partition_point(|&(first, _)| first <= offset);
        after.checked_sub(1).and_then(|at| self.index.get(at)).map_or(HEADER_BYTES, |&(_, at)| at)
    }
}

fn header(base: i64) -> [u8; HEADER_BYTES as usize] {
    let mut out = [0; HEADER_BYTES as usize];
    out[..8].copy_from_slice(&MAGIC);
    out[8..].copy_from_slice(&base.to_be_bytes());
    out
}
