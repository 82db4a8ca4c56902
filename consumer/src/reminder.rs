//! A failure that is tried again is logged when it begins, and again while it lasts: ever more seldom, but never for the last time.

use std::time::Duration;

use tokio::time::Instant;

/// After this time it is logged again, then after twice that, and so on.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// When a failure was logged.
#[derive(Debug, Default)]
pub(crate) struct Reminder {
    /// Since when it has not been logged, and for how long that is enough.
    logged: Option<(Instant, Duration)>,
}

impl Reminder {
    /// It failed: whether that is to be logged now.
    pub(crate) fn is_due(&mut self) -> bool {
        let next = match self.logged {
            None => FIRST,
            Some((since, pause)) if since.elapsed() >= pause => (pause * 2).min(LONGEST),
            Some(_) => return false,
        };
        self.logged = Some((Instant::now(), next));
        true
    }

    /// It did not fail: whether a failure had been logged.
    pub(crate) fn clear(&mut self) -> bool {
        self.logged.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_lasts_is_logged_again() {
        let (mut reminder, began, mut logged) = (Reminder::default(), Instant::now(), Vec::new());
        assert!(!reminder.clear());
        for _ in 0..3_000 {
            if reminder.is_due() {
                logged.push(began.elapsed().as_secs());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(logged, [0, 10, 30, 70, 150, 310, 630, 1_230, 1_830, 2_430]);
        assert!(reminder.clear() && reminder.is_due(), "the next failure is logged at once");
    }
}
