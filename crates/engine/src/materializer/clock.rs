//! One partition's clock: its position in the log, its watermark, and its phase.
//!
//! This file decides when a partition is idle; `docs/semantics.md` says why.

use std::time::Duration;

use isotherm_model::time::Millis;

use crate::state::{LastBatch, PartitionState};
use crate::view::PartitionPhase;

/// Sources cannot ask for a partition's end much more often than this, however short `idle` is.
const MIN_FRESHNESS: Duration = Duration::from_millis(500);

/// However short `idle` is, an answer that takes this long comes from a slow broker, not from one that was away. If each slow answer
/// restarted the idle time, a partition of a slow broker would never become idle.
const MIN_INTERRUPTION: Duration = Duration::from_secs(2);

/// What is known of one partition's place and time.
#[derive(Debug, Clone, Default)]
pub(super) struct Clock {
    attached: bool,
    /// Whether the topic has it, as far as this process knows.
    pub(super) found: bool,
    /// The next offset that the source gives; `None` before the first attachment. Below the position while open windows are restored.
    pub(super) next: Option<i64>,
    /// What the store said of it; `None` in a run that has not committed before.
    pub(super) saved: Option<PartitionState>,
    /// Where reading began in this run.
    start: i64,
    /// The next offset to merge: everything below has been merged.
    position: i64,
    /// The last batch that was merged.
    last: Option<LastBatch>,
    /// A batch that must come again unchanged; otherwise this is another log.
    pub(super) known: Option<LastBatch>,
    /// The offset after the last record, as far as known.
    pub(super) end: i64,
    /// Where the run ends for this partition, with `until_end`.
    pub(super) target: Option<i64>,
    /// Whether it ends where nobody knows before it has been read.
    endless: bool,
    /// Its watermark when the bounded run began that this run is, or goes on with.
    pub(super) bounded_from: Option<Millis>,
    /// The newest event time of its accepted readings.
    pub(super) watermark: Option<Millis>,
    /// When its end was last asked for, with an answer.
    heard: Duration,
    /// Since when its end has been known without interruption. While the end was unknown, producers could not write either, so
    /// silence proves nothing.
    known_since: Duration,
    /// When its watermark last rose in this run. Records that do not raise it say nothing new of event time: rejected ones, or those
    /// of a clock that stopped or was set back, must not block the topic for ever.
    last_rise: Option<Duration>,
    /// When its last accepted reading came.
    last_accepted: Option<Duration>,
    /// When it was first read to its end.
    first_caught_up: Option<Duration>,
}

impl Clock {
    /// Whether it is attached.
    pub(super) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// A partition as the store says it. `goes_on`: the run goes on with a bounded run that was interrupted.
    pub(super) fn restored(saved: PartitionState, goes_on: bool) -> Self {
        Self {
            saved: Some(saved),
            bounded_from: if goes_on { saved.bounded_from } else { saved.watermark },
            start: saved.start,
            position: saved.position,
            watermark: saved.watermark,
            last: saved.last,
            known: saved.last,
            ..Self::default()
        }
    }

    /// Sets position and end, and in a bounded run the target.
    pub(super) fn attach(&mut self, position: i64, end: Option<i64>, until_end: bool, now: Duration) {
        self.attached = true;
        self.endless = end.is_none();
        self.known_since = now;
        if self.is_untouched() {
            (self.start, self.position) = (position, position);
            self.next = self.next.map(|_| position);
        }
        if self.next.is_none() {
            self.next = Some(position);
            self.target = end.filter(|_| until_end);
            self.position = self.position.max(position);
            self.known = self.known.filter(|known| known.first >= position);
            // The next run must not look for a batch that the log no longer holds.
            self.last = self.last.filter(|last| last.first >= position);
            if let Some(saved) = &mut self.saved {
                saved.restore_from = saved.restore_from.max(position);
            }
        }
        self.heard = now;
        self.reach(end.unwrap_or(position), now);
    }

    /// The connection is back. The partition is at its target: only its end is of interest.
    pub(super) fn reattach(&mut self, end: Option<i64>, now: Duration) {
        self.attached = true;
        (self.known_since, self.heard) = (now, now);
        self.reach(end.unwrap_or(self.end), now);
    }

    /// Whether its end is not known yet.
    pub(super) fn is_endless(&self) -> bool {
        self.endless
    }

    /// Whether its watermark has risen since the bounded run began.
    pub(super) fn rose_in_bounded_run(&self) -> bool {
        self.watermark > self.bounded_from
    }

    /// Whether nothing of it has been read, in this run or an earlier one.
    pub(super) fn is_untouched(&self) -> bool {
        self.saved.is_none() && self.last.is_none() && self.next.is_none_or(|next| next == self.start)
    }

    pub(super) fn is_at_target(&self) -> bool {
        self.target.zip(self.next).is_some_and(|(target, next)| next >= target.max(self.position))
    }

