//! What to do when a stream breaks, stalls or skips: decisions without I/O, one [`Policy`] per partition.
//!
//! The SPU answers a fetch with the partials of as many batches as fit `max_bytes`. If the first batch's partial alone
//! does not fit, it sends nothing and moves on to the end of the log, in silence. So a fetch starts with a size that
//! keeps a steady flow, and is made larger, at the last good batch boundary, when partials are missing ([`Policy::judge`]),
//! when nothing comes and the next batch's partial is known not to fit ([`Policy::stalled`]), or when the broker refuses.
//!
//! A broker that is merely slow is given its time. It works until its answer reaches the size or the log ends, so that the
//! first of many small partials may come after all of a backlog has been read.

use std::time::Duration;

use isotherm_fluvio::Backoff;
use isotherm_model::partial::SourceRange;

/// Sizes of a fetch's answer in bytes, smallest first. The last but one holds the largest partial of the largest batch that
/// producers of the published client send (32 MiB), the last that of the largest batch that a node of ours takes (64 MiB).
const SIZES: [i32; 5] = [2 << 20, 8 << 20, 32 << 20, 65 << 20, 129 << 20];

/// How long nothing may come, although there is something to read, before the fetch is repeated. It doubles each time, and
/// the first partial that comes sets it back.
const TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(640);

/// How many records a second even a slow broker works through: a tenth of what a small one does.
const SLOWEST: u64 = 100_000;

/// After how many stalls in a row, without any partial in between, that is said to be no ordinary slowness.
const MANY_STALLS: u32 = 6;

/// How long a connection must have held for the next pause to be a short one again, although no partial came.
const STEADY: Duration = Duration::from_secs(20);

/// Bytes of an answer besides a partial's own: a record's framing.
const FRAMING: usize = 64;

/// How often in a row a broker may answer with the same kind of error, without any partial in between, before the
/// run ends with it. Lost connections are not counted: they are retried forever.
const MOST_REFUSALS: u32 = 8;

/// How long a module that the controller knows may be unknown to the SPU.
const MODULE_GRACE: Duration = Duration::from_secs(60);

/// How long an SPU may go on with a module that was replaced: a user who deploys and runs at once meets the old one.
const REPLACED_GRACE: Duration = Duration::from_secs(10);

/// How long a new leader may not know how far its log is committed: it has to hear from its followers.
const LAG_GRACE: Duration = Duration::from_secs(30);

/// The longest pause while one of these is waited for.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// What to do with a partial that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It begins where the last one ended.
    Accept,
    /// It does not: fetch again from the last good boundary.
    Refetch,
    /// Fetching again, with the largest size, gave the same: hand it on, so that the materializer refuses it.
    Deliver,
}

/// What went wrong, as far as the decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The way to the broker: connect, send, receive, or a leader that moved.
    Connection,
    /// The SPU does not know the module, although the controller does.
    ModuleUnknown,
    /// The log ends before what has been read of it, as far as its leader knows.
    Lagging,
    /// What the SPU runs is of another version, or no such module at all.
    OtherModule,
    /// The broker answered with an error.
    Refusal,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Try again after this time.
    After(Duration),
    /// Give up: it does not pass by itself.
    GiveUp,
}

/// What a partition's reader remembers from one attempt to the next.
#[derive(Debug)]
pub(super) struct Policy {
    size: usize,
    timeout: Duration,
    /// Whether the present size has already been tried again at a misfit.
    misfit_at: Option<i64>,
    stalls: u32,
    attempts: u32,
    refusals: u32,
    module_unknown: Duration,
    other_module: Duration,
    lagging: Duration,
}

impl Policy {
    pub(super) fn new() -> Self {
        Self {
            size: 0,
            timeout: TIMEOUT,
            misfit_at: None,
            stalls: 0,
            attempts: 0,
            refusals: 0,
            module_unknown: Duration::ZERO,
            other_module: Duration::ZERO,
            lagging: Duration::ZERO,
        }
    }

    /// The size to ask for.
    pub(super) fn max_bytes(&self) -> i32 {
        SIZES.get(self.size).copied().unwrap_or(i32::MAX)
    }

