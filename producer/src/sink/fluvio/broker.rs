//! The broker that leads one partition, as the protocol crates speak to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluvio::Isolation;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::{RawRecords, RecordSet};
use fluvio_socket::VersionedSerialSocket;
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use tokio::time::Instant;
use tracing::debug;

use super::batch::SealedBatch;
use super::cluster::{Cluster, plain};
use super::sender::{Attempt, Broker};

/// How long the broker may be silent before another connection is tried.
const SILENCE: Duration = Duration::from_secs(10);
/// The slowest way to the broker, in bytes a second, on which a batch of any size still gets there in one attempt.
const SLOWEST: usize = 256 * 1024;

/// The leader of a partition, connected to when there is something to send.
pub(super) struct Leader {
    cluster: Arc<Cluster>,
    partition: u32,
    /// Acknowledge only what all replicas have.
    replicated: bool,
    /// How long the replicas may take.
    commit_timeout: Duration,
    socket: Option<VersionedSerialSocket>,
}

impl Leader {
    /// The leader of a partition. Where a topic is replicated, a batch is acknowledged when its replicas have it too.
    pub(super) fn new(cluster: Arc<Cluster>, partition: u32, replicated: bool, retry_timeout: Duration) -> Self {
        // The broker is to say that time is over before the sender does, and takes at most an i32 of milliseconds.
        let commit_timeout = retry_timeout.mul_f64(0.9).clamp(Duration::from_secs(1), Duration::from_secs(86_400));
        Self { cluster, partition, replicated, commit_timeout, socket: None }
    }

    fn request(&self, batch: &SealedBatch) -> DefaultProduceRequest {
        let partition = DefaultPartitionRequest {
            partition_index: self.partition,
            records: RecordSet::<RawRecords> { batches: vec![batch.batch.clone()] },
        };
        let topic = DefaultTopicRequest {
            name: self.cluster.topic().to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        DefaultProduceRequest {
            isolation: if self.replicated { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
            timeout: self.commit_timeout,
            topics: vec![topic],
            ..Default::default()
        }
    }
}

#[async_trait]
impl Broker for Leader {
    async fn attempt(&mut self, batch: &SealedBatch) -> Result<(), Attempt> {
        // A connection that was lost while there was nothing to send is no failed attempt.
        let connected = self.socket.take().filter(|socket| !socket.is_stale());
        let socket = match connected {
            Some(socket) => socket,
            None => self.cluster.connect_to_leader(self.partition).await.map_err(Attempt::Again)?,
        };
        let lost = |error| Attempt::Again(format!("connection lost: {}", plain(&error)));
        // Not `send_receive`: where the answer and the end of the connection come together, as from a broker that ends,
        // it loses the answer, and the batch would be stored twice.
        let answer = socket.send_async(self.request(batch)).await.map_err(lost)?;
        let response = answer.await.map_err(lost)?;
        let answer = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let code = answer
            .map(|partition| partition.error_code)
            .ok_or_else(|| Attempt::Again("the broker's answer leaves the partition out".to_owned()))?;
        verdict(code)?;
        // Whatever went wrong, the next attempt takes a new connection.
        self.socket = Some(socket);
        Ok(())
    }

    async fn recover(&mut self) {
        // Another broker may lead the partition by now. If the controller does not say, the old one is tried.
        if let Err(error) = self.cluster.refresh(Instant::now()).await {
            debug!(partition = self.partition, "{error}");
        }
    }

    fn patience(&self, batch: &SealedBatch) -> Duration {
        // A leader that waits for its replicas has the batch, and would store it again.
        if self.replicated { Duration::MAX } else { silence(batch.byte_len()) }
    }
}

/// How long the broker may be silent when a batch of so many bytes is on its way: it answers when it has all of it.
fn silence(bytes: usize) -> Duration {
    SILENCE + Duration::from_secs((bytes / SLOWEST) as u64)
}

/// What the broker's answer means.
fn verdict(code: ErrorCode) -> Result<(), Attempt> {
    let never = |hint| Err(Attempt::Never { reason: code.to_string(), hint });
    match code {
        ErrorCode::None => Ok(()),
        ErrorCode::MessageTooLarge => never("; lower --batch-size, or raise the topic's segment size"),
        // The leader has the batch, and would only store it again.
        ErrorCode::RequestTimedOut { .. } => {
            never("; its leader has it, but not all replicas; see whether all brokers run")
        }
        ErrorCode::PermissionDenied => never("; see the user of the Fluvio profile"),
        other => Err(Attempt::Again(other.to_string())),
    }
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
