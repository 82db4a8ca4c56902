//! The audit: what a store says against batches of the log. Pure: batches and windows in, findings out.
//!
//! Of the store nothing is trusted but where each window closed: the offsets that had been merged by then, where
//! partitions begin and end, up to when windows are closed, and which gaps were accepted. From these follows for each cell
//! of each batch whether it counted or was late:
//!
//! - A window that has a row counts the batches below its offsets, and no other.
//! - A window without one that is not over yet is open, and counts all.
//! - A window without one that is over held nothing when it closed: whatever comes for it is late.
//! - A window that the store has dropped had closed before the first batch that the ledger lists as late for it (`fate`).
//!
//! Windows close in the order of their starts and their offsets never go back. So the log is read once, up to the offsets
//! of each window in turn, and only the windows that lie ahead of it take memory. `closing` compares the rest in the end.

mod account;
mod closing;
mod count;
mod fate;
pub mod findings;
mod ranges;
mod sound;
mod stored;

use std::collections::BTreeMap;

use isotherm_model::partial::{Aggregate, PartitionId, SourceRange};
use isotherm_model::time::Utc;
use isotherm_model::window::{Millis, Window, WindowSize};

use self::account::Recount;
use self::closing::Closing;
use self::count::{Counted, Extent, Figures, Verdict};
pub use self::fate::Rows;
use self::fate::{Fate, Fates};
use self::findings::{Findings, of, optional, window_name};
use self::sound::Sums;
pub use self::stored::Stored;
use crate::results::{ClosedBy, WindowResult};
use crate::state::{LastBatch, PartitionState};

/// A partition that is read again.
#[derive(Debug, Clone)]
struct Reread {
    state: PartitionState,
    from: i64,
    /// Where the next batch begins.
    position: i64,
    /// Where the records of the last batch end. What lies between is a hole: a run passes it when it has found it, so that
    /// a merged offset may be either.
    records_end: i64,
    account: Recount,
    last: Option<LastBatch>,
    watermark: Option<Millis>,
}

impl Reread {
    fn is_whole(&self) -> bool {
        self.from <= self.state.start
    }

    /// Whether a run that has merged what was read again can stand at this offset.
    fn can_stand_at(&self, offset: i64) -> bool {
        offset == self.position || offset == self.records_end
    }

    /// How many offsets between these two the log no longer holds.
    fn cut(&self, first: i64, next: i64) -> u64 {
        if self.is_whole() {
            return 0;
        }
        let (first, next) = (first.max(self.state.start), next.min(self.from));
        u64::try_from(next.saturating_sub(first)).unwrap_or(0)
    }
}

