//! A store in one SQLite file. `docs/store.md` says what it promises, and what each table holds.
//!
//! One concern a file: `schema` opens, makes and migrates the database, `lock` keeps others out, `identity` says what it is
//! of; `row` checks rows and digests tables, `head` is the row that everything must add up to; `accounts`, `groups`,
//! `window` and `dead` are the codecs of rows, for both sides; `write` is a commit, `read` and `windows` are what comes
//! back; `reader` and `outbox` are for those who use the store beside its consumer.

mod accounts;
mod bytes;
mod compact;
mod dead;
mod files;
mod groups;
mod head;
mod identity;
mod lock;
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

use rusqlite::{Connection, TransactionBehavior};

pub use self::dead::{LostBatch, Waiting};
pub use self::files::{data_dir, default_path};
use self::head::Head;
pub use self::identity::{Identity, Subject};
use self::lock::Lock;
pub use self::lock::{Holder, Timing, holder, timing};
pub use self::outbox::Outbox;
pub use self::reader::{Overview, Snapshot, StoreReader};
pub use self::windows::Windows;
use super::error::{Doing, StoreFault, Wrong};
use super::{Commit, Saved, Store, StoreError};

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
    /// What to tell those who look at the run from outside.
    pub timing: Option<Timing>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: None, take_over: false, reset: false, page_size: 4096, timing: None }
    }
}

/// A store in one SQLite file, open to be written by this consumer alone.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    connection: Connection,
    identity: Identity,
    epoch: u64,
    keep: Option<Duration>,
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
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let io = |source| StoreFault::Io { path: path.clone(), doing: Doing::Open, source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        // Before anything is touched.
        schema::inspect(&path)?;
        let mut lock = Lock::take(&path, options.take_over)?;
        if let Some(timing) = options.timing {
            lock.note(timing).map_err(io)?;
        }
        if options.reset {
            reset(&path, &lock)?;
        }
        if !schema::inspect(&path)? {
            if files::beside(&path, "-wal").exists() {
                return Err(without_database(&path));
            }
            schema::create(&path, &Identity::new(subject), options.page_size)?;
        }
        let open = || {
            let (mut connection, identity, epoch) = raise(&path, &lock, Some(subject))?;
            compact::compact(&mut connection, epoch)?;
            Ok((connection, identity, epoch))
        };
        let opened = open().map_err(|wrong: Wrong| wrong.at(&path, Doing::Open, || Holder::of(&path)));
        let (connection, identity, epoch) = opened?;
        Ok(Self { path, connection, identity, epoch, keep: options.keep, _lock: lock })
    }

    /// Removes the store at `path` with all of its files. One that is not there is no error; something else than a store
    /// stays.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if the file is no store, is in use, or cannot be removed.
    pub fn reset(path: &Path) -> Result<(), StoreFault> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let io = |source| StoreFault::Io { path: path.clone(), doing: Doing::Open, source };
        removable(&path)?;
        if !path.parent().is_some_and(Path::exists) {
            return Ok(());
        }
        let lock = Lock::take(&path, false)?;
        reset(&path, &lock)?;
        lock.remove().map_err(io)
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
        self.epoch
    }

    /// Has SQLite say that the disk is full as soon as the file is to grow, or not any more.
    #[cfg(test)]
    pub(crate) fn limit(&self, full: bool) {
        // It is never less than what is there.
        let most = if full { 1 } else { i64::from(u32::MAX) - 1 };
        let set = self.connection.pragma_update_and_check(None, "max_page_count", most, |row| row.get::<_, i64>(0));
        set.expect("the most pages can be set");
    }

    /// The outbox, on a connection of its own.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if the store cannot be opened once more, or if another consumer has taken it over.
    pub fn outbox(&self) -> Result<Outbox, StoreFault> {
        Outbox::open(self.path.clone(), self.epoch, &self.identity)
    }

    fn fault(&self, doing: Doing) -> impl Fn(Wrong) -> StoreFault + use<> {
        let path = self.path.clone();
        move |wrong| wrong.at(&path, doing, || Holder::of(&path))
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Option<Saved>, StoreError> {
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
        let committed = write::transact(&mut self.connection, self.epoch, |connection, head| {
            write::commit(connection, head, commit, keep)
        });
        Ok(committed.map_err(fault)?)
    }
}

/// The files are there, but for the database.
fn without_database(path: &Path) -> StoreFault {
    let what = "the database is missing, its write-ahead log is there".to_owned();
    StoreFault::Damaged { path: path.to_owned(), table: "the file", what }
}

/// Opens a store that is there, and raises its epoch: from then on nobody else's commit succeeds.
fn raise(path: &Path, lock: &Lock, subject: Option<&Subject>) -> Result<(Connection, Identity, u64), Wrong> {
    let mut connection = schema::connect(path, true)?;
    if !schema::is_current(&connection, path, schema::MIGRATIONS)? {
        schema::migrate(&mut connection, schema::MIGRATIONS)?;
    }
    schema::verify(&connection)?;
    schema::set_wal(&connection)?;
    let identity = Identity::read(&connection)?;
    if let Some((what, stored, asked)) = subject.and_then(|asked| asked.difference(&identity.subject)) {
        return Err(Wrong::Fault(StoreFault::OtherIdentity { path: path.to_owned(), what, stored, asked }));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Of two that take a store over at once, the one whose lock stands goes on.
    if !lock.is_in_place() {
        return Err(Wrong::Fenced);
    }
    let mut head = Head::read(&transaction)?;
    head.epoch = head.epoch.checked_add(1).ok_or_else(|| Wrong::damaged("head", "there are no further epochs"))?;
    head.write(&transaction)?;
    transaction.commit()?;
    Ok((connection, identity, head.epoch))
}

/// Whether what stands there may be removed: nothing, or a store in whatever state, but nothing else.
fn removable(path: &Path) -> Result<(), StoreFault> {
    match schema::inspect(path) {
        Ok(_) | Err(StoreFault::Damaged { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Removes all files but the lock, which is held. Whoever had the store before is fenced first, if that is possible: its
/// file goes on to exist for it.
fn reset(path: &Path, lock: &Lock) -> Result<(), StoreFault> {
    removable(path)?;
    if path.exists() {
        drop(raise(path, lock, None));
    }
    let remove = files::remove_all(path);
    remove.map_err(|source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source })
}
