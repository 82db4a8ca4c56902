//! Pauses between attempts: doubling, bounded, and spread where many wait for the same broker.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// The bounds of a pause that doubles with each attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// For a broker or controller that does not answer: 0.2 s to 10 s.
    pub const BROKER: Self = Self::new(Duration::from_millis(200), Duration::from_secs(10));

    /// Pauses between these.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause before attempt number `attempt` (from 0), less up to a quarter: `jitter` in `0.0..1.0` says how much.
    pub fn pause(&self, attempt: u32, jitter: f64) -> Duration {
        let whole = self.first.saturating_mul(1 << attempt.min(16)).min(self.longest);
        whole.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

/// A fraction that differs between callers. It spreads their attempts; it is no secret.
pub fn jitter() -> f64 {
    let bits = RandomState::new().hash_one(Instant::now().elapsed());
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
