//! Reads a store, also while a consumer writes it. The answers of a [`Snapshot`] are of one moment.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use isotherm_engine::ledger::Account;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_engine::state::{DeadBatch, GroupState, LogPart, PartitionState, SensorEntry, TopicState};
use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use rusqlite::{Connection, ErrorCode, Transaction};

use super::dead::{LostRange, Waiting};
use super::holder::Holder;
use super::identity::Identity;
use super::lock::marker_of;
use super::manifest::Manifest;
use super::schema::Access;
use super::windows::Windows;
use super::{files, marker, parts, read, schema, windows};
use crate::error::{DbError, Error, Operation};

/// How long a reader waits to have the store to itself, where it must.
const ALONE_TIMEOUT: Duration = Duration::from_secs(1);

/// A store, open to be read.
#[derive(Debug)]
pub struct StoreReader {
    path: PathBuf,
    connection: Connection,
    identity: Identity,
    /// The files' stamp, where no lock would show that a consumer writes them.
    frozen: Option<FileStamp>,
}

/// How much a store holds.
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
    /// An [`Error`] if there is none, if it is of another format, or if it is damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_by(path, connect)
    }

    /// As it is connected by `connect`, which says whether it is frozen.
    pub(super) fn open_by(
        path: &Path,
        connect: fn(&Path) -> Result<(Connection, bool), rusqlite::Error>,
    ) -> Result<Self, Error> {
        let path = files::canonicalize(path)?;
        if !schema::inspect(&path)? {
            files::without_database(&path)?;
            return Err(Error::Missing { path });
        }
        let (before, marker) = (FileStamp::of(&path), marker_of(&path));
        let open = || {
            let (mut connection, frozen) = connect(&path)?;
            let transaction = connection.transaction()?;
            schema::check_format(&transaction, &path)?;
            schema::verify(&transaction)?;
            let identity = Identity::read(&transaction)?;
            marker::check(&path, marker, &identity, &Manifest::read(&transaction)?)?;
            drop(transaction);
            Ok((connection, identity, frozen))
        };
        let (connection, identity, frozen) =
            open().map_err(|error: DbError| error.at(&path, Operation::Open, Holder::default))?;
        Ok(Self { path, connection, identity, frozen: frozen.then_some(before) })
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store as it is now. While a snapshot is held, what a consumer writes takes extra room on the disk.
    /// An [`Error`] if it cannot be read, or cannot be trusted.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, Error> {
        let Self { path, connection, frozen, .. } = self;
        let fault = |error: DbError| fault(error, path, frozen.as_ref());
        let transaction = connection.transaction().map_err(|error| fault(error.into()))?;
        let manifest = Manifest::read(&transaction).map_err(fault)?;
        Ok(Snapshot { path, frozen: frozen.as_ref(), transaction, manifest })
    }
}

impl Drop for StoreReader {
    fn drop(&mut self) {
        if files::has_log(&self.path) {
            // A reader leaves a killed consumer's log as it is. If this fails, the store stays the same all the same.
            let _ = schema::keep_log(&self.connection, true);
        }
    }
}

/// A connection that leaves no file behind, and whether it is frozen.
fn connect(path: &Path) -> Result<(Connection, bool), rusqlite::Error> {
    if !files::has_log(path) {
        return connect_closed(path);
    }
    let shared = || {
        let connection = schema::connect(path, Access::Read)?;
        schema::touch(&connection)?;
        Ok((connection, false))
    };
    match shared() {
        Err(error) if is_hindered(&error) => alone(path).ok_or(error),
        answer => answer,
    }
}

/// Whether SQLite could not put its files beside the database.
fn is_hindered(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DiskFull, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(ReadOnly | CannotOpen | DiskFull | SystemIoFailure))
}

/// A connection that has the index of the log in memory: it needs no room on the disk. As long as it is there, nobody else
/// can open the store; `None` if somebody has.
fn alone(path: &Path) -> Option<(Connection, bool)> {
    let open = || -> Result<Connection, rusqlite::Error> {
        let connection = schema::plain(path, Access::Write)?;
        connection.busy_timeout(ALONE_TIMEOUT)?;
        schema::keep_log(&connection, true)?;
        // Before anything is read.
        connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        schema::configure(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        schema::touch(&connection)?;
        Ok(connection)
    };
    Some((open().ok()?, false))
}

/// A connection to a store without a log.
fn connect_closed(path: &Path) -> Result<(Connection, bool), rusqlite::Error> {
    // SQLite puts its files beside a closed store, and takes them away with the last connection that could write.
    let open = || -> Result<_, rusqlite::Error> {
        let connection = schema::plain(path, Access::Write)?;
        if connection.is_readonly("main")? {
            return Ok(None);
        }
        schema::configure(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        schema::touch(&connection)?;
        Ok(Some(connection))
    };
    match open() {
        Ok(Some(connection)) => return Ok((connection, false)),
        Ok(None) => {}
        Err(error) if is_hindered(&error) => {}
        Err(error) => return Err(error),
    }
    // Nothing can be put there. Without a log the database is all that there is.
    Ok((schema::connect(path, Access::Frozen)?, true))
}

/// Shows whether a database has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp(Option<(u64, SystemTime)>, bool);

impl FileStamp {
    fn of(path: &Path) -> Self {
        let database = std::fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?)));
        Self(database.ok(), files::has_log(path))
    }
}

