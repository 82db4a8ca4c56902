//! A model of event time, written from `docs/semantics.md`: after each event it says which partitions block the topic's watermark,
//! how far that rises, which windows close and why, and which partitions pause.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_engine::materializer::Options;
use isotherm_engine::results::{ClosedBy, WindowResult};
use isotherm_engine::view::PartitionPhase;
use isotherm_model::partial::{Partial, PartitionId};
use isotherm_model::time::Millis;

use super::expected::{Closing, Expected, ExpectedPartition};

/// What a run has seen of a partition.
#[derive(Debug, Default)]
struct Seen {
    attached: bool,
    /// What comes next; `None` before the first attachment.
    next: Option<i64>,
    /// Where it will be read from then, if an earlier run has read it.
    resume: i64,
    end: i64,
    /// Nobody knows its end yet.
    endless: bool,
    target: Option<i64>,
    /// When its end was last reported.
    end_reported: Duration,
    /// Since when its end has been reported without interruption.
    end_known_since: Duration,
    caught_up: Option<Duration>,
    /// When its last accepted reading came.
    accepted: Option<Duration>,
    /// When the last reading came that was newer than all before it.
    rose: Option<Duration>,
}

impl Seen {
    fn is_at_target(&self, position: Option<i64>) -> bool {
        self.target.is_some_and(|target| self.next >= Some(target) && self.next >= position)
    }

    /// Whether it is read again, or will be.
    fn is_restoring(&self, position: Option<i64>) -> bool {
        position > Some(self.next.unwrap_or(self.resume))
    }

    fn is_at_end(&self) -> bool {
        self.attached && !self.endless && self.next >= Some(self.end)
    }

    fn reach(&mut self, end: i64, now: Duration) {
        self.end = self.end.max(end);
        if self.next >= Some(self.end) && !self.endless {
            self.caught_up.get_or_insert(now);
        }
    }
}

/// What an event must lead to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The windows that close.
    pub(crate) windows: Vec<Rc<WindowResult>>,
    /// The partitions that pause (`true`) or resume.
    pub(crate) flow: Vec<(PartitionId, bool)>,
    /// Whether more windows are to close.
    pub(crate) proceed: bool,
    /// Whether the run is over.
    pub(crate) finished: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Model {
    options: Options,
    grace: Millis,
    now: Duration,
    listed: bool,
    partitions: BTreeMap<PartitionId, Seen>,
    paused: BTreeSet<PartitionId>,
    /// What closes, if that takes more than one commit.
    closing: Option<Closing>,
    /// Nothing more is read.
    ending: bool,
    /// The run has come to its end.
    ended: bool,
    /// The most rows that close at once.
    rows_at_once: usize,
    /// The newest reading, and when it came.
    newest: Option<(Millis, Duration)>,
    /// The least of the partitions' first watermarks.
    first_watermark: Option<Millis>,
    pub(crate) expected: Expected,
}

impl Model {
    /// A run that goes on from this commit. Windows close together until they take this many rows.
    pub(crate) fn new(options: Options, expected: &Expected, rows_at_once: usize) -> Self {
        let seen = |(partition, expected): (&PartitionId, &ExpectedPartition)| {
            (*partition, Seen { resume: expected.resume(), ..Seen::default() })
        };
        Self {
            grace: i64::try_from(options.grace.as_millis()).expect("grace is short"),
            now: Duration::ZERO,
            listed: false,
            partitions: expected.partitions.iter().map(seen).collect(),
            paused: BTreeSet::new(),
            closing: None,
            ending: false,
            ended: false,
            rows_at_once,
            newest: expected.newest().map(|time| (time, Duration::ZERO)),
            first_watermark: expected.partitions.values().filter_map(|partition| partition.watermark).min(),
            expected: {
                let mut resumed = expected.resumed();
                if !expected.bounded {
                    resumed.partitions.values_mut().for_each(|partition| partition.bounded_from = partition.watermark);
                }
                resumed
            },
            options,
        }
    }

    fn position(&self, partition: PartitionId) -> Option<i64> {
        self.expected.position(partition)
    }

    fn watermark(&self, partition: PartitionId) -> Option<Millis> {
        self.expected.partitions.get(&partition).and_then(|expected| expected.watermark)
    }

    /// Whether some partition is read again, or will be.
    pub(crate) fn is_restoring(&self) -> bool {
        self.partitions.iter().any(|(partition, seen)| seen.is_restoring(self.position(*partition)))
    }

    /// By partition, its phase.
    pub(crate) fn phases(&self) -> Vec<(PartitionId, PartitionPhase)> {
        self.partitions.iter().map(|(partition, seen)| (*partition, self.phase(*partition, seen))).collect()
    }

    /// Everything so far is committed; closed windows are kept for the time `keep`.
    pub(crate) fn commit(&mut self, keep: Option<Duration>) {
        let positions: BTreeMap<_, _> = self.expected.positions().into_iter().collect();
        let is_restored = |partition| {
            let seen: &Seen = &self.partitions[&partition];
            seen.next.is_some() && !seen.is_restoring(positions.get(&partition).copied())
        };
        self.expected.bounded = self.options.until_end && !self.ended;
        self.expected.commit(keep, is_restored);
    }

