//! JSON numbers: where one ends, and its exact value in millionths.
//!
//! Nothing goes through floating point: a number of any length and exponent is compared with the bounds exactly, and only
//! then rounded, half to even, at the sixth decimal.

use std::cmp::Ordering;

use crate::fixed::Fixed;

/// Where the number that begins at `at` ends; `None` if none begins there.
#[inline(always)]
pub(crate) fn walk(bytes: &[u8], mut at: usize) -> Option<usize> {
    if *bytes.get(at)? == b'-' {
        at += 1;
    }
    at = match *bytes.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits(bytes, at + 1),
        _ => return None,
    };
    if bytes.get(at) == Some(&b'.') {
        let end = digits(bytes, at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        let end = digits(bytes, at);
        if end == at {
            return None;
        }
        at = end;
    }
    Some(at)
}

/// Where the run of digits from `at` on ends.
#[inline(always)]
fn digits(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The value of a number's text (one that [`walk`] accepts), rounded half to even; `None` if it is outside `min..=max` before it
/// is rounded.
#[inline(always)]
pub(crate) fn value(text: &[u8], min: Fixed, max: Fixed) -> Option<Fixed> {
    match plain(text).map(Fixed::from_micros) {
        Some(value) => (min <= value && value <= max).then_some(value),
        None => Scaled::of(text).rounded_within(min, max),
    }
}

/// The value of a number's text, if it is a whole number of millionths within `±limit`.
pub(crate) fn exact(text: &[u8], limit: Fixed) -> Option<Fixed> {
    let scaled = Scaled::of(text);
    let min = Fixed::from_micros(-limit.micros());
    if scaled.rest == Rest::Zero { scaled.rounded_within(min, limit) } else { None }
}

/// The millionths of an ordinary number: at most twelve digits, at most six of them decimals, no exponent.
#[inline(always)]
fn plain(text: &[u8]) -> Option<i64> {
    const LONGEST: usize = 12;
    const SCALES: [i64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if text.len() > LONGEST + 1 {
        return None;
    }
    let (mut digits, mut decimals, mut behind_point) = (0_i64, 0_usize, 0_usize);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + i64::from(byte - b'0');
                decimals += behind_point;
            }
            b'.' => behind_point = 1,
            _ => return None,
        }
    }
    // Without a point there can be thirteen digits: 10¹³ · 10⁶ does not fit.
    let scale = *SCALES.get(decimals)?;
    if digits >= 1_000_000_000_000 {
        return None;
    }
    let micros = digits * scale;
    Some(if negative { -micros } else { micros })
}

/// What follows the last whole millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Zero,
    BelowHalf,
    Half,
    AboveHalf,
}

/// The exact value of a number, in millionths: `±(whole + rest)`, `0 ≤ rest < 1`.
#[derive(Debug, Clone, Copy)]
struct Scaled {
    negative: bool,
    /// Whole millionths; [`Scaled::BEYOND`] for anything with more than [`Scaled::DIGITS`] digits.
    whole: u128,
    rest: Rest,
}

impl Scaled {
    /// More digits of whole millionths than any bound has.
    const DIGITS: i64 = 30;
    const BEYOND: u128 = u128::MAX;

    /// Cost: linear in the text.
    fn of(text: &[u8]) -> Self {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let mark = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(mark);
        let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let decimals = mantissa.len().saturating_sub(point + 1);
        let mut digits = mantissa.iter().filter(|byte| **byte != b'.').map(|byte| byte - b'0').skip_while(|d| *d == 0);
        let significant = digits.clone().count() as i64;
        // How many digits the whole millionths have; below 0 the decimals begin with zeros.
        let places = significant + shift(exponent) + 6 - decimals as i64;
        if significant == 0 {
            return Self { negative, whole: 0, rest: Rest::Zero };
        }
        if places > Self::DIGITS {
            return Self { negative, whole: Self::BEYOND, rest: Rest::Zero };
        }
        let mut whole = 0;
        for _ in 0..places {
            whole = whole * 10 + u128::from(digits.next().unwrap_or(0));
        }
        let rest = if places < 0 {
            Rest::BelowHalf
        } else {
            let first = digits.next().unwrap_or(0);
            let exact = digits.all(|digit| digit == 0);
            match (first.cmp(&5), exact) {
                (Ordering::Less, true) if first == 0 => Rest::Zero,
                (Ordering::Less, _) => Rest::BelowHalf,
                (Ordering::Equal, true) => Rest::Half,
                _ => Rest::AboveHalf,
            }
        };
        Self { negative, whole, rest }
    }

    /// Compares the exact value with a whole number of millionths.
    fn cmp(&self, bound: Fixed) -> Ordering {
        let bound = i128::from(bound.micros());
        let of_magnitudes = |bound: i128| match u128::try_from(bound) {
            Ok(bound) => {
                self.whole.cmp(&bound).then(if self.rest == Rest::Zero { Ordering::Equal } else { Ordering::Greater })
            }
            Err(_) => Ordering::Greater,
        };
        if self.negative { of_magnitudes(-bound).reverse() } else { of_magnitudes(bound) }
    }

    /// The value rounded half to even; `None` if it is outside the range before it is rounded.
    fn rounded_within(&self, min: Fixed, max: Fixed) -> Option<Fixed> {
        if self.cmp(min).is_lt() || self.cmp(max).is_gt() {
            return None;
        }
        let up = match self.rest {
            Rest::Zero | Rest::BelowHalf => false,
            Rest::Half => self.whole % 2 == 1,
            Rest::AboveHalf => true,
        };
        let magnitude = i64::try_from(self.whole + u128::from(up)).ok()?;
        Some(Fixed::from_micros(if self.negative { -magnitude } else { magnitude }))
    }
}

