//! Lengths of time as people write them: `3s`, `1500ms`, `1m 30s`.

use std::fmt;
use std::time::Duration;

/// A text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a length of time ({reason}); write for example 3s, 1500ms, 1m, 2h or 1day")]
pub struct BadDuration {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Reads a length of time: `3s`, `1500ms`, `1m 30s`, `2h`, `1day`.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    humantime::parse_duration(text).map_err(|reason| BadDuration { text: text.to_owned(), reason: reason.to_string() })
}

/// Prints a length of time as one number with the largest unit that divides it: `3s`, `1500ms`, `2h`. [`parse_duration`] reads
/// what it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u128, &str); 7] = [
            (86_400_000_000_000, "days"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        match UNITS.into_iter().find(|(unit, _)| nanos.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", nanos / unit),
            None => Ok(()),
        }
    }
}
