//! Event time: each partition's watermark, who holds the topic's back, and how far it may rise.
//!
//! The topic's watermark never goes back, whatever a partition says.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::window::Millis;

use super::event::PartitionId;
use crate::results::ClosedBy;
use crate::store::{LastBatch, PartitionState, Saved};

/// However short `idle` is, a partition's end cannot be asked for much more often.
const LEAST_FRESHNESS: Duration = Duration::from_millis(500);

/// However short `idle` is, a broker that takes so long to answer is slow and not away: if it began `idle` anew, a partition
/// of one that is always slow would never fall quiet.
const LEAST_INTERRUPTION: Duration = Duration::from_secs(2);

/// How a partition stands: whether, and why, it holds the watermark back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Found, but its end is not known yet. Nothing closes.
    Unheard,
    /// The connection is lost. It holds back with its own watermark.
    Detached,
    /// Read again, after a restart, to refill windows that are open. Nothing closes until that is done.
    Refilling,
    /// Attached, and not yet read to its end. It holds back with its own watermark.
    Backlog,
    /// Read to its end, but not yet quiet for `idle`. It holds back with its own watermark.
    CaughtUp,
    /// Read to its end, and its watermark has not risen for `idle`. It holds nothing back.
    Quiet,
    /// Read to the end that the run was told to read to, in a run that leaves windows open. Its watermark rose in this run, and
    /// it is not quiet: it holds back with its own watermark, or what the next run reads of it would be late.
    KeepsOpen,
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
    /// Whether the topic has it, as far as this process knows.
    pub(super) found: bool,
    /// The offset that comes next; `None` before the first attachment. Below `merged` while open windows are refilled.
    pub(super) position: Option<i64>,
    /// What a store said of it; `None` in a run that has not been committed before.
    pub(super) saved: Option<PartitionState>,
    /// Where reading began in this run.
    start: i64,
    /// Everything below has been merged.
    merged: i64,
    /// The last batch that was merged.
    last: Option<LastBatch>,
    /// A batch that must come again as it was, or it is not the log that was read.
    pub(super) known: Option<LastBatch>,
    /// The offset after the last record, as far as known.
    pub(super) end: i64,
    /// Where the run ends for this partition, with `until_end`.
    pub(super) target: Option<i64>,
    /// The newest event time of its accepted readings.
    pub(super) watermark: Option<Millis>,
    /// When its end was last asked for, with an answer.
    heard: Duration,
    /// Since when its end has been known without interruption. While it was not, nobody could write to it either: that
    /// nothing came says nothing.
    known_since: Duration,
    /// When its watermark last rose in this run. What does not raise it tells nothing new of event time: a stream of records
    /// that are rejected, or of a clock that stands or was set back, must not hold anything back for ever.
    last_rise: Option<Duration>,
    /// When its last accepted reading came.
    last_accepted: Option<Duration>,
    /// When it first had been read to its end.
    first_caught_up: Option<Duration>,
}

impl Clock {
    /// Whether it is attached.
    pub(super) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// A partition of a run that goes on.
    fn restored(saved: PartitionState) -> Self {
        Self {
            saved: Some(saved),
            start: saved.start,
            merged: saved.merged,
            watermark: saved.watermark,
            last: saved.last,
            known: saved.last,
            ..Self::default()
        }
    }

    /// Takes the partition's place and end. `target` sets where the run ends for it.
    pub(super) fn attach(&mut self, position: i64, end: i64, until_end: bool, now: Duration) {
        self.attached = true;
        self.known_since = now;
        if self.is_untouched() {
            (self.start, self.merged) = (position, position);
            self.position = self.position.map(|_| position);
        }
        if self.position.is_none() {
            self.position = Some(position);
            self.target = until_end.then_some(end);
            self.merged = self.merged.max(position);
            self.known = self.known.filter(|known| known.first >= position);
            // What the log no longer holds is not to be looked for again by the run after this one.
            self.last = self.last.filter(|last| last.first >= position);
            if let Some(saved) = &mut self.saved {
                saved.refill = saved.refill.max(position);
            }
        }
        self.heard = now;
        self.reach(end, now);
    }

    /// The connection is there again, but nothing more is wanted of it than to know where it ends.
    pub(super) fn reattach(&mut self, end: i64, now: Duration) {
        self.attached = true;
        (self.known_since, self.heard) = (now, now);
        self.reach(end, now);
    }

    /// Whether nothing of it has ever been read, neither now nor in a run before.
    pub(super) fn is_untouched(&self) -> bool {
        self.saved.is_none() && self.last.is_none() && self.position.is_none_or(|position| position == self.start)
    }

    /// Whether it has been read to where the run ends for it.
    pub(super) fn is_at_target(&self) -> bool {
        self.target.zip(self.position).is_some_and(|(target, position)| position >= target.max(self.merged))
    }

    /// The merged offset; `None` as long as nothing is known of it.
    pub(super) fn merged_offset(&self) -> Option<i64> {
        (self.position.is_some() || self.saved.is_some()).then_some(self.merged)
    }

    /// Whether what comes next has been merged before.
    pub(super) fn is_refilling(&self) -> bool {
        match self.position {
            Some(position) => position < self.merged,
            None => self.saved.is_some_and(|saved| saved.resume() < saved.merged),
        }
    }

    /// What a commit says of it; `first` is the lowest offset of a batch that an open window holds readings of.
    pub(super) fn state(&self, first: Option<i64>) -> Option<PartitionState> {
        if self.position.is_none() {
            return self.saved;
        }
        let refill = match self.saved {
            // What has not been read again yet is not known to be in an open window, but may be.
            Some(saved) if self.is_refilling() => saved.refill,
            _ => first.unwrap_or(self.merged),
        };
        Some(PartitionState {
            start: self.start,
            merged: self.merged,
            refill,
            watermark: self.watermark,
            last: self.last,
        })
    }

