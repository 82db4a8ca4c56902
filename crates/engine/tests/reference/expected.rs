//! What a run must have come to, from the events that it accepted: how far each partition is processed, what became of each reading,
//! and which windows are open, closed and kept. A commit is a copy of it. Nothing in it comes from the materializer or a store.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::ledger::DataLoss;
use isotherm_engine::results::{ClosedBy, Totals, WindowResult};
use isotherm_engine::state::LastBatch;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::time::Millis;

use super::log::{Batch, Log, digest};
use super::results::{self, Account, Merged, Outcome};

/// A batch with late or rejected records, as a commit hands it to the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedDeadBatch {
    pub(crate) partition: PartitionId,
    pub(crate) range: SourceRange,
    pub(crate) digest: u64,
    /// The numbers of the windows that readings are late for.
    pub(crate) late: Vec<i64>,
    pub(crate) records: u64,
}

/// One partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectedPartition {
    pub(crate) start: i64,
    pub(crate) position: i64,
    /// Where open windows began at the last commit, or where the log began if that was later.
    pub(crate) restore_from: i64,
    pub(crate) watermark: Option<Millis>,
    pub(crate) last: Option<LastBatch>,
    /// By its place in the log, what became of the readings of each merged batch that has records.
    merged: BTreeMap<usize, Rc<[Outcome]>>,
    /// Records that were read again.
    restored: u64,
    pub(crate) data_losses: Vec<DataLoss>,
    /// Whether no earlier run knew it.
    is_new: bool,
    /// Its watermark when the bounded run began that has not come to its end.
    pub(crate) bounded_from: Option<Millis>,
}

impl ExpectedPartition {
    /// Where a run that goes on from here begins to read.
    pub(crate) fn resume(&self) -> i64 {
        self.last.map_or(self.restore_from, |last| self.restore_from.min(last.first))
    }
}

/// Which windows are closed, by their ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClosedWindows {
    /// Those up to this one.
    pub(crate) until: Option<Millis>,
    /// And those that a run ended with.
    pub(crate) beyond: BTreeSet<Millis>,
}

impl ClosedWindows {
    fn is_open(&self, end: Millis) -> bool {
        self.until.is_none_or(|until| end > until) && !self.beyond.contains(&end)
    }
}

/// What closes: the windows that end by `until`, or all that are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) until: Option<Millis>,
    pub(crate) all: bool,
    pub(crate) by: ClosedBy,
}

/// See the module's text.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    log: Rc<Log>,
    /// How many commits it took.
    pub(crate) commits: u64,
    /// How many partitions the topic had when the first run listed them.
    pub(crate) partitions_at_start: Option<u32>,
    pub(crate) watermark: Option<Millis>,
    pub(crate) closed: ClosedWindows,
    /// Whether a bounded run has not come to its end.
    pub(crate) bounded: bool,
    pub(crate) partitions: BTreeMap<PartitionId, ExpectedPartition>,
    /// Each open window by its end: by partition, the first batch with readings in it.
    pub(crate) open: BTreeMap<Millis, BTreeMap<PartitionId, i64>>,
    /// Each closed window that is kept, by its start.
    pub(crate) windows: BTreeMap<Millis, Rc<WindowResult>>,
    /// The starts of the windows that the store's retention dropped.
    pub(crate) dropped: BTreeSet<Millis>,
    /// The outbox, with what was delivered from it.
    pub(crate) dead: Vec<ExpectedDeadBatch>,
    /// Whether a store may still call a window open whose readings the log has lost.
    pub(crate) open_is_uncertain: bool,
}

impl Expected {
    /// Nothing has happened.
    pub(crate) fn new(log: Rc<Log>) -> Self {
        Self {
            log,
            commits: 0,
            partitions_at_start: None,
            watermark: None,
            closed: ClosedWindows::default(),
            bounded: false,
            partitions: BTreeMap::new(),
            open: BTreeMap::new(),
            windows: BTreeMap::new(),
            dropped: BTreeSet::new(),
            dead: Vec::new(),
            open_is_uncertain: false,
        }
    }

    /// As a run finds it that goes on from this commit.
    pub(crate) fn resumed(&self) -> Self {
        let mut expected = self.clone();
        expected.partitions.values_mut().for_each(|partition| partition.is_new = false);
        expected
    }

    /// By partition, the next offset to process.
    pub(crate) fn positions(&self) -> Vec<(PartitionId, i64)> {
        self.partitions.iter().map(|(partition, expected)| (*partition, expected.position)).collect()
    }