    /// The position: the next offset to merge. `None` while nothing is known of the partition.
    pub(super) fn position(&self) -> Option<i64> {
        (self.next.is_some() || self.saved.is_some()).then_some(self.position)
    }

    /// Whether what comes next has been merged before.
    pub(super) fn is_restoring(&self) -> bool {
        match self.next {
            Some(next) => next < self.position,
            None => self.saved.is_some_and(|saved| saved.resume() < saved.position),
        }
    }

    /// Offsets read again, and how many must be.
    pub(super) fn restored_of(&self) -> (u64, u64) {
        let Some(saved) = self.saved else {
            return (0, 0);
        };
        let span = |to: i64| u64::try_from(to.saturating_sub(saved.resume())).unwrap_or(0);
        (span(self.next.unwrap_or(saved.resume()).min(saved.position)), span(saved.position))
    }

    /// Its state for a commit, of a bounded run that has not ended or of another run; `first` is the lowest offset of a batch that
    /// an open window holds readings of.
    pub(super) fn state(&self, first: Option<i64>, bounded: bool) -> Option<PartitionState> {
        if self.next.is_none() {
            return self
                .saved
                .map(|saved| PartitionState { bounded_from: self.bounded_from.filter(|_| bounded), ..saved });
        }
        let restore_from = match self.saved {
            // A batch that has not been read again may hold readings of an open window.
            Some(saved) if self.is_restoring() => saved.restore_from,
            _ => first.unwrap_or(self.position),
        };
        Some(PartitionState {
            start: self.start,
            position: self.position,
            restore_from,
            watermark: self.watermark,
            bounded_from: self.bounded_from.filter(|_| bounded),
            last: self.last,
        })
    }

    pub(super) fn detach(&mut self) {
        self.attached = false;
    }

    /// Sets a newer end. An older answer that comes late lowers nothing.
    pub(super) fn set_end(&mut self, end: i64, until_end: bool, now: Duration, idle: Duration) {
        if std::mem::take(&mut self.endless) && until_end {
            self.target = Some(end);
        }
        if now.saturating_sub(self.heard) > interruption(idle) {
            self.known_since = now;
        }
        self.heard = now;
        self.reach(end, now);
    }

    fn reach(&mut self, end: i64, now: Duration) {
        self.end = self.end.max(end);
        if self.endless {
            return;
        }
        self.note_caught_up(now);
    }

    /// A batch below the position was read again, up to `next`.
    pub(super) fn mark_restored(&mut self, next: i64, now: Duration) {
        self.next = Some(next);
        self.reach(next, now);
    }

    /// Skips an offset gap: no record is left before `next`.
    pub(super) fn skip(&mut self, next: i64, now: Duration) {
        self.next = Some(next);
        self.position = self.position.max(next);
        self.reach(next, now);
    }

    /// A partial up to `next` was merged; `newest` is its newest accepted reading.
    pub(super) fn merged(&mut self, next: i64, batch: LastBatch, newest: Option<Millis>, now: Duration) {
        self.next = Some(next);
        self.position = next;
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
        if self.first_caught_up.is_none() && self.next.is_some_and(|next| next >= self.end) {
            self.first_caught_up = Some(now);
        }
    }

    /// Its phase at `now`.
    pub(super) fn phase(&self, now: Duration, idle: Duration) -> PartitionPhase {
        let Some(next) = self.next else {
            return PartitionPhase::Discovered;
        };
        if self.is_at_target() {
            PartitionPhase::AtTarget
        } else if !self.attached {
            PartitionPhase::Detached
        } else if next < self.position {
            PartitionPhase::Restoring
        } else if self.endless || next < self.end {
            PartitionPhase::CatchingUp
        } else if self.is_idle(now, idle) {
            PartitionPhase::Idle
        } else {
            PartitionPhase::CaughtUp
        }
    }

    /// Whether its watermark has not risen for `idle`, and its end is known well enough to say so.
    fn is_idle(&self, now: Duration, idle: Duration) -> bool {
        let since = self.last_rise.max(self.first_caught_up).map(|since| since.max(self.known_since));
        since.is_some_and(|since| now.saturating_sub(since) >= idle)
            // Without a recent end, readings may be waiting that nobody knows of.
            && now.saturating_sub(self.heard) <= freshness(idle)
    }

    /// Whether readings arrive, whether or not they raise its watermark.
    pub(super) fn is_live(&self, now: Duration, idle: Duration) -> bool {
        self.last_accepted.is_some_and(|last| now.saturating_sub(last) < idle)
    }
}

/// The greatest age of a known end at which the partition can count as idle.
fn freshness(idle: Duration) -> Duration {
    (idle / 2).max(MIN_FRESHNESS)
}

/// How long an end may go unconfirmed before the idle time restarts.
fn interruption(idle: Duration) -> Duration {
    (idle / 2).max(MIN_INTERRUPTION)
}
