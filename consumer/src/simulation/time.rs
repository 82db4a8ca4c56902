//! A model of time: from what a life has seen of each partition it says, after every event, who holds the topic's watermark
//! back, how far that rises, and which windows close for what reason. Written from `docs/semantics.md`, with nothing of the
//! materializer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use isotherm_model::partial::Partial;
use isotherm_model::window::Millis;

use super::log::Log;
use crate::materializer::Options;
use crate::materializer::event::Event;
use crate::results::ClosedBy;
use crate::store::Saved;

/// By partition, how far it has been merged.
pub(super) type Merged = Vec<(u32, i64)>;

/// What a life has seen of a partition.
#[derive(Debug, Default)]
struct Seen {
    attached: bool,
    /// `None` before the first attachment.
    position: Option<i64>,
    /// Where it is read from then, if it was read before.
    resume: i64,
    merged: Option<i64>,
    end: i64,
    target: Option<i64>,
    newest: Option<Millis>,
    /// When its end was told last.
    heard: Duration,
    /// Since when its end has been told again and again.
    known: Duration,
    caught_up: Option<Duration>,
    /// When an accepted reading came last.
    accepted: Option<Duration>,
    /// When one came last that was newer than all before.
    rose: Option<Duration>,
}

impl Seen {
    fn is_at_target(&self) -> bool {
        self.target.is_some_and(|target| self.position >= Some(target) && self.position >= self.merged)
    }

    /// Whether it is, or is to be, read again.
    fn is_refilling(&self) -> bool {
        self.merged > Some(self.position.unwrap_or(self.resume))
    }

    fn reach(&mut self, end: i64, now: Duration) {
        self.end = self.end.max(end);
        if self.position >= Some(self.end) {
            self.caught_up.get_or_insert(now);
        }
    }
}

/// With what a partition holds the topic's watermark back.
#[derive(Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing closes.
    Everything,
    /// No further than its own watermark.
    Own(Option<Millis>),
    Nothing,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Time {
    options: Options,
    grace: Millis,
    now: Duration,
    listed: bool,
    partitions: BTreeMap<u32, Seen>,
    pub(super) watermark: Option<Millis>,
    /// The newest reading, and when it came.
    newest: Option<(Millis, Duration)>,
    closed_until: Option<Millis>,
    /// The ends of the windows that are open.
    pub(super) open: BTreeSet<Millis>,
    /// Whether the run is over.
    pub(super) over: bool,
}

impl Time {
    /// At the beginning of a life that goes on where this store says.
    pub(super) fn new(log: &Log, options: Options, saved: &Saved) -> Self {
        let seen = |(partition, state): (&u32, &crate::store::PartitionState)| {
            let batches = log.partitions[*partition as usize].batches.iter();
            let read = batches.filter(|b| b.first >= state.start && b.reach <= state.merged && !b.fate.unread);
            let newest = read.flat_map(|batch| &batch.readings).map(|reading| reading.heard).max();
            assert_eq!(newest, state.watermark, "the watermark of partition {partition}, recomputed and stored");
            let (merged, resume) = (Some(state.merged), state.resume());
            (*partition, Seen { merged, resume, newest, ..Seen::default() })
        };
        let partitions: BTreeMap<u32, Seen> = saved.partitions.iter().map(seen).collect();
        Self {
            grace: i64::try_from(options.grace.as_millis()).expect("grace is short"),
            now: Duration::ZERO,
            listed: false,
            watermark: saved.topic.watermark,
            newest: partitions.values().filter_map(|seen| seen.newest).max().map(|time| (time, Duration::ZERO)),
            closed_until: saved.topic.closed_until,
            open: BTreeSet::new(),
            over: false,
            partitions,
            options,
        }
    }

    /// How far everything that is known has been merged.
    pub(super) fn merged(&self) -> Merged {
        self.partitions.iter().filter_map(|(partition, seen)| Some((*partition, seen.merged?))).collect()
    }

    /// Takes an event that was not refused. Which windows close now, by their ends, and by what.
    pub(super) fn see(&mut self, event: &Event) -> Option<(BTreeSet<Millis>, ClosedBy)> {
        self.note(event);
        let finished = *event == Event::Finish && !self.partitions.values().any(Seen::is_refilling);
        let at_targets = self.options.until_end && self.listed && self.partitions.values().all(Seen::is_at_target);
        if *event == Event::Stop {
            self.over = true;
            return None;
        }
        if finished || at_targets {
            self.over = true;
            let all = if self.options.leave_open { BTreeSet::new() } else { std::mem::take(&mut self.open) };
            return (!all.is_empty()).then_some((all, ClosedBy::End));
        }
        let by = self.rise()?;
        self.closed_until = self.closed_until.max(self.watermark.map(|watermark| watermark - self.grace));
        let open = self.open.split_off(&self.closed_until.map_or(Millis::MIN, |until| until + 1));
        let closed = std::mem::replace(&mut self.open, open);
        (!closed.is_empty()).then_some((closed, by))
    }

