//! Partials that no batch gives, however well-formed their bytes are.

use super::NO_TIMESTAMP;
use crate::partial::{Aggregate, Cell, CellKey, Partial, SourceRange};
use crate::rejection::{RejectedHash, Rejection};
use crate::schema::ValueRange;
use crate::stats::Stats;
use crate::time::{self, Millis};
use crate::window::Window;

/// Why no batch gives such a partial.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("offsets from {first} that begin below 0, end before they begin, or end beyond 63 bits")]
    Source { first: i64 },
    #[error("a base timestamp of {0} ms, which is not above 0")]
    BaseTimestamp(Millis),
    #[error("reasons of rejections that are out of order, repeated, or count nothing")]
    Reasons,
    #[error("a hash of rejected records, of which there are none")]
    RejectedHash,
    #[error("{records} records in {offsets} offsets")]
    Crowded { records: u64, offsets: u64 },
    #[error("{records} records, but {counted} counted and {rejected} rejected")]
    Account { records: u64, counted: u128, rejected: u128 },
    #[error("a newest time without an accepted reading, or an accepted reading without a newest time")]
    Newest,
    /// It would close every window for good.
    #[error("a newest time of {0} ms, beyond the year 9998, the last one of event times")]
    NewestBeyond(Millis),
    #[error("window {}, which holds no event time", .0.0)]
    NoSuchWindow(Window),
    #[error("window {} without a cell", .0.0)]
    EmptyWindow(Window),
    #[error("a window beyond the number {}", .0.0)]
    WindowBeyond(Window),
    #[error("a list of statistics that lacks one, or is out of order")]
    Statistics,
    #[error("the group `{0}`, which is out of order or repeated")]
    GroupOrder(Box<str>),
    #[error("the group `{0}`, which no cell refers to")]
    UnusedGroup(Box<str>),
    #[error("a cell of a group that is not listed")]
    NoSuchGroup,
    #[error("a cell of `{0}` that counts nothing")]
    NothingCounted(Box<str>),
    #[error("a cell of `{0}` whose min, max and sum contradict each other or the widest range")]
    Values(Box<str>),
    #[error("a cell of `{0}` whose sensors are out of order, repeated, none, or more than its readings")]
    Sensors(Box<str>),
}

/// Whether a batch can give this partial.
pub(super) fn partial(partial: &Partial) -> Result<(), Fault> {
    let SourceRange { first, next } = partial.source;
    let Aggregate { records, newest, rejected, cells } = &partial.aggregate;
    if first < 0 || next < first {
        return Err(Fault::Source { first });
    }
    if let Some(timestamp) = partial.base_timestamp.filter(|timestamp| *timestamp <= NO_TIMESTAMP) {
        return Err(Fault::BaseTimestamp(timestamp));
    }
    let offsets = next.wrapping_sub(first).cast_unsigned();
    if *records > offsets {
        return Err(Fault::Crowded { records: *records, offsets });
    }
    let mut counted = 0_u128;
    for (key, cell) in cells {
        self::cell(key, cell)?;
        counted += u128::from(cell.stats.count);
    }
    let rejected = Rejection::ALL.iter().map(|reason| u128::from(rejected.get(*reason))).sum();
    if counted + rejected != u128::from(*records) {
        return Err(Fault::Account { records: *records, counted, rejected });
    }
    if rejected == 0 && partial.rejected_hash != RejectedHash::NONE {
        return Err(Fault::RejectedHash);
    }
    if newest.is_some() != (counted > 0) {
        return Err(Fault::Newest);
    }
    // There is no lower bound: a reading counts for at most its record's log timestamp, which can be any.
    match *newest {
        Some(newest) if newest >= time::END => Err(Fault::NewestBeyond(newest)),
        _ => Ok(()),
    }
}

/// Whether readings can give this cell.
fn cell(key: &CellKey, cell: &Cell) -> Result<(), Fault> {
    let Stats { count, sum, min, max } = cell.stats;
    // Windows of 1 ms, the shortest, are numbered by their instants; longer ones have numbers nearer to 0.
    if !(time::FIRST..time::END).contains(&key.window.0) {
        return Err(Fault::NoSuchWindow(key.window));
    }
    if count == 0 {
        return Err(Fault::NothingCounted(key.group.clone()));
    }
    let reach = -ValueRange::LIMIT.micros()..=ValueRange::LIMIT.micros();
    let (min, max) = (min.micros(), max.micros());
    // 2⁶⁴ values of 64 bits: neither product leaves 128 bits.
    let (min_sum, max_sum) = (i128::from(count) * i128::from(min), i128::from(count) * i128::from(max));
    if min > max || !reach.contains(&min) || !reach.contains(&max) || !(min_sum..=max_sum).contains(&sum) {
        return Err(Fault::Values(key.group.clone()));
    }
    let sensors = &cell.sensors;
    if sensors.is_empty() || sensors.len() as u64 > count || !sensors.is_sorted_by(|a, b| a < b) {
        return Err(Fault::Sensors(key.group.clone()));
    }
    Ok(())
}
