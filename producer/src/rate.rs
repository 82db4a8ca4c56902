//! Messages a second.

use std::fmt;
use std::str::FromStr;

/// A number of messages a second, exact to the thousandth: 0.001 to 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages in a thousand seconds.
    milli: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate; give a number of messages a second, 0.001 to 1000000000, with at most three decimals")]
pub struct BadRate(String);

impl Rate {
    pub const THOUSAND: Self = Self { milli: 1_000_000 };

    /// The milliseconds from the first message to message `index` (from 0), cut to whole ones.
    pub fn time_of_ms(self, index: u64) -> u64 {
        let ms = u128::from(index) * 1_000_000 / u128::from(self.milli);
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// The nanoseconds that `messages` messages take, rounded up.
    pub fn nanos_for(self, messages: u64) -> u64 {
        let nanos = (u128::from(messages) * 1_000_000_000_000).div_ceil(u128::from(self.milli));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How many messages whole fit into `nanos` nanoseconds.
    pub fn messages_in(self, nanos: u64) -> u64 {
        let messages = u128::from(nanos) * u128::from(self.milli) / 1_000_000_000_000;
        u64::try_from(messages).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.milli / 1000, self.milli % 1000);
        if thousandths == 0 {
            return write!(f, "{whole}");
        }
        f.write_str(format!("{whole}.{thousandths:03}").trim_end_matches('0'))
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadRate(text.to_owned());
        let plain = text.replace('_', "");
        let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
            return Err(bad());
        }
        let milli: u64 = format!("{whole}{decimals:0<3}").parse().map_err(|_| bad())?;
        if (1..=1_000_000_000_000).contains(&milli) { Ok(Self { milli }) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rates() {
        for (text, shown) in [
            ("1000", "1000"),
            ("0.5", "0.5"),
            ("2_000_000", "2000000"),
            ("0.001", "0.001"),
            ("1000000000", "1000000000"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), shown);
        }
        for text in ["", "0", "0.0", "-1", "1e3", "1.", ".5", "1.2345", "1000000001", "max", "٣"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains("messages a second"), "{error}");
        }
    }

    #[test]
    fn counts_messages_and_time_without_drift() {
        let rate: Rate = "0.7".parse().unwrap();
        assert_eq!(rate.messages_in(rate.nanos_for(7_000_000)), 7_000_000);
        assert_eq!(rate.time_of_ms(7), 10_000);
        assert_eq!(Rate::THOUSAND.messages_in(999_999), 0);
        assert_eq!(Rate::THOUSAND.messages_in(1_000_000), 1);
        assert_eq!(Rate::THOUSAND.messages_in(u64::MAX), u64::MAX / 1_000_000);
        assert_eq!(Rate::THOUSAND.nanos_for(u64::MAX), u64::MAX);
    }
}
