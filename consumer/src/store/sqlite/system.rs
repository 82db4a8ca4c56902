//! What the system gives: the time of day, and random numbers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::SystemTime;

use isotherm_model::window::Millis;

/// The time of day; the epoch if the clock is before it.
pub fn now() -> Millis {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// As [`now`], in whole seconds.
pub(super) fn now_seconds() -> Millis {
    now() / 1_000 * 1_000
}

/// 64 random bits, for names that no other process takes. `std` seeds its hashers from the system's randomness.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
