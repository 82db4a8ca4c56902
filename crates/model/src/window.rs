//! The window of an event time: `[k·size, (k+1)·size)`, aligned to the epoch.

use std::time::Duration;

use crate::duration::DurationText;
use crate::time::Millis;

/// The length of every window of a topology: 1 millisecond to 366 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSize(i64);

/// A window length outside 1 ms to 366 days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a window of {} is not possible; {}", DurationText(*.0), BadWindowSize::HINT)]
pub struct BadWindowSize(pub Duration);

impl BadWindowSize {
    /// What is possible.
    pub const HINT: &str = "give one from 1ms to 366days, in whole milliseconds";
}

impl WindowSize {
    /// The longest window, in milliseconds.
    pub const MAX_MILLIS: i64 = 366 * 86_400_000;

    /// A window length; an error below 1 ms, above 366 days, or with a fraction of a millisecond.
    pub fn new(length: Duration) -> Result<Self, BadWindowSize> {
        let bad = || BadWindowSize(length);
        if !length.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(bad());
        }
        let millis = i64::try_from(length.as_millis()).map_err(|_| bad())?;
        if (1..=Self::MAX_MILLIS).contains(&millis) { Ok(Self(millis)) } else { Err(bad()) }
    }

    /// The length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The length as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }

    /// The window of an event time.
    pub const fn window_of(self, time: Millis) -> Window {
        Window(time.div_euclid(self.0))
    }

    /// The window's first instant.
    pub const fn start(self, window: Window) -> Millis {
        window.0.saturating_mul(self.0)
    }

    /// The first instant after the window.
    pub const fn end(self, window: Window) -> Millis {
        window.0.saturating_add(1).saturating_mul(self.0)
    }
}

impl Default for WindowSize {
    /// Three seconds.
    fn default() -> Self {
        Self(3_000)
    }
}

/// A window's number `k`: with a [`WindowSize`] it is `[k·size, (k+1)·size)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Window(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch_on_both_sides() {
        let size = WindowSize::default();
        for (time, window) in [(0, 0), (2_999, 0), (3_000, 1), (-1, -1), (-3_000, -1), (-3_001, -2)] {
            assert_eq!(size.window_of(time), Window(window), "{time}");
            assert!((size.start(Window(window))..size.end(Window(window))).contains(&time));
        }
    }

    #[test]
    fn sizes_outside_the_bounds_are_refused() {
        for bad in [Duration::ZERO, Duration::from_micros(1_500), Duration::from_secs(366 * 86_400 + 1), Duration::MAX]
        {
            assert_eq!(WindowSize::new(bad), Err(BadWindowSize(bad)));
        }
        for (bad, text) in [
            (Duration::from_secs(367 * 86_400), "a window of 367days is not possible; give one from 1ms to 366days"),
            (Duration::from_micros(1_500), "a window of 1500us is not possible"),
        ] {
            let error = BadWindowSize(bad).to_string();
            assert!(error.starts_with(text), "{error}");
        }
        assert_eq!(WindowSize::new(Duration::from_millis(1)).map(WindowSize::millis), Ok(1));
    }
}
