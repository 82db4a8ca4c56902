//! Event time: each partition's watermark, who holds the topic's back, and how far it may rise.
//!
//! The topic's watermark never goes back, whatever a partition says.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::window::Millis;

use super::event::PartitionId;
use crate::results::ClosedBy;

/// How a partition stands: whether, and why, it holds the watermark back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Found, but its end is not known yet. Nothing closes.
    Unheard,
    /// The connection is lost. It holds back with its own watermark.
    Detached,
    /// Attached, and not yet read to its end. It holds back with its own watermark.
    Backlog,
    /// Read to its end, but not yet quiet for `idle`. It holds back with its own watermark.
    CaughtUp,
    /// Read to its end and quiet for `idle`. It holds nothing back.
    Quiet,
    /// Read to the end that the run was told to read to. It holds nothing back.
    AtTarget,
}

impl Standing {
    /// Whether windows wait for this partition.
    pub const fn holds_back(self) -> bool {
        !matches!(self, Self::Quiet | Self::AtTarget)
    }
}

/// What is known of one partition's place and time.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    attached: bool,
    /// The merged offset; `None` before the first attachment.
    pub(super) position: Option<i64>,
    /// The offset after the last record, as far as known.
    pub(super) end: i64,
    /// Where the run ends for this partition, with `until_end`.
    pub(super) target: Option<i64>,
    /// The newest event time of its accepted readings.
    pub(super) watermark: Option<Millis>,
    /// When its last accepted reading came. (Records that are rejected tell nothing of event time: a stream of nothing
    /// else must not hold the others back.)
    last_accepted: Option<Duration>,
    /// When it first had been read to its end.
    first_caught_up: Option<Duration>,
}

impl Clock {
    /// Whether it is attached.
    pub(super) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// Takes the partition's place and end. `target` sets where the run ends for it.
    pub(super) fn attach(&mut self, position: i64, end: i64, until_end: bool, now: Duration) {
        self.attached = true;
        if self.position.is_none() {
            self.position = Some(position);
            self.target = until_end.then_some(end);
        }
        self.set_end(end, now);
    }

    /// The connection is lost.
    pub(super) fn detach(&mut self) {
        self.attached = false;
    }

    /// Takes a newer end. An older answer that comes late lowers nothing.
    pub(super) fn set_end(&mut self, end: i64, now: Duration) {
        self.end = self.end.max(end);
        self.note_caught_up(now);
    }

    /// A partial up to `next` was merged; `newest` is its newest accepted reading.
    pub(super) fn merged(&mut self, next: i64, newest: Option<Millis>, now: Duration) {
        self.position = Some(next);
        self.watermark = self.watermark.max(newest);
        if newest.is_some() {
            self.last_accepted = Some(now);
        }
        self.set_end(next, now);
    }

    fn note_caught_up(&mut self, now: Duration) {
        if self.first_caught_up.is_none() && self.position.is_some_and(|position| position >= self.end) {
            self.first_caught_up = Some(now);
        }
    }

    /// How it stands at `now`.
    pub(super) fn standing(&self, now: Duration, idle: Duration) -> Standing {
        let Some(position) = self.position else {
            return Standing::Unheard;
        };
        if self.target.is_some_and(|target| position >= target) {
            Standing::AtTarget
        } else if !self.attached {
            Standing::Detached
        } else if position < self.end {
            Standing::Backlog
        } else if self.last_accepted.max(self.first_caught_up).is_some_and(|since| now.saturating_sub(since) >= idle) {
            Standing::Quiet
        } else {
            Standing::CaughtUp
        }
    }
}

/// The newest reading of the topic, and when it came.
#[derive(Debug, Clone, Copy)]
struct Newest {
    time: Millis,
    came: Duration,
}

/// All partitions' clocks, and the topic's watermark.
#[derive(Debug, Clone)]
pub(super) struct Clocks {
    pub(super) partitions: BTreeMap<PartitionId, Clock>,
    idle: Duration,
    now: Duration,
    listed: bool,
    watermark: Option<Millis>,
    newest: Option<Newest>,
    /// The least of the partitions' first watermarks so far: where a partition without one is taken to stand.
    floor: Option<Millis>,
}

impl Clocks {
    /// No partition, no time.
    pub(super) fn new(idle: Duration) -> Self {
        let (partitions, now) = (BTreeMap::new(), Duration::ZERO);
        Self { partitions, idle, now, listed: false, watermark: None, newest: None, floor: None }
    }

    /// The last tick.
    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    /// A tick; one that goes back is ignored.
    pub(super) fn tick(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    /// Whether the list of partitions has been complete once.
    pub(super) const fn listed(&self) -> bool {
        self.listed
    }

    /// The list of partitions is complete.
    pub(super) fn list(&mut self) {
        self.listed = true;
    }

    /// The topic's watermark; `None` until something could have closed.
    pub(super) const fn watermark(&self) -> Option<Millis> {
        self.watermark
    }

    /// How a partition stands.
    pub(super) fn standing(&self, clock: &Clock) -> Standing {
        clock.standing(self.now, self.idle)
    }

    /// A partial of `partition` was merged up to `next`.
    pub(super) fn merged(&mut self, partition: PartitionId, next: i64, newest: Option<Millis>) {
        let Some(clock) = self.partitions.get_mut(&partition) else {
            return;
        };
        if clock.watermark.is_none()
            && let Some(first) = newest
        {
            self.floor = Some(self.floor.map_or(first, |floor| floor.min(first)));
        }
        clock.merged(next, newest, self.now);
        if let Some(time) = newest
            && self.newest.is_none_or(|newest| time > newest.time)
        {
            self.newest = Some(Newest { time, came: self.now });
        }
    }

    /// Raises the topic's watermark as far as its holders allow. Answers what windows closed by it say.
    /// Cost: linear in the partitions.
    pub(super) fn advance(&mut self) -> Option<ClosedBy> {
        if !self.listed {
            return None;
        }
        let mut least: Option<Option<Millis>> = None;
        for clock in self.partitions.values().filter(|clock| self.standing(clock).holds_back()) {
            least = Some(least.map_or(clock.watermark, |least| least.min(clock.watermark)));
        }
        let (reached, by) = match least {
            Some(held) => (held, ClosedBy::Watermark),
            None => (self.event_time(), ClosedBy::Idle),
        };
        if reached > self.watermark {
            self.watermark = reached;
            return Some(by);
        }
        None
    }

    /// Event time when nobody holds it back: it goes on from the newest reading at the monotonic pace.
    fn event_time(&self) -> Option<Millis> {
        self.newest.map(|newest| {
            let passed = self.now.saturating_sub(newest.came).as_millis();
            newest.time.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
        })
    }

    /// Where a partition stands in event time: its watermark, or, as long as it has none, the topic's, or the least
    /// first watermark of any partition.
    pub(super) fn place(&self, clock: &Clock) -> Option<Millis> {
        clock.watermark.or(self.watermark).or(self.floor)
    }

    /// Whether every partition has been read to its target (with `until_end`).
    pub(super) fn all_at_target(&self) -> bool {
        self.listed && self.partitions.values().all(|clock| self.standing(clock) == Standing::AtTarget)
    }
}
