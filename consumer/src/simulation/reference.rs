//! The plain reference: what a store must hold, recomputed from the log with maps and sets. Of the store it takes the
//! offsets at which each window closed, and the time until which everything is closed; nothing of the materializer.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::SourceRange;
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Millis;

use super::log::{Batch, Log, Reading, digest};
use crate::results::{GroupResult, Totals, WindowResult};
use crate::store::{DeadBatch, PartitionState, TopicState};

/// Which batches: first, next, how many records of the kind.
pub(super) type Ranges = Vec<(i64, i64, u64)>;

/// One partition's account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) late: u64,
    pub(super) rejected: BTreeMap<Rejection, u64>,
    pub(super) late_ranges: BTreeMap<i64, Ranges>,
    pub(super) rejected_ranges: BTreeMap<Rejection, Ranges>,
    pub(super) dead: Vec<DeadBatch>,
}

/// What a store must say.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// By start: messages, sensors, groups.
    pub(super) windows: BTreeMap<Millis, (u64, u64, Vec<GroupResult>)>,
    pub(super) totals: Totals,
    pub(super) accounts: BTreeMap<u32, Account>,
    /// By partition, the least offset of a batch that an open window holds readings of.
    pub(super) refill: BTreeMap<u32, i64>,
    pub(super) open: BTreeSet<Millis>,
}

/// By window, how far each partition had been merged when it closed.
pub(super) type Closed = BTreeMap<Millis, BTreeMap<u32, i64>>;

/// Whether a reading came before its window closed.
pub(super) fn in_time(
    log: &Log,
    closed: &Closed,
    until: Option<Millis>,
    partition: u32,
    batch: &Batch,
    reading: &Reading,
) -> bool {
    let start = reading.time.div_euclid(log.window.millis()) * log.window.millis();
    match closed.get(&start) {
        Some(merged) => merged.get(&partition).is_some_and(|merged| batch.first < *merged),
        // A window that closed without a reading has no row.
        None => until.is_none_or(|until| start + log.window.millis() > until),
    }
}

/// Recomputes. `states` is where each partition begins and stands.
pub(super) fn recompute(
    log: &Log,
    stored: &[WindowResult],
    topic: &TopicState,
    states: &BTreeMap<u32, PartitionState>,
) -> Expected {
    let size = log.window.millis();
    let closed: Closed = stored.iter().map(|window| (window.start, window.merged.iter().copied().collect())).collect();
    let mut expected = Expected::default();
    let (mut inside, mut counted) = (BTreeMap::<Millis, Vec<Reading>>::new(), Vec::new());
    for (&partition, state) in states {
        let account = expected.accounts.entry(partition).or_default();
        let batches = log.partitions[partition as usize].batches.iter();
        let read = |batch: &&Batch| batch.first >= state.start && batch.reach <= state.merged && !batch.fate.unread;
        for batch in batches.filter(read) {
            let mut late = BTreeMap::<i64, u64>::new();
            for (place, reading) in batch.readings.iter().enumerate() {
                let window = reading.time.div_euclid(size);
                let (start, end) = (window * size, window * size + size);
                let known = batch.fate.in_time.as_ref().map(|in_time| in_time[place]);
                let in_time = || in_time(log, &closed, topic.closed_until, partition, batch, reading);
                if !known.unwrap_or_else(in_time) {
                    *late.entry(window).or_default() += 1;
                    continue;
                }
                account.counted += 1;
                counted.push(*reading);
                if !batch.fate.is_kept(end) {
                    continue;
                }
                inside.entry(start).or_default().push(*reading);
                if !closed.contains_key(&start) {
                    expected.open.insert(start);
                    expected.refill.entry(partition).or_insert(batch.first);
                }
            }
            enter(log, account, partition, batch, late);
        }
    }
    expected.totals.sensors = sensors(&counted);
    expected.totals.groups = groups(&counted);
    for account in expected.accounts.values() {
        expected.totals.messages += account.read;
        expected.totals.counted += account.counted;
        expected.totals.late += account.late;
        account.rejected.iter().for_each(|(reason, count)| expected.totals.rejected.add(*reason, *count));
    }
    inside.retain(|start, _| closed.contains_key(start));
    let result = |readings: &Vec<Reading>| (readings.len() as u64, sensors(readings), groups(readings));
    expected.windows = inside.iter().map(|(start, readings)| (*start, result(readings))).collect();
    expected
}

/// Enters a batch into an account.
fn enter(log: &Log, account: &mut Account, partition: u32, batch: &Batch, late: BTreeMap<i64, u64>) {
    account.read += (batch.readings.len() + batch.rejected.len()) as u64;
    let mut rejected = BTreeMap::<Rejection, u64>::new();
    batch.rejected.iter().for_each(|reason| *rejected.entry(*reason).or_default() += 1);
    let records = late.values().chain(rejected.values()).sum::<u64>();
    if records > 0 {
        account.dead.push(DeadBatch {
            partition,
            range: SourceRange { first: batch.first, next: batch.reach },
            digest: Some(digest(&log.partial(batch))),
            late: late.keys().map(|window| isotherm_model::window::Window(*window)).collect(),
            records,
        });
    }
    for (window, count) in late {
        account.late += count;
        join(account.late_ranges.entry(window).or_default(), batch, count);
    }
    for (reason, count) in rejected {
        *account.rejected.entry(reason).or_default() += count;
        join(account.rejected_ranges.entry(reason).or_default(), batch, count);
    }
}

fn join(ranges: &mut Ranges, batch: &Batch, records: u64) {
    match ranges.last_mut() {
        Some((_, next, count)) if *next == batch.first => {
            *next = batch.reach;
            *count += records;
        }
        _ => ranges.push((batch.first, batch.reach, records)),
    }
}

/// Counts by reason as the project has them.
pub(super) fn by_reason(counts: &RejectedCounts) -> BTreeMap<Rejection, u64> {
    counts.iter().filter(|(_, count)| *count > 0).collect()
}

fn sensors(readings: &[Reading]) -> u64 {
    readings.iter().map(|reading| reading.sensor).collect::<BTreeSet<_>>().len() as u64
}

fn groups(readings: &[Reading]) -> Vec<GroupResult> {
    let mut by_name = BTreeMap::<&str, Vec<Reading>>::new();
    readings.iter().for_each(|reading| by_name.entry(reading.group).or_default().push(*reading));
    let result = |(group, readings): (&str, Vec<Reading>)| {
        let values = || readings.iter().map(|reading| reading.micros);
        let (sum, count) = (values().map(i128::from).sum::<i128>(), readings.len() as i128);
        GroupResult {
            group: group.to_owned(),
            messages: readings.len() as u64,
            sensors: sensors(&readings),
            sum,
            avg: Fixed::from_micros(half_even(sum, count)),
            min: Fixed::from_micros(values().min().expect("a group has a reading")),
            max: Fixed::from_micros(values().max().expect("a group has a reading")),
        }
    };
    by_name.into_iter().map(result).collect()
}

/// Of the integers around `sum / count` the nearer, of two as near the even one.
fn half_even(sum: i128, count: i128) -> i64 {
    let around = [sum / count - 1, sum / count, sum / count + 1];
    let off = |quotient: &i128| (quotient * count - sum).abs();
    let nearest = around.into_iter().min_by_key(|quotient| (off(quotient), quotient.rem_euclid(2)));
    i64::try_from(nearest.expect("three candidates")).expect("an average lies among the values")
}
