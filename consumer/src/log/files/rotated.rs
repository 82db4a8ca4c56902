//! Finds files that were rotated, in the folder of a followed file: by their numbers, contents and names. Where nobody can tell what came
//! after what, that is an error and no guess.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use isotherm_engine::state::LogPart;
use isotherm_files::{Compression, Content, FileError};

use super::names::{Names, Rotated};

/// How many bytes at a file's beginning, and how many at its end, it is known by.
pub(super) const PRINT: u32 = 4096;

/// How much is read at once to find where the last line ends, and how much of it in all.
const LINE: (usize, u64) = (64 << 10, isotherm_files::LONGEST_RECORD as u64);

/// How often a folder is looked at again whose files are renamed meanwhile, and after which time.
const LOOKS: (u32, Duration) = (40, Duration::from_millis(25));

/// A file that was opened.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) inode: u64,
}

impl Found {
    /// Opens a regular file; `None` if there is none of that name.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, FileError> {
        let name = || path.display().to_string();
        // To open a pipe would wait for who writes it.
        let opened = fs::metadata(path).and_then(|metadata| {
            let file = metadata.is_file().then(|| File::open(path)).transpose()?;
            Ok((file.as_ref().map_or(Ok(metadata), File::metadata)?, file))
        });
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::Open { name: name(), source }),
        };
        if metadata.is_dir() {
            return Err(FileError::Folder { name: name() });
        }
        let Some(file) = file else {
            return Err(FileError::FollowedPipe { name: name() });
        };
        Ok(Some(Self { path: path.to_owned(), file: Arc::new(file), inode: metadata.ino() }))
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

    pub(super) fn is_compressed(&self) -> Result<bool, FileError> {
        Ok(self.content(0)?.compression() != Compression::None)
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

    /// The digest of its first bytes, and how many they are: at most `most`.
    pub(super) fn head(&self, most: u64) -> Result<(u32, u64), FileError> {
        self.content(0)?.digest(u32::try_from(most).unwrap_or(PRINT).min(PRINT))
    }

    /// The digest of the last bytes of the content before `end`.
    pub(super) fn tail(&self, end: u64) -> Result<u64, FileError> {
        let length = end.min(u64::from(PRINT));
        let (_, digest) = self.content(end - length)?.digest(u32::try_from(length).unwrap_or(PRINT))?;
        Ok(digest)
    }

    fn begins_as(&self, part: &LogPart) -> Result<bool, FileError> {
        Ok(self.head(part.head_length.into())? == (part.head_length, part.head))
    }

    /// Whether it holds what this part did, and maybe more.
    pub(super) fn is(&self, part: &LogPart) -> Result<bool, FileError> {
        if !self.begins_as(part)? {
            return Ok(false);
        }
        let Some(length) = part.length else {
            return Ok(self.inode == part.inode);
        };
        let own = self.content_length()?;
        Ok((own == length || self.inode == part.inode && own > length) && self.tail(length)? == part.tail)
    }

    /// Whether it holds the first `length` bytes of another one, as a copy does, and maybe more.
    pub(super) fn continues(&self, other: &Self, length: u64) -> Result<bool, FileError> {
        let head = self.head(length)? == other.head(length)?;
        Ok(head && self.content_length()? >= length && self.tail(length)? == other.tail(length)?)
    }
}

/// The folder of a followed file.
pub(super) struct Folder<'a> {
    names: Names<'a>,
    /// What else is read by this run.
    others: &'a [PathBuf],
    files: Vec<(PathBuf, Metadata)>,
}

/// What came after a part.
pub(super) enum Next {
    /// Nothing so far.
    Nothing,
    /// This file.
    File(Found),
    /// The same content, in a file that was put in the place of the old one.
    Copy(Found),
}

impl<'a> Folder<'a> {
    /// Looks at the folder, again if files were renamed meanwhile. `None` if they are renamed each time.
    pub(super) fn look<T>(
        path: &'a Path,
        others: &'a [PathBuf],
        ask: impl Fn(&Self) -> Result<T, FileError>,
    ) -> Result<Option<T>, FileError> {
        let (looks, pause) = LOOKS;
        for _ in 0..looks {
            let folder = Self { names: Names(path), others, files: list(path)? };
            let answer = ask(&folder);
            let numbers = |files: &[(PathBuf, Metadata)]| -> Vec<(PathBuf, u64)> {
                files.iter().map(|(path, metadata)| (path.clone(), metadata.ino())).collect()
            };
            if numbers(&folder.files) == numbers(&list(path)?) {
                return answer.map(Some);
            }
            thread::sleep(pause);
        }
        Ok(None)
    }

    /// Files that were rotated, by their names. What is still being compressed is there twice, and counts once, as it was.
    fn rotated(&self) -> impl Iterator<Item = (&PathBuf, &Metadata)> {
        let is_there = |path: &Path| self.files.iter().any(|(file, _)| file == path);
        let files = self.files.iter().filter(move |(file, metadata)| {
            let plain = Names::plain(file);
            metadata.len() > 0 && !self.others.contains(file) && plain.is_none_or(|plain| !is_there(&plain))
        });
        files.filter(|(file, _)| self.names.rotated(file).is_some()).map(|(file, metadata)| (file, metadata))
    }

    /// Files that begin with the name of the followed one, and whose names say nothing.
    fn unclear(&self) -> impl Iterator<Item = &PathBuf> {
        let files = self.files.iter().filter(|(file, metadata)| metadata.len() > 0 && !self.others.contains(file));
        files.map(|(file, _)| file).filter(|file| self.names.is_unclear(file))
    }

