//! Reading a store, also while a consumer writes it. A [`Snapshot`] stands still: its answers belong together.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use isotherm_engine::ledger::Account;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_engine::state::{DeadBatch, GroupState, PartitionState, SensorEntry, TopicState};
use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction};

use super::dead::{LostRange, Waiting};
use super::head::Head;
use super::identity::Identity;
use super::lock::Holder;
use super::migrations::{self, MIGRATIONS};
use super::schema::Access;
use super::windows::Windows;
use super::{files, read, schema, windows};
use crate::error::{Doing, StoreFault, Wrong};

/// A store, open to be read.
#[derive(Debug)]
pub struct StoreReader {
    path: PathBuf,
    connection: Connection,
    identity: Identity,
    /// What the files were like, if nothing tells whether somebody writes them.
    frozen: Option<Stamp>,
}

/// How much a store holds, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overview {
    /// How often a consumer has opened it to write.
    pub epoch: u64,
    /// How many commits there were.
    pub commits: u64,
    /// The topic at the last one.
    pub topic: TopicState,
    /// Closed windows that are kept.
    pub windows: u64,
    /// Closed windows that retention has dropped.
    pub dropped: u64,
    /// The start of the oldest window that is kept.
    pub first: Option<Millis>,
    /// The start of the newest window.
    pub last: Option<Millis>,
    /// Batches that are still to be copied to the dead letters.
    pub dead: u64,
    /// Ranges of offsets whose letters could not be copied there.
    pub lost: u64,
}

impl StoreReader {
    /// Opens the store at `path`.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if there is none, if it is of another format, or if it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreFault> {
        Self::open_by(path, connect)
    }

    /// As it is connected by `connect`, which says whether it is frozen.
    pub(super) fn open_by(
        path: &Path,
        connect: fn(&Path) -> Result<(Connection, bool), rusqlite::Error>,
    ) -> Result<Self, StoreFault> {
        let path = files::settle(path)?;
        if !schema::inspect(&path)? {
            files::without_database(&path)?;
            return Err(StoreFault::Missing { path });
        }
        let before = Stamp::of(&path);
        let open = || {
            let (mut connection, frozen) = connect(&path)?;
            let transaction = connection.transaction()?;
            if !schema::is_current(&transaction, &path, MIGRATIONS)? {
                let (found, ours) = (migrations::format(&transaction)?, MIGRATIONS.len() as i64);
                return Err(Wrong::Fault(StoreFault::OtherFormat { path: path.clone(), found, ours }));
            }
            schema::verify(&transaction)?;
            let identity = Identity::read(&transaction)?;
            Head::read(&transaction)?;
            drop(transaction);
            Ok((connection, identity, frozen))
        };
        let (connection, identity, frozen) =
            open().map_err(|wrong: Wrong| wrong.at(&path, Doing::Open, Holder::default))?;
        Ok(Self { path, connection, identity, frozen: frozen.then_some(before) })
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store as it is now, for as many questions as are to be answered together. As long as it is held, what is written
    /// meanwhile takes room on the disk in addition.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if it cannot be read, or cannot be trusted.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreFault> {
        let Self { path, connection, frozen, .. } = self;
        let fault = |wrong: Wrong| fault(wrong, path, frozen.as_ref());
        let transaction = connection.transaction().map_err(|error| fault(error.into()))?;
        let head = Head::read(&transaction).map_err(fault)?;
        Ok(Snapshot { path, frozen: frozen.as_ref(), transaction, head })
    }
}

impl Drop for StoreReader {
    fn drop(&mut self) {
        if files::has_log(&self.path) {
            // Whoever reads does not bring what a consumer has left in its log into the database. Best effort: it would be
            // the same store.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

/// A connection that leaves no file behind, and whether it is frozen.
fn connect(path: &Path) -> Result<(Connection, bool), rusqlite::Error> {
    if files::has_log(path) {
        return Ok((schema::connect(path, Access::Read)?, false));
    }
    // SQLite puts its files beside a closed store, and takes them away with the last connection that could write.
    let open = || -> Result<_, rusqlite::Error> {
        let connection = schema::plain(path, Access::Write)?;
        if connection.is_readonly("main")? {
            return Ok(None);
        }
        schema::settle(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Some(connection))
    };
    match open() {
        Ok(Some(connection)) => return Ok((connection, false)),
        Ok(None) => {}
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) => {}
        Err(error) => return Err(error),
    }
    // Nothing can be put there. Without a log the database is all that there is.
    Ok((schema::connect(path, Access::Frozen)?, true))
}

/// By what it shows that a database has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<(u64, SystemTime)>, bool);

impl Stamp {
    fn of(path: &Path) -> Self {
        let database = std::fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?)));
        Self(database.ok(), files::has_log(path))
    }
}

