//! Event time: the topic's watermark, and how far it may rise.
//!
//! The topic's watermark never goes back, whatever a partition says.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;

use super::clock::Clock;
use crate::commit::ResumeState;
use crate::results::ClosedBy;
use crate::state::LastBatch;
use crate::view::PartitionPhase;

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
    leave_open: bool,
    now: Duration,
    listed: bool,
    watermark: Option<Millis>,
    newest: Option<Newest>,
    /// The least of the partitions' first watermarks so far: where a partition without one is taken to stand.
    floor: Option<Millis>,
}

impl Clocks {
    /// No partition, no time.
    pub(super) fn new(idle: Duration, leave_open: bool) -> Self {
        let (partitions, now) = (BTreeMap::new(), Duration::ZERO);
        Self { partitions, idle, leave_open, now, listed: false, watermark: None, newest: None, floor: None }
    }

    /// A run that goes on. Event time goes on from the newest reading as if it had come just now.
    pub(super) fn restored(idle: Duration, leave_open: bool, saved: &ResumeState) -> Self {
        let clocks = saved.partitions.iter().map(|(partition, state)| (*partition, Clock::restored(*state)));
        Self {
            partitions: clocks.collect(),
            watermark: saved.topic.watermark,
            newest: saved.topic.newest.map(|time| Newest { time, came: Duration::ZERO }),
            floor: saved.partitions.values().filter_map(|state| state.watermark).min(),
            ..Self::new(idle, leave_open)
        }
    }

    /// The newest event time of any accepted reading.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.newest.map(|newest| newest.time)
    }

    /// Whether some partition is, or is to be, read again to refill open windows.
    pub(super) fn is_restoring(&self) -> bool {
        self.partitions.values().any(Clock::is_restoring)
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
    pub(super) fn phase(&self, clock: &Clock) -> PartitionPhase {
        clock.phase(self.now, self.idle, self.leave_open)
    }

    /// A partial of `partition` was merged up to `next`.
    pub(super) fn merged(&mut self, partition: PartitionId, next: i64, batch: LastBatch, newest: Option<Millis>) {
        let Some(clock) = self.partitions.get_mut(&partition) else {
            return;
        };
        if clock.watermark.is_none()
            && let Some(first) = newest
        {
            self.floor = Some(self.floor.map_or(first, |floor| floor.min(first)));
        }
        clock.merged(next, batch, newest, self.now);
        if let Some(time) = newest
            && self.newest.is_none_or(|newest| time > newest.time)
        {
            self.newest = Some(Newest { time, came: self.now });
        }
    }

    /// Raises the topic's watermark as far as its holders allow. Answers what windows say that are over by it now, `None` if
    /// nothing may close. `last_close` is the watermark that closes the last window that is open. Cost: linear in the
    /// partitions.
    pub(super) fn advance(&mut self, last_close: Option<Millis>) -> Option<ClosedBy> {
        if !self.listed || self.is_restoring() {
            return None;
        }
        let mut least: Option<Option<Millis>> = None;
        for clock in self.partitions.values() {
            let standing = self.phase(clock);
            if standing.blocks_watermark() {
                // Whatever a store says of one that is not heard from yet: nothing closes.
                let own = clock.watermark.filter(|_| standing != PartitionPhase::Discovered);
                least = Some(least.map_or(own, |least| least.min(own)));
            }
        }
        let (reached, by) = match least {
            Some(held) => (held, ClosedBy::Watermark),
            // Readings that come are behind event time by now: were it to run away from them, they would be late for longer.
            None if self.is_live() => (self.event_time().min(last_close), ClosedBy::Idle),
            None => (self.event_time(), ClosedBy::Idle),
        };
        self.watermark = self.watermark.max(reached);
        // Also where it has not risen: a run that goes on may have a shorter grace than the one before it.
        reached.map(|_| by)
    }

    /// Whether readings of any partition come.
    fn is_live(&self) -> bool {
        self.partitions.values().any(|clock| clock.is_live(self.now, self.idle))
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
        // What is read again can be of any open window.
        let own = clock.watermark.filter(|_| !clock.is_restoring());
        own.or(self.watermark).or(self.floor)
    }

    /// Whether every partition has been read to its target (with `until_end`).
    pub(super) fn all_at_target(&self) -> bool {
        self.listed && self.partitions.values().all(Clock::is_at_target)
    }
}