    /// The connection is lost.
    pub(super) fn detach(&mut self) {
        self.attached = false;
    }

    /// Takes a newer end. An older answer that comes late lowers nothing.
    pub(super) fn set_end(&mut self, end: i64, now: Duration, idle: Duration) {
        if now.saturating_sub(self.heard) > interruption(idle) {
            self.known_since = now;
        }
        self.heard = now;
        self.reach(end, now);
    }

    /// It reaches at least so far.
    fn reach(&mut self, end: i64, now: Duration) {
        self.end = self.end.max(end);
        self.note_caught_up(now);
    }

    /// A batch that had been merged before was read again, up to `next`.
    pub(super) fn refilled(&mut self, next: i64, now: Duration) {
        self.position = Some(next);
        self.reach(next, now);
    }

    /// No record stands before `next`. If everything before has been merged, the next batch is merged from there.
    pub(super) fn skip(&mut self, next: i64, now: Duration) {
        self.position = Some(next);
        self.merged = self.merged.max(next);
        self.reach(next, now);
    }

    /// A partial up to `next` was merged; `newest` is its newest accepted reading.
    fn merged(&mut self, next: i64, batch: LastBatch, newest: Option<Millis>, now: Duration) {
        self.position = Some(next);
        self.merged = next;
        // An empty batch may not come again.
        if next > batch.first {
            self.last = Some(batch);
        }
        if newest.is_some() {
            self.last_accepted = Some(now);
        }
        if newest > self.watermark {
            self.watermark = newest;
            self.last_rise = Some(now);
        }
        self.reach(next, now);
    }

    fn note_caught_up(&mut self, now: Duration) {
        if self.first_caught_up.is_none() && self.position.is_some_and(|position| position >= self.end) {
            self.first_caught_up = Some(now);
        }
    }

    /// How it stands at `now`; `leave_open` in a run that leaves windows open at its end.
    pub(super) fn standing(&self, now: Duration, idle: Duration, leave_open: bool) -> Standing {
        let Some(position) = self.position else {
            return Standing::Unheard;
        };
        if self.is_at_target() {
            let is_quiet = self.may_fall_quiet() && self.is_quiet(now, idle);
            // Of whom nothing new came between two runs is idle, however short the runs are.
            if leave_open && self.last_rise.is_some() && !is_quiet { Standing::KeepsOpen } else { Standing::AtTarget }
        } else if !self.attached {
            Standing::Detached
        } else if position < self.merged {
            Standing::Refilling
        } else if position < self.end {
            Standing::Backlog
        } else if self.is_quiet(now, idle) {
            Standing::Quiet
        } else {
            Standing::CaughtUp
        }
    }

    /// Whether it is known that there is nothing more to be read of it now.
    pub(super) fn may_fall_quiet(&self) -> bool {
        self.attached && self.position.is_some_and(|position| position >= self.end)
    }

    /// Whether it has been quiet for `idle`, as far as that is known.
    fn is_quiet(&self, now: Duration, idle: Duration) -> bool {
        let since = self.last_rise.max(self.first_caught_up).map(|since| since.max(self.known_since));
        since.is_some_and(|since| now.saturating_sub(since) >= idle)
            // A partition of which nothing has been heard may have had readings since.
            && now.saturating_sub(self.heard) <= freshness(idle)
    }

    /// Whether readings come, raise they its watermark or not.
    fn is_live(&self, now: Duration, idle: Duration) -> bool {
        self.last_accepted.is_some_and(|last| now.saturating_sub(last) < idle)
    }
}

/// How old the knowledge of a partition's end may be for it to count as quiet.
fn freshness(idle: Duration) -> Duration {
    (idle / 2).max(LEAST_FRESHNESS)
}

/// For how long nothing may be heard of a partition's end before what was known of it counts no more.
fn interruption(idle: Duration) -> Duration {
    (idle / 2).max(LEAST_INTERRUPTION)
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
    pub(super) fn restored(idle: Duration, leave_open: bool, saved: &Saved) -> Self {
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
    pub(super) fn is_refilling(&self) -> bool {
        self.partitions.values().any(Clock::is_refilling)
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
        clock.standing(self.now, self.idle, self.leave_open)
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

    /// Raises the topic's watermark as far as its holders allow. Answers what windows closed by it say. `last_close` is the
    /// watermark that closes the last window that is open. Cost: linear in the partitions.
    pub(super) fn advance(&mut self, last_close: Option<Millis>) -> Option<ClosedBy> {
        if !self.listed || self.is_refilling() {
            return None;
        }
        let mut least: Option<Option<Millis>> = None;
        for clock in self.partitions.values() {
            let standing = self.standing(clock);
            if standing.holds_back() {
                // Whatever a store says of one that is not heard from yet: nothing closes.
                let own = clock.watermark.filter(|_| standing != Standing::Unheard);
                least = Some(least.map_or(own, |least| least.min(own)));
            }
        }
        let (reached, by) = match least {
            Some(held) => (held, ClosedBy::Watermark),
            // Readings that come are behind event time by now: were it to run away from them, they would be late for longer.
            None if self.is_live() => (self.event_time().min(last_close), ClosedBy::Idle),
            None => (self.event_time(), ClosedBy::Idle),
        };
        if reached > self.watermark {
            self.watermark = reached;
            return Some(by);
        }
        None
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
        let own = clock.watermark.filter(|_| !clock.is_refilling());
        own.or(self.watermark).or(self.floor)
    }

    /// Whether every partition has been read to its target (with `until_end`).
    pub(super) fn all_at_target(&self) -> bool {
        self.listed && self.partitions.values().all(Clock::is_at_target)
    }
}
