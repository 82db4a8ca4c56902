//! Event times: from the real clock or a simulated one, and how they are written.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike};

use crate::rate::Rate;

/// The first and the last millisecond that readings may carry (years 1000 to 9998, UTC). Event times are kept within.
pub const EVENT_TIMES: std::ops::RangeInclusive<i64> = -30_610_224_000_000..=253_370_764_799_999;

const DAY_MS: i64 = 86_400_000;

/// Where the event time of a message comes from, before disorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventClock {
    /// The clock of this computer, read when the message is made.
    Real,
    /// Message `n` (from 0) is at `start_ms + n / rate`, cut to milliseconds. Nothing waits.
    Simulated {
        /// The first event time, in milliseconds since the epoch.
        start_ms: i64,
        /// How many messages there are to a second of event time.
        rate: Rate,
    },
}

impl EventClock {
    /// The event time of message `index`, in milliseconds since the epoch, where the real clock shows `now_ms`.
    pub fn at(&self, index: u64, now_ms: i64) -> i64 {
        match *self {
            Self::Real => now_ms,
            Self::Simulated { start_ms, rate } => {
                let elapsed = i64::try_from(rate.time_of_ms(index)).unwrap_or(i64::MAX);
                start_ms.saturating_add(elapsed).min(*EVENT_TIMES.end())
            }
        }
    }
}

/// The real clock, in milliseconds since the epoch (negative before it).
pub fn now_ms() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// Writes event times as RFC 3339, UTC, with milliseconds. Remembers the last day, so that the calendar is asked
/// once a day of event time and not once a message.
#[derive(Debug, Clone)]
pub struct TimeWriter {
    day: i64,
    /// `YYYY-MM-DDT` of `day`.
    date: [u8; 11],
}

impl Default for TimeWriter {
    fn default() -> Self {
        Self { day: 0, date: *b"1970-01-01T" }
    }
}

impl TimeWriter {
    /// Appends `ms` (milliseconds since the epoch, kept within [`EVENT_TIMES`]) as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    pub fn write(&mut self, ms: i64, out: &mut Vec<u8>) {
        let ms = ms.clamp(*EVENT_TIMES.start(), *EVENT_TIMES.end());
        let day = ms.div_euclid(DAY_MS);
        if day != self.day {
            self.turn_to(day);
        }
        let of_day = ms.rem_euclid(DAY_MS) as u32;
        let mut time = *b"00:00:00.000Z";
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        write_pair(&mut time, 0, seconds / 3600);
        write_pair(&mut time, 3, seconds / 60 % 60);
        write_pair(&mut time, 6, seconds % 60);
        time[9] += (millis / 100) as u8;
        write_pair(&mut time, 10, millis % 100);
        out.extend_from_slice(&self.date);
        out.extend_from_slice(&time);
    }

    fn turn_to(&mut self, day: i64) {
        // Every day within EVENT_TIMES is one that the calendar knows.
        let Some(date) = DateTime::from_timestamp_millis(day * DAY_MS) else {
            return;
        };
        let year = date.year().unsigned_abs();
        write_pair(&mut self.date, 0, year / 100);
        write_pair(&mut self.date, 2, year % 100);
        write_pair(&mut self.date, 5, date.month());
        write_pair(&mut self.date, 8, date.day());
        self.day = day;
    }
}

fn write_pair(text: &mut [u8], at: usize, number: u32) {
    text[at] = b'0' + (number / 10) as u8;
    text[at + 1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    fn written(ms: i64) -> String {
        let mut out = Vec::new();
        TimeWriter::default().write(ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_known_times() {
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(written(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(written(*EVENT_TIMES.start()), "1000-01-01T00:00:00.000Z");
        assert_eq!(written(*EVENT_TIMES.end()), "9998-12-31T23:59:59.999Z");
        assert_eq!(written(i64::MIN), "1000-01-01T00:00:00.000Z");
        assert_eq!(written(i64::MAX), "9998-12-31T23:59:59.999Z");
    }

    #[test]
    fn simulated_times_go_in_steps_of_one_by_rate() {
        let clock = EventClock::Simulated { start_ms: 1_000, rate: "300".parse().unwrap() };
        let times: Vec<_> = (0..5).map(|index| clock.at(index, 77)).collect();
        assert_eq!(times, [1_000, 1_003, 1_006, 1_010, 1_013]);
        assert_eq!(clock.at(300 * 3600, 77), 1_000 + 3_600_000);
        assert_eq!(clock.at(u64::MAX, 77), *EVENT_TIMES.end());
        assert_eq!(EventClock::Real.at(9, 77), 77);
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar(times in proptest::collection::vec(EVENT_TIMES, 1..20)) {
            let mut writer = TimeWriter::default();
            for ms in times {
                let mut out = Vec::new();
                writer.write(ms, &mut out);
                let expected = DateTime::from_timestamp_millis(ms).unwrap().to_rfc3339_opts(SecondsFormat::Millis, true);
                prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }
}
