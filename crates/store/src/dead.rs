//! The outbox as rows: batches with late or rejected records that have to be copied to the dead letters, and the offsets of
//! those that could not be copied.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::window::Window;
use rusqlite::types::ValueRef;

use super::column::{
    Malformed, Numbers, blob, count, int, of_count, of_optional, optional, put_ascending, small, text,
};
use super::row::Table;
use crate::error::DbError;

pub(super) const DEAD: Table<7> =
    Table { name: "dead", columns: ["id", "partition", "first", "next", "digest", "late", "records"] };

pub(super) const LOST: Table<7> =
    Table { name: "dead_lost", columns: ["id", "partition", "cause", "first", "next", "batches", "records"] };

/// Why letters could not be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LostCause {
    /// The log's retention had deleted their records before.
    Cut,
    /// The broker of the topic of dead letters took none so large.
    TooLarge,
}

impl LostCause {
    /// In reports and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::TooLarge => "too-large",
        }
    }
}

/// Letters of a batch that could not be copied, all of them for the same cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostBatch {
    pub partition: PartitionId,
    pub cause: LostCause,
    /// The batch's offsets.
    pub range: SourceRange,
    /// How many of its late and rejected records could not be copied.
    pub records: u64,
}

/// The offsets of a batch whose letters could not be copied, or of neighbouring ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRange {
    pub partition: PartitionId,
    pub cause: LostCause,
    /// From the first of these batches to the last.
    pub range: SourceRange,
    /// How many they are.
    pub batches: u64,
    /// How many late and rejected records of these could not be copied.
    pub records: u64,
}

/// Joins what is lost of batches that follow each other, for the same cause. `done` are the batches that leave the
/// outbox, the lost ones among them, by partition and first offset: a range ends where one was copied, or was lost for another
/// cause.
pub(super) fn join(lost: &[LostBatch], done: &BTreeSet<(PartitionId, i64)>) -> Vec<LostRange> {
    let mut ranges: Vec<LostRange> = Vec::new();
    let mut open: BTreeMap<(PartitionId, LostCause), usize> = BTreeMap::new();
    for LostBatch { partition, cause, range, records } in lost {
        let last = open.get(&(*partition, *cause)).and_then(|place| ranges.get_mut(*place));
        let follows = |last: &&mut LostRange| {
            let between = (*partition, last.range.next)..(*partition, range.first.max(last.range.next));
            range.first >= last.range.next && done.range(between).next().is_none()
        };
        match last.filter(follows) {
            Some(last) => {
                last.range.next = range.next;
                last.batches = last.batches.saturating_add(1);
                last.records = last.records.saturating_add(*records);
            }
            None => {
                open.insert((*partition, *cause), ranges.len());
                let (partition, cause, range, records) = (*partition, *cause, *range, *records);
                ranges.push(LostRange { partition, cause, range, batches: 1, records });
            }
        }
    }
    ranges
}

/// What of a partition is in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Batches that are still to be copied to the dead letters.
    pub batches: u64,
    /// Late and rejected records in them.
    pub records: u64,
}

/// The row of a dead batch; `late` is room for its windows.
pub(super) fn encode<'a>(id: u64, batch: &DeadBatch, late: &'a mut Vec<u8>) -> [ValueRef<'a>; 7] {
    late.clear();
    put_ascending(late, &batch.late, |window| window.0, |_, _| ());
    [
        of_count(id),
        ValueRef::Integer(i64::from(batch.partition)),
        ValueRef::Integer(batch.range.first),
        ValueRef::Integer(batch.range.next),
        of_optional(batch.digest.map(u64::cast_signed)),
        ValueRef::Blob(late),
        of_count(batch.records),
    ]
}

