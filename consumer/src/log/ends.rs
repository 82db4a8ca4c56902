//! Where the partitions of a topic begin and end, asked once: for those who look at a run from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use isotherm_model::partial::PartitionId;
use tokio::time::timeout;

use super::{END_UNKNOWN, Log, LogBounds, LogError};

/// How many partitions are asked for at once.
const AT_ONCE: usize = 16;

/// Why a log does not say what there is of a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("it does not answer ({reason})")]
    NoAnswer { reason: String },
    #[error("it did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("it has no topic `{topic}`")]
    NoTopic { topic: String },
}

/// By partition, where its log begins and ends, or why that is not known.
pub type PartitionBounds = BTreeMap<PartitionId, Result<LogBounds, String>>;

/// Asks where each partition of a topic begins and ends.
pub async fn bounds(log: &dyn Log, within: Duration) -> Result<PartitionBounds, AskError> {
    let ask = async {
        let partitions = match log.partitions().await {
            Ok(Some(partitions)) => partitions,
            Ok(None) => return Err(AskError::NoTopic { topic: log.identity().topic.clone() }),
            Err(LogError::NoAnswer { reason, .. }) => return Err(AskError::NoAnswer { reason }),
            Err(error) => return Err(AskError::NoAnswer { reason: error.to_string() }),
        };
        let asked = (0..partitions).map(|partition| async move {
            // One that is slow does not hold up the answers of the others.
            let bounds = match timeout(within / 2, log.bounds(partition)).await {
                Ok(Ok(bounds)) if bounds.end == END_UNKNOWN => {
                    Err("its end is known only when it is reached".to_owned())
                }
                Ok(Ok(bounds)) => Ok(bounds),
                Ok(Err(LogError::Retry { reason, .. })) => Err(reason),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("it does not answer".to_owned()),
            };
            (partition, bounds)
        });
        Ok(futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await)
    };
    timeout(within, ask).await.unwrap_or(Err(AskError::TooSlow(within)))
}
