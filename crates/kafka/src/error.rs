//! Why Kafka does not answer, or what it answers instead.

use crate::settings::BadSetting;

/// Why Kafka does not answer, or what it answers instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// There is no such topic.
    #[error("there is no topic `{0}`")]
    NoTopic(String),
    /// The offset is before the partition's first record, or behind its end.
    #[error("the offset is not there")]
    OutOfRange,
    /// Another attempt may go better.
    #[error("{0}")]
    Retry(String),
    /// Waiting changes nothing.
    #[error("{0}")]
    Fatal(String),
}
