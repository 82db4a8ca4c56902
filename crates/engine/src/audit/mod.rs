//! The audit: what a store says against batches of the log. Pure: batches and windows in, findings out.
//!
//! Of the store nothing is trusted but the positions at which each window closed, where partitions begin and end, up to when
//! windows are closed, and which data losses were accepted. From these follows for each cell of each batch whether it counted
//! or was late:
//!
//! - A window that has a row counts the batches below its offsets, and no other.
//! - A window without one that is not over yet is open, and counts all.
//! - A window without one that is over held nothing when it closed: whatever comes for it is late.
//! - A window that the store has dropped had closed before the first batch that the ledger lists as late for it (`classifier`).
//!
//! Windows close in the order of their starts and their offsets never go back. So the log is read once, up to the offsets
//! of each window in turn, and only the windows that lie ahead of it take memory. `closing` compares the rest in the end.

mod account;
mod classifier;
mod closing;
mod count;
pub mod findings;
mod ranges;
mod stored;

use std::collections::BTreeMap;

use isotherm_model::partial::{Aggregate, PartitionId, SourceRange};
use isotherm_model::time::{Millis, Utc};
use isotherm_model::window::{Window, WindowSize};

use self::account::Recount;
use self::classifier::{Classifier, Outcome};
use self::count::{Comparison, Counted, Statistics};
use self::findings::{Findings, of, optional, window_name};
pub use self::stored::{Stored, WindowSet};
use crate::results::{ClosedBy, WindowResult};
use crate::state::{LastBatch, PartitionState};

/// A partition that is read again.
#[derive(Debug, Clone)]
struct PartitionReplay {
    state: PartitionState,
    from: i64,
    /// Where the next batch begins.
    position: i64,
    /// Where the records of the last batch end. What lies between is an offset gap: a run passes it when it has found it, so
    /// that its position may be either.
    records_end: i64,
    account: Recount,
    last: Option<LastBatch>,
    watermark: Option<Millis>,
}

impl PartitionReplay {
    fn is_whole(&self) -> bool {
        self.from <= self.state.start
    }

    /// Whether this can be the position of a run that has read the same.
    fn can_stand_at(&self, offset: i64) -> bool {
        offset == self.position || offset == self.records_end
    }
}

/// A window that has not been compared.
#[derive(Debug, Clone, Default)]
struct PendingWindow {
    counted: Counted,
    /// By partition, where the first batch that it counts begins.
    firsts: BTreeMap<PartitionId, i64>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Audit {
    size: WindowSize,
    stored: Stored,
    classifier: Classifier,
    partitions: BTreeMap<PartitionId, PartitionReplay>,
    pending: BTreeMap<Window, PendingWindow>,
    run: Counted,
    /// Dropped windows that readings counted into.
    dropped: WindowSet,
    /// Readings of dropped windows that may be counted or late.
    unknown: u64,
    /// The last window that was compared.
    compared: Option<Window>,
    /// Where it ends.
    compared_end: Option<Millis>,
    /// The positions at which it had closed.
    positions: BTreeMap<PartitionId, i64>,
    findings: Findings,
}

impl Audit {
    /// Of a store. `from` says from where on each partition is read: [`Stored::begin`], or where the log begins. A partition
    /// that is not named has nothing left. `findings` are what has been found before.
    pub fn new(size: WindowSize, stored: Stored, from: &BTreeMap<PartitionId, i64>, findings: Findings) -> Self {
        let mut findings = findings;
        let mut partitions = BTreeMap::new();
        for (partition, state) in &stored.partitions {
            let begin = stored.begin(*partition, state);
            let from = from.get(partition).copied().unwrap_or(state.position).min(state.position).max(state.start);
            let why = if begin > state.start && from <= begin {
                "the log no longer held it, and the data loss was accepted"
            } else {
                "the log's retention has deleted it"
            };
            if from > state.start {
                findings.skip(of(*partition, format_args!("offsets {} to {from}", state.start)), why);
            }
            let (account, last) = (Recount::default(), None);
            let (state, watermark) = (*state, None);
            let replay = PartitionReplay { state, from, position: from, records_end: from, account, last, watermark };
            partitions.insert(*partition, replay);
        }
        Self {
            size,
            classifier: Classifier::new(size, &stored),
            stored,
            partitions,
            pending: BTreeMap::new(),
            run: Counted::default(),
            dropped: WindowSet::default(),
            unknown: 0,
            compared: None,
            compared_end: None,
            positions: BTreeMap::new(),
            findings,
        }
    }

    /// Up to where a partition has been read.
    pub fn position(&self, partition: PartitionId) -> Option<i64> {
        self.partitions.get(&partition).map(|replay| replay.position)
    }

    /// Whether the store says that the last batch of a partition begins here.
    pub fn is_last(&self, partition: PartitionId, first: i64) -> bool {
        let last = self.partitions.get(&partition).and_then(|replay| replay.state.last);
        last.is_some_and(|last| last.first == first)
    }

    /// Where the run stopped reading each partition.
    pub fn ends(&self) -> Vec<(PartitionId, i64)> {
        self.partitions.iter().map(|(partition, replay)| (*partition, replay.state.position)).collect()
    }

