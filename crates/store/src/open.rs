//! The order in which a consumer opens a store. Everything that can refuse comes before anything is taken from a running
//! consumer: a take-over reads the whole store first, and then takes lock and epoch in one transaction.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::fence::Fence;
use super::files::{self, FileId};
use super::identity::{Identity, Subject};
use super::lock::{self, Lock, holder_of};
use super::manifest::Manifest;
use super::marker::{self, Marker};
use super::schema::{self, Access};
use super::{compact, read};
use crate::error::{DbError, Error, Operation};
use crate::{Options, SqliteStore};

/// See [`SqliteStore::open`].
pub(super) fn open(path: &Path, subject: &Subject, options: Options) -> Result<SqliteStore, Error> {
    let Options { keep, take_over, reset: from_scratch, page_size, busy_timeout, timing } = options;
    let io = Error::io(path, Operation::Open);
    if let Some(folder) = std::path::absolute(path).map_err(&io)?.parent() {
        std::fs::create_dir_all(folder).map_err(&io)?;
    }
    let path = &files::canonicalize(path)?;
    let holder = lock::holder(path)?;
    if from_scratch {
        removable(path)?
    } else {
        exists(path).map(drop)?
    }
    single(path)?;
    let mut held = if take_over { None } else { Some(Lock::take(path)?) };
    // A consumer that hangs may keep the database locked: then its name helps.
    let named = |mut fault| {
        if let Error::Busy { holder: named, .. } = &mut fault {
            named.clone_from(&holder);
        }
        fault
    };
    let fault = |error: DbError| named(error.at(path, Operation::Open, || holder_of(path)));
    if from_scratch {
        reset(path, &mut held, busy_timeout).map_err(named)?;
    }
    if !exists(path)? {
        let lock = match held.take() {
            Some(lock) => lock,
            None => Lock::displace(path, || Ok(())).map_err(fault)?,
        };
        schema::create(path, &Identity::new(subject), page_size, &lock)?;
        held = Some(lock);
    }
    let (mut connection, identity, fence) =
        acquire_epoch(path, &mut held, Some(subject), busy_timeout).map_err(fault)?;
    compact::compact(&mut connection, &fence).map_err(fault)?;
    match held {
        Some(mut lock) => {
            if let Some(timing) = timing {
                lock.note(timing).map_err(io)?;
            }
            let path = path.clone();
            let mut store = SqliteStore { path, connection, identity, fence, keep, checkpointed: false, lock };
            store.checkpoint();
            Ok(store)
        }
        None => Err(fault(DbError::Fenced)),
    }
}

/// Whether there is a store; an error if there is something else, or only a part of one.
fn exists(path: &Path) -> Result<bool, Error> {
    let there = schema::inspect(path)?;
    if !there {
        files::without_database(path)?;
    }
    Ok(there)
}

/// An error if the store has several names: its log and its lock are beside one of them only.
fn single(path: &Path) -> Result<(), Error> {
    match files::there(files::links(path)).map_err(Error::io(path, Operation::Open))? {
        Some(links @ 2..) => Err(Error::Linked { path: path.to_owned(), links }),
        Some(_) | None => Ok(()),
    }
}