/// A window that has not been compared.
#[derive(Debug, Clone, Default)]
struct Ahead {
    counted: Counted,
    /// By partition, where the first batch that it counts begins.
    firsts: BTreeMap<PartitionId, i64>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Audit {
    size: WindowSize,
    stored: Stored,
    fates: Fates,
    partitions: BTreeMap<PartitionId, Reread>,
    ahead: BTreeMap<Window, Ahead>,
    run: Counted,
    /// What counted into windows that the store has dropped, and which these are.
    dropped: (Sums, Rows),
    /// By group, readings of which nobody can tell whether they counted.
    unknown: BTreeMap<Box<str>, u64>,
    /// What the windows of the store add up to.
    kept: Sums,
    /// By group, readings that these have more than the rest of the log gives.
    more: BTreeMap<String, u64>,
    /// The last window that was compared.
    compared: Option<Window>,
    /// Where it ends.
    compared_end: Option<Millis>,
    /// The offsets at which it had closed.
    merged: BTreeMap<PartitionId, i64>,
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
                "the log no longer held it when a gap was accepted"
            } else {
                "the log's retention has cut it"
            };
            if from > state.start {
                findings.skip(of(*partition, format_args!("offsets {} to {from}", state.start)), why);
            }
            let (account, last) = (Recount::default(), None);
            let (state, watermark) = (*state, None);
            let reread = Reread { state, from, position: from, records_end: from, account, last, watermark };
            partitions.insert(*partition, reread);
        }
        Self {
            size,
            fates: Fates::new(size, &stored),
            stored,
            partitions,
            ahead: BTreeMap::new(),
            run: Counted::default(),
            dropped: (Sums::default(), Rows::default()),
            unknown: BTreeMap::new(),
            kept: Sums::default(),
            more: BTreeMap::new(),
            compared: None,
            compared_end: None,
            merged: BTreeMap::new(),
            findings,
        }
    }

    /// Up to where a partition has been read.
    pub fn position(&self, partition: PartitionId) -> Option<i64> {
        self.partitions.get(&partition).map(|reread| reread.position)
    }

    /// Whether the store says that the last batch of a partition begins here.
    pub fn is_last(&self, partition: PartitionId, first: i64) -> bool {
        let last = self.partitions.get(&partition).and_then(|reread| reread.state.last);
        last.is_some_and(|last| last.first == first)
    }

    /// Where the run stopped reading each partition.
    pub fn ends(&self) -> Vec<(PartitionId, i64)> {
        self.partitions.iter().map(|(partition, reread)| (*partition, reread.state.position)).collect()
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
        let Some(reread) = self.partitions.get_mut(&partition) else {
            return;
        };
        if source.first != reread.position {
            let what = of(partition, "where a batch begins");
            self.findings.differ(what, reread.position, source.first);
        }
        let refill = reread.state.restore_from;
        if source.first < refill && refill < source.next {
            let batch = format!("{} or {}, where a batch begins and ends", source.first, source.next);
            self.findings.differ(of(partition, "where open windows begin"), refill, batch);
        }
        (reread.position, reread.records_end) = (next.max(source.next), source.next);
        if source.next > source.first {
            reread.last = Some(LastBatch { first: source.first, digest });
        }
        reread.watermark = reread.watermark.max(aggregate.newest);
        let account = &mut reread.account;
        account.read = account.read.saturating_add(aggregate.records);
        account.rejected.merge(&aggregate.rejected);
        for (reason, records) in aggregate.rejected.iter() {
            account.rejected_ranges.add(reason, source, records);
        }
        for (key, cell) in &aggregate.cells {
            let count = cell.stats.count;
            let fate = self.fates.of(partition, source.first, key.window, self.compared);
            match fate {
                Fate::Counted | Fate::Dropped => {
                    account.counted = account.counted.saturating_add(count);
                    self.run.add(&key.group, cell);
                }
                Fate::Late => {
                    account.late = account.late.saturating_add(count);
                    account.late_ranges.add(key.window, source, count);
                }
                Fate::Unknown => {
                    account.either = account.either.saturating_add(count);
                    let unknown = self.unknown.entry(key.group.clone()).or_default();
                    *unknown = unknown.saturating_add(count);
                }
            }
            match fate {
                Fate::Counted => {
                    let ahead = self.ahead.entry(key.window).or_default();
                    ahead.counted.add(&key.group, cell);
                    ahead.firsts.entry(partition).or_insert(source.first);
                }
                Fate::Dropped => {
                    self.dropped.0.add(&key.group, &cell.stats);
                    self.dropped.1.push(key.window);
                }
                Fate::Late | Fate::Unknown => {}
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
        let missing = self.check_offsets(&what, &stored.positions);
        self.check_closed_by(&what, stored);
        let counted = self.ahead.remove(&window).unwrap_or_default().counted.figures();
        // Windows before it that no reading was counted into have no row, and nothing that waits.
        self.compared = self.compared.max(Some(window));
        self.compared_end = self.compared_end.max(Some(stored.end));
        self.kept.add_window(stored);
        let figures = Figures { messages: stored.messages, sensors: stored.sensors, groups: stored.groups.clone() };
        let extent = missing.map_or(Extent::Whole, |missing| Extent::Part { missing });
        if missing.is_some() {
            sound::groups(&what, stored.messages, stored.sensors, &stored.groups, &mut self.findings);
        }
        if missing.is_none() && counted.messages == 0 {
            self.findings.differ(&what, format!("{} readings", stored.messages), "no such window");
        } else if figures.compare(&what, &counted, extent, &mut self.findings) == Verdict::Less {
            for (group, more) in figures.more(&counted) {
                let all = self.more.entry(group.to_owned()).or_default();
                *all = all.saturating_add(more);
            }
            if self.findings.different() == before {
                let windows = &mut self.findings.windows;
                windows.unverifiable = windows.unverifiable.saturating_add(1);
                let first = windows.unverifiable_from_to.map_or(stored.start, |(first, _)| first);
                windows.unverifiable_from_to = Some((first, stored.start));
                return;
            }
        }
        let differs = self.findings.different() > before;
        let windows = &mut self.findings.windows;
        let place = if differs { &mut windows.different } else { &mut windows.verified };
        *place = place.saturating_add(1);
    }

    /// How many readings that a window counts may no longer be there, and whether its offsets can be true. `None` if all of
    /// them are there.
    fn check_offsets(&mut self, what: &str, merged: &[(PartitionId, i64)]) -> Option<u64> {
        let (mut whole, mut missing) = (true, 0_u64);
        let (before, mut named) = (self.merged.len(), 0);
        for (partition, offset) in merged {
            let what = |of: &str| format!("{what}: {of} of partition {partition}");
            let Some(reread) = self.partitions.get(partition) else {
                self.findings.differ(what("offset"), offset, "no such partition");
                continue;
            };
            if let Some(before) = self.merged.get(partition).filter(|before| *before > offset) {
                self.findings.differ(what("offset"), offset, format!("at least {before}, as before"));
            }
            let PartitionState { start, position: merged, .. } = reread.state;
            if *offset < start || *offset > merged {
                self.findings.differ(what("offset"), offset, format!("{start} to {merged}"));
            } else if *offset > reread.from && !reread.can_stand_at(*offset) {
                self.findings.differ(what("batch boundary"), offset, reread.position);
            }
            whole &= reread.is_whole() || *offset <= start;
            missing = missing.saturating_add(reread.cut(start, *offset));
            named += usize::from(self.merged.contains_key(partition));
            let place = self.merged.entry(*partition).or_insert(*offset);
            *place = (*place).max(*offset);
        }
        if named < before {
            let offsets = format!("of {named} of the partitions that an earlier window names");
            self.findings.differ(format!("{what}: offsets"), offsets, format!("of all {before}"));
        }
        (!whole).then_some(missing)
    }

    /// A watermark is the newest event time of some partition: one that closed a window had been read by then.
    fn check_closed_by(&mut self, what: &str, stored: &WindowResult) {
        let newest = self.partitions.values().filter_map(|reread| reread.watermark).max();
        let known = self.partitions.values().all(Reread::is_whole);
        if known && stored.closed_by == ClosedBy::Watermark && newest.is_none_or(|newest| newest < stored.end) {
            let newest = format!("not by one: the newest event time was {}", optional(newest.map(Utc)));
            self.findings.differ(format!("{what}: closed by"), "watermark", newest);
        }
    }

    /// Everything has been read, every window compared. The sensors come next.
    pub fn close(self) -> Closing {
        Closing::new(self)
    }
}
