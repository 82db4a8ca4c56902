//! Windows, totals and accounts, recomputed from batches and what became of their readings.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_engine::ledger;
use isotherm_engine::results::{ClosedBy, GroupResult, Totals, WindowResult};
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::Rejection;
use isotherm_model::time::Millis;

use super::log::{Batch, Log, Reading};

/// What became of an accepted reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It counts in the totals and in its window.
    Counted,
    /// Its window was closed.
    Late,
    /// It counts in the totals. Its window lacks it: the log had lost it when the window was restored.
    Lost,
}

/// A batch that was merged, with what became of each of its readings.
pub(crate) type Merged<'a> = (&'a Batch, &'a [Outcome]);

/// The first offset, the offset after the last record, and how many records of the kind, by range.
pub(crate) type Ranges = Vec<(i64, i64, u64)>;

/// One partition's account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) read: u64,
    pub(crate) counted: u64,
    pub(crate) late: u64,
    pub(crate) rejected: BTreeMap<Rejection, u64>,
    pub(crate) late_ranges: BTreeMap<i64, Ranges>,
    pub(crate) rejected_ranges: BTreeMap<Rejection, Ranges>,
    pub(crate) restored: u64,
}

fn readings<'a>(merged: impl Iterator<Item = Merged<'a>>) -> impl Iterator<Item = (&'a Reading, Outcome)> {
    merged.flat_map(|(batch, outcomes)| batch.readings.iter().zip(outcomes.iter().copied()))
}

/// The window with this end.
pub(crate) fn window<'a>(
    log: &Log,
    merged: impl Iterator<Item = Merged<'a>>,
    end: Millis,
    closed_by: ClosedBy,
    positions: Vec<(PartitionId, i64)>,
) -> WindowResult {
    let inside = readings(merged)
        .filter(|(reading, outcome)| *outcome == Outcome::Counted && log.end_of(reading) == end)
        .map(|(reading, _)| *reading);
    let inside: Vec<Reading> = inside.collect();
    WindowResult {
        start: end - log.window.millis(),
        end,
        closed_by,
        messages: inside.len() as u64,
        sensors: sensors(&inside),
        groups: groups(&inside),
        positions,
    }
}

/// The totals of everything that was merged.
pub(crate) fn totals<'a>(merged: impl Iterator<Item = Merged<'a>> + Clone) -> Totals {
    let (late, counted): (Vec<_>, Vec<_>) =
        readings(merged.clone()).partition(|(_, outcome)| *outcome == Outcome::Late);
    let counted: Vec<Reading> = counted.into_iter().map(|(reading, _)| *reading).collect();
    let mut totals = Totals { sensors: sensors(&counted), groups: groups(&counted), ..Totals::default() };
    (totals.counted, totals.late) = (counted.len() as u64, late.len() as u64);
    for (batch, _) in merged {
        totals.messages += batch.records();
        batch.rejected.iter().for_each(|reason| totals.rejected.count(*reason));
    }
    totals
}

/// The account of a partition.
pub(crate) fn account<'a>(log: &Log, merged: impl Iterator<Item = Merged<'a>>, restored: u64) -> Account {
    let mut account = Account { restored, ..Account::default() };
    for (batch, outcomes) in merged {
        let mut late = BTreeMap::<i64, u64>::new();
        for (reading, outcome) in batch.readings.iter().zip(outcomes) {
            match outcome {
                Outcome::Late => *late.entry(log.number_of(reading)).or_default() += 1,
                Outcome::Counted | Outcome::Lost => account.counted += 1,
            }
        }
        account.read += batch.records();
        for (window, records) in late {
            account.late += records;
            join(account.late_ranges.entry(window).or_default(), batch, records);
        }
        let mut rejected = BTreeMap::<Rejection, u64>::new();
        batch.rejected.iter().for_each(|reason| *rejected.entry(*reason).or_default() += 1);
        for (reason, records) in rejected {
            *account.rejected.entry(reason).or_default() += records;
            join(account.rejected_ranges.entry(reason).or_default(), batch, records);
        }
    }
    account
}

/// Adds a batch to ranges; it joins the last one if it begins where that ends.
fn join(ranges: &mut Ranges, batch: &Batch, records: u64) {
    match ranges.last_mut() {
        Some((_, next, count)) if *next == batch.first => {
            *next = batch.records_end;
            *count += records;
        }
        _ => ranges.push((batch.first, batch.records_end, records)),
    }
}

impl From<&ledger::Account> for Account {
    /// The engine's account in the reference's terms.
    fn from(account: &ledger::Account) -> Self {
        let mut plain = Self {
            read: account.read,
            counted: account.counted,
            late: account.late,
            rejected: account.rejected.iter().filter(|(_, count)| *count > 0).collect(),
            restored: account.restored,
            ..Self::default()
        };
        for range in account.late_ranges.listed() {
            let ranges = plain.late_ranges.entry(range.key.0).or_default();
            ranges.push((range.range.first, range.range.next, range.records));
        }
        for range in account.rejected_ranges.listed() {
            let ranges = plain.rejected_ranges.entry(range.key).or_default();
            ranges.push((range.range.first, range.range.next, range.records));
        }
        plain
    }
}

/// How many sensors these readings are of.
fn sensors(readings: &[Reading]) -> u64 {
    readings.iter().map(|reading| reading.sensor).collect::<BTreeSet<_>>().len() as u64
}

/// The results of these readings by group.
pub(crate) fn groups(readings: &[Reading]) -> Vec<GroupResult> {
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

/// The integer nearest to `sum / count`; of two that are equally near, the even one.
fn half_even(sum: i128, count: i128) -> i64 {
    let around = [sum / count - 1, sum / count, sum / count + 1];
    let off = |quotient: &i128| (quotient * count - sum).abs();
    let nearest = around.into_iter().min_by_key(|quotient| (off(quotient), quotient.rem_euclid(2)));
    i64::try_from(nearest.expect("three candidates")).expect("an average lies among the values")
}