    fn note(&mut self, event: &Event) {
        let (now, until_end, listed) = (self.now, self.options.until_end, self.listed);
        let silence = (self.options.idle / 2).max(Duration::from_secs(2));
        match event {
            Event::Found { partition } if !(until_end && listed) => {
                self.partitions.entry(*partition).or_default();
            }
            Event::Listed => self.listed = true,
            Event::Tick { now } => self.now = self.now.max(*now),
            Event::Attached { partition, position, end } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                (seen.attached, seen.known, seen.heard) = (true, now, now);
                if !seen.is_at_target() {
                    if seen.position.is_none() {
                        seen.target = until_end.then_some(*end);
                    }
                    seen.position = Some(*position);
                    seen.merged = seen.merged.max(seen.position);
                }
                seen.reach(*end, now);
            }
            Event::Detached { partition } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                seen.attached = false;
            }
            Event::End { partition, end } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                if now - seen.heard > silence {
                    seen.known = now;
                }
                seen.heard = now;
                seen.reach(*end, now);
            }
            Event::Partial { partition, partial, .. } => self.read(*partition, partial),
            Event::Hole { partition, next } => {
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                if !seen.is_at_target() && seen.position < Some(*next) {
                    seen.position = Some(*next);
                    seen.merged = seen.merged.max(seen.position);
                    seen.reach(*next, now);
                }
            }
            Event::Found { .. } | Event::Stop | Event::Finish => {}
        }
    }

    fn read(&mut self, partition: u32, partial: &Partial) {
        let now = self.now;
        let Some(seen) = self.partitions.get_mut(&partition) else { return };
        let (source, newest) = (partial.source, partial.aggregate.newest);
        if seen.target.is_some_and(|target| source.first >= target) {
            return;
        }
        let again = Some(source.first) < seen.merged;
        seen.position = Some(source.next);
        if !again {
            seen.merged = seen.position;
            if newest.is_some() {
                seen.accepted = Some(now);
            }
            if newest > seen.newest {
                (seen.newest, seen.rose) = (newest, Some(now));
            }
            if newest > self.newest.map(|(time, _)| time) {
                self.newest = newest.map(|time| (time, now));
            }
        }
        seen.reach(source.next, now);
        for key in partial.aggregate.cells.keys() {
            let end = self.options.window.end(key.window);
            if self.closed_until.is_none_or(|until| end > until) {
                self.open.insert(end);
            }
        }
    }

    fn hold(&self, seen: &Seen) -> Hold {
        let (now, idle) = (self.now, self.options.idle);
        if seen.position.is_none() || seen.is_refilling() {
            return Hold::Everything;
        }
        let lately = now - seen.heard <= (idle / 2).max(Duration::from_millis(500));
        let since = seen.caught_up.max(seen.rose).max(Some(seen.known));
        let quiet = seen.attached
            && seen.position >= Some(seen.end)
            && lately
            && since.is_some_and(|since| now - since >= idle);
        let wanted = !seen.is_at_target() || self.options.leave_open && seen.rose.is_some();
        if wanted && !quiet { Hold::Own(seen.newest) } else { Hold::Nothing }
    }

    /// The watermark rises as far as it may; by what, if it does.
    fn rise(&mut self) -> Option<ClosedBy> {
        let holds: Vec<Hold> = self.partitions.values().map(|seen| self.hold(seen)).collect();
        if !self.listed || holds.contains(&Hold::Everything) {
            return None;
        }
        let own = |hold: &Hold| match hold {
            Hold::Own(newest) => Some(*newest),
            _ => None,
        };
        let (reached, by) = match holds.iter().filter_map(own).min() {
            Some(least) => (least, ClosedBy::Watermark),
            None => (self.goes_on(), ClosedBy::Idle),
        };
        if reached <= self.watermark {
            return None;
        }
        self.watermark = reached;
        Some(by)
    }

    /// Event time when nobody holds it back.
    fn goes_on(&self) -> Option<Millis> {
        let (newest, came) = self.newest?;
        let passed = i64::try_from((self.now - came).as_millis()).expect("runs are short");
        let comes = |seen: &Seen| seen.accepted.is_some_and(|last| self.now - last < self.options.idle);
        match self.partitions.values().any(comes) {
            // Readings come, older than the newest: no further than something is open.
            true => self.open.last().map(|end| (newest + passed).min(end + self.grace)),
            false => Some(newest + passed),
        }
    }
}