pub(super) fn decode(values: [ValueRef<'_>; 7]) -> Result<(u64, DeadBatch), DbError> {
    let decoded = |[id, partition, first, next, digest, late, records]: [ValueRef<'_>; 7]| {
        let range = SourceRange { first: int(first)?, next: int(next)? };
        let late = Numbers(blob(late)?).ascending(|window, _| Ok(Window(window)))?;
        let records = count(records)?;
        let digest = optional(digest)?.map(i64::cast_unsigned);
        Ok((count(id)?, DeadBatch { partition: small(partition)?, range, digest, late, records }))
    };
    decoded(values).map_err(DEAD.malformed())
}

pub(super) fn encode_lost(id: u64, lost: &LostRange) -> [ValueRef<'static>; 7] {
    [
        of_count(id),
        ValueRef::Integer(i64::from(lost.partition)),
        ValueRef::Text(lost.cause.name().as_bytes()),
        ValueRef::Integer(lost.range.first),
        ValueRef::Integer(lost.range.next),
        of_count(lost.batches),
        of_count(lost.records),
    ]
}

pub(super) fn decode_lost(values: [ValueRef<'_>; 7]) -> Result<LostRange, DbError> {
    let decoded = |[_, partition, cause, first, next, batches, records]: [ValueRef<'_>; 7]| {
        let cause = text(cause)?;
        let cause = [LostCause::Cut, LostCause::TooLarge].into_iter().find(|one| one.name() == cause);
        let cause = cause.ok_or(Malformed)?;
        let range = SourceRange { first: int(first)?, next: int(next)? };
        let (batches, records) = (count(batches)?, count(records)?);
        Ok(LostRange { partition: small(partition)?, cause, range, batches, records })
    };
    decoded(values).map_err(LOST.malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(partition: PartitionId, cause: LostCause, first: i64, next: i64) -> LostBatch {
        LostBatch { partition, cause, range: SourceRange { first, next }, records: 2 }
    }

    fn joined(lost: &[LostBatch], done: &[(PartitionId, i64)]) -> Vec<(PartitionId, i64, i64, u64)> {
        let ranges = join(lost, &done.iter().copied().collect());
        assert_eq!(ranges.iter().map(|range| range.records).sum::<u64>(), 2 * lost.len() as u64);
        ranges.iter().map(|lost| (lost.partition, lost.range.first, lost.range.next, lost.batches)).collect()
    }

    #[test]
    fn what_was_cut_is_one_range_until_a_batch_was_copied() {
        use LostCause::Cut;
        // Batches without dead records lie between; of two partitions by stepper.
        let cut =
            [lost(0, Cut, 0, 5), lost(1, Cut, 7, 9), lost(0, Cut, 10, 20), lost(1, Cut, 9, 11), lost(0, Cut, 30, 31)];
        let all = [(0, 0), (1, 7), (0, 10), (1, 9), (0, 30)];
        assert_eq!(joined(&cut, &all), [(0, 0, 31, 3), (1, 7, 11, 2)]);
        // One of the same partition stood between the last two, and was copied; one of another says nothing.
        let copied = [&all[..], &[(0, 25), (2, 12)]].concat();
        assert_eq!(joined(&cut, &copied), [(0, 0, 20, 2), (1, 7, 11, 2), (0, 30, 31, 1)]);
        // One behind them, or before, is not between.
        let around = [&all[..], &[(0, 31), (1, 3)]].concat();
        assert_eq!(joined(&cut, &around), joined(&cut, &all));
        assert_eq!(joined(&[], &all), []);
    }

    #[test]
    fn batches_with_what_is_too_large_are_one_range_until_another_one_stood_between() {
        use LostCause::{Cut, TooLarge};
        let large = [lost(0, TooLarge, 4, 6), lost(0, TooLarge, 8, 9), lost(0, Cut, 9, 12), lost(0, TooLarge, 12, 13)];
        let all = [(0, 4), (0, 8), (0, 9), (0, 12)];
        assert_eq!(joined(&large, &all), [(0, 4, 9, 2), (0, 9, 12, 1), (0, 12, 13, 1)]);
        // One that was copied.
        let copied = [&all[..], &[(0, 6)]].concat();
        assert_eq!(joined(&large, &copied), [(0, 4, 6, 1), (0, 8, 9, 1), (0, 9, 12, 1), (0, 12, 13, 1)]);
        // A log that was read again from its beginning, which no run does, joins nothing.
        assert_eq!(joined(&[lost(0, Cut, 9, 12), lost(0, Cut, 0, 9)], &[]), [(0, 9, 12, 1), (0, 0, 9, 1)]);
    }
}