    pub(crate) fn position(&self, partition: PartitionId) -> Option<i64> {
        self.partitions.get(&partition).map(|expected| expected.position)
    }

    /// The newest event time of any partition.
    pub(crate) fn newest(&self) -> Option<Millis> {
        self.partitions.values().filter_map(|partition| partition.watermark).max()
    }

    /// The start of the oldest open window.
    pub(crate) fn oldest_open(&self) -> Option<Millis> {
        self.open.keys().next().map(|end| end - self.log.window.millis())
    }

    /// The totals so far.
    pub(crate) fn totals(&self) -> Totals {
        results::totals(self.partitions.iter().flat_map(|(partition, expected)| self.merged(*partition, expected)))
    }

    /// The window with this end, as it is now.
    pub(crate) fn window(&self, end: Millis, closed_by: ClosedBy) -> WindowResult {
        let merged = self.partitions.iter().flat_map(|(partition, expected)| self.merged(*partition, expected));
        results::window(&self.log, merged, end, closed_by, self.positions())
    }

    /// The account of a partition so far.
    pub(crate) fn account(&self, partition: PartitionId) -> Account {
        let expected = &self.partitions[&partition];
        results::account(&self.log, self.merged(partition, expected), expected.restored)
    }

    /// The merged batches of a partition, with what became of their readings.
    fn merged<'a>(
        &'a self,
        partition: PartitionId,
        expected: &'a ExpectedPartition,
    ) -> impl Iterator<Item = Merged<'a>> + Clone {
        let batches = &self.log.partitions[partition as usize];
        expected.merged.iter().map(|(place, outcomes)| (&batches[*place], &outcomes[..]))
    }

    /// A partition is read from `position` on, for the first time in this run or again.
    pub(crate) fn attach(&mut self, partition: PartitionId, position: i64, first: bool) {
        let known = self.partitions.contains_key(&partition);
        let expected = self.partitions.entry(partition).or_default();
        if !known || expected.is_new && expected.last.is_none() && expected.position == expected.start {
            (expected.start, expected.position, expected.restore_from) = (position, position, position);
            expected.is_new = true;
        } else if first {
            let (resume, lacks) = (expected.resume(), expected.restore_from < position);
            if lacks {
                let lost = u64::try_from(position - expected.position).unwrap_or(0);
                expected.data_losses.push(DataLoss { range: SourceRange { first: resume, next: position }, lost });
            }
            expected.restore_from = expected.restore_from.max(position);
            expected.position = expected.position.max(position);
            expected.last = expected.last.filter(|last| last.first >= position);
            if lacks {
                self.lose(partition, position);
            }
        }
    }

    /// The log has lost everything below `position`: open windows lack it from now on.
    fn lose(&mut self, partition: PartitionId, position: i64) {
        let (batches, closed) = (&self.log.partitions[partition as usize], &self.closed);
        for (place, outcomes) in &mut self.partitions.entry(partition).or_default().merged {
            let batch = &batches[*place];
            if batch.first < position {
                let lost = batch.readings.iter().zip(outcomes.iter()).map(|(reading, outcome)| match outcome {
                    Outcome::Counted if closed.is_open(self.log.end_of(reading)) => Outcome::Lost,
                    outcome => *outcome,
                });
                *outcomes = lost.collect();
            }
        }
        self.open_is_uncertain = true;
        self.open.clear();
        for (partition, expected) in &self.partitions {
            for (place, outcomes) in &expected.merged {
                let batch = &self.log.partitions[*partition as usize][*place];
                open_windows(&mut self.open, &self.log, *partition, batch, outcomes, closed);
            }
        }
    }

    /// A batch is read again that was merged before.
    pub(crate) fn restore(&mut self, partition: PartitionId, records: u64) {
        self.partitions.entry(partition).or_default().restored += records;
    }

    /// A batch is merged; with `dead_letters` the outbox takes it if any of its records is late or rejected.
    pub(crate) fn merge(&mut self, partition: PartitionId, source: SourceRange, digest: u64, dead_letters: bool) {
        let expected = self.partitions.entry(partition).or_default();
        expected.position = source.next;
        if source.next == source.first {
            return;
        }
        let place = self.log.place(partition, source).expect("only a batch of the log is merged");
        let (batch, closed) = (&self.log.partitions[partition as usize][place], &self.closed);
        let outcome = |reading| if closed.is_open(self.log.end_of(reading)) { Outcome::Counted } else { Outcome::Late };
        let outcomes: Rc<[Outcome]> = batch.readings.iter().map(outcome).collect();
        expected.watermark = expected.watermark.max(batch.newest());
        expected.last = Some(LastBatch { first: source.first, digest });
        open_windows(&mut self.open, &self.log, partition, batch, &outcomes, closed);
        if dead_letters {
            self.dead.extend(dead_batch(&self.log, partition, batch, &outcomes));
        }
        let before = expected.merged.insert(place, outcomes);
        assert!(before.is_none(), "a batch of p{partition} was merged twice: {source:?}");
    }

    /// There is no record before `next`.
    pub(crate) fn skip(&mut self, partition: PartitionId, next: i64) {
        let expected = self.partitions.entry(partition).or_default();
        expected.position = expected.position.max(next);
    }

    /// Windows close, ascending, until they take this many rows. Whether more are to close.
    pub(crate) fn close(&mut self, closing: Closing, rows: usize) -> (Vec<Rc<WindowResult>>, bool) {
        let due = |end: &Millis| closing.all || Some(*end) <= closing.until;
        let due: Vec<Millis> = self.open.keys().copied().filter(due).collect();
        let (mut closed, mut taken, mut more) = (Vec::new(), 0, false);
        for end in due {
            more = taken >= rows;
            if more {
                break;
            }
            let window = Rc::new(self.window(end, closing.by));
            taken += 1 + window.groups.len();
            self.open.remove(&end);
            self.closed.beyond.insert(end);
            self.windows.insert(window.start, Rc::clone(&window));
            closed.push(window);
        }
        // What is still open is not closed.
        let open = self.open.keys().next().map_or(Millis::MAX, |end| end - 1);
        self.closed.until = self.closed.until.max(closing.until.map(|until| until.min(open)));
        self.closed.beyond.retain(|end| Some(*end) > self.closed.until);
        (closed, more)
    }

    /// It is committed by a run that keeps closed windows for the time `keep`. `is_restored` says of which partitions the run has
    /// read again what open windows need.
    pub(crate) fn commit(&mut self, keep: Option<Duration>, is_restored: impl Fn(PartitionId) -> bool) {
        self.commits += 1;
        self.open_is_uncertain &= !self.partitions.keys().all(|partition| is_restored(*partition));
        for (partition, expected) in &mut self.partitions {
            if is_restored(*partition) {
                let firsts = self.open.values().filter_map(|firsts| firsts.get(partition));
                expected.restore_from = firsts.min().copied().unwrap_or(expected.position);
            }
        }
        if let Some((newest, keep)) = self.windows.values().next_back().map(|newest| newest.end).zip(keep) {
            let oldest = newest - i64::try_from(keep.as_millis()).expect("windows are not kept for long");
            // What closed beyond is known to be closed by its row alone.
            let drops = |window: &WindowResult| window.end < oldest && Some(window.end) <= self.closed.until;
            let dropped: Vec<Millis> = self.windows.values().take_while(|w| drops(w)).map(|w| w.start).collect();
            self.windows.retain(|start, _| !dropped.contains(start));
            self.dropped.extend(dropped);
        }
    }
}

/// Notes the open windows that a batch has readings in.
fn open_windows(
    open: &mut BTreeMap<Millis, BTreeMap<PartitionId, i64>>,
    log: &Log,
    partition: PartitionId,
    batch: &Batch,
    outcomes: &[Outcome],
    closed: &ClosedWindows,
) {
    for (reading, outcome) in batch.readings.iter().zip(outcomes) {
        let end = log.end_of(reading);
        if *outcome == Outcome::Counted && closed.is_open(end) {
            open.entry(end).or_default().entry(partition).or_insert(batch.first);
        }
    }
}

/// What the outbox must say of a batch, if anything.
fn dead_batch(log: &Log, partition: PartitionId, batch: &Batch, outcomes: &[Outcome]) -> Option<ExpectedDeadBatch> {
    let late = batch.readings.iter().zip(outcomes).filter(|(_, outcome)| **outcome == Outcome::Late);
    let windows: BTreeSet<i64> = late.clone().map(|(reading, _)| log.number_of(reading)).collect();
    let records = (late.count() + batch.rejected.len()) as u64;
    let (range, late) = (batch.range(), windows.into_iter().collect());
    (records > 0).then(|| ExpectedDeadBatch { partition, range, digest: digest(&log.partial(batch)), late, records })
}
