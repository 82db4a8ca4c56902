//! A model of time: from what a life has seen of each partition it says, after every event, who holds the topic's watermark
//! back, how far that rises, and which windows close for what reason. Written from `docs/semantics.md`, with nothing of the
//! materializer. A life begins with the book of the commit that it goes on from, and keeps it on from there.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_engine::materializer::Options;
use isotherm_engine::results::{ClosedBy, WindowResult};
use isotherm_model::partial::Partial;
use isotherm_model::window::Millis;

use super::book::{Book, Page};
use super::log::Log;

/// What a life has seen of a partition.
#[derive(Debug, Default)]
struct Seen {
    attached: bool,
    /// `None` before the first attachment.
    position: Option<i64>,
    /// Where it is read from then, if it was read before.
    resume: i64,
    end: i64,
    target: Option<i64>,
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
    fn is_at_target(&self, merged: Option<i64>) -> bool {
        self.target.is_some_and(|target| self.position >= Some(target) && self.position >= merged)
    }

    /// Whether it is, or is to be, read again.
    fn is_restoring(&self, merged: Option<i64>) -> bool {
        merged > Some(self.position.unwrap_or(self.resume))
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
    /// The newest reading, and when it came.
    newest: Option<(Millis, Duration)>,
    pub(super) book: Book,
    /// Whether the run is over.
    pub(super) over: bool,
}

impl Time {
    /// At the beginning of a life that goes on from the commit of this book.
    pub(super) fn new(options: Options, book: &Book) -> Self {
        let seen = |(partition, page): (&u32, &Page)| (*partition, Seen { resume: page.resume(), ..Seen::default() });
        Self {
            grace: i64::try_from(options.grace.as_millis()).expect("grace is short"),
            now: Duration::ZERO,
            listed: false,
            partitions: book.pages.iter().map(seen).collect(),
            newest: book.newest().map(|time| (time, Duration::ZERO)),
            book: book.resumed(),
            over: false,
            options,
        }
    }

    fn merged(&self, partition: u32) -> Option<i64> {
        self.book.pages.get(&partition).map(|page| page.merged)
    }

    /// Whether some partition is, or is to be, read again.
    pub(super) fn is_restoring(&self) -> bool {
        self.partitions.iter().any(|(partition, seen)| seen.is_restoring(self.merged(*partition)))
    }

    /// All of it is committed; closed windows are kept for so long.
    pub(super) fn commit(&mut self, keep: Option<Duration>) {
        let merged: BTreeMap<u32, i64> = self.book.merged().into_iter().collect();
        let settled = |partition| {
            let seen = &self.partitions[&partition];
            seen.position.is_some() && !seen.is_restoring(merged.get(&partition).copied())
        };
        self.book.commit(keep, settled);
    }

    /// Takes an event that was not refused. The windows that close now.
    pub(super) fn see(&mut self, log: &Log, event: &Event) -> Vec<Rc<WindowResult>> {
        self.note(log, event);
        let finished = *event == Event::Finish && !self.is_restoring();
        let at_target = |(partition, seen): (&u32, &Seen)| seen.is_at_target(self.merged(*partition));
        let at_targets = self.options.until_end && self.listed && self.partitions.iter().all(at_target);
        if *event == Event::Stop {
            self.over = true;
            return Vec::new();
        }
        if finished || at_targets {
            self.over = true;
            let last = self.book.open.keys().next_back().copied().filter(|_| !self.options.leave_open);
            return last.map_or_else(Vec::new, |last| self.book.close(log, Some(last), ClosedBy::End));
        }
        match self.rise() {
            None => Vec::new(),
            Some(by) => self.book.close(log, self.book.watermark.map(|watermark| watermark - self.grace), by),
        }
    }

