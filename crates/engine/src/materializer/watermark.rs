//! Event time: the topic's watermark, and how far it may rise.
//!
//! The topic's watermark never goes back, whatever a partition says.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;

use super::clock::Clock;
use crate::commit::ResumeState;
use crate::results::ClosedBy;
use crate::state::LastBatch;
use crate::view::PartitionPhase;

/// The newest reading of the topic, and when it arrived.
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
    /// The least of the partitions' first watermarks: assumed for a partition that has none.
    floor: Option<Millis>,
}

impl Clocks {
    pub(super) fn new(idle: Duration) -> Self {
        let (partitions, now) = (BTreeMap::new(), Duration::ZERO);
        Self { partitions, idle, now, listed: false, watermark: None, newest: None, floor: None }
    }

    /// The clocks as a store says them. Event time goes on from the newest reading as if it had just arrived.
    /// `goes_on`: with a bounded run that was interrupted.
    pub(super) fn restored(idle: Duration, goes_on: bool, saved: &ResumeState) -> Self {
        let clocks = saved.partitions.iter().map(|(partition, state)| (*partition, Clock::restored(*state, goes_on)));
        Self {
            partitions: clocks.collect(),
            watermark: saved.topic.watermark,
            newest: saved.topic.newest.map(|time| Newest { time, came: Duration::ZERO }),
            floor: saved.partitions.values().filter_map(|state| state.watermark).min(),
            ..Self::new(idle)
        }
    }

    /// The newest event time of any accepted reading.
    pub(super) fn newest(&self) -> Option<Millis> {
        self.newest.map(|newest| newest.time)
    }

    /// Whether a partition is restoring open windows, or will.
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

    pub(super) fn phase(&self, clock: &Clock) -> PartitionPhase {
        clock.phase(self.now, self.idle)
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

    /// Raises the topic's watermark as far as the partitions that block it allow. Returns what closes windows now, or `None` if no window
    /// may close. `last_close` is the watermark that closes the last open window. Cost: linear in the partitions.
    pub(super) fn advance(&mut self, last_close: Option<Millis>) -> Option<ClosedBy> {
        if !self.listed || self.is_restoring() {
            return None;
        }
        let mut least: Option<Option<Millis>> = None;
        for clock in self.partitions.values() {
            let standing = self.phase(clock);
            if standing.blocks_watermark() {
                // A store may know a watermark of a partition whose end is unknown; still no window closes.
                let own = clock.watermark.filter(|_| standing != PartitionPhase::Discovered);
                least = Some(least.map_or(own, |least| least.min(own)));
            }
        }
        let (reached, by) = match least {
            Some(held) => (held, ClosedBy::Watermark),
            // The readings that arrive are behind event time. If event time went further, more of them would be late.
            None if self.is_live() => (self.event_time().min(last_close), ClosedBy::Idle),
            None => (self.event_time(), ClosedBy::Idle),
        };
        self.watermark = self.watermark.max(reached);
        // Also if it has not risen: this run may have a shorter grace than the run before it.
        reached.map(|_| by)
    }

    /// Sets the watermark of a bounded run that has read its partitions: the least of those that rose in it, and of those that have
    /// not been read to their target.
    pub(super) fn end_bounded(&mut self) {
        let counts = |clock: &&Clock| clock.rose_in_bounded_run() || !clock.is_at_target();
        let least = self.partitions.values().filter(counts).map(|clock| clock.watermark).min();
        self.watermark = self.watermark.max(least.flatten());
    }

    /// Whether readings arrive in any partition.
    fn is_live(&self) -> bool {
        self.partitions.values().any(|clock| clock.is_live(self.now, self.idle))
    }

    /// Event time when no partition blocks it: it advances from the newest reading as monotonic time does.
    fn event_time(&self) -> Option<Millis> {
        self.newest.map(|newest| {
            let passed = self.now.saturating_sub(newest.came).as_millis();
            newest.time.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
        })
    }

    /// A partition's place in event time: its watermark; without one the topic's, or the least first watermark of any partition.
    pub(super) fn place(&self, clock: &Clock) -> Option<Millis> {
        // A restored batch can belong to any open window.
        let own = clock.watermark.filter(|_| !clock.is_restoring());
        own.or(self.watermark).or(self.floor)
    }

    /// Whether every partition of a bounded run has been read to its target.
    pub(super) fn all_at_target(&self) -> bool {
        self.listed && self.partitions.values().all(Clock::is_at_target)
    }
}
