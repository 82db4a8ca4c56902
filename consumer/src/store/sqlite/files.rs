//! Where a store stands: its files, and the place of one that nobody gave a path for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use isotherm_model::settings::Fingerprint;

use crate::store::error::StoreFault;

/// The file beside `path` with this ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Everything that can stand beside the database itself, but for the lock: what SQLite makes, and what a store that was
/// being made left.
const BESIDE: [&str; 6] = ["-wal", "-shm", "-journal", ".new", ".new-wal", ".new-shm"];

/// Removes a file; one that is not there is no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes all files of a store but the lock, the database first: what is left of it then is never taken for a store.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    remove(path)?;
    BESIDE.iter().try_for_each(|ending| remove(&beside(path, ending)))
}

/// Removes what a store that was never finished left behind.
pub(super) fn remove_unfinished(path: &Path) -> io::Result<()> {
    BESIDE.iter().filter(|ending| ending.starts_with(".new")).try_for_each(|ending| remove(&beside(path, ending)))
}

/// Makes the names in a folder lasting.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// The folder of the user's data.
///
/// # Errors
///
/// If the environment names none.
pub fn data_dir() -> Result<PathBuf, StoreFault> {
    dirs::data_dir().ok_or(StoreFault::NoDataFolder)
}

/// Where the store of a topic stands if nobody says otherwise: one for each cluster, topic and configuration.
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
