//! How a run ended, and the counters that its parts share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isotherm_terminal::progress::thousands;

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    /// Messages made, or taken from the input.
    pub made: Counter,
    /// Messages that may have reached the destination: the sink has begun to send them.
    pub sent: Counter,
    /// Messages that the destination has confirmed.
    pub acknowledged: Counter,
    pub input_bytes: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was asked for is done.
    Complete,
    /// It was asked to stop; what had been made is acknowledged.
    Interrupted,
    /// The reader of standard output has gone.
    Closed,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Messages that the destination has confirmed.
    pub acknowledged: u64,
    /// Messages sent and not confirmed: they may or may not be stored.
    pub unacknowledged: u64,
    /// Messages made, or taken from the input, and never sent: they are not stored. Input that was read ahead does not count.
    pub unsent: u64,
    pub asked: Option<u64>,
    /// From the first message to the last confirmation.
    pub elapsed: Duration,
    pub ending: Ending,
    /// Whether messages went to standard output, so that confirmed means written.
    pub to_stdout: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", thousands(self.acknowledged))?;
        if let Some(asked) = self.asked.filter(|asked| *asked != self.acknowledged) {
            write!(f, " of {}", thousands(asked))?;
        }
        f.write_str(if self.acknowledged == 1 { " message " } else { " messages " })?;
        f.write_str(if self.to_stdout { "written" } else { "acknowledged" })?;
        let seconds = self.elapsed.as_secs_f64();
        if self.acknowledged > 0 && seconds > 0.0 {
            let rate = self.acknowledged as f64 / seconds;
            write!(f, " in {seconds:.1} s, {}/s", thousands(rate.round() as u64))?;
        }
        if self.unacknowledged > 0 {
            let of_them =
                if self.to_stdout { "the last perhaps in part" } else { "of which the broker may have stored some" };
            let what = if self.to_stdout { "more may be written" } else { "more sent" };
            write!(f, "; {} {what}, {of_them}", thousands(self.unacknowledged))?;
        }
        if self.unsent > 0 {
            write!(f, "; {} not sent", thousands(self.unsent))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(acknowledged: u64, unacknowledged: u64, unsent: u64, asked: Option<u64>) -> Summary {
        let (elapsed, ending) = (Duration::from_millis(2500), Ending::Complete);
        Summary { acknowledged, unacknowledged, unsent, asked, elapsed, ending, to_stdout: false }
    }

    #[test]
    fn says_what_was_acknowledged() {
        for (summary, said) in [
            (summary(1_000_000, 0, 0, Some(1_000_000)), "1,000,000 messages acknowledged in 2.5 s, 400,000/s"),
            (summary(1, 0, 0, None), "1 message acknowledged in 2.5 s, 0/s"),
            (
                summary(999, 51, 0, Some(1_050)),
                "999 of 1,050 messages acknowledged in 2.5 s, 400/s; 51 more sent, of which the broker may have stored \
                 some",
            ),
            (
                summary(999, 51, 1_200, None),
                "999 messages acknowledged in 2.5 s, 400/s; 51 more sent, of which the broker may have stored some; \
                 1,200 not sent",
            ),
            (summary(0, 0, 0, None), "0 messages acknowledged"),
            (
                Summary { to_stdout: true, ..summary(0, 9, 0, None) },
                "0 messages written; 9 more may be written, the last perhaps in part",
            ),
        ] {
            assert_eq!(summary.to_string(), said);
        }
    }
}
