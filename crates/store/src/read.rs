//! What was committed, read back: every row by its check, every table by the manifest's digest of it.
//!
//! Read all of it within one transaction, the manifest first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use isotherm_engine::commit::ResumeState;
use isotherm_engine::ledger::{Account, DataLoss, KeyedRange, RangeKey, Ranges};
use isotherm_engine::results::Totals;
use isotherm_engine::sensors::Sensors;
use isotherm_engine::state::{DeadBatch, GroupState, PartitionState, SensorEntry};
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::Rejection;
use isotherm_model::time::Millis;
use isotherm_model::window::Window;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::dead::{self, DEAD, LOST, LostRange, Waiting};
use super::groups::{self, GROUPS, SENSORS, Statistics};
use super::manifest::Manifest;
use super::partitions::{Counts, PARTITIONS, PartitionRow};
use super::ranges::{DATA_LOSSES, RANGES, decode_data_loss, decode_range};
use super::row::{Digest, Table};
use super::window::{self, WINDOWS};
use crate::error::DbError;
use crate::parts;

/// Everything that a run needs to go on; `None` before the first commit.
pub(super) fn saved(connection: &Connection) -> Result<Option<ResumeState>, DbError> {
    let manifest = Manifest::read(connection)?;
    let partitions = partitions(connection, &manifest)?;
    let accounts = accounts(connection, &manifest, &partitions)?;
    let groups = groups(connection, &manifest)?;
    let sensors = sensors(connection, &manifest, &groups)?;
    // A run does not need these to go on. Damage is found now rather than in the middle of it.
    outbox(connection, &manifest)?;
    lost(connection, &manifest)?;
    let partitions = partitions.into_iter().map(|row| (row.partition, row.state)).collect();
    let (topic, closed_beyond) = (manifest.topic, closed_beyond(connection, &manifest)?);
    let parts = parts::read(connection, &manifest)?;
    let state = ResumeState { topic, closed_beyond, partitions, parts, accounts, groups, sensors };
    Ok((manifest.commits > 0).then_some(state))
}

/// The starts of the closed windows that end after everything is closed, ascending.
fn closed_beyond(connection: &Connection, manifest: &Manifest) -> Result<Vec<Millis>, DbError> {
    let mut starts = Vec::new();
    if manifest.topic.closed_beyond > 0 {
        window::until(connection, "ORDER BY start DESC", [], |stored| {
            let is_beyond = Some(stored.window.end) > manifest.topic.closed_until;
            starts.extend(is_beyond.then_some(stored.window.start));
            Ok(is_beyond)
        })?;
    }
    if starts.len() as u64 != manifest.topic.closed_beyond {
        return Err(WINDOWS.damaged("a window is missing"));
    }
    starts.reverse();
    Ok(starts)
}

