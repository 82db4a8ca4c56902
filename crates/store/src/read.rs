//! What was committed, read back: every row by its check, every table by the head's digest of it.
//!
//! All of it is to be read within one transaction, the head first.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use isotherm_engine::commit::ResumeState;
use isotherm_engine::ledger::{Account, DataLoss, KeyedRange, RangeKey, Ranges};
use isotherm_engine::results::{GroupResult, Totals};
use isotherm_engine::sensors::Sensors;
use isotherm_engine::state::{DeadBatch, GroupState, PartitionState, SensorEntry};
use isotherm_model::partial::PartitionId;
use rusqlite::Connection;

use super::accounts::{Counts, GAPS, PARTITIONS, PartitionRow, RANGES, decode_gap, decode_range};
use super::bytes::Malformed;
use super::dead::{self, DEAD, LOST, LostRange, Waiting};
use super::groups::{self, GROUPS, SENSORS};
use super::head::Head;
use super::row::{Digest, Table};
use super::window::average;
use crate::error::Wrong;

/// Everything that a run needs to go on; `None` before the first commit.
pub(super) fn saved(connection: &Connection) -> Result<Option<ResumeState>, Wrong> {
    let head = Head::read(connection)?;
    let partitions = partitions(connection, &head)?;
    let accounts = accounts(connection, &head, &partitions)?;
    let groups = groups(connection, &head)?;
    let sensors = sensors(connection, &head, &groups)?;
    // What is not needed to go on is looked at all the same: better now than in the middle of a run.
    outbox(connection, &head)?;
    lost(connection, &head)?;
    let partitions = partitions.into_iter().map(|row| (row.partition, row.state)).collect();
    Ok((head.commits > 0).then_some(ResumeState { topic: head.topic, partitions, accounts, groups, sensors }))
}

