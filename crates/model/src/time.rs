//! Event times: RFC 3339 to milliseconds since the epoch and back.
//!
//! Reading is strict: capital `T` and `Z`, any offset, at most nine decimals of the second, no leap second, and an instant in
//! the years 1000 to 9998 of UTC. Fractions of a millisecond are cut off.

use std::fmt;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = i64;

/// The first accepted instant: 1000-01-01T00:00:00Z.
pub const FIRST: Millis = -30_610_224_000_000;
/// The first instant after the accepted ones: 9999-01-01T00:00:00Z.
pub const END: Millis = 253_370_764_800_000;

const MILLIS_PER_MINUTE: i64 = 60_000;
const MILLIS_PER_DAY: i64 = 86_400_000;
/// Days of 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Reads a time; `None` if it is not accepted.
pub fn parse(text: &[u8]) -> Option<Millis> {
    Clock::default().read(text)
}

/// Reads times, faster when one has the minute of the one before. The result depends on the text alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// The last date and minute, as text.
    text: [u8; 16],
    /// The same in milliseconds since the epoch.
    millis: Millis,
}

impl Default for Clock {
    fn default() -> Self {
        Self { text: *b"1970-01-01T00:00", millis: 0 }
    }
}

impl Clock {
    /// Reads a time as [`parse`] does.
    #[inline]
    pub(crate) fn read(&mut self, text: &[u8]) -> Option<Millis> {
        let (head, tail) = text.split_first_chunk::<16>()?;
        if u128::from_le_bytes(*head) != u128::from_le_bytes(self.text) {
            self.millis = minute(head)?;
            self.text = *head;
        }
        let (&[b':', s0, s1], tail) = tail.split_first_chunk::<3>()? else {
            return None;
        };
        let second = pair(s0, s1).filter(|second| *second <= 59)?;
        let (millis, zone) = fraction(tail)?;
        let time = self.millis + i64::from(second) * 1_000 + millis - offset(zone)?;
        (FIRST..END).contains(&time).then_some(time)
    }
}

/// The first millisecond of a date and minute, `YYYY-MM-DDThh:mm`.
fn minute(text: &[u8; 16]) -> Option<Millis> {
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1] = *text else {
        return None;
    };
    let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
    let (month, day, hour, minute) = (pair(mo0, mo1)?, pair(d0, d1)?, pair(h0, h1)?, pair(mi0, mi1)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    Some(days_of(year, month, day)? * MILLIS_PER_DAY + i64::from(hour * 60 + minute) * MILLIS_PER_MINUTE)
}

/// Two digits.
#[inline(always)]
fn pair(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { None } else { Some(u32::from(tens) * 10 + u32::from(ones)) }
}

/// Days from the epoch to a date of the years 1 to 9999; `None` if there is no such day.
#[inline(always)]
fn days_of(year: u32, month: u32, day: u32) -> Option<i64> {
    const LENGTHS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = u32::from(*LENGTHS.get(month.wrapping_sub(1) as usize)?) + u32::from(leap && month == 2);
    if day == 0 || day > length || year == 0 {
        return None;
    }
    // In years that begin in March the leap day comes last, so that months have a closed formula.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    Some(i64::from(days) - EPOCH_DAYS)
}

/// The milliseconds of a fraction of a second, if there is one, and the rest of the text.
#[inline(always)]
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', decimals)) = text.split_first() else {
        return Some((0, text));
    };
    // The usual form: three decimals and then the zone.
    if let Some((&[a, b, c, zone], _)) = decimals.split_first_chunk::<4>()
        && !zone.is_ascii_digit()
    {
        return Some((i64::from(pair(b'0', a)? * 100 + pair(b, c)?), decimals.get(3..)?));
    }
    let length = decimals.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let (decimals, zone) = decimals.split_at(length);
    let digits = decimals.iter().chain(b"00").take(3);
    Some((digits.fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0')), zone))
}

/// The milliseconds that a zone is ahead of UTC.
#[inline(always)]
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (pair(h0, h1)?, pair(m0, m1)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let ahead = i64::from(hours * 60 + minutes) * MILLIS_PER_MINUTE;
            Some(if sign == b'-' { -ahead } else { ahead })
        }
        _ => None,
    }
}

