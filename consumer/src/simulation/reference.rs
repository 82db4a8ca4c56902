//! The plain reference: windows, totals and accounts, recomputed from the log with maps and sets. What became of each
//! reading is the book's (`book`); nothing of the materializer or the store.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_engine::results::{ClosedBy, GroupResult, Totals, WindowResult};
use isotherm_model::fixed::Fixed;
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Millis;

use super::book::{Book, Fate, Page};
use super::log::{Batch, Log, Reading};

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
    pub(super) restored: u64,
}

/// A partition's batches that were merged, with what became of their readings.
fn read<'a>(log: &'a Log, partition: u32, page: &'a Page) -> impl Iterator<Item = (&'a Batch, &'a [Fate])> {
    let batches = &log.partitions[partition as usize].batches;
    page.read.iter().map(|(index, fates)| (&batches[*index], &fates[..]))
}

/// All readings of any partition, with what became of them.
fn readings<'a>(log: &'a Log, book: &'a Book) -> impl Iterator<Item = (&'a Reading, Fate)> {
    let batches = book.pages.iter().flat_map(|(partition, page)| read(log, *partition, page));
    batches.flat_map(|(batch, fates)| batch.readings.iter().zip(fates.iter().copied()))
}

/// The window that ends then, as it closes now.
pub(super) fn window(log: &Log, book: &Book, end: Millis, closed_by: ClosedBy) -> WindowResult {
    let inside = readings(log, book).filter(|(reading, fate)| *fate == Fate::Counted && log.end_of(reading) == end);
    let inside: Vec<Reading> = inside.map(|(reading, _)| *reading).collect();
    WindowResult {
        start: end - log.window.millis(),
        end,
        closed_by,
        messages: inside.len() as u64,
        sensors: sensors(&inside),
        groups: groups(&inside),
        positions: book.merged(),
    }
}

/// The whole run so far.
pub(super) fn totals(log: &Log, book: &Book) -> Totals {
    let counted = readings(log, book).filter(|(_, fate)| *fate != Fate::Late).map(|(reading, _)| *reading);
    let counted: Vec<Reading> = counted.collect();
    let mut totals = Totals { sensors: sensors(&counted), groups: groups(&counted), ..Totals::default() };
    totals.counted = counted.len() as u64;
    totals.late = readings(log, book).filter(|(_, fate)| *fate == Fate::Late).count() as u64;
    for (batch, _) in book.pages.iter().flat_map(|(partition, page)| read(log, *partition, page)) {
        totals.messages += (batch.readings.len() + batch.rejected.len()) as u64;
        batch.rejected.iter().for_each(|reason| totals.rejected.count(*reason));
    }
    totals
}

/// Distinct sensors of the counted readings.
pub(super) fn distinct(log: &Log, book: &Book) -> u64 {
    let counted = readings(log, book).filter(|(_, fate)| *fate != Fate::Late);
    counted.map(|(reading, _)| reading.sensor).collect::<BTreeSet<_>>().len() as u64
}

/// The account of a partition.
pub(super) fn account(log: &Log, partition: u32, page: &Page) -> Account {
    let mut account = Account { restored: page.restored, ..Account::default() };
    for (batch, fates) in read(log, partition, page) {
        let mut late = BTreeMap::<i64, u64>::new();
        for (reading, fate) in batch.readings.iter().zip(fates) {
            match fate {
                Fate::Late => *late.entry(log.number_of(reading)).or_default() += 1,
                Fate::Counted | Fate::Lost => account.counted += 1,
            }
        }
        enter(&mut account, batch, late);
    }
    account
}

/// Enters a batch into an account.
fn enter(account: &mut Account, batch: &Batch, late: BTreeMap<i64, u64>) {
    account.read += (batch.readings.len() + batch.rejected.len()) as u64;
    let mut rejected = BTreeMap::<Rejection, u64>::new();
    batch.rejected.iter().for_each(|reason| *rejected.entry(*reason).or_default() += 1);
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
