//! The database itself: how it is opened, made, and known again.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::PATIENCE;
use super::files::{self, remove_all, remove_log, remove_unfinished, sync_folder, unfinished};
use super::head::Head;
use super::identity::Identity;
use super::lock::{Holder, Lock};
use super::migrations::{MIGRATIONS, Step, format, migrate};
use crate::error::{Doing, StoreFault, Wrong};

/// In the header of every store: `ISOT`.
const APPLICATION_ID: i32 = 0x4953_4f54;

/// The write-ahead log is cut to this length when it has been checkpointed.
const WAL_BYTES: i64 = 64 << 20;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// To write. Also one that only reads takes away with its end what SQLite has put beside a closed store, if it could write.
    Write,
    /// To read only.
    Read,
    /// To read what nobody writes: nothing but the database itself is looked at, no lock is taken, no file is made.
    Frozen,
}

/// Opens the database file, not to make it.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, rusqlite::Error> {
    let connection = plain(path, access)?;
    settle(&connection)?;
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
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

pub(super) fn settle(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where fsync alone does not reach the disk (macOS).
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {WAL_BYTES}"), [], |_| Ok(()))
}

/// Looks whether there is a store at `path`, and leaves everything as it is. `false` if there is nothing. What is called
/// damaged carries the mark of a store.
pub(super) fn inspect(path: &Path) -> Result<bool, StoreFault> {
    let foreign = |why: &str| StoreFault::NotAStore { path: path.to_owned(), why: why.to_owned() };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source }),
        Ok(found) if !found.is_file() => return Err(foreign("it is no file")),
        Ok(found) if found.len() == 0 => return Err(foreign("it is empty")),
        Ok(_) => {}
    }
    let known = |id| match id {
        APPLICATION_ID => Ok(true),
        id => Err(foreign(&format!("a SQLite database of another application, {id}"))),
    };
    if let Ok(id) = application_id(path, Access::Frozen) {
        return known(id);
    }
    // It is damaged, or is being written at this moment. Only now its own first bytes are looked at: closing a file lets go
    // of all locks that this process has on it.
    let marked = files::is_marked(path, APPLICATION_ID);
    if !marked.map_err(|source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source })? {
        return Err(foreign("no SQLite database, or not a whole one"));
    }
    match application_id(path, Access::Read) {
        Ok(id) => known(id),
        Err(error) => Err(Wrong::from(error).at(path, Doing::Open, Default::default)),
    }
}

fn application_id(path: &Path, access: Access) -> Result<i32, rusqlite::Error> {
    plain(path, access)?.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))
}

/// Makes a store beside its place, and puts it there when it is whole: what stands at `path` is never half a store. The
/// lock is held.
pub(super) fn create(path: &Path, identity: &Identity, page_size: u32, lock: &Lock) -> Result<(), StoreFault> {
    let io = |source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source };
    remove_unfinished(path).map_err(io)?;
    let new = unfinished(path);
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
    let place = || {
        // Whoever has taken the store over makes one of his own.
        if !lock.is_in_place() {
            return Err(Wrong::Fenced.at(path, Doing::Open, || Holder::of(path)));
        }
        // Without their database these hold nothing.
        remove_log(path).map_err(io)?;
        std::fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(io)
    };
    let made = make().map_err(|wrong: Wrong| wrong.at(path, Doing::Open, Default::default)).and_then(|()| place());
    if made.is_err() {
        // Best effort: the first error is the one that tells.
        let _ = remove_all(&new);
    }
    made
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

/// Whether a store is of the newest format; an error if it is of one that is not known.
pub(super) fn is_current(connection: &Connection, path: &Path, migrations: &[Step]) -> Result<bool, Wrong> {
    let (found, ours) = (format(connection)?, migrations.len() as i64);
    match found {
        1.. if found <= ours => Ok(found == ours),
        1.. => Err(Wrong::Fault(StoreFault::OtherFormat { path: path.to_owned(), found, ours })),
        _ => Err(Wrong::damaged("the file", format!("it says that its format is {found}"))),
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