    /// How long to wait for an answer while `behind` records are still to be read.
    pub(super) fn timeout(&self, behind: u64) -> Duration {
        self.timeout.max(Duration::from_secs(behind / SLOWEST))
    }

    /// Whether this partial may follow what ended at `expected`.
    pub(super) fn judge(&mut self, expected: i64, source: SourceRange) -> Verdict {
        if source.first == expected {
            self.misfit_at = None;
            self.timeout = TIMEOUT;
            self.stalls = 0;
            self.attempts = 0;
            self.refusals = 0;
            self.module_unknown = Duration::ZERO;
            self.other_module = Duration::ZERO;
            return Verdict::Accept;
        }
        let first_time = self.misfit_at != Some(expected);
        self.misfit_at = Some(expected);
        // Partials are missing where the size is too small; an overlap has another cause, but one more look costs little.
        let grown = source.first > expected && self.grow();
        if grown || first_time { Verdict::Refetch } else { Verdict::Deliver }
    }

    /// Nothing came within [`Policy::timeout`] although there was something to read: the next fetch waits longer, and asks
    /// for more if the next batch's partial, which takes `partial` bytes if that is known, does not fit. Returns whether this has
    /// happened so often that it ought to be said.
    pub(super) fn stalled(&mut self, partial: Option<usize>) -> bool {
        let fits =
            |size: i32| partial.is_none_or(|bytes| usize::try_from(size).is_ok_and(|size| bytes + FRAMING <= size));
        while !fits(self.max_bytes()) && self.grow() {}
        self.timeout = (self.timeout * 2).min(LONGEST_TIMEOUT);
        self.stalls = self.stalls.saturating_add(1);
        self.stalls.is_multiple_of(MANY_STALLS)
    }

    /// What to do after a failure; `jitter` in `0.0..1.0` spreads attempts of many readers.
    pub(super) fn after(&mut self, kind: FailureKind, jitter: f64) -> Retry {
        let pause = Backoff::BROKER.pause(self.attempts, jitter);
        self.attempts = self.attempts.saturating_add(1);
        match kind {
            FailureKind::Connection => {}
            FailureKind::ModuleUnknown => return wait(&mut self.module_unknown, MODULE_GRACE, pause),
            FailureKind::OtherModule => return wait(&mut self.other_module, REPLACED_GRACE, pause),
            FailureKind::Lagging => return wait(&mut self.lagging, LAG_GRACE, pause),
            FailureKind::Refusal => {
                // A broker that does not skip what is too large refuses it, in words of its own.
                self.grow();
                self.refusals += 1;
                if self.refusals >= MOST_REFUSALS {
                    return Retry::GiveUp;
                }
            }
        }
        Retry::After(pause)
    }

    /// Whether another module than ours may still be one that was replaced a moment ago.
    pub(super) fn may_be_replaced(&self) -> bool {
        self.other_module < REPLACED_GRACE
    }

    /// Whether another module than ours answered last.
    pub(super) fn waits_for_replacement(&self) -> bool {
        !self.other_module.is_zero()
    }

    /// The log reaches as far as it has been read.
    pub(super) fn reached(&mut self) {
        self.lagging = Duration::ZERO;
    }

    /// A connection ended that had been good for so long. One that held for a while says that the way to the broker is
    /// whole; that one was opened at all does not: a broker may take connections and drop them.
    pub(super) fn detached(&mut self, held: Duration) {
        let whole = self.refusals == 0 && self.module_unknown.is_zero() && !self.waits_for_replacement();
        if whole && held >= STEADY {
            self.attempts = 0;
        }
    }

    /// Asks for more from now on; false when it is the largest size already.
    fn grow(&mut self) -> bool {
        let larger = self.size + 1 < SIZES.len();
        self.size += usize::from(larger);
        larger
    }
}

/// Waits for what has been waited for so long, unless that is `most`.
fn wait(waited: &mut Duration, most: Duration, pause: Duration) -> Retry {
    if *waited >= most {
        return Retry::GiveUp;
    }
    let pause = pause.min(SHORT_PAUSE);
    *waited += pause;
    Retry::After(pause)
}

#[cfg(test)]
mod tests;