    /// Takes an event that was not refused.
    pub(crate) fn handle(&mut self, event: &Event) -> Decision {
        self.note(event);
        let at_target = |(partition, seen): (&PartitionId, &Seen)| seen.is_at_target(self.position(*partition));
        let at_targets = self.options.until_end && self.listed && self.partitions.iter().all(at_target);
        if *event == Event::Stop {
            return Decision { finished: true, ..Decision::default() };
        }
        if !self.ending && (at_targets || *event == Event::Finish && !self.is_restoring()) {
            self.end();
        } else if self.closing.is_none() && !self.options.until_end {
            let by = self.rise();
            self.closing = by.map(|by| Closing { until: self.over_by(), all: false, by });
        }
        let (mut windows, mut proceed) = (Vec::new(), false);
        if let Some(closing) = self.closing {
            (windows, proceed) = self.expected.close(closing, self.rows_at_once);
            self.closing = self.closing.filter(|_| proceed);
        }
        let finished = self.ending && !proceed;
        self.ended = finished;
        let flow = if proceed || finished { Vec::new() } else { self.align() };
        Decision { windows, flow, proceed, finished }
    }

    /// Windows that end here or before are over.
    fn over_by(&self) -> Option<Millis> {
        self.expected.watermark.map(|watermark| watermark - self.grace)
    }

    /// Nothing more is read. Of a bounded run each partition counts whose watermark rose in it, or that has not been read.
    fn end(&mut self) {
        self.ending = true;
        if self.options.until_end {
            let counts = |(partition, seen): &(&PartitionId, &Seen)| {
                let expected = self.expected.partitions.get(partition);
                let rose = expected.is_some_and(|expected| expected.watermark > expected.bounded_from);
                rose || !seen.is_at_target(self.position(**partition))
            };
            let least = self.partitions.iter().filter(counts).map(|(partition, _)| self.watermark(*partition)).min();
            self.expected.watermark = self.expected.watermark.max(least.flatten());
        }
        let all = !self.options.leave_open;
        let by = if all { ClosedBy::End } else { ClosedBy::Watermark };
        self.closing = Some(Closing { until: self.over_by(), all, by });
    }