/// Whether the path may be cleared: nothing is there, or a store in whatever state.
fn removable(path: &Path) -> Result<(), Error> {
    match exists(path) {
        Ok(_) | Err(Error::Damaged { .. } | Error::OlderFormat { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Opens a store that is there, and raises its epoch: from then on nobody else's commit succeeds. If `held`
/// has no lock, the lock of the consumer that has the store is displaced and put there. If this fails, that consumer goes on.
fn acquire_epoch(
    path: &Path,
    held: &mut Option<Lock>,
    subject: Option<&Subject>,
    busy_timeout: Duration,
) -> Result<(Connection, Identity, Fence), DbError> {
    let file = identify(path)?;
    let marker = lock::marker_of(path);
    let mut connection = schema::plain(path, Access::Write)?;
    // As far as the file goes; its header is read below.
    let writable = !connection.is_readonly("main")?;
    connection.busy_timeout(busy_timeout)?;
    schema::configure(&connection)?;
    // Until the store is closed.
    schema::keep_log(&connection, true)?;
    if writable && connection.is_readonly("main")? {
        return Err(DbError::damaged("the file", "its header says that it must not be written"));
    }
    schema::check_format(&connection, path)?;
    let displaces = held.is_none();
    if displaces {
        // Validate before taking the lock: otherwise we could wait for, or displace, a consumer of another store.
        let transaction = connection.transaction()?;
        check(&transaction, path, marker, subject)?;
        if subject.is_some() {
            read::saved(&transaction)?;
        }
    }
    schema::set_wal(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (identity, mut manifest) = check(&transaction, path, marker, subject)?;
    manifest.open = true;
    manifest.epoch =
        manifest.epoch.checked_add(1).ok_or_else(|| DbError::damaged("manifest", "there are no further epochs"))?;
    manifest.write(&transaction)?;
    let commit = || {
        // Another store can have been put there since.
        if identify(path)? != file {
            return Err(DbError::Fenced);
        }
        Ok(transaction.commit()?)
    };
    match held {
        None => *held = Some(Lock::displace(path, commit)?),
        // If two consumers take a store over at once, the one whose lock is in place goes on.
        Some(lock) if lock.is_in_place() => commit()?,
        Some(_) => return Err(DbError::Fenced),
    }
    let lock = held.as_mut().ok_or(DbError::Fenced)?;
    // Best effort, as after a commit.
    let _ = lock.mark(Marker::new(identity.run, &manifest));
    let fence = Fence::new(path, lock, file, manifest.epoch)?;
    Ok((connection, identity, fence))
}

/// Everything by which a store can be refused.
fn check(
    connection: &Connection,
    path: &Path,
    marker: Option<Marker>,
    subject: Option<&Subject>,
) -> Result<(Identity, Manifest), DbError> {
    schema::verify(connection)?;
    let identity = identity(connection, path, subject)?;
    let manifest = Manifest::read(connection)?;
    marker::check(path, marker, &identity, &manifest)?;
    Ok((identity, manifest))
}

/// What a store is of; an error if that is not what is asked for.
fn identity(connection: &Connection, path: &Path, subject: Option<&Subject>) -> Result<Identity, DbError> {
    let identity = Identity::read(connection)?;
    if let Some((what, stored, asked)) = subject.and_then(|asked| asked.difference(&identity.subject)) {
        return Err(DbError::Store(Error::OtherIdentity { path: path.to_owned(), what, stored, asked }));
    }
    Ok(identity)
}

fn identify(path: &Path) -> Result<FileId, DbError> {
    let found = FileId::at(path).map_err(Error::io(path, Operation::Open)).map_err(DbError::Store)?;
    found.ok_or(DbError::Gone("its database"))
}

/// Removes all files but the lock, which is in `held` afterwards. A consumer that has the store is fenced first, by the epoch
/// and the lock; if the store is damaged or of another format, or the disk is full, by the lock alone.
pub(super) fn reset(path: &Path, held: &mut Option<Lock>, busy_timeout: Duration) -> Result<(), Error> {
    let fault = |error: DbError| error.at(path, Operation::Open, || holder_of(path));
    if schema::inspect(path).unwrap_or(true) {
        match acquire_epoch(path, held, None, busy_timeout).map_err(fault) {
            Ok(_) | Err(Error::Damaged { .. } | Error::NewerFormat { .. }) => {}
            Err(fault) if fault.is_full_disk() => {}
            Err(fault) => return Err(fault),
        }
    }
    if held.is_none() {
        *held = Some(Lock::displace(path, || Ok(())).map_err(fault)?);
    }
    let lock = held.as_mut().filter(|lock| lock.is_in_place()).ok_or_else(|| fault(DbError::Fenced))?;
    // Now there is room to say who holds it.
    files::remove_all(path).and_then(|()| lock.sign(None)).map_err(Error::io(path, Operation::Open))
}
