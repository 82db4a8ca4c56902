//! The outbox: the store's dead batches, for the worker that copies dead letters. It has a connection of its own, so that it
//! can work beside the consumer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use isotherm_engine::state::DeadBatch;
use rusqlite::Connection;

use super::dead::{self, DEAD, LOST, LostBatch, encode_lost};
use super::fence::Fence;
use super::identity::Identity;
use super::lock::holder_of;
use super::manifest::Manifest;
use super::row::Digest;
use super::schema::Access;
use super::write::transact;
use super::{read, schema};
use crate::error::{DbError, Error, Operation};

/// See the module's text. Made by [`SqliteStore::outbox`](super::SqliteStore::outbox).
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    fence: Fence,
    identity: Identity,
}

impl Outbox {
    /// Of the consumer of this fence.
    pub(super) fn open(path: PathBuf, fence: Fence, identity: &Identity) -> Result<Self, Error> {
        let open = || {
            let connection = schema::connect(&path, Access::Write)?;
            // Another store can have been put there meanwhile.
            match Identity::read(&connection)?.run == identity.run {
                true => Ok(connection),
                false => Err(DbError::Fenced),
            }
        };
        let opened = open().map_err(|error| error.at(&path, Operation::Outbox, || holder_of(&path)));
        Ok(Self { connection: opened?, path, fence, identity: identity.clone() })
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The oldest batches that have to be copied, at most `most`, ascending by number. A number is never used again.
    /// An [`Error`] if they cannot be read, or if another consumer has taken the store over.
    pub fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, Error> {
        let (path, fence) = (&self.path, &self.fence);
        let mut read = || {
            let transaction = self.connection.transaction()?;
            let manifest = fence.pass(|| Manifest::read(&transaction))?;
            read::dead(&transaction, &manifest, most)
        };
        read().map_err(|error| error.at(path, Operation::Outbox, || holder_of(path)))
    }

    /// Removes the batches up to number `last`: all of their letters have been copied, except `lost`, in the order of the
    /// batches, which is noted together with that. Batches that were removed before are left alone, and `lost` with them: it
    /// does no harm to say it twice.
    /// An [`Error`] if it could not be noted (nothing of it is then), or if another consumer has taken the store over.
    pub fn mark_done(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), Error> {
        let (path, fence) = (&self.path, &self.fence);
        let done =
            transact(&mut self.connection, fence, |connection, manifest| mark_done(connection, manifest, last, lost));
        done.map_err(|error| error.at(path, Operation::Outbox, || holder_of(path)))
    }
}

fn mark_done(connection: &Connection, manifest: &mut Manifest, last: u64, lost: &[LostBatch]) -> Result<(), DbError> {
    if last < manifest.dead_first {
        return Ok(());
    }
    if last >= manifest.dead_next {
        return Err(DbError::Unsound(format!("dead batch {last} has never been there")));
    }
    let range = (manifest.dead_first.cast_signed(), last.cast_signed());
    let mut digest = manifest.dead;
    let mut expected = manifest.dead_first;
    let mut done = BTreeSet::new();
    DEAD.each(connection, "WHERE id >= ?1 AND id <= ?2 ORDER BY id", range, |values, check| {
        let (id, batch) = dead::decode(values)?;
        if id != expected {
            return Err(DEAD.damaged("a row is missing"));
        }
        expected = id.saturating_add(1);
        digest.remove(check);
        done.insert((batch.partition, batch.range.first));
        Ok(())
    })?;
    let removed = connection.prepare_cached("DELETE FROM dead WHERE id >= ?1 AND id <= ?2")?.execute(range)? as u64;
    let next = last.saturating_add(1);
    let left = manifest.dead_next.saturating_sub(next);
    if removed != next.saturating_sub(manifest.dead_first)
        || digest.rows != left
        || (left == 0 && digest != Digest::default())
    {
        return Err(DEAD.damaged("rows are missing"));
    }
    (manifest.dead, manifest.dead_first) = (digest, next);
    for range in dead::join(lost, &done) {
        manifest.lost.add(LOST.insert(connection, encode_lost(manifest.lost_next, &range))?);
        manifest.lost_next = manifest.lost_next.saturating_add(1);
    }
    Ok(())
}
