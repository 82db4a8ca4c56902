//! The broker that leads one partition, connected to when there is something to write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluvio_protocol::link::ErrorCode;
use isotherm_model::partial::PartitionId;
use tokio::time::Instant;
use tracing::debug;

use super::batch::SealedBatch;
use super::sender::{Attempt, Broker, Refusal};
use super::topic::Topic;
use crate::connection::Connection;

/// How long the broker may be silent before another connection is tried.
const SILENCE: Duration = Duration::from_secs(10);
/// The slowest way to the broker, in bytes a second, on which a batch of any size still gets there in one attempt.
const SLOWEST: usize = 256 * 1024;

/// The leader of a partition. Where the topic is replicated, it acknowledges a batch when its replicas have it too.
pub struct LeaderWriter {
    topic: Arc<Topic>,
    partition: PartitionId,
    replicated: bool,
    /// How long the replicas may take.
    commit_timeout: Duration,
    connection: Option<Connection>,
}

impl LeaderWriter {
    /// Not connected yet.
    pub fn new(topic: Arc<Topic>, partition: PartitionId, replicated: bool, retry_timeout: Duration) -> Self {
        // The broker must say that time is over before the sender does, and takes at most an i32 of milliseconds.
        let commit_timeout = retry_timeout.mul_f64(0.9).clamp(Duration::from_secs(1), Duration::from_secs(86_400));
        Self { topic, partition, replicated, commit_timeout, connection: None }
    }
}

#[async_trait]
impl Broker for LeaderWriter {
    async fn attempt(&mut self, batch: &SealedBatch) -> Result<(), Attempt> {
        // A connection that was lost while there was nothing to send is no failed attempt.
        let connected = self.connection.take().filter(|connection| !connection.is_stale());
        let connection = match connected {
            Some(connection) => connection,
            None => self.topic.connect(self.partition).await.map_err(Attempt::Again)?,
        };
        let answer = connection.produce(batch.batch.clone(), self.commit_timeout).await;
        verdict(answer.map_err(|error| Attempt::Again(format!("connection lost: {error}")))?)?;
        // Whatever went wrong, the next attempt takes a new connection.
        self.connection = Some(connection);
        Ok(())
    }

    async fn recover(&mut self) {
        // Another broker may lead the partition meanwhile. If the controller does not say, the old one is tried.
        if let Err(error) = self.topic.refresh(Instant::now()).await {
            debug!(partition = self.partition, "{error}");
        }
    }

    fn timeout(&self, batch: &SealedBatch) -> Duration {
        // A leader that waits for its replicas has the batch, and would store it again.
        if self.replicated { Duration::MAX } else { silence(batch.byte_len()) }
    }
}

/// How long the broker may be silent when a batch of this size is on its way: it answers when it has all of it.
fn silence(bytes: usize) -> Duration {
    SILENCE + Duration::from_secs((bytes / SLOWEST) as u64)
}

/// What the broker's answer means.
fn verdict(code: ErrorCode) -> Result<(), Attempt> {
    let refusal = match code {
        ErrorCode::None => return Ok(()),
        ErrorCode::MessageTooLarge => Refusal::TooLarge,
        // The leader has the batch, and would only store it again.
        ErrorCode::RequestTimedOut { .. } => Refusal::NotReplicated,
        ErrorCode::PermissionDenied => Refusal::NotPermitted,
        other => return Err(Attempt::Again(other.to_string())),
    };
    Err(Attempt::Never { reason: code.to_string(), refusal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_has_time_to_get_there() {
        assert_eq!(silence(1_000), SILENCE);
        // 32 MiB at 20 Mbit/s take 13 s.
        assert!(silence(32 * 1024 * 1024) > SILENCE + Duration::from_secs(13));
    }

    #[test]
    fn errors_that_pass_are_told_from_those_that_stay() {
        assert_eq!(verdict(ErrorCode::None), Ok(()));
        for code in [ErrorCode::NotLeaderForPartition, ErrorCode::TopicNotFound, ErrorCode::StorageError] {
            assert!(matches!(verdict(code), Err(Attempt::Again(_))));
        }
        for code in [ErrorCode::MessageTooLarge, ErrorCode::PermissionDenied] {
            assert!(matches!(verdict(code), Err(Attempt::Never { .. })));
        }
    }
}
