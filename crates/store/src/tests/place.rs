//! Where the tests' stores stand, and how they are opened.

use std::path::{Path, PathBuf};

use isotherm_engine::commit::StoreError;
use isotherm_model::settings::Settings;

use crate::Error;
use crate::{Options, SqliteStore, Subject};

/// A store's path in a folder that goes away.
pub(super) struct Place {
    folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        Self { folder, path }
    }

    /// A copy of the database alone, as if its log had been lost.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::copy(&self.path, &copy.path).unwrap();
        copy
    }

    /// The names of the files in it.
    pub(super) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(super) fn subject() -> Subject {
    Subject::new("sensors", "local", &Settings::default())
}

/// Small pages: a small store then has pages of every kind.
pub(super) fn options() -> Options {
    Options { page_size: 1024, ..Options::default() }
}

pub(super) fn reset() -> Options {
    Options { reset: true, ..options() }
}

pub(super) fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(path, &subject(), options())
}

/// The store's own error.
pub(super) fn unwrapped(error: StoreError) -> Error {
    error.downcast().expect("an error of the store")
}
