//! One node per data folder: a lock of the operating system on the file `LOCK`, which names the holder. The system releases
//! it when the process ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::NodeError;
use crate::place::FileId;

const NAME: &str = "LOCK";

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
    id: FileId,
    path: PathBuf,
}

impl FolderLock {
    /// Takes the lock of `folder`, which must exist.
    pub(crate) fn take(folder: &Path) -> Result<Self, NodeError> {
        let path = folder.join(NAME);
        let io_error = |source: io::Error| NodeError::Folder { action: "lock", path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message. A holder that has not written its name yet stays unnamed.
                let _ = file.take(64).read_to_string(&mut holder);
                let holder = holder.trim();
                let holder = if holder.is_empty() { "another process".to_owned() } else { holder.to_owned() };
                return Err(NodeError::Locked { folder: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        file.set_len(0).map_err(io_error)?;
        file.rewind().map_err(io_error)?;
        writeln!(file, "process {}", std::process::id()).map_err(io_error)?;
        let id = FileId::of(&file.metadata().map_err(io_error)?);
        Ok(Self { _file: file, id, path })
    }
    /// Fails once the lock's file is no longer in the folder: the folder was removed or replaced, or another node may use it.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        if self.id.is_at(&self.path) { Ok(()) } else { Err(NodeError::Lost { lock: self.path.clone() }) }
    }
}
