//! What to do when a stream breaks, stands still or skips: decisions without I/O, one [`Policy`] per partition.
//!
//! The SPU answers a fetch with the partials of as many batches as fit `max_bytes`. If the first batch's partial alone
//! does not fit, it sends nothing and moves on to the end of the log, in silence. So a fetch starts with a size that
//! keeps a steady flow, and is made larger, at the last good batch boundary, when partials are missing ([`Policy::judge`]),
//! when nothing comes although there is something to read ([`Policy::stalled`]), or when the broker refuses.

use std::time::Duration;

use isotherm_model::partial::SourceRange;

/// Sizes of a fetch's answer in bytes, smallest first. The largest holds the partial of the largest batch that a
/// producer can send (32 MiB), twice over.
const SIZES: [i32; 4] = [2 << 20, 8 << 20, 32 << 20, (64 << 20) + (1 << 20)];

/// How long nothing may come, although there is something to read, before the fetch is repeated with a larger size.
/// It doubles each time: a slow broker that works on a large backlog must be given its time.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_PATIENCE: Duration = Duration::from_secs(640);

/// After how many stalls in a row, without any partial in between, the run ends: with the largest size, and ten minutes
/// of patience, nothing is to be expected any longer.
const MOST_STALLS: u32 = 6;

/// How often in a row a broker may answer with the same kind of error, without any partial in between, before the
/// run ends with it. Lost connections are not counted: they are retried forever.
const MOST_REFUSALS: u32 = 8;

/// How long a module that the controller knows may be unknown to the SPU.
const MODULE_GRACE: Duration = Duration::from_secs(60);

/// How long an SPU may go on with a module that was replaced: whoever deploys and runs at once meets the old one.
const REPLACED_GRACE: Duration = Duration::from_secs(10);

/// The longest pause while a module is waited for.
const MODULE_PAUSE: Duration = Duration::from_secs(2);

/// What to do with a partial that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It begins where the last one ended.
    Accept,
    /// It does not: fetch again from the last good boundary.
    Refetch,
    /// Fetching again, with the largest size, gave the same: hand it on, so that the materializer refuses it.
    HandOn,
}

/// What went wrong, as far as the decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The way to the broker: connect, send, receive, or a leader that moved.
    Connection,
    /// The SPU does not know the module, although the controller does.
    ModuleUnknown,
    /// What the SPU runs is of another version, or no such module at all.
    OtherModule,
    /// The broker answered with an error.
    Refusal,
}

/// What to do about trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this time.
    After(Duration),
    /// Give up: it does not pass by itself.
    GiveUp,
}

/// What a partition's reader remembers from one attempt to the next.
#[derive(Debug)]
pub(super) struct Policy {
    size: usize,
    patience: Duration,
    /// Whether the present size has already been tried anew at a misfit.
    misfit_at: Option<i64>,
    stalls: u32,
    attempts: u32,
    refusals: u32,
    module_unknown: Duration,
    other_module: Duration,
}

impl Policy {
    pub(super) fn new() -> Self {
        Self {
            size: 0,
            patience: PATIENCE,
            misfit_at: None,
            stalls: 0,
            attempts: 0,
            refusals: 0,
            module_unknown: Duration::ZERO,
            other_module: Duration::ZERO,
        }
    }

    /// The size to ask for.
    pub(super) fn max_bytes(&self) -> i32 {
        SIZES.get(self.size).copied().unwrap_or(i32::MAX)
    }

    /// How long to wait for an answer while there is something to read.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether this partial may follow what ended at `expected`.
    pub(super) fn judge(&mut self, expected: i64, source: SourceRange) -> Verdict {
        if source.first == expected {
            self.misfit_at = None;
            self.stalls = 0;
            self.attempts = 0;
            self.refusals = 0;
            self.module_unknown = Duration::ZERO;
            self.other_module = Duration::ZERO;
            return Verdict::Accept;
        }
        let first_time = self.misfit_at != Some(expected);
        self.misfit_at = Some(expected);
        // A gap can come from too small a size; an overlap cannot, but one more look costs little.
        let grown = source.first > expected && self.grow();
        if grown || first_time { Verdict::Refetch } else { Verdict::HandOn }
    }

