//! Finds files that were rotated: in the folder of a followed file, by their numbers, their first bytes and their names.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use isotherm_engine::state::LogPart;
use isotherm_files::{Compression, Content, FileError};

/// How many bytes at a file's beginning, and how many before the end of what was read of it, it is known by.
const PRINT: u32 = 4096;

/// Two files that begin with as many equal bytes are copies.
const TELLING: u32 = 256;

/// How much is read at once to find where the last line ends, and how much of it in all.
const LINE: (usize, u64) = (64 << 10, isotherm_files::LONGEST_RECORD as u64);

/// A file that was opened.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) inode: u64,
    modified: SystemTime,
}

impl Found {
    /// Opens a regular file; `None` if there is none of that name.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let failed = |source| FileError::Open { name: path.display().to_string(), source };
        // To open a pipe would wait for who writes it.
        let opened = fs::metadata(path).and_then(|metadata| {
            let file = metadata.is_file().then(|| File::open(path)).transpose()?;
            Ok((file.as_ref().map_or(Ok(metadata), File::metadata)?, file))
        });
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if metadata.is_dir() {
            return Err(FileError::Folder { name: path.display().to_string() });
        }
        let Some(file) = file else {
            return Err(FileError::FollowedPipe { name: path.display().to_string() });
        };
        let modified = metadata.modified().map_err(failed)?;
        Ok(Some(Self { path: path.to_owned(), file: Arc::new(file), inode: metadata.ino(), modified }))
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn failed(&self, source: io::Error) -> FileError {
        FileError::Read { name: self.name(), offset: 0, source }
    }

    /// How many bytes the file has now.
    pub(super) fn length(&self) -> Result<u64, FileError> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|error| self.failed(error))
    }

    /// The content from this byte on.
    pub(super) fn content(&self, position: u64) -> Result<Content, FileError> {
        Content::at(self.file.clone(), &self.name(), position)
    }

    /// How long its content is now. What is compressed is read to its end for that.
    pub(super) fn content_length(&self) -> Result<u64, FileError> {
        if self.is_compressed()? { self.content(0)?.count() } else { self.length() }
    }

    /// The offset behind the last end of a line; the file's length if that is too far away.
    pub(super) fn line_end(&self) -> Result<u64, FileError> {
        let length = self.length()?;
        let (step, most) = LINE;
        let (mut end, mut bytes) = (length, vec![0; step]);
        while end > 0 && length - end <= most {
            let start = end.saturating_sub(step as u64);
            let part = bytes.get_mut(..usize::try_from(end - start).unwrap_or(step)).unwrap_or_default();
            self.file.read_exact_at(part, start).map_err(|error| self.failed(error))?;
            if let Some(found) = part.iter().rposition(|byte| *byte == b'\n') {
                return Ok(start + found as u64 + 1);
            }
            end = start;
        }
        Ok(if end == 0 { 0 } else { length })
    }

    /// What a store keeps of it as the part that begins at `base`, behind one whose last bytes have the digest `tail`.
    pub(super) fn part(&self, base: i64, tail: u64) -> Result<LogPart, FileError> {
        let (head_length, head) = self.content(0)?.digest(PRINT)?;
        Ok(LogPart { base, inode: self.inode, head_length, head, tail })
    }

    /// The digest of the last bytes of the content before `end`.
    pub(super) fn tail(&self, end: u64) -> Result<u64, FileError> {
        let length = end.min(u64::from(PRINT));
        let (_, digest) = self.content(end - length)?.digest(u32::try_from(length).unwrap_or(PRINT))?;
        Ok(digest)
    }

    /// Whether it begins as this part does.
    pub(super) fn begins_as(&self, part: &LogPart) -> bool {
        // What cannot be read is another file.
        self.content(0)
            .and_then(|mut content| content.digest(part.head_length))
            .is_ok_and(|(length, head)| (length, head) == (part.head_length, part.head))
    }

    pub(super) fn is_compressed(&self) -> Result<bool, FileError> {
        Ok(self.content(0)?.compression() != Compression::None)
    }
}

