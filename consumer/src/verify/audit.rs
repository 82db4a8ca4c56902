//! The audit: what a store says against batches of the log. Pure: batches and windows in, findings out.
//!
//! Of the store nothing is trusted but where each window closed: the offsets that had been merged by then, where
//! partitions begin and end, up to when windows are closed, and which gaps were accepted. From these follows for each cell
//! of each batch whether it counted or was late:
//!
//! - A window that has a row counts the batches below its offsets, and no other.
//! - A window without one that is not over yet is open, and counts all.
//! - A window without one that is over held nothing when it closed: whatever comes for it is late.
//!
//! Windows close in the order of their starts and their offsets never go back. So the log is read once, up to the offsets
//! of each window in turn, and only the windows that lie ahead of it take memory.

use std::collections::BTreeMap;

use isotherm_model::partial::{Aggregate, SourceRange};
use isotherm_model::time::Utc;
use isotherm_model::window::{Millis, Window, WindowSize};

use super::account::{self, Recount, Scope, of};
use super::count::{Counted, Extent, Figures, Verdict};
use super::report::{Findings, ReadAgain, optional, window_name};
use crate::materializer::event::PartitionId;
use crate::materializer::ledger::Account;
use crate::results::{Totals, WindowResult};
use crate::store::{LastBatch, PartitionState, TopicState};

/// What a store says, but for its windows.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The topic.
    pub topic: TopicState,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// The run.
    pub totals: Totals,
    /// How many windows have been dropped from it.
    pub dropped: u64,
    /// Which windows it has.
    pub rows: Rows,
}

impl Stored {
    /// Where a partition begins that has not been cut: behind the last gap that was accepted. What lies before one was gone
    /// when it was entered.
    pub fn begin(&self, partition: PartitionId, state: &PartitionState) -> i64 {
        let gaps = self.accounts.get(&partition).map_or(&[][..], |account| &account.gaps);
        gaps.iter().fold(state.start, |begin, gap| begin.max(gap.range.next))
    }
}

/// Which windows have rows: runs of consecutive numbers, since most follow on each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows(Vec<(i64, i64)>);

impl Rows {
    /// Adds a window. They come ascending.
    pub fn push(&mut self, window: Window) {
        match self.0.last_mut() {
            Some((_, last)) if *last == window.0.saturating_sub(1) => *last = window.0,
            _ => self.0.push((window.0, window.0)),
        }
    }

    /// Whether a window is among them. Cost: logarithmic in the runs.
    fn has(&self, window: Window) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= window.0);
        after.checked_sub(1).and_then(|place| self.0.get(place)).is_some_and(|(_, last)| window.0 <= *last)
    }

    /// The least.
    fn first(&self) -> Option<Window> {
        self.0.first().map(|(first, _)| Window(*first))
    }
}

/// What becomes of the readings of a cell.
enum Fate {
    Counted,
    Late,
    /// The window has been dropped from the store: nobody can tell.
    Unknown,
}

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
}

/// See the module's text.
#[derive(Debug)]
pub struct Audit {
    size: WindowSize,
    stored: Stored,
    partitions: BTreeMap<PartitionId, Reread>,
    /// Windows that have not been compared.
    ahead: BTreeMap<Window, Counted>,
    run: Counted,
    /// The last window that was compared.
    compared: Option<Window>,
    /// The offsets at which it had closed.
    merged: BTreeMap<PartitionId, i64>,
    findings: Findings,
}