    /// Nothing came within [`Policy::patience`] although there was something to read: the next fetch asks for more and
    /// waits longer. False when that has been done often enough.
    pub(super) fn stalled(&mut self) -> bool {
        self.grow();
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
        self.stalls += 1;
        self.stalls < MOST_STALLS
    }

    /// What to do after trouble; `jitter` in `0.0..1.0` spreads attempts of many readers.
    pub(super) fn after(&mut self, trouble: Trouble, jitter: f64) -> Next {
        let pause = backoff(self.attempts, jitter);
        self.attempts = self.attempts.saturating_add(1);
        match trouble {
            Trouble::Connection => {}
            Trouble::ModuleUnknown => {
                return wait_for_module(&mut self.module_unknown, MODULE_GRACE, pause);
            }
            Trouble::OtherModule => return wait_for_module(&mut self.other_module, REPLACED_GRACE, pause),
            Trouble::Refusal => {
                // A broker that does not skip what is too large refuses it, in words of its own.
                self.grow();
                self.refusals += 1;
                if self.refusals >= MOST_REFUSALS {
                    return Next::GiveUp;
                }
            }
        }
        Next::After(pause)
    }

    /// Whether another module than ours may still be one that was replaced a moment ago.
    pub(super) fn may_be_replaced(&self) -> bool {
        self.other_module < REPLACED_GRACE
    }

    /// Whether another module than ours answered last.
    pub(super) fn waits_for_replacement(&self) -> bool {
        !self.other_module.is_zero()
    }

