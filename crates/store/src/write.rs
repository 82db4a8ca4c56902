//! Writes a commit as rows, in one transaction with the manifest, which counts and sums what is written.

use std::collections::HashMap;
use std::time::Duration;

use isotherm_engine::commit::Commit;
use isotherm_engine::ledger::RangeState;
use isotherm_engine::state::SensorEntry;
use isotherm_model::partial::PartitionId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, TransactionBehavior};

use super::fence::Fence;
use super::groups::{CHUNK, GROUPS, SENSORS, put_members};
use super::manifest::Manifest;
use super::partitions::{Counts, PartitionRow};
use super::ranges::{DATA_LOSSES, RANGES, encode_data_loss, encode_range, kind};
use super::row::{Check, Table};
use super::window::WINDOWS;
use super::{dead, groups, parts, window};
use crate::error::DbError;

/// The most windows that retention drops with a commit.
pub(super) const DROPPED_AT_ONCE: u64 = 500;

/// Changes the store in one transaction, if this consumer may still do so.
pub(super) fn transact<T>(
    connection: &mut Connection,
    fence: &Fence,
    change: impl FnOnce(&Connection, &mut Manifest) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut manifest = fence.pass(|| Manifest::read(&transaction))?;
    let answer = change(&transaction, &mut manifest)?;
    manifest.write(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// Writes a commit.
pub(super) fn commit(
    connection: &Connection,
    manifest: &mut Manifest,
    commit: &Commit<'_>,
    keep: Option<Duration>,
) -> Result<(), DbError> {
    manifest.commits = manifest.commits.saturating_add(1);
    manifest.topic = commit.topic;
    write_partitions(connection, manifest, commit)?;
    write_groups(connection, manifest, commit)?;
    write_sensors(connection, manifest, commit.sensors)?;
    write_windows(connection, manifest, commit)?;
    write_dead(connection, manifest, commit)?;
    for part in commit.parts {
        parts::write(connection, manifest, part)?;
    }
    if let Some(keep) = keep {
        drop_windows(connection, manifest, keep)?;
    }
    Ok(())
}

/// The check of the row that `rest` selects, which must be what was written: it goes into the digest.
fn check_of<const N: usize>(
    connection: &Connection,
    table: &Table<N>,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Check, DbError> {
    table.one(connection, rest, params, |_, check| Ok(check))?.ok_or_else(|| table.damaged("a row is missing"))
}

fn write_partitions(connection: &Connection, manifest: &mut Manifest, commit: &Commit<'_>) -> Result<(), DbError> {
    let mut ranges: HashMap<PartitionId, Vec<&RangeState>> = HashMap::new();
    for range in &commit.ranges {
        ranges.entry(range.partition).or_default().push(range);
    }
    let mut accounts = commit.ledger.accounts().count();
    for (partition, state) in &commit.partitions {
        let account = commit.ledger.account(*partition);
        accounts = accounts.saturating_sub(usize::from(account.is_some()));
        let row = PartitionRow { partition: *partition, state: *state, account: account.map(Counts::from) };
        let old = PartitionRow::find(connection, *partition)?;
        let before = old.and_then(|(old, _)| old.account).unwrap_or_default();
        let after = row.account.unwrap_or_default();
        if old.is_none_or(|(old, _)| old != row) {
            let check = row.write(connection)?;
            manifest.partitions.replace(old.map(|(_, check)| check), check);
        }
        let changed = ranges.remove(partition).unwrap_or_default();
        write_ranges(connection, manifest, &changed, before.ranges(), after.ranges())?;
        let losses = account.map_or(&[][..], |account| &account.data_losses);
        let known = usize::try_from(before.data_losses).unwrap_or(usize::MAX);
        for (place, loss) in (before.data_losses..).zip(losses.iter().skip(known)) {
            manifest.data_losses.add(DATA_LOSSES.insert(connection, encode_data_loss(*partition, place, loss))?);
        }
        if after.data_losses < before.data_losses {
            return Err(DbError::Unsound(format!("partition {partition} has fewer data losses than before")));
        }
    }
    if accounts > 0 || !ranges.is_empty() {
        return Err(DbError::Unsound("the ledger names a partition that is not among those committed".to_owned()));
    }
    Ok(())
}

/// Ranges that have grown have a row, the new ones must follow them without a gap in the numbers.
fn write_ranges(
    connection: &Connection,
    manifest: &mut Manifest,
    changed: &[&RangeState],
    before: [u64; 2],
    after: [u64; 2],
) -> Result<(), DbError> {
    let [mut late, mut rejected] = before;
    for range in changed {
        let of_kind = kind(&range.range.key);
        let next = if of_kind == 0 { &mut late } else { &mut rejected };
        let place = u64::from(range.place);
        if place == *next {
            *next += 1;
            manifest.ranges.add(RANGES.insert(connection, encode_range(range))?);
        } else if place < *next {
            let key = (range.partition, i64::from(of_kind == 1), range.place);
            let old = check_of(connection, &RANGES, "WHERE partition = ?1 AND kind = ?2 AND place = ?3", key)?;
            manifest.ranges.replace(Some(old), RANGES.replace(connection, encode_range(range))?);
        } else {
            return Err(DbError::Unsound(format!("range {place} of partition {} follows none", range.partition)));
        }
    }
    if [late, rejected] == after {
        return Ok(());
    }
    Err(DbError::Unsound(format!(
        "the ledger lists {after:?} ranges of a partition where {:?} were committed",
        [late, rejected]
    )))
}

fn write_groups(connection: &Connection, manifest: &mut Manifest, commit: &Commit<'_>) -> Result<(), DbError> {
    for group in &commit.groups {
        let mut room = String::new();
        let row = groups::encode(group, &mut room);
        let id = u64::from(group.id);
        if id > manifest.groups.rows {
            return Err(DbError::Unsound(format!("group {id} follows none")));
        }
        if id == manifest.groups.rows {
            manifest.groups.add(GROUPS.insert(connection, row)?);
        } else {
            let old = check_of(connection, &GROUPS, "WHERE id = ?1", [group.id])?;
            manifest.groups.replace(Some(old), GROUPS.replace(connection, row)?);
        }
    }
    Ok(())
}

/// Appends a chunk (or several, if it is a large one).
pub(super) fn write_sensors(
    connection: &Connection,
    manifest: &mut Manifest,
    sensors: &[SensorEntry],
) -> Result<(), DbError> {
    if sensors.is_empty() {
        return Ok(());
    }
    let last: Option<i64> = connection.query_row("SELECT max(id) FROM sensors", [], |row| row.get(0))?;
    let mut blob = Vec::new();
    for (id, chunk) in (last.unwrap_or(0).saturating_add(1)..).zip(sensors.chunks(CHUNK)) {
        put_members(&mut blob, chunk);
        manifest.sensors.add(SENSORS.insert(connection, [ValueRef::Integer(id), ValueRef::Blob(&blob)])?);
        manifest.members = manifest.members.saturating_add(chunk.len() as u64);
    }
    Ok(())
}

fn write_windows(connection: &Connection, manifest: &mut Manifest, commit: &Commit<'_>) -> Result<(), DbError> {
    for window in commit.windows {
        if window::at(connection, window.start)?.is_some() {
            return Err(DbError::Unsound(format!("the window that starts at {} closes again", window.start)));
        }
        manifest.windows.add(window::insert(connection, window, manifest.next_window())?);
        manifest.out_of_order |= manifest.last.is_some_and(|last| window.start < last);
        manifest.first = Some(manifest.first.map_or(window.start, |first| first.min(window.start)));
        manifest.last = manifest.last.max(Some(window.start));
    }
    Ok(())
}

fn write_dead(connection: &Connection, manifest: &mut Manifest, commit: &Commit<'_>) -> Result<(), DbError> {
    let mut late = Vec::new();
    for batch in commit.dead {
        manifest.dead.add(dead::DEAD.insert(connection, dead::encode(manifest.dead_next, batch, &mut late))?);
        manifest.dead_next = manifest.dead_next.saturating_add(1);
    }
    Ok(())
}

/// Drops the oldest windows, a few at a time, that ended `keep` before the newest one did. What is known to be closed by its row alone
/// stays.
fn drop_windows(connection: &Connection, manifest: &mut Manifest, keep: Duration) -> Result<(), DbError> {
    let (Some(first), Some(last)) = (manifest.first, manifest.last) else {
        return Ok(());
    };
    // Only rows that are as they were written say what to drop, and only such rows are dropped.
    let newest = window::at(connection, last)?.ok_or_else(|| WINDOWS.damaged("the newest window is missing"))?;
    let oldest = newest.window.end.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let (mut dropped, mut next, mut digest, mut groups) = (Vec::new(), None, manifest.windows, 0);
    let range = (first, DROPPED_AT_ONCE.cast_signed() + 1);
    window::until(connection, "WHERE start >= ?1 ORDER BY start LIMIT ?2", range, |stored| {
        let starts = !dropped.is_empty() || stored.window.start == first;
        let number = manifest.dropped.saturating_add(dropped.len() as u64);
        if !starts || (stored.number != number && !manifest.out_of_order) {
            return Err(WINDOWS.damaged("a window is missing"));
        }
        let is_needed = stored.window.end >= oldest || Some(stored.window.end) > manifest.topic.closed_until;
        if is_needed || dropped.len() as u64 == DROPPED_AT_ONCE {
            next = Some(stored.window.start);
            return Ok(false);
        }
        digest.remove(stored.check);
        groups += stored.window.groups.len();
        dropped.push(stored.number);
        Ok(true)
    })?;
    let next = next.ok_or_else(|| WINDOWS.damaged("a window is missing"))?;
    window::delete(connection, &dropped, groups)?;
    manifest.dropped = manifest.dropped.saturating_add(dropped.len() as u64);
    (manifest.first, manifest.windows) = (Some(next), digest);
    Ok(())
}
