//! Whether a consumer may still write. Its lock must be the one in place, the database the one that it opened, and the
//! epoch its own: the first two need no database, so that they hold also where the epoch could not be raised.

use std::path::{Path, PathBuf};

use super::files::{FileId, beside};
use super::lock::Lock;
use super::manifest::Manifest;
use crate::error::{DbError, Error, Operation};

/// Proves that a consumer may still write.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    path: PathBuf,
    epoch: u64,
    lock: FileId,
    database: FileId,
}

impl Fence {
    pub(super) fn new(path: &Path, lock: &Lock, database: FileId, epoch: u64) -> Result<Self, DbError> {
        let lock = lock.id().map_err(|source| failed(&beside(path, ".lock"), source))?;
        Ok(Self { path: path.to_owned(), epoch, lock, database })
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The manifest, read by `read` in a transaction, if this consumer may still write.
    pub(super) fn pass(&self, read: impl FnOnce() -> Result<Manifest, DbError>) -> Result<Manifest, DbError> {
        let lock = beside(&self.path, ".lock");
        let locked = FileId::at(&lock).map_err(|source| failed(&lock, source))?;
        if locked.is_some_and(|there| there != self.lock) {
            return Err(DbError::Fenced);
        }
        let manifest = read()?;
        if manifest.epoch != self.epoch {
            return Err(DbError::Fenced);
        }
        let database = FileId::at(&self.path).map_err(|source| failed(&self.path, source))?;
        if database != Some(self.database) {
            return Err(DbError::Gone("its database"));
        }
        if locked.is_none() {
            return Err(DbError::Gone("its lock file"));
        }
        Ok(manifest)
    }
}

fn failed(path: &Path, source: std::io::Error) -> DbError {
    DbError::Store(Error::io(path, Operation::Commit)(source))
}
