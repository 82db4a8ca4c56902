//! Chunks: which of the oldest dead batches are sent and settled together, and which may have been sent and not settled.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::partial::SourceRange;

use super::letter::{Letter, Origin};
use crate::materializer::event::PartitionId;
use crate::store::DeadBatch;
use crate::store::sqlite::{LostBatch, LostCause};

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// How many batches are taken from the outbox.
    pub(crate) batches: u64,
    /// How many late and rejected records are sent and settled together, unless a single batch holds more. A later version
    /// with less would look for less than this one may have sent.
    pub(crate) letters: u64,
    /// How many bytes of values are, likewise.
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { batches: 256, letters: 10_000, bytes: 8 << 20 }
    }
}

/// The batches that may have been sent and not been settled, and what of them is in the topic.
///
/// A chunk that is sent begins with the oldest batch of the outbox, and ends at the latest with the one that makes
/// [`Bounds::letters`] full, by the records that the outbox tells: whether all of them are still to be had changes nothing. The
/// outbox loses batches at its beginning only, and gains them at its end only. So whatever was sent, ever, and not settled
/// lies within these batches.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// By partition and first offset, the offset after them.
    ranges: BTreeMap<PartitionId, BTreeMap<i64, i64>>,
    /// Late and rejected records in them.
    pub(super) records: u64,
    /// The number of the last of them.
    last: u64,
    /// Their letters that stood in the topic when that was read back.
    pub(super) there: BTreeSet<Origin>,
}

impl Unsettled {
    /// Of the oldest batches of the outbox.
    pub(super) fn of(dead: &[(u64, DeadBatch)], bounds: &Bounds) -> Self {
        let mut unsettled = Self::default();
        for (number, batch) in dead {
            let DeadBatch { partition, range, records, .. } = batch;
            unsettled.ranges.entry(*partition).or_default().insert(range.first, range.next);
            (unsettled.records, unsettled.last) = (unsettled.records.saturating_add(*records), *number);
            if unsettled.records >= bounds.letters {
                break;
            }
        }
        unsettled
    }

    /// Whether a record stands in one of them.
    pub(super) fn hold(&self, Origin { partition, offset }: Origin) -> bool {
        let before = self.ranges.get(&partition).and_then(|ranges| ranges.range(..=offset).next_back());
        before.is_some_and(|(_, next)| offset < *next)
    }

    /// How many letters of this batch stood in the topic.
    pub(super) fn copied(&self, batch: &DeadBatch) -> u64 {
        let at = |offset| Origin { partition: batch.partition, offset };
        let SourceRange { first, next } = batch.range;
        if first < next { self.there.range(at(first)..at(next)).count() as u64 } else { 0 }
    }

    /// The batches up to this number are settled: what was read back of them is of no use any more.
    pub(super) fn settled(&mut self, last: u64) {
        if last >= self.last {
            self.there.clear();
        }
    }
}

/// Some of the oldest batches.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The number of the last of them; `None` if there are none.
    pub(super) last: Option<u64>,
    pub(super) letters: Vec<Letter>,
    /// Those that the log no longer holds.
    pub(super) lost: Vec<LostBatch>,
    /// Records that lost batches hold, and that had been copied before.
    pub(super) known: u64,
    records: u64,
    bytes: usize,
}

impl Chunk {
    /// A batch of which these letters came.
    pub(super) fn add(&mut self, number: u64, batch: &DeadBatch, letters: Vec<Letter>) {
        self.last = Some(number);
        self.records = self.records.saturating_add(batch.records);
        self.bytes = letters.iter().fold(self.bytes, |sum, letter| sum.saturating_add(letter.value.len()));
        self.letters.extend(letters);
    }

    /// A batch that has been cut, of which so many letters had been copied before.
    pub(super) fn lose(&mut self, number: u64, batch: &DeadBatch, copied: u64) {
        self.last = Some(number);
        // As if its letters were here: else a chunk could reach beyond what is looked for after a crash.
        self.records = self.records.saturating_add(batch.records);
        self.known = self.known.saturating_add(copied.min(batch.records));
        let records = batch.records.saturating_sub(copied);
        if records > 0 {
            self.lost.push(LostBatch {
                partition: batch.partition,
                cause: LostCause::Cut,
                range: batch.range,
                records,
            });
        }
    }

    /// Whether no more is sent with it.
    pub(super) fn is_full(&self, bounds: &Bounds) -> bool {
        self.records >= bounds.letters || self.bytes >= bounds.bytes
    }

    /// Of each partition of which something is lost: from the first to the last of it, and how many letters.
    pub(super) fn losses(&self) -> Vec<LostBatch> {
        let mut losses = BTreeMap::<PartitionId, LostBatch>::new();
        for lost in &self.lost {
            let sum = losses.entry(lost.partition).or_insert(LostBatch { records: 0, ..*lost });
            sum.range.first = sum.range.first.min(lost.range.first);
            sum.range.next = sum.range.next.max(lost.range.next);
            sum.records = sum.records.saturating_add(lost.records);
        }
        losses.into_values().collect()
    }
}
