//! The database itself: how it is opened, made, and known again.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::BUSY_TIMEOUT;
use super::files::{self, remove_all, remove_log, remove_unfinished, sync_folder, unfinished};
use super::identity::Identity;
use super::lock::{Lock, holder_of};
use super::manifest::Manifest;
use crate::error::{DbError, Error, Operation};

/// In the header of every store: `ISTO`.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"ISTO");

/// What stores of older versions have there.
const OLDER_ID: i32 = i32::from_be_bytes(*b"ISOT");

/// The format of stores, in the header as SQLite's `user_version`.
const FORMAT: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// The write-ahead log is cut to this length when it has been checkpointed.
const WAL_BYTES: i64 = 64 << 20;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// To write. Also one that only reads takes away with its end what SQLite has put beside a closed store, if it could write.
    Write,
    /// To read only.
    Read,
    /// To read a store that nobody writes: SQLite opens only the database itself, takes no lock and makes no file.
    Frozen,
}

/// Opens the database file, not to make it.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, rusqlite::Error> {
    let connection = plain(path, access)?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens the database file, and reads nothing of it.
pub(super) fn plain(path: &Path, access: Access) -> Result<Connection, rusqlite::Error> {
    let flags = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Frozen => OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    } | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Frozen => Connection::open_with_flags(format!("file:{}?immutable=1", files::uri(path)), flags)?,
        Access::Write | Access::Read => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

pub(super) fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where fsync alone does not reach the disk (macOS).
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Nothing depends on a second disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES}"), [], |_| Ok(()))
}

/// Reads from the database: only then SQLite opens its log, and puts its index beside it.
pub(super) fn touch(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Whether the write-ahead log stays as it is when the last connection closes.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> Result<(), rusqlite::Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// Looks whether there is a store at `path`, and leaves everything as it is. `false` if there is nothing. What is called
/// damaged carries the mark of a store.
pub(super) fn inspect(path: &Path) -> Result<bool, Error> {
    let foreign = |why: &str| Error::NotAStore { path: path.to_owned(), why: why.to_owned() };
    let io = Error::io(path, Operation::Open);
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io(source)),
        Ok(found) if !found.is_file() => return Err(foreign("it is no file")),
        Ok(found) if found.len() == 0 => return Err(foreign("it is empty")),
        Ok(_) => {}
    }
    let known = |id| match id {
        APPLICATION_ID => Ok(true),
        OLDER_ID => Err(Error::OlderFormat { path: path.to_owned() }),
        id => Err(foreign(&format!("a SQLite database of another application, {id}"))),
    };
    if let Ok(id) = application_id(path, Access::Frozen) {
        return known(id);
    }
    // It is damaged, or is being written at this moment. Only now we read its first bytes ourselves: closing a file releases
    // all locks that this process has on it.
    match files::application_id(path).map_err(io)? {
        Some(APPLICATION_ID) => {}
        Some(OLDER_ID) => return Err(Error::OlderFormat { path: path.to_owned() }),
        _ => return Err(foreign("no SQLite database, or not a whole one")),
    }
    match application_id(path, Access::Read) {
        Ok(id) => known(id),
        Err(error) => Err(DbError::from(error).at(path, Operation::Open, Default::default)),
    }
}

fn application_id(path: &Path, access: Access) -> Result<i32, rusqlite::Error> {
    plain(path, access)?.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))
}

/// Makes a store under a temporary name, and renames it when it is complete: `path` never holds half a store. The lock is
/// held.
pub(super) fn create(path: &Path, identity: &Identity, page_size: u32, lock: &Lock) -> Result<(), Error> {
    let io = Error::io(path, Operation::Open);
    remove_unfinished(path).map_err(&io)?;
    let new = unfinished(path);
    let make = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&new, flags)?;
        connection.pragma_update(None, "page_size", page_size)?;
        configure(&connection)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        identity.write(&transaction)?;
        Manifest::default().write(&transaction)?;
        transaction.commit()?;
        set_wal(&connection)?;
        connection.close().map_err(|(_, error)| DbError::from(error))
    };
    let place = || {
        // A consumer that has taken the store over makes its own.
        if !lock.is_in_place() {
            return Err(DbError::Fenced.at(path, Operation::Open, || holder_of(path)));
        }
        // Without their database these hold nothing.
        remove_log(path).map_err(&io)?;
        std::fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(&io)
    };
    let made =
        make().map_err(|error: DbError| error.at(path, Operation::Open, Default::default)).and_then(|()| place());
    if made.is_err() {
        // Best effort: the first error is the one that tells.
        let _ = remove_all(&new);
    }
    made
}

/// Has the database write ahead, so that it can be read at the same time.
pub(super) fn set_wal(connection: &Connection) -> Result<(), DbError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        mode => Err(DbError::damaged(
            "the file",
            format!("its journal is `{mode}`: its folder cannot hold a write-ahead log"),
        )),
    }
}

/// An error if a store is of another format than this one.
pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<(), DbError> {
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        FORMAT => Ok(()),
        found @ 1.. => {
            let found = format!("format {found}");
            Err(DbError::Store(Error::NewerFormat { path: path.to_owned(), found }))
        }
        found => Err(DbError::damaged("the file", format!("it says that its format is {found}"))),
    }
}

/// Looks whether the tables are those that a store is made with.
pub(super) fn verify(connection: &Connection) -> Result<(), DbError> {
    let plain = Connection::open_in_memory()?;
    plain.execute_batch(SCHEMA)?;
    if tables(connection)? == tables(&plain)? {
        return Ok(());
    }
    Err(DbError::damaged("the file", "its tables are not those that it was made with"))
}

fn tables(connection: &Connection) -> Result<Vec<[String; 4]>, DbError> {
    let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2, 3";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