/// A whole table, as the head says that it is.
fn table<const N: usize, T>(
    connection: &Connection,
    table: &Table<N>,
    order: &str,
    expected: Digest,
    decode: impl Fn([rusqlite::types::ValueRef<'_>; N]) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let (mut all, mut digest) = (Vec::new(), Digest::default());
    table.each(connection, order, [], |values, check| {
        digest.add(check);
        // A damaged tree can go round in circles.
        if digest.rows > expected.rows {
            return expected.expect(digest, table.name);
        }
        all.push(decode(values)?);
        Ok(())
    })?;
    expected.expect(digest, table.name)?;
    Ok(all)
}

/// Partitions, ascending.
pub(super) fn partitions(connection: &Connection, head: &Head) -> Result<Vec<PartitionRow>, Wrong> {
    let all = table(connection, &PARTITIONS, "ORDER BY partition", head.partitions, PartitionRow::decode)?;
    match all.is_sorted_by(|a, b| a.partition < b.partition) {
        true => Ok(all),
        false => Err(PARTITIONS.damaged("its rows are out of order")),
    }
}

/// The states of partitions.
pub(super) fn states(rows: &[PartitionRow]) -> BTreeMap<PartitionId, PartitionState> {
    rows.iter().map(|row| (row.partition, row.state)).collect()
}

/// The ranges and gaps of a partition.
#[derive(Debug, Default)]
struct Lists {
    late: Vec<KeyedRange<isotherm_model::window::Window>>,
    rejected: Vec<KeyedRange<isotherm_model::rejection::Rejection>>,
    data_losses: Vec<DataLoss>,
}

/// The accounts of all partitions.
pub(super) fn accounts(
    connection: &Connection,
    head: &Head,
    partitions: &[PartitionRow],
) -> Result<BTreeMap<PartitionId, Account>, Wrong> {
    let mut lists: BTreeMap<PartitionId, Lists> = BTreeMap::new();
    for range in table(connection, &RANGES, "ORDER BY partition, kind, place", head.ranges, decode_range)? {
        let lists = lists.entry(range.partition).or_default();
        let place = match range.range.key {
            RangeKey::Late(window) => push(&mut lists.late, range.range.keyed(|_| window)),
            RangeKey::Rejected(reason) => push(&mut lists.rejected, range.range.keyed(|_| reason)),
        };
        if place != range.place as usize {
            return Err(RANGES.damaged("a list has a hole"));
        }
    }
    for (partition, place, gap) in table(connection, &GAPS, "ORDER BY partition, place", head.data_losses, decode_gap)?
    {
        if push(&mut lists.entry(partition).or_default().data_losses, gap) as u64 != place {
            return Err(GAPS.damaged("a list has a hole"));
        }
    }
    let mut accounts = BTreeMap::new();
    for row in partitions {
        let own = lists.remove(&row.partition).unwrap_or_default();
        let Counts { ranges, data_losses, .. } = row.counts.unwrap_or_default();
        if [own.late.len() as u64, own.rejected.len() as u64] != ranges {
            return Err(RANGES.damaged(format!("the ranges of partition {} are not all there", row.partition)));
        }
        if own.data_losses.len() as u64 != data_losses {
            return Err(GAPS.damaged(format!("the data_losses of partition {} are not all there", row.partition)));
        }
        if let Some(counts) = row.counts {
            accounts.insert(row.partition, account(counts, own));
        }
    }
    match lists.keys().next() {
        None => Ok(accounts),
        Some(partition) => Err(RANGES.damaged(format!("there is no partition {partition}"))),
    }
}

/// Appends, and answers where to.
fn push<T>(list: &mut Vec<T>, item: T) -> usize {
    list.push(item);
    list.len() - 1
}

fn account(counts: Counts, lists: Lists) -> Account {
    let [late, rejected] = counts.unlisted;
    Account {
        read: counts.read,
        counted: counts.counted,
        late: counts.late,
        rejected: counts.rejected,
        late_ranges: Ranges::restored(lists.late, late),
        rejected_ranges: Ranges::restored(lists.rejected, rejected),
        restored: counts.restored,
        data_losses: lists.data_losses,
    }
}

/// Groups, in the order of their numbers.
pub(super) fn groups(connection: &Connection, head: &Head) -> Result<Vec<GroupState>, Wrong> {
    let all = table(connection, &GROUPS, "ORDER BY id", head.groups, groups::decode)?;
    match all.iter().zip(0..).all(|(group, id)| group.id == id) {
        true => Ok(all),
        false => Err(GROUPS.damaged("their numbers have a hole")),
    }
}

/// Who reported from where; it must be what the groups and the head count.
fn sensors(connection: &Connection, head: &Head, groups: &[GroupState]) -> Result<Sensors, Wrong> {
    let (mut sensors, mut digest) = (Sensors::default(), Digest::default());
    let mut counts = vec![0_u64; groups.len()];
    SENSORS.each(connection, "ORDER BY id", [], |[_, members], check| {
        digest.add(check);
        if digest.rows > head.sensors.rows {
            return head.sensors.expect(digest, SENSORS.name);
        }
        for member in groups::members(members)? {
            let count = usize::try_from(member.group).ok().and_then(|group| counts.get_mut(group));
            let count = count.ok_or_else(|| SENSORS.damaged(format!("there is no group {}", member.group)))?;
            if !sensors.insert(member.sensor, member.group) {
                return Err(SENSORS.damaged("one is there twice"));
            }
            *count += 1;
        }
        Ok(())
    })?;
    head.sensors.expect(digest, SENSORS.name)?;
    let all = groups.iter().zip(&counts).all(|(group, count)| group.sensors == *count);
    if !all || sensors.count() != head.topic.sensors || counts.iter().sum::<u64>() != head.members {
        return Err(SENSORS.damaged("they are not as many as the groups count"));
    }
    Ok(sensors)
}

/// Who reported from where, chunk by chunk.
pub(super) fn sightings(
    connection: &Connection,
    head: &Head,
    mut each: impl FnMut(Vec<SensorEntry>) -> ControlFlow<()>,
) -> Result<(), Wrong> {
    let (mut digest, mut stopped) = (Digest::default(), false);
    SENSORS.until(connection, "ORDER BY id", [], |[_, members], check| {
        digest.add(check);
        if digest.rows > head.sensors.rows {
            return head.sensors.expect(digest, SENSORS.name).map(|()| false);
        }
        stopped = each(groups::members(members)?.collect()).is_break();
        Ok(!stopped)
    })?;
    if stopped { Ok(()) } else { head.sensors.expect(digest, SENSORS.name) }
}

/// The whole run so far.
pub(super) fn totals(connection: &Connection, head: &Head) -> Result<Totals, Wrong> {
    let mut totals = Totals { sensors: head.topic.sensors, ..Totals::default() };
    for counts in partitions(connection, head)?.iter().filter_map(|row| row.counts) {
        totals.messages = totals.messages.saturating_add(counts.read);
        totals.counted = totals.counted.saturating_add(counts.counted);
        totals.late = totals.late.saturating_add(counts.late);
        totals.rejected.merge(&counts.rejected);
    }
    for GroupState { name, stats, sensors, .. } in groups(connection, head)? {
        let avg = average(stats.sum, stats.count).map_err(|Malformed| GROUPS.damaged("a group without a reading"))?;
        totals.groups.push(GroupResult {
            group: name,
            messages: stats.count,
            sensors,
            sum: stats.sum,
            avg,
            min: stats.min,
            max: stats.max,
        });
    }
    totals.groups.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    Ok(totals)
}

/// The oldest dead batches of the outbox, with their numbers.
pub(super) fn dead(connection: &Connection, head: &Head, most: u64) -> Result<Vec<(u64, DeadBatch)>, Wrong> {
    let mut batches = Vec::new();
    each_dead(connection, head, most, |id, batch| batches.push((id, batch)))?;
    Ok(batches)
}

/// Looks through the outbox, which can be long: nothing of it is kept.
fn outbox(connection: &Connection, head: &Head) -> Result<(), Wrong> {
    each_dead(connection, head, u64::MAX, |_, _| ())
}

/// How many batches of each partition are in the outbox, and how many late and rejected records in these. Needs no memory
/// for the batches, however many there are.
pub(super) fn waiting(connection: &Connection, head: &Head) -> Result<BTreeMap<PartitionId, Waiting>, Wrong> {
    let mut waiting: BTreeMap<PartitionId, Waiting> = BTreeMap::new();
    each_dead(connection, head, u64::MAX, |_, batch| {
        let of = waiting.entry(batch.partition).or_default();
        of.batches = of.batches.saturating_add(1);
        of.records = of.records.saturating_add(batch.records);
    })?;
    Ok(waiting)
}

/// The oldest dead batches of the outbox, one by one.
fn each_dead(
    connection: &Connection,
    head: &Head,
    most: u64,
    mut each: impl FnMut(u64, DeadBatch),
) -> Result<(), Wrong> {
    if head.dead_next.checked_sub(head.dead_first) != Some(head.dead.rows) {
        return Err(DEAD.damaged("their numbers are not those that were given"));
    }
    let most = most.min(head.dead.rows);
    let mut digest = Digest::default();
    let from = (head.dead_first.cast_signed(), most.cast_signed());
    DEAD.each(connection, "WHERE id >= ?1 ORDER BY id LIMIT ?2", from, |values, check| {
        let (id, batch) = dead::decode(values)?;
        if id != head.dead_first.saturating_add(digest.rows) {
            return Err(DEAD.damaged("a row is missing"));
        }
        digest.add(check);
        each(id, batch);
        Ok(())
    })?;
    if digest.rows != most {
        return Err(DEAD.damaged("rows are missing"));
    }
    if most == head.dead.rows { head.dead.expect(digest, DEAD.name) } else { Ok(()) }
}

/// Where letters stood that could not be copied.
pub(super) fn lost(connection: &Connection, head: &Head) -> Result<Vec<LostRange>, Wrong> {
    table(connection, &LOST, "ORDER BY id", head.lost, dead::decode_lost)
}
