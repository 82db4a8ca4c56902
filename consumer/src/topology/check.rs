//! What single settings can be, whether a file or a flag gives them.

use std::time::Duration;

use isotherm_fluvio::{BadTopicName, check_topic_name};
use isotherm_terminal::text::printable;

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSetting {
    #[error("a topic cannot be called `{}`: {reason}", printable(.name))]
    Topic { name: String, reason: BadTopicName },
    #[error("a topic cannot have 0 partitions; give it 1 or more")]
    NoPartitions,
    #[error("a grace of {0:?} is not possible; give one from 0s to 366days, in whole milliseconds")]
    Grace(Duration),
    #[error("an idle of {0:?} is not possible; give one from 1ms to 366days, in whole milliseconds")]
    Idle(Duration),
}

const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// A topic's name, as Fluvio wants it.
pub(super) fn topic(name: &str) -> Result<&str, BadSetting> {
    check_topic_name(name).map_err(|reason| BadSetting::Topic { name: name.to_owned(), reason })
}

/// A number of partitions: 1 or more.
pub(super) fn partitions(count: u32) -> Result<u32, BadSetting> {
    if count == 0 { Err(BadSetting::NoPartitions) } else { Ok(count) }
}

/// How long after its end a window stays open: up to a year, in whole milliseconds.
pub(super) fn grace(length: Duration) -> Result<Duration, BadSetting> {
    if whole(length) && length <= YEAR { Ok(length) } else { Err(BadSetting::Grace(length)) }
}

/// How long a partition must be quiet: up to a year, in whole milliseconds, and not 0, which would let every partition
/// that has been read to its end hold nothing back.
pub(super) fn idle(length: Duration) -> Result<Duration, BadSetting> {
    if whole(length) && !length.is_zero() && length <= YEAR { Ok(length) } else { Err(BadSetting::Idle(length)) }
}

fn whole(length: Duration) -> bool {
    length.subsec_nanos().is_multiple_of(1_000_000)
}