    fn note(&mut self, event: &Event) {
        let (now, until_end, listed) = (self.now, self.options.until_end, self.listed);
        let silence = (self.options.idle / 2).max(Duration::from_secs(2));
        match event {
            Event::Found { partition } if !(until_end && listed) => {
                self.partitions.entry(*partition).or_default();
            }
            Event::Listed => {
                self.listed = true;
                self.expected.partitions_at_start.get_or_insert(self.partitions.len() as u32);
            }
            Event::Tick { now } => self.now = self.now.max(*now),
            Event::Attached { partition, position, end } => self.attach(*partition, *position, *end),
            Event::Detached { partition } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                seen.attached = false;
            }
            Event::End { partition, end } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                if now - seen.end_reported > silence {
                    seen.end_known_since = now;
                }
                seen.end_reported = now;
                if std::mem::take(&mut seen.endless) && until_end {
                    seen.target = Some(*end);
                }
                seen.reach(*end, now);
            }
            Event::Partial { partition, partial, digest } => self.read(*partition, partial, *digest),
            Event::OffsetGap { partition, next } => {
                let position = self.position(*partition);
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                if !seen.is_at_target(position) && seen.next < Some(*next) {
                    seen.next = Some(*next);
                    self.expected.skip(*partition, *next);
                    seen.reach(*next, now);
                }
            }
            Event::Found { .. } | Event::Part { .. } | Event::Stop | Event::Finish | Event::Proceed => {}
        }
    }

    fn attach(&mut self, partition: PartitionId, position: i64, end: Option<i64>) {
        let (now, processed) = (self.now, self.position(partition));
        let Some(seen) = self.partitions.get_mut(&partition) else { return };
        (seen.attached, seen.end_known_since, seen.end_reported) = (true, now, now);
        seen.endless = end.is_none();
        if !seen.is_at_target(processed) {
            let first = seen.next.is_none();
            if first {
                seen.target = end.filter(|_| self.options.until_end);
            }
            seen.next = Some(position);
            self.expected.attach(partition, position, first);
        }
        seen.reach(end.unwrap_or(position), now);
    }

    fn read(&mut self, partition: PartitionId, partial: &Partial, digest: u64) {
        let (now, position, watermark) = (self.now, self.position(partition), self.watermark(partition));
        let Some(seen) = self.partitions.get_mut(&partition) else { return };
        let (source, newest) = (partial.source, partial.aggregate.newest);
        if seen.target.is_some_and(|target| source.first >= target) {
            return;
        }
        seen.next = Some(source.next);
        if Some(source.first) < position {
            self.expected.restore(partition, partial.aggregate.records);
        } else {
            if newest.is_some() {
                seen.accepted = Some(now);
            }
            if newest > watermark {
                seen.rose = Some(now);
            }
            if watermark.is_none() {
                self.first_watermark = self.first_watermark.into_iter().chain(newest).min();
            }
            if newest > self.newest.map(|(time, _)| time) {
                self.newest = newest.map(|time| (time, now));
            }
            self.expected.merge(partition, source, digest, self.options.dead_letters);
        }
        seen.reach(source.next, now);
    }

    /// Nothing that raises its watermark has come for the time `idle`, as far as that is known.
    fn is_idle(&self, seen: &Seen) -> bool {
        let (now, idle) = (self.now, self.options.idle);
        let since = seen.caught_up.max(seen.rose).max(Some(seen.end_known_since));
        let end_is_fresh = now - seen.end_reported <= (idle / 2).max(Duration::from_millis(500));
        seen.is_at_end() && end_is_fresh && since.is_some_and(|since| now - since >= idle)
    }

    fn phase(&self, partition: PartitionId, seen: &Seen) -> PartitionPhase {
        let position = self.position(partition);
        match seen.next {
            None => PartitionPhase::Discovered,
            Some(_) if seen.is_at_target(position) => PartitionPhase::AtTarget,
            Some(_) if !seen.attached => PartitionPhase::Detached,
            Some(_) if seen.is_restoring(position) => PartitionPhase::Restoring,
            Some(next) if seen.endless || next < seen.end => PartitionPhase::CatchingUp,
            Some(_) if self.is_idle(seen) => PartitionPhase::Idle,
            Some(_) => PartitionPhase::CaughtUp,
        }
    }

    /// The partitions that block the topic's watermark.
    fn blocking(&self) -> impl Iterator<Item = (PartitionId, &Seen)> {
        let blocks = |phase| !matches!(phase, PartitionPhase::Idle | PartitionPhase::AtTarget);
        let seen = self.partitions.iter().map(|(partition, seen)| (*partition, seen));
        seen.filter(move |(partition, seen)| blocks(self.phase(*partition, seen)))
    }

    /// The watermark rises as far as it may. What closes the windows that it has passed; `None` if none may close.
    fn rise(&mut self) -> Option<ClosedBy> {
        if !self.listed || self.is_restoring() || self.partitions.values().any(|seen| seen.next.is_none()) {
            return None;
        }
        let (reached, by) = match self.blocking().map(|(partition, _)| self.watermark(partition)).min() {
            Some(least) => (least, ClosedBy::Watermark),
            None => (self.event_time(), ClosedBy::Idle),
        };
        self.expected.watermark = self.expected.watermark.max(reached);
        reached.map(|_| by)
    }

    /// Event time while no partition blocks it.
    fn event_time(&self) -> Option<Millis> {
        let (newest, came) = self.newest?;
        let passed = i64::try_from((self.now - came).as_millis()).expect("runs are short");
        let is_live = |seen: &Seen| seen.accepted.is_some_and(|last| self.now - last < self.options.idle);
        match self.partitions.values().any(is_live) {
            // Readings come that are older than the newest: event time goes no further than open windows need.
            true => self.expected.open.keys().next_back().map(|end| (newest + passed).min(end + self.grace)),
            false => Some(newest + passed),
        }
    }

    /// Watermark alignment: a partition more than ten windows and the grace ahead of the slowest that blocks the watermark pauses.
    fn align(&mut self) -> Vec<(PartitionId, bool)> {
        let place = |(partition, seen): (PartitionId, &Seen)| {
            let own = self.watermark(partition).filter(|_| !seen.is_restoring(self.position(partition)));
            own.or(self.expected.watermark).or(self.first_watermark)
        };
        let slowest = self.blocking().filter_map(place).min();
        let span = 10 * self.options.window.millis() + self.grace;
        let is_ahead =
            |partition| self.watermark(partition).zip(slowest).is_some_and(|(own, least)| own - least > span);
        // Event time plays no part in a bounded run.
        let is_ahead = |partition| !self.options.until_end && is_ahead(partition);
        let phases = self.phases();
        use PartitionPhase::{AtTarget, CatchingUp, CaughtUp, Detached, Discovered, Idle, Restoring};
        let nothing_closes = phases.iter().any(|(_, phase)| matches!(phase, Discovered | Detached | Restoring));
        let pauses = |(partition, phase): (PartitionId, PartitionPhase)| match phase {
            AtTarget => Some(partition),
            CatchingUp => is_ahead(partition).then_some(partition),
            CaughtUp | Idle => (nothing_closes && is_ahead(partition)).then_some(partition),
            Discovered | Detached | Restoring => None,
        };
        let paused: BTreeSet<PartitionId> = phases.into_iter().filter_map(pauses).collect();
        let before = std::mem::replace(&mut self.paused, paused);
        let changed = self.paused.symmetric_difference(&before);
        changed.map(|partition| (*partition, self.paused.contains(partition))).collect()
    }
}