    /// All that is there beside the followed file, and is not to be read: what was rotated before.
    pub(super) fn before(&self) -> Result<Vec<LogPart>, FileError> {
        let mut parts = Vec::new();
        for file in self.rotated().map(|(file, _)| file).chain(self.unclear()) {
            let Ok(Some(found)) = Found::open(file) else { continue };
            let mut part = LogPart { inode: found.inode, ..LogPart::default() };
            // What cannot be read is known by its number alone.
            if let Ok((length, head)) = found.head(PRINT.into()) {
                (part.head_length, part.head) = (length, head);
            }
            if !found.is_compressed()? {
                let length = found.length()?;
                (part.length, part.tail) = (Some(length), found.tail(length)?);
            }
            parts.push(part);
        }
        Ok(parts)
    }

    /// The file of a part, of which at least `read` bytes were read.
    pub(super) fn find(&self, part: &LogPart, read: u64) -> Result<Option<Found>, FileError> {
        let numbered = self.files.iter().filter(|(_, metadata)| metadata.ino() == part.inode);
        for (file, _) in numbered {
            if let Some(found) = Found::open(file)?
                && found.inode == part.inode
                && found.is(part)?
            {
                return Ok(Some(found));
            }
        }
        let mut same = Vec::new();
        let named = self.files.iter().filter(|(file, _)| file == self.names.0).map(|(file, _)| file);
        for file in named.chain(self.rotated().map(|(file, _)| file)) {
            let Some(found) = Found::open(file)? else { continue };
            let is_it = match part.length {
                Some(_) => found.is(part)?,
                None => found.begins_as(part)? && found.content_length()? >= read,
            };
            same.extend(is_it.then_some(found));
        }
        // Of several that begin alike nobody knows which it is.
        Ok(if part.length.is_some() || same.len() == 1 { same.into_iter().next() } else { None })
    }

    /// What came after `last`, the newest of the parts that are `known`, of which `read` bytes have been read.
    pub(super) fn next(&self, last: &Found, read: u64, known: &[LogPart]) -> Result<Next, FileError> {
        let current = Found::open(self.names.0)?;
        if current.as_ref().is_some_and(|found| found.inode == last.inode) {
            return Ok(Next::Nothing);
        }
        let older = known.split_last().map_or(&[][..], |(_, older)| older);
        let is_new = |found: &Found| -> Result<bool, FileError> {
            for part in older {
                if found.is(part)? {
                    return Ok(false);
                }
            }
            // A copy of the newest part, or of its beginning.
            let length = found.content_length()?;
            Ok(found.inode != last.inode && (length > last.content_length()? || !last.continues(found, length)?))
        };
        // Where it is now: it may have been renamed since it was opened, or compressed.
        let mut now = self.files.iter().find(|(_, metadata)| metadata.ino() == last.inode).map(|(file, _)| file);
        let mut new = Vec::new();
        for (file, _) in self.rotated() {
            let Some(found) = Found::open(file)? else { continue };
            if is_new(&found)? {
                new.push((self.names.rotated(file).unwrap_or(Rotated::Unclear), found));
            } else if now.is_none() && found.content_length()? == last.content_length()? {
                now = Some(file).filter(|_| last.continues(&found, read).unwrap_or(false));
            }
        }
        if now.is_some_and(|now| self.names.rotated(now).is_none()) {
            // Rotation gives names here that say nothing.
            for file in self.unclear() {
                if let Some(found) = Found::open(file)?
                    && is_new(&found)?
                {
                    new.push((Rotated::Unclear, found));
                }
            }
        }
        if now.is_none() && !new.is_empty() {
            // What came between may have been removed, too.
            return Err(FileError::Gone { name: self.names.0.display().to_string(), offset: read });
        }
        if let Some(first) = self.first(now, new)? {
            return Ok(Next::File(first));
        }
        let Some(current) = current else {
            return Ok(Next::Nothing);
        };
        if read > 0 && current.continues(last, read)? {
            return Ok(Next::Copy(current));
        }
        for part in older.iter().filter(|part| part.base.is_some()) {
            if current.is(part)? {
                return Err(FileError::Changed { name: current.name(), offset: part.length.unwrap_or(0) });
            }
        }
        Ok(if current.line_end()? > 0 { Next::File(current) } else { Next::Nothing })
    }

    /// The oldest of files that were rotated after the one that is called `last` now.
    fn first(&self, last: Option<&PathBuf>, mut new: Vec<(Rotated, Found)>) -> Result<Option<Found>, FileError> {
        if new.len() < 2 {
            return Ok(new.pop().map(|(_, found)| found));
        }
        let names: Vec<Rotated> = new.iter().map(|(name, _)| name.clone()).collect();
        let Some(first) = Rotated::oldest(&names, last.and_then(|last| self.names.rotated(last)).as_ref()) else {
            let files: Vec<String> = new.iter().map(|(_, found)| found.name()).collect();
            return Err(FileError::Order { name: self.names.0.display().to_string(), files: files.join(", ") });
        };
        Ok(Some(new.swap_remove(first).1))
    }
}

/// The regular files of the folder of `path`, by name.
fn list(path: &Path) -> Result<Vec<(PathBuf, Metadata)>, FileError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FileError::List { folder: folder.display().to_string(), source }),
    };
    // A file that goes away meanwhile is none.
    let file = |entry: fs::DirEntry| Some((entry.path(), entry.metadata().ok()?));
    let mut files: Vec<_> = entries.filter_map(Result::ok).filter_map(file).collect();
    files.retain(|(_, metadata)| metadata.is_file());
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(files)
}