impl Audit {
    /// Of a store. `from` says from where on each partition is read: [`Stored::begin`], or beyond, where the log begins by
    /// now. A partition that is not named has nothing left.
    pub fn new(size: WindowSize, stored: Stored, from: &BTreeMap<PartitionId, i64>) -> Self {
        let mut findings = Findings::default();
        let mut partitions = BTreeMap::new();
        for (partition, state) in &stored.partitions {
            let begin = stored.begin(*partition, state);
            let from = from.get(partition).copied().unwrap_or(state.merged).clamp(begin, state.merged.max(begin));
            let why = if begin > state.start {
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
            stored,
            partitions,
            ahead: BTreeMap::new(),
            run: Counted::default(),
            compared: None,
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
        self.partitions.iter().map(|(partition, reread)| (*partition, reread.state.merged)).collect()
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
            match fate(&self.stored, self.size, self.compared, key.window) {
                Fate::Counted => {
                    account.counted = account.counted.saturating_add(count);
                    self.ahead.entry(key.window).or_default().add(&key.group, cell);
                    self.run.add(&key.group, cell);
                }
                Fate::Late => {
                    account.late = account.late.saturating_add(count);
                    account.late_ranges.add(key.window, source, count);
                }
                Fate::Unknown => account.either = account.either.saturating_add(count),
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
        let whole = self.check_offsets(&what, &stored.merged);
        let counted = self.ahead.remove(&window).unwrap_or_default().figures();
        // Windows before it that no reading was counted into have no row, and nothing that waits.
        self.compared = self.compared.max(Some(window));
        let extent = if whole { Extent::Whole } else { Extent::Part };
        let figures = Figures { messages: stored.messages, sensors: stored.sensors, groups: stored.groups.clone() };
        if whole && counted.messages == 0 {
            self.findings.differ(&what, format!("{} readings", stored.messages), "no such window");
        } else if figures.compare(&what, &counted, extent, &mut self.findings) == Verdict::Less {
            let windows = &mut self.findings.windows;
            windows.unverifiable += 1;
            let first = windows.unverifiable_from_to.map_or(stored.start, |(first, _)| first);
            windows.unverifiable_from_to = Some((first, stored.start));
            return;
        }
        let differs = self.findings.different() > before;
        let windows = &mut self.findings.windows;
        let place = if differs { &mut windows.different } else { &mut windows.verified };
        *place = place.saturating_add(1);
    }

    /// Whether all that a window counts can be read, and whether its offsets can be true.
    fn check_offsets(&mut self, what: &str, merged: &[(PartitionId, i64)]) -> bool {
        let mut whole = true;
        for (partition, offset) in merged {
            let what = |of: &str| format!("{what}: {of} of partition {partition}");
            let Some(reread) = self.partitions.get(partition) else {
                self.findings.differ(what("offset"), offset, "no such partition");
                continue;
            };
            if let Some(before) = self.merged.get(partition).filter(|before| *before > offset) {
                self.findings.differ(what("offset"), offset, format!("at least {before}, as before"));
            }
            let PartitionState { start, merged, .. } = reread.state;
            if *offset < start || *offset > merged {
                self.findings.differ(what("offset"), offset, format!("{start} to {merged}"));
            } else if *offset > reread.from && !reread.can_stand_at(*offset) {
                self.findings.differ(what("batch boundary"), offset, reread.position);
            }
            whole &= reread.is_whole() || *offset <= start;
            let place = self.merged.entry(*partition).or_insert(*offset);
            *place = (*place).max(*offset);
        }
        whole
    }

    /// The end: everything has been read, every window compared.
    pub fn finish(mut self) -> Findings {
        let whole = self.partitions.values().all(Reread::is_whole);
        self.check_open(whole);
        let dropped_before = (self.stored.dropped > 0).then(|| self.stored.rows.first()).flatten();
        for (partition, reread) in &self.partitions {
            let Reread { state, from, position, records_end: _, account: recount, last, watermark } = reread;
            let findings = &mut self.findings;
            if !reread.can_stand_at(state.merged) {
                findings.differ(of(*partition, "merged offset"), state.merged, position);
            }
            if position > from || reread.is_whole() {
                let said = |last: Option<LastBatch>| {
                    last.map_or("none".to_owned(), |LastBatch { first, digest }| format!("{digest:016x} at {first}"))
                };
                findings.compare(of(*partition, "digest of the last batch"), said(state.last), said(*last));
            }
            if (reread.is_whole() && state.watermark != *watermark) || state.watermark < *watermark {
                let (stored, recomputed) = (optional(state.watermark.map(Utc)), optional(watermark.map(Utc)));
                findings.differ(of(*partition, "newest event time"), stored, recomputed);
            }
            let stored = self.stored.accounts.get(partition).cloned().unwrap_or_default();
            let scope = Scope { start: state.start, from: (*from).max(state.start), dropped_before };
            let name = |window| Utc(self.size.start(window)).to_string();
            account::compare(*partition, &stored, recount, scope, name, findings);
            let (partition, from, to, records) = (*partition, *from, *position, recount.read);
            findings.partitions.push(ReadAgain { partition, from, to, records });
        }
        for partition in self.stored.accounts.keys().filter(|partition| !self.partitions.contains_key(partition)) {
            self.findings.differ(format!("ledger of partition {partition}"), "there", "no such partition");
        }
        self.compare_totals(whole && dropped_before.is_none());
        self.name_unverifiable();
        self.findings
    }

    /// What has not been compared must be what is open.
    fn check_open(&mut self, whole: bool) {
        let (open, oldest) = (self.ahead.len() as u64, self.ahead.first_key_value());
        self.findings.windows.open = open;
        let topic = self.stored.topic;
        // A run that was stopped while it read open windows again had not found all of them.
        if whole && topic.open_windows > open {
            self.findings.differ("open windows", topic.open_windows, open);
        }
        let oldest = oldest.map(|(window, _)| self.size.start(*window));
        let too_old = topic.oldest_open.is_some_and(|stored| oldest.is_none_or(|oldest| stored < oldest));
        if whole && too_old {
            self.findings.differ("oldest open window", optional(topic.oldest_open.map(Utc)), optional(oldest.map(Utc)));
        }
        let newest = self.partitions.values().filter_map(|reread| reread.watermark).max();
        if (whole && topic.newest != newest) || topic.newest < newest {
            self.findings.differ("newest event time", optional(topic.newest.map(Utc)), optional(newest.map(Utc)));
        }
    }

    fn compare_totals(&mut self, whole: bool) {
        let counted = self.run.figures();
        let Totals { sensors, groups, .. } = &self.stored.totals;
        let messages = groups.iter().fold(0, |sum: u64, group| sum.saturating_add(group.messages));
        let figures = Figures { messages, sensors: *sensors, groups: groups.clone() };
        let extent = if whole { Extent::Whole } else { Extent::Part };
        if figures.compare("totals", &counted, extent, &mut self.findings) == Verdict::Less {
            let why = "what can still be told gives a part of them, which they do not contradict";
            self.findings.skip("totals by group", why);
        }
    }

    fn name_unverifiable(&mut self) {
        let windows = self.findings.windows;
        if let Some((first, last)) = windows.unverifiable_from_to {
            let what = format!("{} windows from {} to {}", windows.unverifiable, Utc(first), Utc(last));
            self.findings
                .skip(what, "a part of the log that they may have counted is gone; the rest does not contradict them");
        }
        self.findings.windows.dropped = self.stored.dropped;
        if let Some(first) = self.stored.rows.first().filter(|_| self.stored.dropped > 0) {
            let what = format!("{} windows before {}", self.stored.dropped, Utc(self.size.start(first)));
            self.findings.skip(what, "the store has dropped them (--keep), and with them who was late for them");
        }
    }
}

fn fate(stored: &Stored, size: WindowSize, compared: Option<Window>, window: Window) -> Fate {
    if stored.rows.has(window) {
        return if compared.is_some_and(|compared| window <= compared) { Fate::Late } else { Fate::Counted };
    }
    if stored.topic.closed_until.is_none_or(|until| size.end(window) > until) {
        return Fate::Counted;
    }
    let dropped = stored.dropped > 0 && stored.rows.first().is_none_or(|first| window < first);
    if dropped { Fate::Unknown } else { Fate::Late }
}