    /// A stream was opened and its partition's end is known: the way to the broker is whole.
    pub(super) fn attached(&mut self) {
        if self.refusals == 0 && self.module_unknown.is_zero() && !self.waits_for_replacement() {
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

/// Waits for a module that has been waited for so long, unless that is `most`.
fn wait_for_module(waited: &mut Duration, most: Duration, pause: Duration) -> Next {
    if *waited >= most {
        return Next::GiveUp;
    }
    let pause = pause.min(MODULE_PAUSE);
    *waited += pause;
    Next::After(pause)
}

/// The pause before attempt number `attempt` (from 0): 0.2 s doubling to 10 s, less up to a quarter of jitter.
pub(super) fn backoff(attempt: u32, jitter: f64) -> Duration {
    let whole = Duration::from_millis(200).saturating_mul(1 << attempt.min(16)).min(Duration::from_secs(10));
    whole.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, next: i64) -> SourceRange {
        SourceRange { first, next }
    }

    #[test]
    fn partials_that_join_are_accepted() {
        let mut policy = Policy::new();
        assert_eq!(policy.judge(0, range(0, 10)), Verdict::Accept);
        assert_eq!(policy.judge(10, range(10, 10)), Verdict::Accept, "a batch without records");
        assert_eq!(policy.max_bytes(), SIZES[0]);
    }

    #[test]
    fn a_gap_is_fetched_again_with_every_larger_size_then_handed_on() {
        let mut policy = Policy::new();
        let mut asked = vec![policy.max_bytes()];
        let mut verdict = policy.judge(10, range(20, 30));
        while verdict == Verdict::Refetch {
            asked.push(policy.max_bytes());
            assert!(asked.len() < 10, "it must end");
            verdict = policy.judge(10, range(20, 30));
        }
        assert_eq!(asked, SIZES);
        assert_eq!(verdict, Verdict::HandOn);
    }

    #[test]
    fn a_gap_that_a_larger_size_closes_is_forgotten() {
        let mut policy = Policy::new();
        assert_eq!(policy.judge(10, range(20, 30)), Verdict::Refetch);
        assert_eq!(policy.judge(10, range(10, 20)), Verdict::Accept);
        assert_eq!(policy.max_bytes(), SIZES[1], "the size that was needed once is kept");
        assert_eq!(policy.judge(20, range(25, 30)), Verdict::Refetch);
    }

    #[test]
    fn an_overlap_is_fetched_again_once() {
        let mut policy = Policy::new();
        assert_eq!(policy.judge(10, range(5, 12)), Verdict::Refetch);
        assert_eq!(policy.judge(10, range(5, 12)), Verdict::HandOn);
        assert_eq!(policy.max_bytes(), SIZES[0], "a larger size cannot mend it");
    }

    #[test]
    fn a_stall_asks_for_more_and_waits_longer() {
        let mut policy = Policy::new();
        for (stall, size) in (1..).zip([SIZES[1], SIZES[2], SIZES[3], SIZES[3], SIZES[3], SIZES[3]]) {
            let before = policy.patience();
            assert_eq!(policy.stalled(), stall < MOST_STALLS);
            assert_eq!(policy.max_bytes(), size);
            assert!(policy.patience() > before);
        }
    }

    #[test]
    fn stalls_with_partials_in_between_go_on() {
        let mut policy = Policy::new();
        for offset in 0..100 {
            assert!(policy.stalled());
            assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
            assert!(policy.patience() <= MOST_PATIENCE);
        }
    }

    #[test]
    fn lost_connections_are_retried_forever_with_growing_pauses() {
        let mut policy = Policy::new();
        let pauses: Vec<_> = (0..100).map(|_| policy.after(Trouble::Connection, 0.0)).collect();
        assert_eq!(pauses[..3], [200, 400, 800].map(|ms| Next::After(Duration::from_millis(ms))));
        assert!(pauses[6..].iter().all(|next| *next == Next::After(Duration::from_secs(10))));
    }

    #[test]
    fn refusals_end_unless_partials_come_in_between() {
        let mut policy = Policy::new();
        let until = (1..=100).find(|_| policy.after(Trouble::Refusal, 0.5) == Next::GiveUp);
        assert_eq!(until, Some(MOST_REFUSALS));
        assert_eq!(policy.max_bytes(), SIZES[3], "an answer that is too large may be refused instead of skipped");
        let mut policy = Policy::new();
        for offset in 0..100 {
            assert_ne!(policy.after(Trouble::Refusal, 0.5), Next::GiveUp);
            assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
        }
    }

    #[test]
    fn an_unknown_module_is_waited_for_but_not_forever() {
        let mut policy = Policy::new();
        let mut waited = Duration::ZERO;
        while let Next::After(pause) = policy.after(Trouble::ModuleUnknown, 0.0) {
            waited += pause;
            policy.attached();
        }
        assert!(waited >= MODULE_GRACE && waited < MODULE_GRACE * 2, "{waited:?}");
    }

    #[test]
    fn a_module_that_was_replaced_is_waited_for_anew_after_each_partial_but_not_forever() {
        let mut policy = Policy::new();
        for offset in 0..3 {
            let mut waited = Duration::ZERO;
            while policy.may_be_replaced() {
                let Next::After(pause) = policy.after(Trouble::OtherModule, 0.0) else {
                    panic!("it may still be replaced");
                };
                waited += pause;
                policy.attached();
            }
            assert!(waited >= REPLACED_GRACE && waited <= REPLACED_GRACE + MODULE_PAUSE, "{waited:?}");
            assert_eq!(policy.after(Trouble::OtherModule, 0.0), Next::GiveUp);
            assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
        }
    }

    #[test]
    fn jitter_only_shortens_a_pause() {
        for attempt in 0..40 {
            let (whole, least) = (backoff(attempt, 0.0), backoff(attempt, 1.0));
            assert!(least < whole && least >= whole.mul_f64(0.74));
        }
    }
}