/// A fault of reading.
fn fault(wrong: Wrong, path: &Path, frozen: Option<&Stamp>) -> StoreFault {
    match frozen {
        Some(before) if Stamp::of(path) != *before => StoreFault::Changed { path: path.to_owned() },
        _ => wrong.at(path, Doing::Read, Holder::default),
    }
}

/// A store at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    path: &'a Path,
    frozen: Option<&'a Stamp>,
    transaction: Transaction<'a>,
    head: Head,
}

/// Each answer is an error if the rows that it is taken from cannot be read, or are not what was written.
#[expect(clippy::missing_errors_doc, reason = "stands above, for all of them")]
impl Snapshot<'_> {
    fn answer<T>(&self, ask: impl FnOnce(&Connection, &Head) -> Result<T, Wrong>) -> Result<T, StoreFault> {
        ask(&self.transaction, &self.head).map_err(|wrong| fault(wrong, self.path, self.frozen))
    }

    /// Where the store stands.
    pub fn overview(&self) -> Overview {
        let Head { epoch, commits, topic, first, last, dropped, windows, dead, lost, .. } = self.head;
        let (windows, dead, lost) = (windows.rows, dead.rows, lost.rows);
        Overview { epoch, commits, topic, windows, dropped, first, last, dead, lost }
    }

    /// The topic at the last commit.
    pub fn topic(&self) -> TopicState {
        self.head.topic
    }

    /// Partitions.
    pub fn partitions(&self) -> Result<BTreeMap<PartitionId, PartitionState>, StoreFault> {
        self.answer(|connection, head| Ok(read::states(&read::partitions(connection, head)?)))
    }

    /// The accounts of all records, with their ranges and gaps.
    pub fn accounts(&self) -> Result<BTreeMap<PartitionId, Account>, StoreFault> {
        self.answer(|connection, head| read::accounts(connection, head, &read::partitions(connection, head)?))
    }

    /// Groups, in the order of their numbers.
    pub fn groups(&self) -> Result<Vec<GroupState>, StoreFault> {
        self.answer(read::groups)
    }

    /// The sensors of the run, each with the number of the group that it reported from, some at a time, as long as `each`
    /// says so. That they are those that were committed is known at the end, when this succeeds.
    pub fn sensors(&self, each: impl FnMut(Vec<SensorEntry>) -> ControlFlow<()>) -> Result<(), StoreFault> {
        self.answer(|connection, head| read::sightings(connection, head, each))
    }

    /// The whole run so far, open windows included.
    pub fn totals(&self) -> Result<Totals, StoreFault> {
        self.answer(read::totals)
    }

    /// Closed windows, ascending by start, one by one, as long as `each` says so. Each that comes is what was committed; that
    /// none is missing between two of them is known when the second comes, and at the end when this succeeds.
    pub fn windows(&self, which: Windows, each: impl FnMut(WindowResult) -> ControlFlow<()>) -> Result<(), StoreFault> {
        self.answer(|connection, head| windows::windows(connection, head, which, each))
    }

    /// The newest closed window.
    pub fn latest(&self) -> Result<Option<WindowResult>, StoreFault> {
        let mut latest = None;
        self.windows(Windows::Newest(1), |window| {
            latest = Some(window);
            ControlFlow::Continue(())
        })?;
        Ok(latest)
    }

    /// The oldest batches that are still to be copied to the dead letters, at most so many, with their numbers.
    pub fn dead(&self, most: u64) -> Result<Vec<(u64, DeadBatch)>, StoreFault> {
        self.answer(|connection, head| read::dead(connection, head, most))
    }

    /// How much is still to be copied to the dead letters, by partition. Needs no memory for each batch.
    pub fn waiting(&self) -> Result<BTreeMap<PartitionId, Waiting>, StoreFault> {
        self.answer(read::waiting)
    }

    /// Where letters stood that could not be copied to the dead letters.
    pub fn lost(&self) -> Result<Vec<LostRange>, StoreFault> {
        self.answer(read::lost)
    }
}
