//! What is logged of a partition that cannot be read: once when it is lost, again while that lasts, and when it is back.

use std::time::Duration;

use isotherm_model::partial::PartitionId;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How long a loss that stays is not logged again.
const LOG_AGAIN: Duration = Duration::from_secs(30);

/// Logs what happens to the connection of one partition.
pub(super) struct LostLog {
    topic: String,
    partition: PartitionId,
    /// When it was last logged that the connection is lost; `None` while it is not.
    logged: Option<Instant>,
}

impl LostLog {
    pub(super) fn new(topic: &str, partition: PartitionId) -> Self {
        Self { topic: topic.to_owned(), partition, logged: None }
    }

    /// The next attempt is after `pause`. Logs what went wrong; while it stays so, not at each attempt. `position` is up to where it
    /// has been read, if it ever was attached.
    pub(super) fn lost(&mut self, reason: &str, position: Option<i64>, pause: Duration) {
        if !self.is_due(reason, pause) {
            return;
        }
        let (Self { topic, partition, .. }, seconds) = (self, pause.as_secs_f64());
        match position {
            Some(position) => warn!(
                "lost partition {partition} of `{topic}`: {reason}; reading on from offset {position} as soon as it is \
                 back, trying in {seconds:.1} s and on"
            ),
            None => {
                warn!("cannot read partition {partition} of `{topic}` yet: {reason}; trying in {seconds:.1} s and on")
            }
        }
    }

    /// Whether a failure is to be logged where people see it; otherwise it has been logged for those who look for it.
    pub(super) fn is_due(&mut self, reason: &str, pause: Duration) -> bool {
        let (topic, partition, seconds) = (&self.topic, self.partition, pause.as_secs_f64());
        if self.logged.is_some_and(|logged| logged.elapsed() < LOG_AGAIN) {
            debug!("partition {partition} of `{topic}`: {reason}; trying again in {seconds:.1} s");
            return false;
        }
        self.logged = Some(Instant::now());
        true
    }

    /// It can be read again, from this offset on.
    pub(super) fn attached(&mut self, position: i64, end: i64) {
        let (topic, partition) = (&self.topic, self.partition);
        match self.logged.take() {
            Some(_) => info!("partition {partition} of `{topic}` is back; reading on from offset {position}"),
            None => debug!(partition, position, end, "attached"),
        }
    }

    /// What was wrong is not any longer; true if it had been logged.
    pub(super) fn clear(&mut self) -> bool {
        self.logged.take().is_some()
    }
}
