//! The outbox: the store's dead batches, for the copier of dead letters. It has a connection of its own, so that it can
//! work beside the consumer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use isotherm_engine::state::DeadBatch;
use rusqlite::Connection;

use super::dead::{self, DEAD, LOST, LostBatch, encode_lost};
use super::fence::Fence;
use super::head::Head;
use super::identity::Identity;
use super::lock::Holder;
use super::row::Digest;
use super::schema::Access;
use super::write::transact;
use super::{read, schema};
use crate::error::{Doing, StoreFault, Wrong};

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
    pub(super) fn open(path: PathBuf, fence: Fence, identity: &Identity) -> Result<Self, StoreFault> {
        let open = || {
            let connection = schema::connect(&path, Access::Write)?;
            // Another store can have been put there meanwhile.
            match Identity::read(&connection)?.run == identity.run {
                true => Ok(connection),
                false => Err(Wrong::Fenced),
            }
        };
        let opened = open().map_err(|wrong| wrong.at(&path, Doing::Outbox, || Holder::of(&path)));
        Ok(Self { connection: opened?, path, fence, identity: identity.clone() })
    }

    /// What the store is of, and its run.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The oldest batches that are to be copied, at most `most`, ascending by number. The number of a batch is never given
    /// again.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if they cannot be read, or if another consumer has taken the store over.
    pub fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, StoreFault> {
        let (path, fence) = (&self.path, &self.fence);
        let mut read = || {
            let transaction = self.connection.transaction()?;
            let head = fence.pass(|| Head::read(&transaction))?;
            read::dead(&transaction, &head, most)
        };
        read().map_err(|wrong| wrong.at(path, Doing::Outbox, || Holder::of(path)))
    }

    /// The batches up to number `last` are done with: all of their letters have been copied, but for `lost`, in
    /// the order of the batches. Both are noted together. Batches that were done with before are left alone, and `lost` with them,
    /// so that it does no harm to say it twice.
    ///
    /// # Errors
    ///
    /// A [`StoreFault`] if it could not be noted (nothing of it is then), or if another consumer has taken the store over.
    pub fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), StoreFault> {
        let (path, fence) = (&self.path, &self.fence);
        let settled = transact(&mut self.connection, fence, |connection, head| settle(connection, head, last, lost));
        settled.map_err(|wrong| wrong.at(path, Doing::Outbox, || Holder::of(path)))
    }
}

fn settle(connection: &Connection, head: &mut Head, last: u64, lost: &[LostBatch]) -> Result<(), Wrong> {
    if last < head.dead_first {
        return Ok(());
    }
    if last >= head.dead_next {
        return Err(Wrong::Unsound(format!("dead batch {last} has never been there")));
    }
    let range = (head.dead_first.cast_signed(), last.cast_signed());
    let mut digest = head.dead;
    let mut expected = head.dead_first;
    let mut settled = BTreeSet::new();
    DEAD.each(connection, "WHERE id >= ?1 AND id <= ?2 ORDER BY id", range, |values, check| {
        let (id, batch) = dead::decode(values)?;
        if id != expected {
            return Err(DEAD.damaged("a row is missing"));
        }
        expected = id.saturating_add(1);
        digest.remove(check);
        settled.insert((batch.partition, batch.range.first));
        Ok(())
    })?;
    let removed = connection.prepare_cached("DELETE FROM dead WHERE id >= ?1 AND id <= ?2")?.execute(range)? as u64;
    let next = last.saturating_add(1);
    let left = head.dead_next.saturating_sub(next);
    if removed != next.saturating_sub(head.dead_first)
        || digest.rows != left
        || (left == 0 && digest != Digest::default())
    {
        return Err(DEAD.damaged("rows are missing"));
    }
    (head.dead, head.dead_first) = (digest, next);
    for range in dead::join(lost, &settled) {
        head.lost.add(LOST.insert(connection, encode_lost(head.lost_next, &range))?);
        head.lost_next = head.lost_next.saturating_add(1);
    }
    Ok(())
}