/// The exponent's value, clamped far beyond what the digits of any record can offset.
fn shift(exponent: &[u8]) -> i64 {
    const FAR: i64 = 1 << 50;
    let (negative, digits) = match exponent {
        [_, b'-', digits @ ..] => (true, digits),
        [_, b'+', digits @ ..] | [_, digits @ ..] => (false, digits),
        [] => return 0,
    };
    let magnitude = digits.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(FAR));
    if negative { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn within(text: &str, min: i64, max: i64) -> Option<i64> {
        value(text.as_bytes(), Fixed::from_micros(min), Fixed::from_micros(max)).map(Fixed::micros)
    }

    fn read(text: &str) -> Option<i64> {
        assert_eq!(walk(text.as_bytes(), 0), Some(text.len()), "{text}");
        within(text, -1_000_000_000_000, 1_000_000_000_000)
    }

    #[test]
    fn numbers_end_where_they_end() {
        for (text, end) in [
            ("0", 1),
            ("-0", 2),
            ("01", 1),
            ("10,", 2),
            ("1.5}", 3),
            ("1e5]", 3),
            ("1E+05 ", 5),
            ("-1.25e-3,", 8),
            ("1.0.0", 3),
        ] {
            assert_eq!(walk(text.as_bytes(), 0), Some(end), "{text}");
        }
        for text in ["", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "-a", "1.}", "1e-}", "NaN", "Infinity"] {
            assert_eq!(walk(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn values_are_exact_and_round_half_to_even() {
        for (text, micros) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0e9", 0),
            ("59.7", 59_700_000),
            ("-40", -40_000_000),
            ("0.0000005", 0),
            ("0.0000015", 2),
            ("0.00000050000000000000000000000000000000000000000000001", 1),
            ("-0.0000005", 0),
            ("-0.0000015", -2),
            ("-0.0000025", -2),
            ("1e-7", 0),
            ("6e-7", 1),
            ("5e-7", 0),
            ("4.9e-7", 0),
            ("1e-999999999999999999999999", 0),
            ("1.5E3", 1_500_000_000),
            ("100000000000000000000e-20", 1_000_000),
            ("0.000000000000000000000000000001e30", 1_000_000),
            ("123456.7890125", 123_456_789_012),
            ("123456.7890135", 123_456_789_014),
            ("1000000", 1_000_000_000_000),
            ("-1000000.000000", -1_000_000_000_000),
            ("0e99999999999999999999999", 0),
            ("1000000.0000000000000000000000000000000000000000e0", 1_000_000_000_000),
        ] {
            assert_eq!(read(text), Some(micros), "{text}");
        }
        for text in [
            "1000000.0000001",
            "-1000000.00000000000000000000000000000001",
            "1000001",
            "1e99999999999999999999",
            "-1e7",
            "1e6000",
            "1234567890123",
            "12345678901234567890123456789012345678901234567890",
            "1000000.0000000000000000000000000000000000000001e0",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_that_lack_zero_hold() {
        for (text, min, max, lies_within) in [
            ("-1", -2_000_000, -1_000_000, true),
            ("-0.9999999", -2_000_000, -1_000_000, false),
            ("-2.0000001", -2_000_000, -1_000_000, false),
            ("1", 1_000_000, 2_000_000, true),
            ("0.9999999999", 1_000_000, 2_000_000, false),
            ("0", 1, 2, false),
            ("-0", -2, -1, false),
            ("0.0000001", 0, 0, false),
            ("-0.0000001", 0, 0, false),
            ("0.0", 0, 0, true),
        ] {
            assert_eq!(within(text, min, max).is_some(), lies_within, "{text} in {min}..={max}");
        }
    }

    proptest! {
        /// Digits with a point somewhere and an exponent, against integer arithmetic.
        #[test]
        fn any_number_is_what_integers_say(negative: bool, digits in "[1-9][0-9]{0,17}", point in 0_usize..18, exponent in -30_i32..30) {
            let point = point.min(digits.len());
            let (whole, decimals) = digits.split_at(point);
            let sign = if negative { "-" } else { "" };
            let whole = if whole.is_empty() { "0" } else { whole };
            let decimals = if decimals.is_empty() { String::new() } else { format!(".{decimals}") };
            let text = format!("{sign}{whole}{decimals}e{exponent}");
            let power = exponent + 6 - (digits.len() - point) as i32;
            let digits: i128 = digits.parse().expect("digits");
            let limit = 1_000_000_000_000_i128;
            let expected = if power >= 0 {
                10_i128.checked_pow(power as u32).and_then(|p| digits.checked_mul(p)).filter(|v| *v <= limit)
            } else if power < -30 {
                Some(0)
            } else {
                let unit = 10_i128.pow(power.unsigned_abs());
                let (quotient, rest) = (digits / unit, digits % unit);
                let up = rest * 2 > unit || rest * 2 == unit && quotient % 2 == 1;
                limit.checked_mul(unit).is_none_or(|most| digits <= most).then_some(quotient + i128::from(up))
            };
            prop_assert_eq!(read(&text).map(i128::from), expected.map(|v| if negative { -v } else { v }), "{}", text);
        }
    }
}
