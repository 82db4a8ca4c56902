//! A store's files, and the default path.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use isotherm_model::settings::Fingerprint;
use isotherm_model::time::{Millis, Utc};

use super::disk::MAKING;
use crate::error::{Error, Operation};

/// The file beside `path` with this ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// What was done with a file; `None` if it is not there.
pub(super) fn there<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// A write-ahead log that is no longer than its own header holds nothing.
const EMPTY_LOG: u64 = 32;

/// A store's real path: of a link what it leads to, so that lock and log are the same by every name.
pub(super) fn canonicalize(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let failed = Error::io(&absolute, Operation::Open);
    if let Some(path) = there(fs::canonicalize(&absolute)).map_err(failed)? {
        return Ok(path);
    }
    if let Ok(to) = fs::read_link(&absolute) {
        return Err(Error::Dangling { path: absolute, to });
    }
    match (absolute.parent().map(fs::canonicalize), absolute.file_name()) {
        (Some(Ok(folder)), Some(name)) => Ok(folder.join(name)),
        _ => Ok(absolute),
    }
}

/// Which file it is, whatever it is called. Of a file that is open it is never that of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// Of an open file, or of one that was just asked about.
    #[cfg(unix)]
    pub(super) fn of(file: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self(file.dev(), file.ino())
    }

    /// Where a file cannot be replaced while it is open, it is the same.
    #[cfg(not(unix))]
    pub(super) fn of(_file: &fs::Metadata) -> Self {
        Self(0, 0)
    }

    /// Of the file at `path`; `None` if there is none.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        Ok(there(fs::metadata(path))?.map(|file| Self::of(&file)))
    }
}

/// How many names a file has.
pub(super) fn links(path: &Path) -> io::Result<u64> {
    #[cfg(unix)]
    return fs::metadata(path).map(|file| std::os::unix::fs::MetadataExt::nlink(&file));
    #[cfg(not(unix))]
    return fs::metadata(path).map(|_| 1);
}

/// The mark of the application in a database's header, whatever else is wrong with the file; `None` if it is too short.
pub(super) fn application_id(path: &Path) -> io::Result<Option<i32>> {
    let mut start = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, 72), &mut start)?;
    Ok(start.get(68..72).and_then(|id| id.try_into().ok()).map(i32::from_be_bytes))
}

/// A path as part of a URI.
pub(super) fn uri(path: &Path) -> String {
    let mut uri = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            b'\\' if cfg!(windows) => uri.push('/'),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    // A drive.
    if cfg!(windows) { format!("/{uri}") } else { uri }
}

/// Whether there is a write-ahead log with contents beside the database.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > EMPTY_LOG)
}

/// An error if the database is missing and something of it is left.
pub(super) fn without_database(path: &Path) -> Result<(), Error> {
    let log = beside(path, "-wal");
    let mut magic = Vec::new();
    let read = fs::File::open(&log).and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, 4), &mut magic));
    if there(read).map_err(Error::io(&log, Operation::Open))?.is_none() {
        return Ok(());
    }
    // With either order of bytes; one that was never written is empty.
    if !matches!(*magic, [] | [0x37, 0x7f, 0x06, 0x82 | 0x83]) {
        return Err(Error::NotAStore { path: log, why: "no write-ahead log of a database".to_owned() });
    }
    if !has_log(path) {
        return Ok(());
    }
    let what = "the database is missing, its write-ahead log is there".to_owned();
    Err(Error::Damaged { path: path.to_owned(), table: "the file", what })
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    there(fs::remove_file(path)).map(drop)
}

/// Removes the files that SQLite makes beside a database.
pub(super) fn remove_log(path: &Path) -> io::Result<()> {
    ["-wal", "-shm"].iter().try_for_each(|ending| remove(&beside(path, ending)))
}

/// Removes all files of a store but the lock, the database first: what is left of it then is never taken for a store.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    remove(path)?;
    remove_log(path)
}

/// A name for a store that is to stand at `path`.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    beside(path, &format!("{MAKING}{:016x}", random()))
}

/// Removes what stores that were never finished left behind.
pub(super) fn remove_unfinished(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let start = format!("{}{MAKING}", name.to_string_lossy());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let rest =
            found.to_str().and_then(|found| found.strip_prefix(&start)).and_then(|rest| rest.split_at_checked(16));
        let ours = rest.is_some_and(|(digits, ending)| {
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && ["", "-wal", "-shm", "-journal"].contains(&ending)
        });
        if ours {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in a folder lasting.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The folder of the user's data.
/// If the environment names none.
pub fn data_dir() -> Result<PathBuf, Error> {
    dirs::data_dir().ok_or(Error::NoDataFolder)
}

/// The default path of a topic's store: one for each cluster, topic and configuration.
pub fn default_path(data_dir: &Path, cluster: &str, topic: &str, fingerprint: Fingerprint) -> PathBuf {
    let digits = fingerprint.to_string();
    let name = format!("{}-{}.db", plain(topic), digits.get(..12).unwrap_or(&digits));
    data_dir.join("isotherm").join(plain(cluster)).join(name)
}

/// A text as the name of a file. Where that is another text, a digest keeps two of them apart.
fn plain(text: &str) -> String {
    const MOST: usize = 80;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = text.chars().take(MOST).map(|c| if fits(c) { c } else { '_' }).collect();
    if name == text && !name.is_empty() && !name.starts_with('.') {
        return name;
    }
    format!("{}-{:08x}", name.trim_start_matches('.'), xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 32)
}

/// A number that nobody can guess.
pub(super) fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// The time of day; the epoch if the clock is before it.
pub fn now() -> Millis {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// This second, in UTC, as RFC 3339 writes it.
pub(super) fn now_text() -> String {
    Utc(now() / 1_000 * 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_paths_are_plain_and_kept_apart() {
        let path = |cluster, topic| {
            let path = default_path(Path::new("/data"), cluster, topic, Fingerprint(0x0123_4567_89ab_cdef));
            path.to_string_lossy().into_owned()
        };
        assert_eq!(path("local", "sensors"), "/data/isotherm/local/sensors-0123456789ab.db");
        let (colon, underscore) = (path("localhost:9003", "a"), path("localhost_9003", "a"));
        assert!(colon.starts_with("/data/isotherm/localhost_9003-"), "{colon}");
        assert_ne!(colon, underscore);
        let hostile = path("../..", "../a/b");
        let parts: Vec<_> = Path::new(&hostile).components().collect();
        assert!(parts.len() == 5 && !parts.contains(&std::path::Component::ParentDir), "{hostile}");
        assert_ne!(path("", "a"), path(".", "a"));
    }
}
