//! A store in one SQLite file. `docs/store.md` says what it promises, and what each table holds.
//!
//! From the bottom up: `column` reads values and `row` checks rows and digests tables; `identity`, `manifest`, `partitions`,
//! `ranges`, `groups`, `window` and `dead` are the rows of each table, for both sides; `write` is a commit, `read` and
//! `windows` give back what was committed; `marker` shows that nothing is missing; `lock` and `fence` keep other consumers from writing; `schema` makes and opens
//! the database, `open` is the order in which a consumer does all that; `reader` and `outbox` are for those who use the
//! store beside its consumer.

mod column;
mod compact;
mod dead;
mod disk;
mod error;
mod fence;
mod files;
mod groups;
mod holder;
mod identity;
mod lock;
mod manifest;
mod marker;
pub mod memory;
mod open;
mod outbox;
mod partitions;
mod parts;
mod ranges;
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
use self::error::DbError;
pub use self::error::{Error, Operation, Reason};
use self::fence::Fence;
pub use self::files::{data_dir, default_path, now};
pub use self::holder::Holder;
pub use self::identity::{Identity, Subject};
use self::lock::{Lock, holder_of};
pub use self::lock::{Timing, holder, timing};
use self::marker::Marker;
pub use self::outbox::Outbox;
pub use self::reader::{Overview, Snapshot, StoreReader};
pub use self::windows::Windows;

/// See [`Options::busy_timeout`].
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long closing a store waits for SQLite's own lock.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long closed windows are kept, counted back from the end of the newest one; `None` for ever.
    pub keep: Option<Duration>,
    /// Whether to displace a consumer that holds the store.
    pub take_over: bool,
    /// Whether to throw away what is stored.
    pub reset: bool,
    /// The size of the database's pages in bytes, when it is made: a power of two from 512 to 65,536.
    pub page_size: u32,
    /// How long to wait for SQLite's own lock: a checkpoint, or the dead letters' worker, holds it for moments.
    pub busy_timeout: Duration,
    /// What `why` is to say of the run.
    pub timing: Option<Timing>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: None, take_over: false, reset: false, page_size: 4096, busy_timeout: BUSY_TIMEOUT, timing: None }
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
    /// Whether the database itself, without its log, says that it is open.
    checkpointed: bool,
    /// Released after the connection is closed.
    lock: Lock,
}

impl SqliteStore {
    /// Opens the store at `path`, or makes it.
    /// An [`Error`] if the file is no store, is in use, is of something else than `subject`, of a newer format, damaged,
    /// or cannot be read and written.
    pub fn open(path: &Path, subject: &Subject, options: Options) -> Result<Self, Error> {
        open::open(path, subject, options)
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The epoch of this consumer. As long as its commits succeed, no other consumer has opened the store since.
    pub fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// Runs SQL on the consumer's own connection. For tests that inject faults: triggers that fail, limits on pages.
    /// What SQLite says.
    #[doc(hidden)]
    pub fn tamper(&self, sql: &str) -> Result<(), impl std::fmt::Debug + use<>> {
        self.connection.execute_batch(sql)
    }

    /// Checkpoints the write-ahead log, until that has succeeded once: from then on a store that has lost its log does not look
    /// closed. A reader can be in the way; then the next commit tries again.
    fn checkpoint(&mut self) {
        if self.checkpointed {
            return;
        }
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let pragma = "PRAGMA wal_checkpoint(PASSIVE)";
        let done: Result<(i64, i64, i64), _> = self.connection.query_row(pragma, [], row);
        self.checkpointed = done.is_ok_and(|(busy, log, copied)| busy == 0 && log == copied);
    }

    /// The outbox, on a connection of its own.
    /// An [`Error`] if the store cannot be opened once more, or if another consumer has taken it over.
    pub fn outbox(&self) -> Result<Outbox, Error> {
        Outbox::open(self.path.clone(), self.fence.clone(), &self.identity)
    }

    fn fault(&self, operation: Operation) -> impl Fn(DbError) -> Error + use<> {
        let path = self.path.clone();
        move |error| error.at(&path, operation, || holder_of(&path))
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        let fault = self.fault(Operation::Read);
        let mut load = || {
            let transaction = self.connection.transaction()?;
            read::saved(&transaction)
        };
        Ok(load().map_err(fault)?)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        let fault = self.fault(Operation::Commit);
        let (keep, run) = (self.keep, self.identity.run);
        let committed = write::transact(&mut self.connection, &self.fence, |connection, manifest| {
            write::commit(connection, manifest, commit, keep)?;
            Ok(Marker::new(run, manifest))
        });
        // Best effort: a marker that is behind the store tells less, and nothing wrong.
        let _ = self.lock.mark(committed.map_err(fault)?);
        self.checkpoint();
        Ok(())
    }
}

impl Drop for SqliteStore {
    /// Closes the store: from then on the database is all of it.
    fn drop(&mut self) {
        // A process that hangs in a transaction does not keep this one from ending.
        let _ = self.connection.busy_timeout(CLOSE_TIMEOUT);
        let closed = write::transact(&mut self.connection, &self.fence, |_, manifest| {
            manifest.open = false;
            Ok(())
        });
        if closed.is_ok() {
            let _ = schema::keep_log(&self.connection, false);
        }
    }
}
