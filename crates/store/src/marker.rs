//! What shows that nothing of a store is missing. A database and its write-ahead log are two files: each can be removed, cut
//! short or replaced by an older copy, and what is left can be sound.
//!
//! The manifest says whether a consumer has the store open; the database itself says so from the first checkpoint on, at once
//! after it was opened. Then the log is part of the store. And the lock's file says how far the store has come: it is written
//! after each commit, without waiting for the disk, so that it is never ahead of the store.

use std::path::Path;

use uuid::Uuid;

use super::files::has_log;
use super::identity::Identity;
use super::manifest::Manifest;
use crate::error::DbError;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    run: Uuid,
    epoch: u64,
    commits: u64,
}

impl Marker {
    pub(super) fn new(run: Uuid, manifest: &Manifest) -> Self {
        Self { run, epoch: manifest.epoch, commits: manifest.commits }
    }

    /// A line of the lock's file, always of one length.
    pub(super) fn line(&self) -> String {
        format!("run {}, epoch {:020}, commits {:020}\n", self.run, self.epoch, self.commits)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (run, rest) = line.strip_prefix("run ")?.split_once(", epoch ")?;
        let (epoch, commits) = rest.split_once(", commits ")?;
        Some(Self { run: run.parse().ok()?, epoch: epoch.parse().ok()?, commits: commits.parse().ok()? })
    }
}

/// An error if something of the store is missing. The marker was read before the manifest.
pub(super) fn check(
    path: &Path,
    marker: Option<Marker>,
    identity: &Identity,
    manifest: &Manifest,
) -> Result<(), DbError> {
    let lost = |what: String| {
        let log = "its write-ahead log (PATH-wal) was removed, cut short or replaced";
        Err(DbError::damaged(
            "the file",
            format!("{what}: {log}, or the database is an older copy, or one under another name"),
        ))
    };
    match marker.filter(|marker| marker.run == identity.run) {
        Some(marker) if manifest.commits < marker.commits => {
            lost(format!("it holds {} commits of {}", manifest.commits, marker.commits))
        }
        Some(marker) if manifest.epoch < marker.epoch => {
            lost(format!("its epoch is {}, it was {}", manifest.epoch, marker.epoch))
        }
        None if manifest.open && !has_log(path) => lost("the consumer that had it open did not close it".to_owned()),
        Some(_) | None => Ok(()),
    }
}
