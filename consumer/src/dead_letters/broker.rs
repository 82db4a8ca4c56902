//! The topic of dead letters, by way of its brokers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::ReplicaKey;
use fluvio::{Compression, Isolation};
use fluvio_protocol::record::{Batch, RawRecords, Record, RecordSet};
use fluvio_socket::{MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use isotherm_model::partial::PartitionId;
use tokio::time::{Instant, sleep, timeout};

use super::seam::{PostError, Put, Reach, Sealed, Topic};
use crate::source::SourceError;
use crate::source::fluvio::cluster::{Cluster, TopicInfo};
use crate::source::fluvio::raw::{RawError, RawReader};

/// How long a connect, or an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long replicas may take before the leader says that it alone has a batch. It must say so before we stop listening: the
/// answer tells where the batch stands.
const REPLICAS: Duration = Duration::from_secs(15);

/// How long it is watched in one attempt whether they have it by now, and how often.
const WATCH: Duration = Duration::from_secs(15);
const WATCH_EACH: Duration = Duration::from_millis(250);

impl From<RawError> for PostError {
    fn from(error: RawError) -> Self {
        match error {
            error @ RawError::Damaged { .. } => Self::Refused(error.to_string()),
            // The topic may have been deleted, made again, or cut meanwhile: a new look tells.
            error => Self::Unsure(error.to_string()),
        }
    }
}

/// See the module's text.
pub(super) struct Broker {
    cluster: Cluster,
    topic: String,
    compression: Compression,
    leaders: BTreeMap<PartitionId, (VersionedSerialSocket, Isolation)>,
    /// Partitions whose leader has what its replicas have not, and the farthest that all of them were seen to have. It holds as
    /// long as the connection does: a leader that was away may have lost it.
    behind: BTreeMap<PartitionId, i64>,
}

impl Broker {
    /// Looks for the topic.
    ///
    /// # Errors
    /// The cluster does not answer, or has no such topic; the error says how to create it.
    pub(super) async fn open(cluster: &Cluster, topic: &str) -> Result<Self, SourceError> {
        cluster.connect().await?;
        let TopicInfo { compression, .. } = cluster.require_topic(topic).await?;
        let (cluster, topic) = (cluster.clone(), topic.to_owned());
        Ok(Self { cluster, topic, compression, leaders: BTreeMap::new(), behind: BTreeMap::new() })
    }

    async fn connect(&self, partition: PartitionId) -> Result<(VersionedSerialSocket, Isolation), PostError> {
        let unsure = |error: &dyn std::fmt::Display| {
            PostError::Unsure(format!("partition {partition} of `{}` cannot be written to: {error}", self.topic))
        };
        let leader = self.cluster.leader(&self.topic, partition).await.map_err(|error| unsure(&error))?;
        let leader = leader.ok_or_else(|| unsure(&"the controller knows no leader for it"))?;
        let config = self.cluster.spu_config(&leader).map_err(|error| PostError::Refused(error.to_string()))?;
        let connected = timeout(PATIENCE, config.connect()).await;
        let connected = connected.map_err(|_| unsure(&"its leader does not answer"))?;
        let (socket, config, versions) = connected.map_err(|error| unsure(&error))?.split();
        let socket = VersionedSerialSocket::new(MultiplexerSocket::shared(socket), config, versions);
        let isolation = if leader.replicated { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        Ok((socket, isolation))
    }

    /// Up to where a partition can be read, if the leader behind this connection says so.
    async fn readable(&self, socket: &VersionedSerialSocket, partition: PartitionId) -> Option<i64> {
        if socket.is_stale() {
            return None;
        }
        let request = FetchOffsetsRequest::new(self.topic.clone(), partition);
        let answer = timeout(PATIENCE, socket.send_receive(request)).await.ok()?.ok()?;
        let found = answer.find_partition(&ReplicaKey::new(self.topic.clone(), partition))?;
        found.error_code.is_ok().then_some(found.last_stable_offset)
    }
}

impl Topic for Broker {
    async fn look(&mut self) -> Result<u32, PostError> {
        // Whatever broke, another connection is the way on, unless something is known of what stands behind it.
        self.leaders.retain(|partition, _| self.behind.contains_key(partition));
        let known = self.cluster.topic(&self.topic).await.map_err(|error| PostError::Unsure(error.to_string()))?;
        let Some(known) = known else {
            // Whatever comes under its name is another one.
            self.leaders.clear();
            self.behind.clear();
            return Err(PostError::Unsure(format!("the topic `{}` was deleted", self.topic)));
        };
        self.compression = known.compression;
        Ok(known.partitions)
    }

    async fn tail(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), PostError> {
        let mut reader = match RawReader::open(&self.cluster, &self.topic, partition, 0).await {
            Err(RawError::Evicted { start, .. }) => {
                RawReader::open(&self.cluster, &self.topic, partition, start).await?
            }
            reader => reader?,
        };
        let extent = reader.ask().await?;
        let back = i64::try_from(records).unwrap_or(i64::MAX);
        reader.seek(extent.start.max(extent.end.saturating_sub(back)), extent.end);
        while let Some(batch) = reader.next().await? {
            batch.records.iter().filter_map(|record| record.key.as_deref()).for_each(&mut *show);
        }
        Ok(())
    }

    async fn put(&mut self, partition: PartitionId, letters: &[Sealed]) -> Result<Put, PostError> {
        let batch = seal(letters, self.compression).map_err(PostError::Refused)?;
        // A connection that was lost meanwhile is no failed attempt.
        let (socket, isolation) = match self.leaders.remove(&partition).filter(|(socket, _)| !socket.is_stale()) {
            Some(leader) => leader,
            None => self.connect(partition).await?,
        };
        let unsure = |error: &dyn std::fmt::Display| PostError::Unsure(format!("`{}`: {error}", self.topic));
        let data = DefaultPartitionRequest { partition_index: partition, records: RecordSet { batches: vec![batch] } };
        let topic = DefaultTopicRequest { name: self.topic.clone(), partitions: vec![data], ..Default::default() };
        let request = DefaultProduceRequest { isolation, timeout: REPLICAS, topics: vec![topic], ..Default::default() };
        let answer = timeout(PATIENCE, socket.send_receive(request)).await;
        let answer = answer.map_err(|_| unsure(&format_args!("no answer within {} s", PATIENCE.as_secs())))?;
        let answer = answer.map_err(|error| unsure(&error))?;
        let answer = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let answer = answer.ok_or_else(|| unsure(&"an answer leaves the partition out"))?;
        match verdict(answer.error_code, answer.base_offset, letters.len()) {
            Ok(put) => {
                self.leaders.insert(partition, (socket, isolation));
                if let Put::Stored(_) = put {
                    self.behind.insert(partition, 0);
                }
                Ok(put)
            }
            Err(code @ ErrorCode::PermissionDenied) => {
                Err(PostError::Refused(format!("`{}` does not take a letter: {code}", self.topic)))
            }
            Err(code) => Err(unsure(&code)),
        }
    }

    async fn reach(&mut self, partition: PartitionId, end: i64) -> Result<Reach, PostError> {
        let began = Instant::now();
        let (Some(seen), Some(leader)) = (self.behind.remove(&partition), self.leaders.remove(&partition)) else {
            return Ok(Reach::Unknown);
        };
        let mut seen = seen;
        while let Some(readable) = self.readable(&leader.0, partition).await {
            if readable >= end {
                self.leaders.insert(partition, leader);
                return Ok(Reach::Readable);
            }
            if readable < seen {
                // The topic was made anew.
                break;
            }
            seen = readable;
            if began.elapsed() >= WATCH {
                self.behind.insert(partition, seen);
                self.leaders.insert(partition, leader);
                return Err(PostError::Unsure(format!(
                    "the leader of partition {partition} of `{}` has what was sent, but not all replicas have it; see \
                     whether all brokers run",
                    self.topic
                )));
            }
            sleep(WATCH_EACH).await;
        }
        Ok(Reach::Unknown)
    }
}

/// What the broker's answer means for a batch of so many letters that begins, if it is there, at this offset.
fn verdict(code: ErrorCode, base_offset: i64, letters: usize) -> Result<Put, ErrorCode> {
    match code {
        ErrorCode::None => Ok(Put::Acknowledged),
        ErrorCode::MessageTooLarge => Ok(Put::TooLarge),
        // The leader has the batch, and would only store it again.
        ErrorCode::RequestTimedOut { .. } if base_offset >= 0 => {
            let letters = i64::try_from(letters).unwrap_or(i64::MAX);
            Ok(Put::Stored(base_offset.saturating_add(letters)))
        }
        code => Err(code),
    }
}

/// A batch of letters with the time of now.
fn seal(letters: &[Sealed], compression: Compression) -> Result<Batch<RawRecords>, String> {
    let record = |letter: &Sealed| Record::new_key_value(letter.key.clone(), letter.value.to_vec());
    let mut batch = Batch::from(letters.iter().map(record).collect::<Vec<_>>());
    batch.header.set_compression(compression);
    // A clock before 1970 gives no timestamp.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    (batch.header.first_timestamp, batch.header.max_time_stamp) = (now, now);
    Batch::<RawRecords>::try_from(batch).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fluvio_protocol::api::RequestKind;

    use super::super::letter::Origin;
    use super::*;

    #[test]
    fn what_its_replicas_have_not_is_stored_all_the_same() {
        let late = ErrorCode::RequestTimedOut { timeout_ms: 15_000, kind: RequestKind::Produce };
        assert_eq!(verdict(late.clone(), 40, 3), Ok(Put::Stored(43)));
        assert_eq!(verdict(late.clone(), -1, 3), Err(late));
        assert_eq!(verdict(ErrorCode::None, 40, 3), Ok(Put::Acknowledged));
        assert_eq!(verdict(ErrorCode::MessageTooLarge, 0, 3), Ok(Put::TooLarge));
        for code in [ErrorCode::NotLeaderForPartition, ErrorCode::TopicNotFound, ErrorCode::StorageError] {
            assert_eq!(verdict(code.clone(), 0, 3), Err(code));
        }
        // The leader speaks before we stop listening.
        assert!(REPLICAS < PATIENCE);
    }

    #[test]
    fn a_sealed_batch_is_what_was_put_in() {
        let letter = |key: &str, value: &'static [u8]| Sealed {
            origin: Origin { partition: 0, offset: 0 },
            key: key.into(),
            value: Bytes::from_static(value),
        };
        let letters = [letter("a", b"1"), letter("b", b"")];
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let sealed = seal(&letters, compression).expect("records can be written");
            assert_eq!(sealed.get_compression().expect("a compression"), compression);
            assert_eq!((sealed.records_len(), sealed.header.last_offset_delta), (2, 1));
            let records = sealed.memory_records().expect("records can be read");
            let told: Vec<_> = records
                .iter()
                .map(|record| (record.key().map(|key| key.as_ref().to_vec()), record.value().as_ref()))
                .collect();
            assert_eq!(told, [(Some(b"a".to_vec()), &b"1"[..]), (Some(b"b".to_vec()), &b""[..])]);
            assert!(sealed.header.first_timestamp > 0);
        }
    }
}