fn fault(error: DbError, path: &Path, frozen: Option<&FileStamp>) -> Error {
    match frozen {
        Some(before) if FileStamp::of(path) != *before => Error::Changed { path: path.to_owned() },
        _ => error.at(path, Operation::Read, Holder::default),
    }
}

/// A store at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    path: &'a Path,
    frozen: Option<&'a FileStamp>,
    transaction: Transaction<'a>,
    manifest: Manifest,
}

/// Each answer is an error if the rows that it is taken from cannot be read, or are not what was written.
#[expect(clippy::missing_errors_doc, reason = "the comment above says it for all of them")]
impl Snapshot<'_> {
    fn answer<T>(&self, ask: impl FnOnce(&Connection, &Manifest) -> Result<T, DbError>) -> Result<T, Error> {
        ask(&self.transaction, &self.manifest).map_err(|error| fault(error, self.path, self.frozen))
    }

    /// How much it holds.
    pub fn overview(&self) -> Overview {
        let Manifest { epoch, commits, topic, first, last, dropped, windows, dead, lost, .. } = self.manifest;
        let (windows, dead, lost) = (windows.rows, dead.rows, lost.rows);
        Overview { epoch, commits, topic, windows, dropped, first, last, dead, lost }
    }

    /// The topic at the last commit.
    pub fn topic(&self) -> TopicState {
        self.manifest.topic
    }

    pub fn partitions(&self) -> Result<BTreeMap<PartitionId, PartitionState>, Error> {
        self.answer(|connection, manifest| Ok(read::states(&read::partitions(connection, manifest)?)))
    }

    /// The parts of partitions that have parts, in their order.
    pub fn parts(&self) -> Result<BTreeMap<PartitionId, Vec<LogPart>>, Error> {
        self.answer(parts::read)
    }

    /// The accounts of all records, with their ranges and data losses.
    pub fn accounts(&self) -> Result<BTreeMap<PartitionId, Account>, Error> {
        self.answer(|connection, manifest| {
            read::accounts(connection, manifest, &read::partitions(connection, manifest)?)
        })
    }

    /// Groups, in the order of their numbers.
    pub fn groups(&self) -> Result<Vec<GroupState>, Error> {
        self.answer(read::groups)
    }

    /// The sensors of the run, each with the number of the group that it reported from, some at a time, as long as `each`
    /// says so. That they are those that were committed is known at the end, when this succeeds.
    pub fn sensors(&self, each: impl FnMut(Vec<SensorEntry>) -> ControlFlow<()>) -> Result<(), Error> {
        self.answer(|connection, manifest| read::sensor_entries(connection, manifest, each))
    }

    /// The whole run so far, open windows included.
    pub fn totals(&self) -> Result<Totals, Error> {
        self.answer(read::totals)
    }

    /// Closed windows, ascending by start (or as they closed), one by one, as long as `each` says so. Each that comes is what was committed; that
    /// none is missing between two of them is known when the second comes, and at the end when this succeeds.
    pub fn windows(&self, which: Windows, each: impl FnMut(WindowResult) -> ControlFlow<()>) -> Result<(), Error> {
        self.answer(|connection, manifest| windows::windows(connection, manifest, which, each))
    }

    pub fn latest(&self) -> Result<Option<WindowResult>, Error> {
        let mut latest = None;
        self.windows(Windows::Newest(1), |window| {
            latest = Some(window);
            ControlFlow::Continue(())
        })?;
        Ok(latest)
    }

    /// The oldest batches that have not been copied to the dead letters yet, at most `most`, with their numbers.
    pub fn dead(&self, most: u64) -> Result<Vec<(u64, DeadBatch)>, Error> {
        self.answer(|connection, manifest| read::dead(connection, manifest, most))
    }

    /// How much is still to be copied to the dead letters, by partition. Needs no memory for each batch.
    pub fn waiting(&self) -> Result<BTreeMap<PartitionId, Waiting>, Error> {
        self.answer(read::waiting)
    }

    /// Where letters stood that could not be copied to the dead letters.
    pub fn lost(&self) -> Result<Vec<LostRange>, Error> {
        self.answer(read::lost)
    }
}
