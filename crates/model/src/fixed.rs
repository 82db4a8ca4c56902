//! Fixed-point numbers: integers of millionths, so that sums are exact and merge in any order to the same bits.

use std::fmt;

/// Millionths in one whole.
pub const MICROS_PER_UNIT: i64 = 1_000_000;

/// A value as an integer of millionths (`1.5` is `1_500_000`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(i64);

impl Fixed {
    /// The value of this number of millionths.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The value in millionths.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Micros(i128::from(self.0)).fmt(f)
    }
}

/// Prints an integer of millionths as a decimal with at most six decimals, no trailing zeros, and never `-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Micros(pub i128);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = MICROS_PER_UNIT.unsigned_abs() as u128;
        let magnitude = self.0.unsigned_abs();
        let (whole, mut rest) = (magnitude / unit, (magnitude % unit) as u32);
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if rest == 0 {
            return Ok(());
        }
        let mut width = 6;
        while rest.is_multiple_of(10) {
            rest /= 10;
            width -= 1;
        }
        write!(f, ".{rest:0width$}")
    }
}

/// `sum / count` in millionths, rounded half to even; `None` when `count` is 0.
pub fn average(sum: i128, count: u64) -> Option<Fixed> {
    if count == 0 {
        return None;
    }
    let count = i128::from(count);
    let (quotient, rest) = (sum.div_euclid(count), sum.rem_euclid(count));
    let up = match (2 * rest).cmp(&count) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
    };
    // The average lies between the values' min and max, both of which fit.
    i64::try_from(quotient + i128::from(up)).ok().map(Fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_without_trailing_zeros() {
        for (micros, text) in [
            (0, "0"),
            (1, "0.000001"),
            (-1, "-0.000001"),
            (1_000_000, "1"),
            (-25_827_273, "-25.827273"),
            (1_420_500_000, "1420.5"),
            (100_000, "0.1"),
            (-10_050_000, "-10.05"),
        ] {
            assert_eq!(Fixed::from_micros(micros).to_string(), text);
        }
        assert_eq!(Micros(i128::MIN).to_string(), "-170141183460469231731687303715884.105728");
    }

    #[test]
    fn averages_round_half_to_even() {
        for (sum, count, micros) in
            [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1), (-2, 3, -1), (0, 9, 0)]
        {
            assert_eq!(average(sum, count), Some(Fixed::from_micros(micros)), "{sum}/{count}");
        }
        assert_eq!(average(1, 0), None);
    }
}