/// Finds the file of a part: the one of its number in the folder of `path`, or else one of a rotated name, which may be compressed.
pub(super) fn find(path: &Path, part: &LogPart) -> Result<Option<Found>, FileError> {
    let is_it = |found: &Found| found.inode == part.inode && found.begins_as(part);
    if let Some(found) = Found::open(path)?.filter(is_it) {
        return Ok(Some(found));
    }
    let files = siblings(path)?;
    for (file, _) in files.iter().filter(|(_, metadata)| metadata.ino() == part.inode) {
        if let Some(found) = Found::open(file)?.filter(is_it) {
            return Ok(Some(found));
        }
    }
    for (file, _) in files.iter().filter(|(file, _)| file == path || is_rotated(path, file)) {
        if let Some(found) = Found::open(file)?.filter(|found| found.begins_as(part)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The file that followed `last`, the newest of the parts that are `known`: the oldest rotated one that was written after it, or else the one
/// that has the name now, when there is a whole line in it.
pub(super) fn successor(path: &Path, last: &Found, known: &[LogPart]) -> Result<Option<Found>, FileError> {
    let modified = last.file.metadata().and_then(|metadata| metadata.modified()).unwrap_or(last.modified);
    let current = Found::open(path)?;
    if current.as_ref().is_some_and(|found| found.inode == last.inode) {
        return Ok(None);
    }
    // A copy of what was read, compressed or not, is not new.
    let is_known = |found: &Found, part: &LogPart| {
        let is_same =
            part.inode == found.inode || part.head_length >= TELLING || found.is_compressed().unwrap_or(false);
        is_same && found.begins_as(part)
    };
    let is_new = |found: &Found| found.inode != last.inode && !known.iter().any(|part| is_known(found, part));
    let mut rotated: Vec<Found> = Vec::new();
    for (file, metadata) in siblings(path)? {
        let is_later = metadata.modified().is_ok_and(|time| time >= modified) && metadata.len() > 0;
        if file != path && is_later && is_rotated(path, &file) {
            rotated.extend(Found::open(&file)?.filter(is_new));
        }
    }
    rotated.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| by_name(path, &a.path, &b.path)));
    match rotated.into_iter().next() {
        Some(found) => Ok(Some(found)),
        None => current.map_or(Ok(None), |found| Ok((found.line_end()? > 0).then_some(found))),
    }
}

/// The regular files of the folder of `path`.
fn siblings(path: &Path) -> Result<Vec<(PathBuf, Metadata)>, FileError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let entries =
        fs::read_dir(folder).map_err(|source| FileError::Open { name: folder.display().to_string(), source })?;
    // A file that goes away meanwhile is none.
    let file = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?));
    let files = entries.filter_map(Result::ok).filter_map(file);
    Ok(files.filter(|(_, metadata)| metadata.is_file()).collect())
}

/// What stands in the name of a rotated file besides the name that it had: digits and what separates them.
fn added<'a>(path: &Path, file: &'a Path) -> Option<&'a str> {
    let (name, file) = (path.file_name()?.to_str()?, file.file_name()?.to_str()?);
    let file = [".gz", ".zst"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let within = || {
        let (stem, end) = name.rsplit_once('.')?;
        file.strip_prefix(stem)?.strip_suffix(end)?.strip_suffix('.')
    };
    file.strip_prefix(name).or_else(within)
}

/// Whether a file's name is one that rotation gives: `readings.jsonl.1`, `readings.jsonl-20261130.gz`, `readings.2026-11-30.jsonl`.
fn is_rotated(path: &Path, file: &Path) -> bool {
    let is_mark = |letter: char| letter.is_ascii_digit() || "-_.:+TZ".contains(letter);
    added(path, file)
        .is_some_and(|added| added.chars().all(is_mark) && added.contains(|digit: char| digit.is_ascii_digit()))
}

/// The older one first, by the names alone: `.2` is older than `.1`, and an earlier date than a later one.
fn by_name(path: &Path, a: &Path, b: &Path) -> std::cmp::Ordering {
    let number = |file| added(path, file)?.strip_prefix('.')?.parse::<u32>().ok();
    match (number(a), number(b)) {
        (Some(a), Some(b)) if a.max(b) < 10_000 => b.cmp(&a),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names() {
        let path = Path::new("/d/readings.jsonl");
        let yes =
            ["readings.jsonl.1", "readings.jsonl.12.gz", "readings.jsonl-20261130", "readings.2026-11-30.jsonl.zst"];
        let no = [
            "readings.jsonl",
            "readings.jsonl.gz",
            "readings.jsonl.db",
            "readings.jsonl.bak.1",
            "other.jsonl.1",
            "readings.1",
        ];
        for name in yes {
            assert!(is_rotated(path, &Path::new("/d").join(name)), "{name}");
        }
        for name in no {
            assert!(!is_rotated(path, &Path::new("/d").join(name)), "{name}");
        }
        let mut names = ["/d/readings.jsonl.1", "/d/readings.jsonl.10.gz", "/d/readings.jsonl.2"].map(Path::new);
        names.sort_by(|a, b| by_name(path, a, b));
        assert_eq!(names.map(|name| name.to_str().unwrap().len()), [23, 19, 19]);
        let dated = ["/d/readings.jsonl-20261129", "/d/readings.jsonl-20261130"].map(Path::new);
        assert!(by_name(path, dated[0], dated[1]).is_lt());
    }
}