    /// Takes the next batch of a partition: the range and the aggregate of its partial, and where it ends by its header.
    pub fn batch(
        &mut self,
        partition: PartitionId,
        source: SourceRange,
        next: i64,
        aggregate: &Aggregate,
        digest: u64,
    ) {
        let Some(replay) = self.partitions.get_mut(&partition) else {
            return;
        };
        if source.first != replay.position {
            let what = of(partition, "where a batch begins");
            self.findings.differ(what, replay.position, source.first);
        }
        let restore_from = replay.state.restore_from;
        if source.first < restore_from && restore_from < source.next {
            let batch = format!("{} or {}, where a batch begins and ends", source.first, source.next);
            self.findings.differ(of(partition, "where open windows begin"), restore_from, batch);
        }
        (replay.position, replay.records_end) = (next.max(source.next), source.next);
        if source.next > source.first {
            replay.last = Some(LastBatch { first: source.first, digest });
        }
        replay.watermark = replay.watermark.max(aggregate.newest);
        let account = &mut replay.account;
        account.read = account.read.saturating_add(aggregate.records);
        account.rejected.merge(&aggregate.rejected);
        for (reason, records) in aggregate.rejected.iter() {
            account.rejected_ranges.add(reason, source, records);
        }
        for (key, cell) in &aggregate.cells {
            let count = cell.stats.count;
            let outcome = self.classifier.of(partition, source.first, key.window, self.compared);
            match outcome {
                Outcome::Counted | Outcome::Dropped => {
                    account.counted = account.counted.saturating_add(count);
                    self.run.add(&key.group, cell);
                }
                Outcome::Late => {
                    account.late = account.late.saturating_add(count);
                    account.late_ranges.add(key.window, source, count);
                }
                Outcome::Unknown => {
                    account.either = account.either.saturating_add(count);
                    self.unknown = self.unknown.saturating_add(count);
                }
            }
            match outcome {
                Outcome::Counted => {
                    let pending = self.pending.entry(key.window).or_default();
                    pending.counted.add(&key.group, cell);
                    pending.firsts.entry(partition).or_insert(source.first);
                }
                Outcome::Dropped => self.dropped.push(key.window),
                Outcome::Late | Outcome::Unknown => {}
            }
        }
    }

    /// Compares the next window, ascending by start. Each partition has been read up to the window's offset of it.
    pub fn window(&mut self, stored: &WindowResult) {
        let window = self.size.window_of(stored.start);
        let what = window_name(stored.start);
        let before = self.findings.different();
        self.findings.compare(format!("{what}: start"), stored.start, self.size.start(window));
        self.findings.compare(format!("{what}: end"), stored.end, self.size.end(window));
        if self.stored.topic.closed_until.is_none_or(|until| stored.end > until) {
            let until = optional(self.stored.topic.closed_until.map(Utc));
            self.findings.differ(format!("{what}: closed"), "yes", format!("no, windows are closed until {until}"));
        }
        let whole = self.check_offsets(&what, &stored.positions);
        self.check_closed_by(&what, stored);
        let counted = self.pending.remove(&window).unwrap_or_default().counted;
        // Windows before it that no reading was counted into have no row, and nothing that waits.
        self.compared = self.compared.max(Some(window));
        self.compared_end = self.compared_end.max(Some(stored.end));
        let statistics = Statistics { messages: stored.messages, sensors: stored.sensors, groups: &stored.groups };
        let comparison = if whole && counted.messages() == 0 {
            self.findings.differ(&what, format!("{} readings", stored.messages), "no such window");
            Comparison::Different
        } else {
            statistics.compare(&what, (&counted, counted.sensors()), whole, &mut self.findings)
        };
        let differs = self.findings.different() > before;
        let windows = &mut self.findings.windows;
        let place = match comparison {
            _ if differs => &mut windows.different,
            Comparison::Part => {
                let first = windows.unverifiable_from_to.map_or(stored.start, |(first, _)| first);
                windows.unverifiable_from_to = Some((first, stored.start));
                &mut windows.unverifiable
            }
            Comparison::Same | Comparison::Different => &mut windows.verified,
        };
        *place = place.saturating_add(1);
    }

    /// Looks whether a window's offsets can be true. Returns whether the log holds everything below them.
    fn check_offsets(&mut self, what: &str, positions: &[(PartitionId, i64)]) -> bool {
        let mut whole = true;
        let (before, mut named) = (self.positions.len(), 0);
        for (partition, offset) in positions {
            let what = |of: &str| format!("{what}: {of} of partition {partition}");
            let Some(replay) = self.partitions.get(partition) else {
                self.findings.differ(what("offset"), offset, "no such partition");
                continue;
            };
            if let Some(before) = self.positions.get(partition).filter(|before| *before > offset) {
                self.findings.differ(what("offset"), offset, format!("at least {before}, as before"));
            }
            let PartitionState { start, position, .. } = replay.state;
            if *offset < start || *offset > position {
                self.findings.differ(what("offset"), offset, format!("{start} to {position}"));
            } else if *offset > replay.from && !replay.can_stand_at(*offset) {
                self.findings.differ(what("batch boundary"), offset, replay.position);
            }
            whole &= replay.is_whole() || *offset <= start;
            named += usize::from(self.positions.contains_key(partition));
            let place = self.positions.entry(*partition).or_insert(*offset);
            *place = (*place).max(*offset);
        }
        if named < before {
            let offsets = format!("of {named} of the partitions that an earlier window names");
            self.findings.differ(format!("{what}: offsets"), offsets, format!("of all {before}"));
        }
        whole
    }

    /// A watermark is the newest event time of some partition: one that closed a window had been read by then.
    fn check_closed_by(&mut self, what: &str, stored: &WindowResult) {
        let newest = self.partitions.values().filter_map(|replay| replay.watermark).max();
        let known = self.partitions.values().all(PartitionReplay::is_whole);
        if known && stored.closed_by == ClosedBy::Watermark && newest.is_none_or(|newest| newest < stored.end) {
            let newest = format!("not by one: the newest event time was {}", optional(newest.map(Utc)));
            self.findings.differ(format!("{what}: closed by"), "watermark", newest);
        }
    }
}
