//! A store in one SQLite file. `docs/store.md` says what it promises, and what each table holds.
//!
//! One concern a file: `open` is the order in which a consumer comes to a store, `schema` opens and makes the
//! database, `migrations` bring it from one format to the next, `lock` keeps others out, `fence` whoever was displaced, `identity` says what it is of; `row` checks rows and digests tables, `head` is the row that everything must add up to; `accounts`, `groups`,
//! `window` and `dead` are the codecs of rows, for both sides; `write` is a commit, `read` and `windows` are what comes
//! back; `reader` and `outbox` are for those who use the store beside its consumer.

mod accounts;
mod bytes;
mod compact;
mod dead;
pub mod error;
mod fence;
mod files;
mod groups;
mod head;
mod identity;
mod lock;
pub mod memory;
mod migrations;
mod open;
mod outbox;
mod read;
mod reader;
mod row;
mod schema;
#[cfg(test)]
mod tests;
mod window;
mod windows;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};
use rusqlite::Connection;

pub use self::dead::{LostBatch, LostCause, LostRange, Waiting};
use self::fence::Fence;
pub use self::files::{data_dir, default_path, now};
use self::head::Head;
pub use self::identity::{Identity, Subject};
use self::lock::Lock;
pub use self::lock::{Holder, Timing, holder, timing};
pub use self::outbox::Outbox;
pub use self::reader::{Overview, Snapshot, StoreReader};
pub use self::windows::Windows;
use crate::error::{Doing, StoreFault, Wrong};

/// See [`Options::patience`].
const PATIENCE: Duration = Duration::from_secs(20);

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long closed windows are kept, counted back from the end of the newest one; `None` for ever.
    pub keep: Option<Duration>,
    /// Whether to go on in the place of a consumer that holds the store.
    pub take_over: bool,
    /// Whether to throw away what is stored.
    pub reset: bool,
    /// The size of the database's pages in bytes, when it is made: a power of two from 512 to 65,536.
    pub page_size: u32,
    /// How long to wait for a lock of SQLite's own: a checkpoint, or the copier of dead letters, holds them for moments.
    pub patience: Duration,
    /// What to tell those who look at the run from outside.
    pub timing: Option<Timing>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: None, take_over: false, reset: false, page_size: 4096, patience: PATIENCE, timing: None }
    }
}

/// A store in one SQLite file, open to be written by this consumer alone.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    identity: Identity,
    fence: Fence,
    keep: Option<Duration>,
    /// Whether the database itself, without its log, says that it has been used.
    checkpointed: bool,
    /// Let go of after the connection is closed.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the store at `path`, or makes it.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if the file is no store, is in use, is of something else than `subject`, of a newer format, damaged,
    /// or cannot be read and written.
    pub fn open(path: &Path, subject: &Subject, options: Options) -> Result<Self, StoreFault> {
        open::open(path, subject, options)
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The epoch of this consumer: nobody has opened the store to write after it, as long as its commits succeed.
    pub fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// Runs SQL on the consumer's own connection. For tests that inject faults: triggers that fail, limits on pages.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    #[doc(hidden)]
    pub fn tamper(&self, sql: &str) -> Result<(), impl std::fmt::Debug + use<>> {
        self.connection.execute_batch(sql)
    }

    /// Brings what has been committed into the database, until that has succeeded once: then it no longer reads as one that has
    /// never been used, whatever becomes of its log. Best effort: somebody who reads can be in the way, and it is tried again.
    fn checkpoint(&mut self) {
        if self.checkpointed {
            return;
        }
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let pragma = "PRAGMA wal_checkpoint(PASSIVE)";
        let done: Result<(i64, i64, i64), _> = self.connection.query_row(pragma, [], row);
        let used = Head::read(&self.connection).is_ok_and(|head| head.commits > 0);
        self.checkpointed = used && done.is_ok_and(|(busy, log, copied)| busy == 0 && log == copied);
    }

    /// The outbox, on a connection of its own.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if the store cannot be opened once more, or if another consumer has taken it over.
    pub fn outbox(&self) -> Result<Outbox, StoreFault> {
        Outbox::open(self.path.clone(), self.fence.clone(), &self.identity)
    }

    fn fault(&self, doing: Doing) -> impl Fn(Wrong) -> StoreFault + use<> {
        let path = self.path.clone();
        move |wrong| wrong.at(&path, doing, || Holder::of(&path))
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        let fault = self.fault(Doing::Read);
        let mut load = || {
            let transaction = self.connection.transaction()?;
            read::saved(&transaction)
        };
        Ok(load().map_err(fault)?)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let fault = self.fault(Doing::Commit);
        let keep = self.keep;
        let committed = write::transact(&mut self.connection, &self.fence, |connection, head| {
            write::commit(connection, head, commit, keep)?;
            Ok(())
        });
        committed.map_err(fault)?;
        self.checkpoint();
        Ok(())
    }
}
