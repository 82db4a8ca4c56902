//! How a consumer comes to a store. Everything that can refuse comes before anything is taken from a consumer that runs:
//! a take-over looks at the whole of the store first, and then takes lock and epoch in one transaction.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::fence::Fence;
use super::files::{self, FileId};
use super::head::Head;
use super::identity::{Identity, Subject};
use super::lock::{self, Holder, Lock};
use super::migrations::{self, MIGRATIONS};
use super::schema::{self, Access};
use super::{compact, read};
use crate::error::{Doing, StoreFault, Wrong};
use crate::{Options, SqliteStore};

/// See [`SqliteStore::open`].
pub(super) fn open(path: &Path, subject: &Subject, options: Options) -> Result<SqliteStore, StoreFault> {
    let Options { keep, take_over, reset: anew, page_size, patience, timing } = options;
    let io = |source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source };
    if let Some(folder) = std::path::absolute(path).map_err(io)?.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let path = &files::settle(path)?;
    let holder = lock::holder(path)?;
    // Before anything is touched.
    if anew {
        removable(path)?
    } else {
        looked(path).map(drop)?
    }
    let mut claim = if take_over { None } else { Some(Lock::take(path)?) };
    // A consumer that hangs may keep the database locked: then its name helps.
    let named = |mut fault| {
        if let StoreFault::Busy { holder: named, .. } = &mut fault {
            named.clone_from(&holder);
        }
        fault
    };
    let fault = |wrong: Wrong| named(wrong.at(path, Doing::Open, || Holder::of(path)));
    if anew {
        reset(path, &mut claim, patience).map_err(named)?;
    }
    if !looked(path)? {
        let lock = match claim.take() {
            Some(lock) => lock,
            None => Lock::displace(path, || Ok(())).map_err(fault)?,
        };
        schema::create(path, &Identity::new(subject), page_size, &lock)?;
        claim = Some(lock);
    }
    let (mut connection, identity, fence) = raise(path, &mut claim, Some(subject), patience).map_err(fault)?;
    compact::compact(&mut connection, &fence).map_err(fault)?;
    match claim {
        Some(mut lock) => {
            if let Some(timing) = timing {
                lock.note(timing).map_err(io)?;
            }
            let path = path.clone();
            let mut store = SqliteStore { path, connection, identity, fence, keep, checkpointed: false, _lock: lock };
            store.checkpoint();
            Ok(store)
        }
        None => Err(fault(Wrong::Fenced)),
    }
}

/// Whether there is a store; an error if there is something else, or something of one.
fn looked(path: &Path) -> Result<bool, StoreFault> {
    let there = schema::inspect(path)?;
    if !there {
        files::without_database(path)?;
    }
    Ok(there)
}

/// Whether what stands there may be removed: nothing, or a store in whatever state, but nothing else.
fn removable(path: &Path) -> Result<(), StoreFault> {
    match looked(path) {
        Ok(_) | Err(StoreFault::Damaged { .. }) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Opens a store that is there, and raises its epoch: from then on nobody else's commit succeeds. Without a lock in `claim`
/// the one of whoever has the store is displaced, and then in `claim`; if this fails, he goes on.
fn raise(
    path: &Path,
    claim: &mut Option<Lock>,
    subject: Option<&Subject>,
    patience: Duration,
) -> Result<(Connection, Identity, Fence), Wrong> {
    let file = identify(path)?;
    let mut connection = schema::plain(path, Access::Write)?;
    // As far as the file goes; its header is read below.
    let writable = !connection.is_readonly("main")?;
    connection.busy_timeout(patience)?;
    schema::settle(&connection)?;
    if writable && connection.is_readonly("main")? {
        return Err(Wrong::damaged("the file", "its header says that it must not be written"));
    }
    let current = schema::is_current(&connection, path, MIGRATIONS)?;
    if !current && subject.is_none() {
        // What is thrown away need not be brought to another format.
        let (found, ours) = (migrations::format(&connection)?, MIGRATIONS.len() as i64);
        return Err(Wrong::Fault(StoreFault::OtherFormat { path: path.to_owned(), found, ours }));
    }
    let displaces = claim.is_none();
    if displaces {
        // Before anybody is waited for who would have to be ended: it may not even be his store that is meant. Nor does anybody
        // make way for one who then finds that he cannot go on.
        let transaction = connection.transaction()?;
        match current {
            true => check(&transaction, path, subject).map(drop)?,
            // The identity is the same in all formats.
            false => identity(&transaction, path, subject).map(drop)?,
        }
        if current && subject.is_some() {
            read::saved(&transaction)?;
        }
    }
    schema::set_wal(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrations::steps(&transaction, MIGRATIONS)?;
    let (identity, mut head) = check(&transaction, path, subject)?;
    if displaces && !current {
        read::saved(&transaction)?;
    }
    head.epoch = head.epoch.checked_add(1).ok_or_else(|| Wrong::damaged("head", "there are no further epochs"))?;
    head.write(&transaction)?;
    let commit = || {
        // Another store can have been put there since.
        if identify(path)? != file {
            return Err(Wrong::Fenced);
        }
        Ok(transaction.commit()?)
    };
    match claim {
        None => *claim = Some(Lock::displace(path, commit)?),
        // Of two that take a store over at once, the one whose lock stands goes on.
        Some(lock) if lock.is_in_place() => commit()?,
        Some(_) => return Err(Wrong::Fenced),
    }
    let lock = claim.as_ref().ok_or(Wrong::Fenced)?;
    let fence = Fence::new(path, lock, file, head.epoch)?;
    Ok((connection, identity, fence))
}

/// Everything by which a store can be refused.
fn check(connection: &Connection, path: &Path, subject: Option<&Subject>) -> Result<(Identity, Head), Wrong> {
    schema::verify(connection)?;
    let identity = identity(connection, path, subject)?;
    Ok((identity, Head::read(connection)?))
}

/// What a store is of; an error if that is not what is asked for.
fn identity(connection: &Connection, path: &Path, subject: Option<&Subject>) -> Result<Identity, Wrong> {
    let identity = Identity::read(connection)?;
    if let Some((what, stored, asked)) = subject.and_then(|asked| asked.difference(&identity.subject)) {
        return Err(Wrong::Fault(StoreFault::OtherIdentity { path: path.to_owned(), what, stored, asked }));
    }
    Ok(identity)
}

fn identify(path: &Path) -> Result<FileId, Wrong> {
    let found = FileId::at(path);
    let found = found.map_err(|source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source });
    found.map_err(Wrong::Fault)?.ok_or(Wrong::Gone("its database"))
}

/// Removes all files but the lock, which is in `claim` afterwards. Whoever had the store is fenced first: by the epoch, and
/// by his lock. Of a damaged store the lock must do.
pub(super) fn reset(path: &Path, claim: &mut Option<Lock>, patience: Duration) -> Result<(), StoreFault> {
    let fault = |wrong: Wrong| wrong.at(path, Doing::Open, || Holder::of(path));
    if schema::inspect(path).unwrap_or(true) {
        match raise(path, claim, None, patience).map_err(fault) {
            Ok(_) | Err(StoreFault::Damaged { .. } | StoreFault::OtherFormat { .. }) => {}
            Err(fault) => return Err(fault),
        }
    }
    if claim.is_none() {
        *claim = Some(Lock::displace(path, || Ok(())).map_err(fault)?);
    }
    if !claim.as_ref().is_some_and(Lock::is_in_place) {
        return Err(fault(Wrong::Fenced));
    }
    files::remove_all(path).map_err(|source| StoreFault::Io { path: path.to_owned(), doing: Doing::Open, source })
}
