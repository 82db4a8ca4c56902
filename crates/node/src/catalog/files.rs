//! Folders and files that change in one step.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::NodeError;

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), NodeError> {
    std::fs::create_dir_all(path).map_err(|source| NodeError::Folder {
        action: "make the folder",
        path: path.to_owned(),
        source,
    })
}

/// The entries of a folder, which is made if it is missing, ascending by name, without those whose names are not UTF-8. Removes
/// what an earlier run left unfinished or gave up.
pub(super) fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, NodeError> {
    make_folder(folder)?;
    let io_error = |source| NodeError::Folder { action: "list", path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !name.starts_with('.') {
            found.push((name.to_owned(), path));
        } else if let Err(error) = remove(&path) {
            warn!(path = %path.display(), %error, "could not remove what an earlier run left");
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Puts `bytes` into a file in one step: what is there before stays until all of them are on the disk.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Waits until a rename in `folder` is on the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file or a folder with all that is in it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}