/// A whole table, as the manifest says that it is.
pub(super) fn table<const N: usize, T>(
    connection: &Connection,
    table: &Table<N>,
    order: &str,
    expected: Digest,
    decode: impl Fn([ValueRef<'_>; N]) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    let mut all = Vec::new();
    each_of(connection, table, order, expected, |values| {
        all.push(decode(values)?);
        Ok(true)
    })?;
    Ok(all)
}

/// The rows of a whole table one by one, as long as `each` says so. That they are those that the manifest says is known when
/// this succeeds.
fn each_of<const N: usize>(
    connection: &Connection,
    table: &Table<N>,
    order: &str,
    expected: Digest,
    mut each: impl FnMut([ValueRef<'_>; N]) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let (mut digest, mut stopped) = (Digest::default(), false);
    table.until(connection, order, [], |values, check| {
        digest.add(check);
        // A damaged tree can go round in circles.
        if digest.rows > expected.rows {
            return expected.expect(digest, table.name).map(|()| false);
        }
        stopped = !each(values)?;
        Ok(!stopped)
    })?;
    if stopped { Ok(()) } else { expected.expect(digest, table.name) }
}

/// Partitions, ascending.
pub(super) fn partitions(connection: &Connection, manifest: &Manifest) -> Result<Vec<PartitionRow>, DbError> {
    let all = table(connection, &PARTITIONS, "ORDER BY partition", manifest.partitions, PartitionRow::decode)?;
    match all.is_sorted_by(|a, b| a.partition < b.partition) {
        true => Ok(all),
        false => Err(PARTITIONS.damaged("its rows are out of order")),
    }
}

/// The states of partitions.
pub(super) fn states(rows: &[PartitionRow]) -> BTreeMap<PartitionId, PartitionState> {
    rows.iter().map(|row| (row.partition, row.state)).collect()
}

/// The ranges and data losses of a partition.
#[derive(Debug, Default)]
struct Lists {
    late: Vec<KeyedRange<Window>>,
    rejected: Vec<KeyedRange<Rejection>>,
    data_losses: Vec<DataLoss>,
}

/// The accounts of all partitions.
pub(super) fn accounts(
    connection: &Connection,
    manifest: &Manifest,
    partitions: &[PartitionRow],
) -> Result<BTreeMap<PartitionId, Account>, DbError> {
    let mut lists: BTreeMap<PartitionId, Lists> = BTreeMap::new();
    for range in table(connection, &RANGES, "ORDER BY partition, kind, place", manifest.ranges, decode_range)? {
        let lists = lists.entry(range.partition).or_default();
        let place = match range.range.key {
            RangeKey::Late(window) => push(&mut lists.late, range.range.keyed(|_| window)),
            RangeKey::Rejected(reason) => push(&mut lists.rejected, range.range.keyed(|_| reason)),
        };
        if place != range.place as usize {
            return Err(RANGES.damaged("a row of a list is missing"));
        }
    }
    let order = "ORDER BY partition, place";
    for (partition, place, loss) in table(connection, &DATA_LOSSES, order, manifest.data_losses, decode_data_loss)? {
        if push(&mut lists.entry(partition).or_default().data_losses, loss) as u64 != place {
            return Err(DATA_LOSSES.damaged("a row of a list is missing"));
        }
    }
    let mut accounts = BTreeMap::new();
    for row in partitions {
        let own = lists.remove(&row.partition).unwrap_or_default();
        let counts = row.account.unwrap_or_default();
        if [own.late.len() as u64, own.rejected.len() as u64] != counts.ranges() {
            return Err(RANGES.damaged(format!("the ranges of partition {} are not all there", row.partition)));
        }
        if own.data_losses.len() as u64 != counts.data_losses {
            let what = format!("the data losses of partition {} are not all there", row.partition);
            return Err(DATA_LOSSES.damaged(what));
        }
        if let Some(counts) = row.account {
            accounts.insert(row.partition, account(counts, own));
        }
    }
    match lists.keys().next() {
        None => Ok(accounts),
        Some(partition) => Err(RANGES.damaged(format!("there is no partition {partition}"))),
    }
}

/// Appends, and returns the place.
fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

fn account(counts: Counts, lists: Lists) -> Account {
    Account {
        read: counts.read,
        counted: counts.counted,
        late: counts.late,
        rejected: counts.rejected,
        late_ranges: Ranges::restored(lists.late, counts.late_unlisted),
        rejected_ranges: Ranges::restored(lists.rejected, counts.rejected_unlisted),
        restored: counts.restored,
        data_losses: lists.data_losses,
    }
}

/// Groups, in the order of their numbers.
pub(super) fn groups(connection: &Connection, manifest: &Manifest) -> Result<Vec<GroupState>, DbError> {
    let all = table(connection, &GROUPS, "ORDER BY id", manifest.groups, groups::decode)?;
    match all.iter().zip(0..).all(|(group, id)| group.id == id) {
        true => Ok(all),
        false => Err(GROUPS.damaged("a number is missing")),
    }
}

/// The run's sensors; there must be as many as the groups and the manifest count.
fn sensors(connection: &Connection, manifest: &Manifest, groups: &[GroupState]) -> Result<Sensors, DbError> {
    let mut sensors = Sensors::default();
    let mut counts = vec![0_u64; groups.len()];
    each_of(connection, &SENSORS, "ORDER BY id", manifest.sensors, |[_, members]| {
        for member in groups::members(members)? {
            let count = usize::try_from(member.group).ok().and_then(|group| counts.get_mut(group));
            let count = count.ok_or_else(|| SENSORS.damaged(format!("there is no group {}", member.group)))?;
            if !sensors.insert(member.sensor, member.group) {
                return Err(SENSORS.damaged("one is there twice"));
            }
            *count += 1;
        }
        Ok(true)
    })?;
    let all = groups.iter().zip(&counts).all(|(group, count)| group.sensors == *count);
    if !all || sensors.count() != manifest.topic.sensors || counts.iter().sum::<u64>() != manifest.members {
        return Err(SENSORS.damaged("they are not as many as the groups count"));
    }
    Ok(sensors)
}

/// The run's sensors, chunk by chunk.
pub(super) fn sensor_entries(
    connection: &Connection,
    manifest: &Manifest,
    mut each: impl FnMut(Vec<SensorEntry>) -> ControlFlow<()>,
) -> Result<(), DbError> {
    each_of(connection, &SENSORS, "ORDER BY id", manifest.sensors, |[_, members]| {
        Ok(each(groups::members(members)?.collect()).is_continue())
    })
}

/// The whole run so far.
pub(super) fn totals(connection: &Connection, manifest: &Manifest) -> Result<Totals, DbError> {
    let mut totals = Totals { sensors: manifest.topic.sensors, ..Totals::default() };
    for counts in partitions(connection, manifest)?.iter().filter_map(|row| row.account) {
        totals.messages = totals.messages.saturating_add(counts.read);
        totals.counted = totals.counted.saturating_add(counts.counted);
        totals.late = totals.late.saturating_add(counts.late);
        totals.rejected.merge(&counts.rejected);
    }
    for GroupState { name, stats, sensors, .. } in groups(connection, manifest)? {
        totals.groups.push(Statistics { group: &name, stats, sensors }.into_result(GROUPS.name)?);
    }
    totals.groups.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    Ok(totals)
}

/// The oldest dead batches of the outbox, with their numbers.
pub(super) fn dead(connection: &Connection, manifest: &Manifest, most: u64) -> Result<Vec<(u64, DeadBatch)>, DbError> {
    let mut batches = Vec::new();
    each_dead(connection, manifest, most, |id, batch| batches.push((id, batch)))?;
    Ok(batches)
}

/// Looks through the outbox, which can be long: nothing of it is kept.
fn outbox(connection: &Connection, manifest: &Manifest) -> Result<(), DbError> {
    each_dead(connection, manifest, u64::MAX, |_, _| ())
}

/// How many batches of each partition are in the outbox, and how many late and rejected records in these. Needs no memory
/// for the batches, however many there are.
pub(super) fn waiting(connection: &Connection, manifest: &Manifest) -> Result<BTreeMap<PartitionId, Waiting>, DbError> {
    let mut waiting: BTreeMap<PartitionId, Waiting> = BTreeMap::new();
    each_dead(connection, manifest, u64::MAX, |_, batch| {
        let of = waiting.entry(batch.partition).or_default();
        of.batches = of.batches.saturating_add(1);
        of.records = of.records.saturating_add(batch.records);
    })?;
    Ok(waiting)
}

/// The oldest dead batches of the outbox, one by one.
fn each_dead(
    connection: &Connection,
    manifest: &Manifest,
    most: u64,
    mut each: impl FnMut(u64, DeadBatch),
) -> Result<(), DbError> {
    if manifest.dead_next.checked_sub(manifest.dead_first) != Some(manifest.dead.rows) {
        return Err(DEAD.damaged("their numbers are not those that were given"));
    }
    let most = most.min(manifest.dead.rows);
    let mut digest = Digest::default();
    let from = (manifest.dead_first.cast_signed(), most.cast_signed());
    DEAD.each(connection, "WHERE id >= ?1 ORDER BY id LIMIT ?2", from, |values, check| {
        let (id, batch) = dead::decode(values)?;
        if id != manifest.dead_first.saturating_add(digest.rows) {
            return Err(DEAD.damaged("a row is missing"));
        }
        digest.add(check);
        each(id, batch);
        Ok(())
    })?;
    if digest.rows != most {
        return Err(DEAD.damaged("rows are missing"));
    }
    if most == manifest.dead.rows { manifest.dead.expect(digest, DEAD.name) } else { Ok(()) }
}

/// Where letters stood that could not be copied.
pub(super) fn lost(connection: &Connection, manifest: &Manifest) -> Result<Vec<LostRange>, DbError> {
    table(connection, &LOST, "ORDER BY id", manifest.lost, dead::decode_lost)
}
