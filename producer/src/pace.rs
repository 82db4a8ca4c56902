//! Keeps a rate evenly over real time. Pure: the caller says what time it is, and does the waiting.
//!
//! A schedule says when each message is due. Due messages are given out in small portions. After a stall the backlog is given out
//! at no more than twice the rate, and a backlog of more than [`MAX_BEHIND`] is forgiven: neither a slow disk nor a suspended laptop
//! ends in a burst.

use std::time::Duration;

use crate::rate::Rate;

/// How far the schedule may lag behind before the rest of the backlog is forgiven.
pub const MAX_BEHIND: Duration = Duration::from_secs(5);

/// Portions are at most this much of the schedule (but at least one message).
const PORTION: Duration = Duration::from_millis(20);

/// A caller that is on time is not asked to come back sooner than this.
const TICK: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// How many messages to send now.
    pub messages: u64,
    /// When to ask again, on the caller's clock.
    pub again_at: Duration,
}

#[derive(Debug, Clone)]
pub struct Pacer {
    rate: Rate,
    /// When message 0 would have been due, in nanoseconds of the caller's clock; moves ahead when a backlog is forgiven.
    origin: u64,
    /// How many messages have been given out since `origin`.
    given: u64,
}

impl Pacer {
    /// A schedule whose first message is due at `now` (any monotonic clock, here and below).
    pub fn new(rate: Rate, now: Duration) -> Self {
        Self { rate, origin: nanos(now), given: 0 }
    }

    /// What is due at `now`. Cost: a few divisions.
    pub fn due(&mut self, now: Duration) -> Due {
        let now = nanos(now);
        let owed = self.owed(now);
        let portion = self.rate.messages_in(nanos(PORTION)).max(1);
        let messages = owed.min(portion);
        self.given += messages;
        let again_at = if owed > messages {
            now.saturating_add(self.rate.nanos_for(messages) / 2)
        } else {
            self.time_of_next().max(now.saturating_add(nanos(TICK)))
        };
        Due { messages, again_at: Duration::from_nanos(again_at) }
    }

    fn owed(&mut self, now: u64) -> u64 {
        let next = self.time_of_next();
        let Some(late) = now.checked_sub(next) else { return 0 };
        if let Some(too_late) = late.checked_sub(nanos(MAX_BEHIND)) {
            self.origin = next.saturating_add(too_late);
            self.given = 0;
        }
        // A message that is due at this moment counts.
        let elapsed = now.saturating_sub(self.origin);
        (self.rate.messages_in(elapsed) + 1).saturating_sub(self.given)
    }

    fn time_of_next(&self) -> u64 {
        self.origin.saturating_add(self.rate.nanos_for(self.given))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs the schedule with a sender that comes exactly when asked, or later by what `stall` says for its turn.
    fn run(rate: Rate, until: Duration, mut stall: impl FnMut(Duration) -> Duration) -> Vec<(Duration, u64)> {
        let mut pacer = Pacer::new(rate, Duration::ZERO);
        let (mut now, mut sent) = (Duration::ZERO, Vec::new());
        while now < until {
            let due = pacer.due(now);
            sent.push((now, due.messages));
            assert!(due.again_at > now);
            now = due.again_at + stall(now);
        }
        sent
    }

    fn sum(sent: &[(Duration, u64)], from: Duration, to: Duration) -> u64 {
        sent.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, messages)| messages).sum()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slow_rates_send_one_at_a_time_when_it_is_due() {
        let sent = run("0.5".parse().unwrap(), seconds(10), |_| Duration::ZERO);
        let due: Vec<_> = sent.iter().filter(|(_, messages)| *messages > 0).copied().collect();
        assert_eq!(due, [(seconds(0), 1), (seconds(2), 1), (seconds(4), 1), (seconds(6), 1), (seconds(8), 1)]);
    }

    #[test]
    fn after_a_stall_it_catches_up_at_twice_the_rate() {
        let rate: Rate = "10000".parse().unwrap();
        let sent = run(rate, seconds(10), |at| if at == seconds(0) { seconds(2) } else { Duration::ZERO });
        let caught_up = sum(&sent, seconds(2), seconds(3));
        assert!((19_000..=20_500).contains(&caught_up), "{caught_up}");
        assert!(sent.iter().all(|(_, messages)| *messages <= 200));
        let total = sum(&sent, seconds(0), seconds(10));
        assert!((99_900..=100_100).contains(&total), "{total}");
    }

    #[test]
    fn most_of_a_long_stall_is_forgiven() {
        let sent =
            run(Rate::THOUSAND, seconds(3620), |at| if at == seconds(0) { seconds(3600) } else { Duration::ZERO });
        let total = sum(&sent, seconds(3600), seconds(3620));
        assert!((24_900..=25_100).contains(&total), "5 s of backlog and 20 s of the rate, not {total}");
    }

    proptest! {
        #[test]
        fn any_rate_is_kept_in_every_second(milli in 1_000u64..2_000_000_000, jitter in 0u64..10) {
            let rate: Rate = format!("{}.{:03}", milli / 1000, milli % 1000).parse().unwrap();
            let sent = run(rate, seconds(5), |_| Duration::from_millis(jitter));
            for second in 0..5 {
                let messages = sum(&sent, seconds(second), seconds(second + 1)) as f64;
                let expected = milli as f64 / 1000.0;
                // A portion more or less at either end of the second, from a sender that is late by `jitter`.
                let slack = 2.0 + expected * (jitter as f64 + 25.0) / 1000.0;
                prop_assert!((messages - expected).abs() <= slack, "second {}: {} of {}", second, messages, expected);
            }
        }
    }
}
