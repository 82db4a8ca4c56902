//! What a run must have come to by now, kept by the simulation from what was handed over and was not refused: how far each
//! partition has been merged, what became of each reading, which windows are open, closed and kept. A commit is a copy
//! of it. Nothing in it is taken from the materializer or the store.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::ledger::DataLoss;
use isotherm_engine::results::{ClosedBy, WindowResult};
use isotherm_engine::state::LastBatch;
use isotherm_model::partial::SourceRange;
use isotherm_model::window::Millis;

use super::log::{Batch, Log, digest};
use super::reference;

/// What became of an accepted reading of a batch that was merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts in totals and in its window.
    Counted,
    /// Its window was closed.
    Late,
    /// It counts in totals; its window lacks it, since the log had lost it when that was filled again.
    Lost,
}

/// A batch with late or rejected records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) partition: u32,
    pub(super) first: i64,
    pub(super) next: i64,
    pub(super) digest: u64,
    /// The windows that readings are late for.
    pub(super) late: Vec<i64>,
    pub(super) records: u64,
}

/// A partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) start: i64,
    pub(super) merged: i64,
    /// Where open windows began when this was committed last, or where the log began when that was later.
    pub(super) refill: i64,
    pub(super) watermark: Option<Millis>,
    pub(super) last: Option<LastBatch>,
    /// By its place in the log, each batch with records that was merged: what became of its readings.
    pub(super) read: BTreeMap<usize, Rc<[Fate]>>,
    /// Records that were read again.
    pub(super) restored: u64,
    pub(super) gaps: Vec<DataLoss>,
    /// Whether no life before this one knew it.
    fresh: bool,
}

impl Page {
    /// Where a life that begins with this reads on.
    pub(super) fn resume(&self) -> i64 {
        self.last.map_or(self.refill, |last| self.refill.min(last.first))
    }
}

/// See the module's text.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    /// How many commits it took.
    pub(super) commits: u64,
    /// How many partitions there were when the run began, if they have been listed.
    pub(super) began: Option<u32>,
    pub(super) watermark: Option<Millis>,
    pub(super) closed_until: Option<Millis>,
    pub(super) pages: BTreeMap<u32, Page>,
    /// By its end, each window that is open; by partition, the first batch that readings in it came in.
    pub(super) open: BTreeMap<Millis, BTreeMap<u32, i64>>,
    /// By its start, each window that is closed and kept.
    pub(super) windows: BTreeMap<Millis, Rc<WindowResult>>,
    /// The starts of those that retention has dropped.
    pub(super) dropped: BTreeSet<Millis>,
    /// The outbox.
    pub(super) dead: Vec<Dead>,
    /// Whether a store may still say that something is open that the log has lost.
    pub(super) vague: bool,
}

impl Book {
    /// As it is when a life begins with it.
    pub(super) fn resumed(&self) -> Self {
        let mut book = self.clone();
        book.pages.values_mut().for_each(|page| page.fresh = false);
        book
    }

    /// By partition, how far it has been merged.
    pub(super) fn merged(&self) -> Vec<(u32, i64)> {
        self.pages.iter().map(|(partition, page)| (*partition, page.merged)).collect()
    }