/// Prints an instant in UTC, with milliseconds only where there are any: `2026-11-22T10:00:00Z`,
/// `2026-11-22T10:00:00.250Z`. Years beyond 9999 (the end of a long window can be there) have more digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Utc(pub Millis);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, millis) = (self.0.div_euclid(MILLIS_PER_DAY), self.0.rem_euclid(MILLIS_PER_DAY));
        let days = days + EPOCH_DAYS;
        let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (0, month + 3) } else { (1, month - 9) };
        let year = year + year_of_era + era * 400;
        let (second, millis) = (millis / 1_000, millis % 1_000);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if millis != 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat, Utc as ChronoUtc};
    use proptest::prelude::*;

    use super::*;

    /// What chrono reads, without what it accepts and we do not.
    fn reference(text: &str) -> Option<Millis> {
        let bytes = text.as_bytes();
        let shape = bytes.get(10) == Some(&b'T') && !text.contains('z') && text.is_ascii();
        let decimals = text.get(20..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let decimals = if bytes.get(19) == Some(&b'.') { decimals } else { 0 };
        if !shape || decimals > 9 || bytes.get(17..19) == Some(b"60") {
            return None;
        }
        let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (FIRST..END).contains(&millis).then_some(millis)
    }

    #[test]
    fn times_are_read_exactly() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2026-11-22T10:00:00.25Z", 1_795_341_600_250),
            ("2026-11-22T10:00:00.2509999Z", 1_795_341_600_250),
            ("2026-11-22T12:30:00+02:30", 1_795_341_600_000),
            ("2026-11-22T09:59:00-00:01", 1_795_341_600_000),
            ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
            ("1000-01-01T00:00:00Z", FIRST),
            ("0999-12-31T23:59:00-00:01", FIRST),
            ("9998-12-31T23:59:59.999Z", END - 1),
            ("9999-01-01T23:58:59.999+23:59", END - 1),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(millis), "{text}");
        }
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T10:00:00",
            "2026-11-22t10:00:00Z",
            "2026-11-22T10:00:00z",
            "2026-11-22 10:00:00Z",
            "2026-11-22T10:00:60Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T10:60:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-22T10:00:00.Z",
            "2026-11-22T10:00:00.1234567890Z",
            "2026-11-22T10:00:00,1Z",
            "2026-11-22T10:00:00+24:00",
            "2026-11-22T10:00:00+10:60",
            "2026-11-22T10:00:00+1000",
            "2026-11-22T10:00:00+10",
            "2026-11-22T10:00:00ZZ",
            "2026-11-22T10:00:00Z\n",
            " 2026-11-22T10:00:00Z",
            "0000-01-01T00:00:00Z",
            "0999-12-31T23:59:59.999Z",
            "9999-01-01T00:00:00Z",
            "1000-01-01T00:00:00+00:01",
            "10000-01-01T00:00:00Z",
            "２026-11-22T10:00:00Z",
            "+026-11-22T10:00:00Z",
            "2026-11-22T10:00:00.12aZ",
            "2026-11-22T10:00:00.12",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_was_read_before_makes_no_difference() {
        let mut clock = Clock::default();
        for text in [
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0:00Z",
            "1970-01-01T00:00:59.999Z",
            "2026-11-22T10:00:00Z",
            "2026-11-22T10:00:00.5+01:00",
            "2026-11-22T10:99:00Z",
            "2026-11-22T10:00:60Z",
            "2026-11-22T10:00:07Z",
            "2026-11-22T10:01:07Z",
        ] {
            assert_eq!(clock.read(text.as_bytes()), parse(text.as_bytes()), "{text}");
        }
        assert_eq!(parse(&[0; 20]), None);
    }

    #[test]
    fn instants_are_printed_with_milliseconds_only_where_there_are_any() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_341_600_250, "2026-11-22T10:00:00.250Z"),
            (FIRST, "1000-01-01T00:00:00Z"),
            (END + 366 * MILLIS_PER_DAY, "10000-01-02T00:00:00Z"),
        ] {
            assert_eq!(Utc(millis).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_instant_survives_its_text(millis in FIRST..END) {
            let text = Utc(millis).to_string();
            prop_assert_eq!(parse(text.as_bytes()), Some(millis));
            let same = DateTime::<ChronoUtc>::from_timestamp_millis(millis).expect("in range");
            let format = if millis % 1_000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
            prop_assert_eq!(text, same.to_rfc3339_opts(format, true));
        }

        /// Dates and times of plausible digits, so that about half of them are real.
        #[test]
        fn any_text_is_read_as_chrono_reads_it(
            text in "(0999|[0-9]{4}|20[0-9]{2}|9999)-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            prop_assert_eq!(parse(text.as_bytes()), reference(&text), "{}", text);
        }

        #[test]
        fn a_changed_byte_is_read_as_chrono_reads_it(millis in FIRST..END, place in 0_usize..24, byte in 0x20_u8..0x7f) {
            let mut text = Utc(millis).to_string().into_bytes();
            if let Some(changed) = text.get_mut(place) {
                *changed = byte;
            }
            let text = String::from_utf8(text).expect("ASCII");
            prop_assert_eq!(parse(text.as_bytes()), reference(&text), "{}", text);
        }
    }
}
