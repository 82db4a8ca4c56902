//! Chunks: which of the oldest dead batches are sent and settled together, and which may have been sent and not settled.

use std::collections::BTreeMap;

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::time::Millis;
use isotherm_model::window::WindowSize;
use isotherm_store::{LostBatch, LostCause};

use super::letter::{Known, Letter, Origin};

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many batches are taken from the outbox.
    pub batches: u64,
    /// How many late and rejected records are sent and settled together, unless a single batch holds more. A later version
    /// with less would look for less than this one may have sent.
    pub letters: u64,
    /// How many bytes of values are, likewise.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { batches: 256, letters: 10_000, bytes: 8 << 20 }
    }
}

/// What may have been sent and not been settled, and what stood in the topic when that was read back.
///
/// A chunk that is sent begins with the oldest batch of the outbox, and ends at the latest with the one that makes
/// [`Bounds::letters`] full, by the records that the outbox tells: whether all of them are still to be had changes nothing. The
/// outbox loses batches at its beginning only, and gains them at its end only. So whatever was sent, ever, and not settled
/// lies within these batches, unless the store has gone back to an earlier commit. Then letters that were settled before wait
/// once more, of any batch; so whatever else is in the tail is kept as well, until its batch is settled again.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// Late and rejected records in these batches.
    pub(super) records: u64,
    /// Of each partition that has batches here, where the first of them begins: in each partition they ascend, so that nothing
    /// before it comes again.
    firsts: BTreeMap<PartitionId, i64>,
    there: There,
}

/// Letters of this run that stand in the topic, as far as their batches may be to settle: by partition and offset, and of a
/// late reading the start of its window. Of each partition of the topic of dead letters at most as many as are read back.
pub(super) type There = BTreeMap<PartitionId, BTreeMap<i64, Option<Millis>>>;

impl Unsettled {
    /// Of the oldest batches of the outbox.
    pub(super) fn of(dead: &[(u64, DeadBatch)], bounds: &Bounds) -> Self {
        let mut unsettled = Self::default();
        for (_, batch) in dead {
            unsettled.firsts.entry(batch.partition).or_insert(batch.range.first);
            if unsettled.records < bounds.letters {
                unsettled.records = unsettled.records.saturating_add(batch.records);
            }
        }
        unsettled
    }

    /// This letter is in the topic.
    pub(super) fn note(&mut self, Known { origin: Origin { partition, offset }, window }: Known) {
        if self.firsts.get(&partition).is_none_or(|first| *first <= offset) {
            self.there.entry(partition).or_default().insert(offset, window);
        }
    }

    /// Whether the letter of this record stood in the topic.
    pub(super) fn holds(&self, Origin { partition, offset }: Origin) -> bool {
        self.there.get(&partition).is_some_and(|there| there.contains_key(&offset))
    }

    /// How many letters of this batch were in the topic. What was late when it was sent, and counts now, is none of them.
    pub(super) fn copied(&self, batch: &DeadBatch, size: WindowSize) -> u64 {
        let SourceRange { first, next } = batch.range;
        let Some(there) = self.there.get(&batch.partition).filter(|_| first < next) else {
            return 0;
        };
        let is_dead = |window: &Option<Millis>| match window {
            None => true,
            Some(start) => batch.late.binary_search(&size.window_of(*start)).is_ok(),
        };
        there.range(first..next).filter(|(_, window)| is_dead(window)).count() as u64
    }

    /// These batches up to this number are settled: what was read back of them is of no use any more.
    pub(super) fn settled(&mut self, dead: &[(u64, DeadBatch)], last: u64) {
        let mut ends = BTreeMap::new();
        for (_, batch) in dead.iter().take_while(|(number, _)| *number <= last) {
            ends.insert(batch.partition, batch.range.next);
        }
        for (partition, next) in ends {
            if let Some(there) = self.there.get_mut(&partition) {
                *there = there.split_off(&next);
            }
        }
    }
}

/// Some of the oldest batches.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The number of the last of them; `None` if there are none.
    pub(super) last: Option<u64>,
    pub(super) letters: Vec<Letter>,
    /// Those that the log no longer holds, batch by batch.
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

    /// A batch that has been cut, of which `copied` letters had been sent before.
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