    fn note(&mut self, log: &Log, event: &Event) {
        let (now, until_end, listed) = (self.now, self.options.until_end, self.listed);
        let silence = (self.options.idle / 2).max(Duration::from_secs(2));
        match event {
            Event::Found { partition } if !(until_end && listed) => {
                self.partitions.entry(*partition).or_default();
            }
            Event::Listed => {
                self.listed = true;
                self.book.began.get_or_insert(self.partitions.len() as u32);
            }
            Event::Tick { now } => self.now = self.now.max(*now),
            Event::Attached { partition, position, end } => self.attach(log, *partition, *position, *end),
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
            Event::Partial { partition, partial, digest } => self.read(log, *partition, partial, *digest),
            Event::OffsetGap { partition, next } => {
                let merged = self.merged(*partition);
                let Some(seen) = self.partitions.get_mut(partition) else { return };
                if !seen.is_at_target(merged) && seen.position < Some(*next) {
                    seen.position = Some(*next);
                    self.book.skip(*partition, *next);
                    seen.reach(*next, now);
                }
            }
            Event::Found { .. } | Event::Stop | Event::Finish => {}
        }
    }

    fn attach(&mut self, log: &Log, partition: u32, position: i64, end: i64) {
        let (now, merged) = (self.now, self.merged(partition));
        let Some(seen) = self.partitions.get_mut(&partition) else { return };
        (seen.attached, seen.known, seen.heard) = (true, now, now);
        if !seen.is_at_target(merged) {
            let first = seen.position.is_none();
            if first {
                seen.target = self.options.until_end.then_some(end);
            }
            seen.position = Some(position);
            self.book.attach(log, partition, position, first);
        }
        seen.reach(end, now);
    }

    fn read(&mut self, log: &Log, partition: u32, partial: &Partial, digest: u64) {
        let (now, merged) = (self.now, self.merged(partition));
        let Some(seen) = self.partitions.get_mut(&partition) else { return };
        let (source, newest) = (partial.source, partial.aggregate.newest);
        if seen.target.is_some_and(|target| source.first >= target) {
            return;
        }
        seen.position = Some(source.next);
        if Some(source.first) < merged {
            self.book.replay(partition, partial.aggregate.records);
        } else {
            let before = self.book.pages.get(&partition).and_then(|page| page.watermark);
            if newest.is_some() {
                seen.accepted = Some(now);
            }
            if newest > before {
                seen.rose = Some(now);
            }
            if newest > self.newest.map(|(time, _)| time) {
                self.newest = newest.map(|time| (time, now));
            }
            self.book.merge(log, partition, source, digest, self.options.dead_letters);
        }
        seen.reach(source.next, now);
    }

    fn hold(&self, partition: u32, seen: &Seen) -> Hold {
        let (now, idle, page) = (self.now, self.options.idle, self.book.pages.get(&partition));
        let merged = page.map(|page| page.merged);
        if seen.position.is_none() || seen.is_restoring(merged) {
            return Hold::Everything;
        }
        let lately = now - seen.heard <= (idle / 2).max(Duration::from_millis(500));
        let since = seen.caught_up.max(seen.rose).max(Some(seen.known));
        let quiet = seen.attached
            && seen.position >= Some(seen.end)
            && lately
            && since.is_some_and(|since| now - since >= idle);
        let wanted = !seen.is_at_target(merged) || self.options.leave_open && seen.rose.is_some();
        if wanted && !quiet { Hold::Own(page.and_then(|page| page.watermark)) } else { Hold::Nothing }
    }

    /// The watermark rises as far as it may. By what windows close that are over by now; `None` if nothing may close.
    fn rise(&mut self) -> Option<ClosedBy> {
        let holds: Vec<Hold> = self.partitions.iter().map(|(partition, seen)| self.hold(*partition, seen)).collect();
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
        self.book.watermark = self.book.watermark.max(reached);
        reached.map(|_| by)
    }

    /// Event time when nobody holds it back.
    fn goes_on(&self) -> Option<Millis> {
        let (newest, came) = self.newest?;
        let passed = i64::try_from((self.now - came).as_millis()).expect("runs are short");
        let comes = |seen: &Seen| seen.accepted.is_some_and(|last| self.now - last < self.options.idle);
        match self.partitions.values().any(comes) {
            // Readings come, older than the newest: no further than something is open.
            true => self.book.open.keys().next_back().map(|end| (newest + passed).min(end + self.grace)),
            false => Some(newest + passed),
        }
    }
}