    /// The newest event time of any partition.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.pages.values().filter_map(|page| page.watermark).max()
    }

    /// A partition is read from `position` on: for the first time in this life, or again.
    pub(super) fn attach(&mut self, log: &Log, partition: u32, position: i64, first: bool) {
        let known = self.pages.contains_key(&partition);
        let page = self.pages.entry(partition).or_default();
        if !known || page.fresh && page.last.is_none() && page.merged == page.start {
            (page.start, page.merged, page.refill, page.fresh) = (position, position, position, true);
        } else if first {
            let (resume, lacks) = (page.resume(), page.refill < position);
            if lacks {
                let unread = u64::try_from(position - page.merged).unwrap_or(0);
                page.gaps.push(DataLoss { range: SourceRange { first: resume, next: position }, lost: unread });
            }
            page.refill = page.refill.max(position);
            page.merged = page.merged.max(position);
            page.last = page.last.filter(|last| last.first >= position);
            if lacks {
                self.lose(log, partition, position);
            }
        }
    }

    /// What stands before `position` does not come again: windows that are open lack it from now on.
    fn lose(&mut self, log: &Log, partition: u32, position: i64) {
        let (batches, until) = (&log.partitions[partition as usize].batches, self.closed_until);
        for (index, fates) in &mut self.pages.entry(partition).or_default().read {
            let batch = &batches[*index];
            if batch.first < position {
                let fate = |(reading, fate): (&super::log::Reading, &Fate)| match fate {
                    Fate::Counted if is_open(log.end_of(reading), until) => Fate::Lost,
                    fate => *fate,
                };
                *fates = batch.readings.iter().zip(fates.iter()).map(fate).collect();
            }
        }
        self.vague = true;
        self.open.clear();
        for (partition, page) in &self.pages {
            for (index, fates) in &page.read {
                let batch = &log.partitions[*partition as usize].batches[*index];
                note_open(&mut self.open, log, *partition, batch, fates, until);
            }
        }
    }

    /// A batch is read again that was merged before.
    pub(super) fn replay(&mut self, partition: u32, records: u64) {
        self.pages.entry(partition).or_default().restored += records;
    }

    /// A batch is merged; with `letters` it goes to the outbox if it has to.
    pub(super) fn merge(&mut self, log: &Log, partition: u32, source: SourceRange, digest: u64, letters: bool) {
        let page = self.pages.entry(partition).or_default();
        page.merged = source.next;
        if source.next == source.first {
            return;
        }
        let batches = &log.partitions[partition as usize].batches;
        let found = batches.iter().position(|batch| batch.first == source.first && batch.reach == source.next);
        let index = found.expect("only what is in the log is merged");
        let (batch, until) = (&batches[index], self.closed_until);
        let fate = |reading| if is_open(log.end_of(reading), until) { Fate::Counted } else { Fate::Late };
        let fates: Rc<[Fate]> = batch.readings.iter().map(fate).collect();
        page.watermark = page.watermark.max(batch.readings.iter().map(|reading| reading.heard).max());
        page.last = Some(LastBatch { first: source.first, digest });
        note_open(&mut self.open, log, partition, batch, &fates, until);
        if letters {
            self.dead.extend(dead(log, partition, batch, &fates));
        }
        let before = page.read.insert(index, fates);
        assert!(before.is_none(), "a batch of p{partition} was merged twice: {source:?}");
    }

    /// No record stands before `next`.
    pub(super) fn skip(&mut self, partition: u32, next: i64) {
        let page = self.pages.entry(partition).or_default();
        page.merged = page.merged.max(next);
    }

    /// All that ends until then closes; ascending by start.
    pub(super) fn close(&mut self, log: &Log, until: Option<Millis>, by: ClosedBy) -> Vec<Rc<WindowResult>> {
        self.closed_until = self.closed_until.max(until);
        let open = self.open.split_off(&self.closed_until.map_or(Millis::MIN, |until| until + 1));
        let closing = std::mem::replace(&mut self.open, open);
        let closed: Vec<_> = closing.into_keys().map(|end| Rc::new(reference::window(log, self, end, by))).collect();
        self.windows.extend(closed.iter().map(|window| (window.start, Rc::clone(window))));
        closed
    }

    /// It is committed, in a life that keeps closed windows for so long. `settled` are the partitions of which this life has
    /// read again what it had to.
    pub(super) fn commit(&mut self, keep: Option<Duration>, settled: impl Fn(u32) -> bool) {
        self.commits += 1;
        self.vague &= !self.pages.keys().all(|partition| settled(*partition));
        for (partition, page) in &mut self.pages {
            if settled(*partition) {
                let firsts = self.open.values().filter_map(|firsts| firsts.get(partition));
                page.refill = firsts.min().copied().unwrap_or(page.merged);
            }
        }
        if let Some((newest, keep)) = self.windows.values().next_back().map(|newest| newest.end).zip(keep) {
            let oldest = newest - i64::try_from(keep.as_millis()).expect("windows are not kept for long");
            self.dropped.extend(self.windows.values().filter(|window| window.end < oldest).map(|window| window.start));
            self.windows.retain(|_, window| window.end >= oldest);
        }
    }
}

fn is_open(end: Millis, until: Option<Millis>) -> bool {
    until.is_none_or(|until| end > until)
}

fn note_open(
    open: &mut BTreeMap<Millis, BTreeMap<u32, i64>>,
    log: &Log,
    partition: u32,
    batch: &Batch,
    fates: &[Fate],
    until: Option<Millis>,
) {
    for (reading, fate) in batch.readings.iter().zip(fates) {
        let end = log.end_of(reading);
        if *fate == Fate::Counted && is_open(end, until) {
            open.entry(end).or_default().entry(partition).or_insert(batch.first);
        }
    }
}

/// What the outbox must say of a batch, if anything.
fn dead(log: &Log, partition: u32, batch: &Batch, fates: &[Fate]) -> Option<Dead> {
    let late = batch.readings.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Late);
    let windows: BTreeSet<i64> = late.clone().map(|(reading, _)| log.number_of(reading)).collect();
    let records = (late.count() + batch.rejected.len()) as u64;
    let (first, next, late) = (batch.first, batch.reach, windows.into_iter().collect());
    (records > 0).then(|| Dead { partition, first, next, digest: digest(&log.partial(batch)), late, records })
}
