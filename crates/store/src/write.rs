//! A commit as rows. All of it stands in one transaction with the head, which counts and sums what is written.

use std::collections::HashMap;
use std::time::Duration;

use isotherm_engine::commit::Commit;
use isotherm_engine::ledger::RangeState;
use isotherm_engine::state::SensorEntry;
use isotherm_model::partial::PartitionId;
use rusqlite::{Connection, TransactionBehavior};

use super::accounts::{Counts, GAPS, PARTITIONS, PartitionRow, RANGES, encode_gap, encode_range, kind};
use super::fence::Fence;
use super::groups::{CHUNK, GROUPS, SENSORS, put_members};
use super::head::Head;
use super::row::{Check, Table};
use super::window::Edges;
use super::{dead, groups, window};
use crate::error::Wrong;

/// The most windows that retention drops with a commit.
pub(super) const DROPPED_AT_ONCE: u64 = 500;

/// Changes the store in one transaction, if this consumer may still do so.
pub(super) fn transact<T>(
    connection: &mut Connection,
    fence: &Fence,
    change: impl FnOnce(&Connection, &mut Head) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut head = fence.pass(|| Head::read(&transaction))?;
    let answer = change(&transaction, &mut head)?;
    head.write(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// Writes a commit.
pub(super) fn commit(
    connection: &Connection,
    head: &mut Head,
    commit: &Commit<'_>,
    keep: Option<Duration>,
) -> Result<(), Wrong> {
    head.commits = head.commits.saturating_add(1);
    head.topic = commit.topic;
    write_partitions(connection, head, commit)?;
    write_groups(connection, head, commit)?;
    write_sensors(connection, head, commit.sensors)?;
    write_windows(connection, head, commit)?;
    write_dead(connection, head, commit)?;
    if let Some(keep) = keep {
        drop_windows(connection, head, keep)?;
    }
    Ok(())
}

/// The check of the row that `rest` selects, if there is one and it is what was written: it goes into the digest.
fn check_of<const N: usize>(
    connection: &Connection,
    table: &Table<N>,
    rest: &str,
    params: impl rusqlite::Params,
) -> Result<Option<Check>, Wrong> {
    table.one(connection, rest, params, |_, check| Ok(check))
}

fn write_partitions(connection: &Connection, head: &mut Head, commit: &Commit<'_>) -> Result<(), Wrong> {
    let mut ranges: HashMap<PartitionId, Vec<&RangeState>> = HashMap::new();
    for range in &commit.ranges {
        ranges.entry(range.partition).or_default().push(range);
    }
    let mut accounts = commit.ledger.accounts().count();
    for (partition, state) in &commit.partitions {
        let account = commit.ledger.account(*partition);
        accounts = accounts.saturating_sub(usize::from(account.is_some()));
        let row = PartitionRow { partition: *partition, state: *state, counts: account.map(Counts::from) };
        let old = PartitionRow::find(connection, *partition)?;
        let before = old.and_then(|(old, _)| old.counts).unwrap_or_default();
        let after = row.counts.unwrap_or_default();
        if old.is_none_or(|(old, _)| old != row) {
            let check = PARTITIONS.replace(connection, row.encode())?;
            head.partitions.replace(old.map(|(_, check)| check), check);
        }
        let changed = ranges.remove(partition).unwrap_or_default();
        write_ranges(connection, head, &changed, before.ranges, after.ranges)?;
        let gaps = account.map_or(&[][..], |account| &account.data_losses);
        for (place, gap) in
            (before.data_losses..).zip(gaps.iter().skip(usize::try_from(before.data_losses).unwrap_or(usize::MAX)))
        {
            head.data_losses.add(GAPS.insert(connection, encode_gap(*partition, place, gap))?);
        }
        if after.data_losses < before.data_losses {
            return Err(Wrong::Unsound(format!("partition {partition} has fewer gaps than before")));
        }
    }
    if accounts > 0 || !ranges.is_empty() {
        return Err(Wrong::Unsound("the ledger names a partition that is not among those committed".to_owned()));
    }
    Ok(())
}

/// Ranges that have grown have a row, the new ones are to follow those without a hole.
fn write_ranges(
    connection: &Connection,
    head: &mut Head,
    changed: &[&RangeState],
    before: [u64; 2],
    after: [u64; 2],
) -> Result<(), Wrong> {
    let [mut late, mut rejected] = before;
    for range in changed {
        let of_kind = kind(&range.range.key);
        let next = if of_kind == 0 { &mut late } else { &mut rejected };
        let place = u64::from(range.place);
        if place == *next {
            *next += 1;
            head.ranges.add(RANGES.insert(connection, encode_range(range))?);
        } else if place < *next {
            let key = (range.partition, i64::from(of_kind == 1), range.place);
            let old = check_of(connection, &RANGES, "WHERE partition = ?1 AND kind = ?2 AND place = ?3", key)?;
            let old = old.ok_or_else(|| RANGES.damaged("a row is missing"))?;
            head.ranges.replace(Some(old), RANGES.replace(connection, encode_range(range))?);
        } else {
            return Err(Wrong::Unsound(format!("range {place} of partition {} follows none", range.partition)));
        }
    }
    if [late, rejected] == after {
        return Ok(());
    }
    Err(Wrong::Unsound(format!(
        "the ledger lists {after:?} ranges of a partition where {:?} were committed",
        [late, rejected]
    )))
}

fn write_groups(connection: &Connection, head: &mut Head, commit: &Commit<'_>) -> Result<(), Wrong> {
    for group in &commit.groups {
        let mut sum = [0; 16];
        let row = groups::encode(group, &mut sum);
        let id = u64::from(group.id);
        if id > head.groups.rows {
            return Err(Wrong::Unsound(format!("group {id} follows none")));
        }
        if id == head.groups.rows {
            head.groups.add(GROUPS.insert(connection, row)?);
        } else {
            let old = check_of(connection, &GROUPS, "WHERE id = ?1", [group.id])?;
            let old = old.ok_or_else(|| GROUPS.damaged("a row is missing"))?;
            head.groups.replace(Some(old), GROUPS.replace(connection, row)?);
        }
    }
    Ok(())
}

/// Appends a chunk (or several, if it is a large one).
pub(super) fn write_sensors(connection: &Connection, head: &mut Head, sensors: &[SensorEntry]) -> Result<(), Wrong> {
    use rusqlite::types::ValueRef;
    if sensors.is_empty() {
        return Ok(());
    }
    let last: Option<i64> = connection.query_row("SELECT max(id) FROM sensors", [], |row| row.get(0))?;
    let mut blob = Vec::new();
    for (id, chunk) in (last.unwrap_or(0).saturating_add(1)..).zip(sensors.chunks(CHUNK)) {
        put_members(&mut blob, chunk);
        head.sensors.add(SENSORS.insert(connection, [ValueRef::Integer(id), ValueRef::Blob(&blob)])?);
        head.members = head.members.saturating_add(chunk.len() as u64);
    }
    Ok(())
}

fn write_windows(connection: &Connection, head: &mut Head, commit: &Commit<'_>) -> Result<(), Wrong> {
    let mut scratch = [Vec::new(), Vec::new()];
    for window in commit.windows {
        if head.last.is_some_and(|last| window.start <= last) {
            let what = format!("the window that starts at {} closes after a later one", window.start);
            return Err(Wrong::Unsound(what));
        }
        head.windows.add(window::insert(connection, window, head.last, &mut scratch)?);
        head.last = Some(window.start);
        head.first = head.first.or(head.last);
    }
    Ok(())
}

fn write_dead(connection: &Connection, head: &mut Head, commit: &Commit<'_>) -> Result<(), Wrong> {
    let mut late = Vec::new();
    for batch in commit.dead {
        head.dead.add(dead::DEAD.insert(connection, dead::encode(head.dead_next, batch, &mut late))?);
        head.dead_next = head.dead_next.saturating_add(1);
    }
    Ok(())
}

/// Drops the oldest windows, a few at a time, that ended `keep` before the newest one did.
fn drop_windows(connection: &Connection, head: &mut Head, keep: Duration) -> Result<(), Wrong> {
    let (Some(first), Some(last)) = (head.first, head.last) else {
        return Ok(());
    };
    let table = &window::WINDOWS;
    // What is not as it was written drops nothing, and is not dropped.
    let newest = table.one(connection, "WHERE start = ?1", [last], |values, _| Ok(window::edges(values)?.end))?;
    let newest = newest.ok_or_else(|| table.damaged("the newest window is missing"))?;
    let oldest = newest.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
    let (mut next, mut before, mut digest, mut dropped) = (None, None, head.windows, 0_u64);
    let range = (first, DROPPED_AT_ONCE.cast_signed() + 1);
    table.until(connection, "WHERE start >= ?1 ORDER BY start LIMIT ?2", range, |values, check| {
        let Edges { start, end, previous } = window::edges(values)?;
        let follows = if before.is_none() { start == first } else { previous == before };
        if !follows {
            return Err(table.damaged("a window is missing"));
        }
        if end >= oldest || dropped == DROPPED_AT_ONCE {
            next = Some(start);
            return Ok(false);
        }
        digest.remove(check);
        dropped += 1;
        before = Some(start);
        Ok(true)
    })?;
    let Some(next) = next else {
        return Err(table.damaged("a window is missing"));
    };
    if dropped > 0 {
        let mut delete = connection.prepare_cached("DELETE FROM windows WHERE start >= ?1 AND start < ?2")?;
        if delete.execute((first, next))? as u64 != dropped {
            return Err(table.damaged("rows vanish when they are read again"));
        }
        head.first = Some(next);
        head.windows = digest;
        head.dropped = head.dropped.saturating_add(dropped);
    }
    Ok(())
}
