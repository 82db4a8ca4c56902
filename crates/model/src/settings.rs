//! What a topology says about readings and windows, as parameters of the modules, and its fingerprint.

use std::fmt;
use std::time::Duration;

use crate::duration::DurationText;
use crate::schema::Schema;
use crate::window::WindowSize;

/// Everything that a batch's partial depends on besides the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The shape of a reading.
    pub schema: Schema,
    /// The length of windows.
    pub window: WindowSize,
    /// How far an event time may be ahead of its record's log timestamp (whole milliseconds; see [`MaxAhead`]).
    pub max_ahead: Duration,
}

/// The bounds of `max-ahead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAhead;

/// A `max-ahead` outside 0 to 36,525 days.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a max-ahead of {} is not possible; {}", DurationText(*.0), BadMaxAhead::HINT)]
pub struct BadMaxAhead(pub Duration);

impl BadMaxAhead {
    /// What is possible.
    pub const HINT: &str = "give one from 0s to 36525days (a hundred years), in whole milliseconds";
}

impl MaxAhead {
    /// The largest one, in milliseconds: a hundred years.
    pub const MAX_MILLIS: u128 = 36_525 * 86_400_000;

    /// Checks a length: at most a hundred years, whole milliseconds.
    pub fn check(length: Duration) -> Result<Duration, BadMaxAhead> {
        let whole = length.subsec_nanos().is_multiple_of(1_000_000);
        if whole && length.as_millis() <= Self::MAX_MILLIS { Ok(length) } else { Err(BadMaxAhead(length)) }
    }
}

impl Settings {
    /// Every parameter with its value, so that [`Settings::from_params`] gives equal settings.
    pub fn to_params(&self) -> Vec<(String, String)> {
        let schema = &self.schema;
        [
            ("sensor", schema.sensor.to_string()),
            ("group", schema.group.to_string()),
            ("time", schema.time.to_string()),
            ("value", schema.value.to_string()),
            ("groups", schema.groups.to_string()),
            ("min", schema.range.min.to_string()),
            ("max", schema.range.max.to_string()),
            ("window", DurationText(self.window.duration()).to_string()),
            ("max-ahead", DurationText(self.max_ahead).to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The first line of the text that [`Settings::fingerprint`] is a digest of. Every module that makes partials has it among
    /// its bytes.
    pub const CANONICAL: &str = "isotherm settings 1\n";

    /// The canonical text: [`Settings::CANONICAL`] and then, for each pair of [`Settings::to_params`] in its order, `name`, a space,
    /// the value's length in bytes as a decimal, a space, the value, and a line feed. Another text is another fingerprint: a new
    /// setting changes that of every topology, and with it refuses all stores and modules made before.
    pub fn canonical(&self) -> String {
        let mut text = String::from(Self::CANONICAL);
        for (name, value) in self.to_params() {
            text.push_str(&format!("{name} {} {value}\n", value.len()));
        }
        text
    }

    /// A digest of everything in them: XXH3-64 (seed 0) of the canonical text.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(xxhash_rust::xxh3::xxh3_64(self.canonical().as_bytes()))
    }

    /// `max_ahead` in milliseconds.
    pub fn max_ahead_millis(&self) -> i64 {
        i64::try_from(self.max_ahead.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Default for Settings {
    /// The sensor message, windows of three seconds, one minute ahead.
    fn default() -> Self {
        Self { schema: Schema::default(), window: WindowSize::default(), max_ahead: Duration::from_secs(60) }
    }
}

/// A digest of [`Settings`]. Every partial carries it, so that one made with other settings is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
