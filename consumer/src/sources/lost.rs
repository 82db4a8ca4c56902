//! What is logged of a partition that cannot be read: once when it is lost, again while that lasts, and when it is back.

use std::time::Duration;

use isotherm_model::partial::PartitionId;
use tracing::{debug, info, warn};

use crate::log::LogError;
use crate::reminder::Reminder;

/// Logs what happens to the connection of one partition.
pub(super) struct LostLog {
    topic: String,
    partition: PartitionId,
    logged: Reminder,
}

impl LostLog {
    pub(super) fn new(topic: &str, partition: PartitionId) -> Self {
        Self { topic: topic.to_owned(), partition, logged: Reminder::default() }
    }

    /// The next attempt is after `pause`. Logs what went wrong; while it stays so, not at each attempt. `position` is up to where it
    /// has been read, if it ever was attached.
    pub(super) fn lost(&mut self, reason: &str, position: Option<i64>, pause: Duration) {
        if !self.is_due(reason, pause) {
            return;
        }
        let hint = if LogError::is_of_open_files(reason) { " (raise the limit with `ulimit -n 1024`)" } else { "" };
        let (Self { topic, partition, .. }, seconds) = (self, pause.as_secs_f64());
        match position {
            Some(position) => warn!(
                "lost partition {partition} of `{topic}`: {reason}{hint}; reading on from offset {position} as soon as it is \
                 back, trying in {seconds:.1} s and on"
            ),
            None => {
                warn!(
                    "cannot read partition {partition} of `{topic}` yet: {reason}{hint}; trying in {seconds:.1} s and on"
                )
            }
        }
    }

    /// Whether a failure is to be logged where people see it; otherwise it has been logged for those who look for it.
    pub(super) fn is_due(&mut self, reason: &str, pause: Duration) -> bool {
        let (topic, partition, seconds) = (&self.topic, self.partition, pause.as_secs_f64());
        let is_due = self.logged.is_due();
        if !is_due {
            debug!("partition {partition} of `{topic}`: {reason}; trying again in {seconds:.1} s");
        }
        is_due
    }

    /// It can be read again, from this offset on.
    pub(super) fn attached(&mut self, position: i64, end: i64) {
        let (topic, partition) = (&self.topic, self.partition);
        if self.logged.clear() {
            info!("partition {partition} of `{topic}` is back; reading on from offset {position}");
        } else {
            debug!(partition, position, end, "attached");
        }
    }

    /// What was wrong is not any longer; true if it had been logged.
    pub(super) fn clear(&mut self) -> bool {
        self.logged.clear()
    }
}
