//! The database itself: how it is opened, made, and brought from one format to the next.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::files::{beside, remove_unfinished, sync_folder};
use super::head::Head;
use super::identity::Identity;
use crate::store::error::{Doing, StoreFault, Wrong};

/// In the header of every store: `ISOT`.
const APPLICATION_ID: i32 = 0x4953_4f54;

/// How long to wait for a lock of SQLite's own: a checkpoint, or the copier of dead letters, holds them for moments.
const PATIENCE: Duration = Duration::from_secs(20);

/// The write-ahead log is cut to this length when it has been checkpointed.
const WAL_BYTES: i64 = 64 << 20;

/// What brings a store from the format of its place in the list to the next. A new store goes through all of them.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// Opens the database file; `write` not to make it.
pub(super) fn connect(path: &Path, write: bool) -> Result<Connection, rusqlite::Error> {
    let access = if write { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    settle(&connection)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where fsync alone does not reach the disk (macOS).
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES}"), [], |_| Ok(()))
}

/// Looks whether there is a store at `path`, and touches nothing. `false` if there is nothing.
pub(super) fn inspect(path: &Path) -> Result<bool, StoreFault> {
    let foreign = |why: &str| StoreFault::NotAStore { path: path.to_owned(), why: why.to_owned() };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source }),
        Ok(found) if !found.is_file() => return Err(foreign("it is no file")),
        Ok(found) if found.len() == 0 => return Err(foreign("it is empty")),
        Ok(_) => {}
    }
    let id = connect(path, false).and_then(|connection| {
        // Not the file's own first bytes: closing a file lets go of all locks that this process has on it.
        connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))
    });
    match id {
        Ok(APPLICATION_ID) => Ok(true),
        Ok(id) => Err(foreign(&format!("a SQLite database of another application, {id}"))),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(foreign("no SQLite database"))
        }
        Err(error) => Err(Wrong::from(error).at(path, Doing::Open, Default::default)),
    }
}

/// Makes a store beside its place, and puts it there when it is whole: what stands at `path` is never half a store.
pub(super) fn create(path: &Path, identity: &Identity, page_size: u32) -> Result<(), StoreFault> {
    let io = |source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source };
    let new = beside(path, ".new");
    remove_unfinished(path).map_err(io)?;
    let make = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&new, flags)?;
        connection.pragma_update(None, "page_size", page_size)?;
        settle(&connection)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        migrate(&mut connection, MIGRATIONS)?;
        let transaction = connection.transaction()?;
        identity.insert(&transaction)?;
        Head::default().write(&transaction)?;
        transaction.commit()?;
        set_wal(&connection)?;
        connection.close().map_err(|(_, error)| Wrong::from(error))
    };
    make().map_err(|wrong: Wrong| wrong.at(path, Doing::Open, Default::default))?;
    std::fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(io)
}

/// Has the database write ahead, so that it can be read at the same time.
pub(super) fn set_wal(connection: &Connection) -> Result<(), Wrong> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        mode => Err(Wrong::damaged(
            "the file",
            format!("its journal is `{mode}`: its folder cannot hold a write-ahead log"),
        )),
    }
}

/// The format of a store.
pub(super) fn format(connection: &Connection) -> Result<i64, Wrong> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Whether a store is of the newest format; an error if it is of one that is not known.
pub(super) fn is_current(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<bool, Wrong> {
    let (found, ours) = (format(connection)?, migrations.len() as i64);
    match found {
        1.. if found <= ours => Ok(found == ours),
        1.. => Err(Wrong::Fault(StoreFault::OtherFormat { path: path.to_owned(), found, ours })),
        _ => Err(Wrong::damaged("the file", format!("it says that its format is {found}"))),
    }
}

/// Brings a store to the newest format, one transaction a step.
pub(super) fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Wrong> {
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let at = format(&transaction)?;
        let Some(step) = usize::try_from(at).ok().and_then(|at| migrations.get(at)) else {
            return Ok(());
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", at + 1)?;
        transaction.commit()?;
    }
}

/// Looks whether the tables are those that the migrations make.
pub(super) fn verify(connection: &Connection) -> Result<(), Wrong> {
    let mut plain = Connection::open_in_memory()?;
    migrate(&mut plain, MIGRATIONS)?;
    if tables(connection)? == tables(&plain)? {
        return Ok(());
    }
    Err(Wrong::damaged("the file", "its tables are not those that it was made with"))
}

fn tables(connection: &Connection) -> Result<Vec<[String; 4]>, Wrong> {
    let sql = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2, 3";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
