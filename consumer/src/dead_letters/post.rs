//! The topic of dead letters: what is sent there, and its tail, read back.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluvio::dataplane::link::ErrorCode;
use fluvio::{Compression, Isolation};
use fluvio_protocol::record::{Batch, RawRecords, Record, RecordSet};
use fluvio_socket::{MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use tokio::time::timeout;

use super::letter::{Envelope, Letter, Origin, partition_of};
use crate::materializer::event::PartitionId;
use crate::source::SourceError;
use crate::source::fluvio::cluster::{Cluster, TopicInfo};
use crate::source::fluvio::raw::{RawError, RawReader};

/// How long a connect, or an acknowledgement, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bytes of values that a batch takes, unless a single one is larger.
const BATCH_BYTES: usize = 512 << 10;

/// How many records others may write to a partition behind a letter of ours before it is no longer looked for.
pub(super) const OTHERS: u64 = 100_000;

/// Why letters cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// They may have been sent, or not; another attempt may go better.
    #[error("{0}")]
    Unsure(String),
    /// Nothing will change that by itself.
    #[error("{0}")]
    Refused(String),
}

impl From<RawError> for PostError {
    fn from(error: RawError) -> Self {
        match error {
            error @ RawError::Damaged { .. } => Self::Refused(error.to_string()),
            // The topic may have been deleted, made again, or cut meanwhile: a new look tells.
            error => Self::Unsure(error.to_string()),
        }
    }
}

/// The way to the topic.
pub(super) struct Post {
    cluster: Cluster,
    topic: String,
    partitions: u32,
    compression: Compression,
    leaders: BTreeMap<PartitionId, (VersionedSerialSocket, Isolation)>,
}

impl Post {
    /// Looks for the topic.
    ///
    /// # Errors
    /// The cluster does not answer, or has no such topic; the error says how to create it.
    pub(super) async fn open(cluster: &Cluster, topic: &str) -> Result<Self, SourceError> {
        cluster.connect().await?;
        let TopicInfo { partitions, compression } = cluster.require_topic(topic).await?;
        let (cluster, topic) = (cluster.clone(), topic.to_owned());
        Ok(Self { cluster, topic, partitions, compression, leaders: BTreeMap::new() })
    }

    /// Which letters of `envelope`'s run are there already, of those that `wanted` tells: of each partition the last
    /// records, at least as many as `letters`, which is how many may have been sent and not noted, and [`OTHERS`] besides.
    pub(super) async fn there(
        &mut self,
        envelope: &Envelope,
        letters: u64,
        wanted: impl Fn(Origin) -> bool,
    ) -> Result<HashSet<Origin>, PostError> {
        // Whatever broke, another connection is the way on.
        self.leaders.clear();
        let known = self.cluster.topic(&self.topic).await.map_err(|error| PostError::Unsure(error.to_string()))?;
        let known = known.ok_or_else(|| PostError::Unsure(format!("the topic `{}` was deleted", self.topic)))?;
        (self.partitions, self.compression) = (known.partitions, known.compression);
        let back = i64::try_from(letters.saturating_add(OTHERS)).unwrap_or(i64::MAX);
        let mut there = HashSet::new();
        for partition in 0..self.partitions {
            let mut reader = match RawReader::open(&self.cluster, &self.topic, partition, 0).await {
                Err(RawError::Evicted { start, .. }) => {
                    RawReader::open(&self.cluster, &self.topic, partition, start).await?
                }
                reader => reader?,
            };
            let extent = reader.ask().await?;
            reader.seek(extent.start.max(extent.end.saturating_sub(back)), extent.end);
            while let Some(batch) = reader.next().await? {
                let origins = batch.records.iter().filter_map(|record| envelope.origin(record.key.as_deref()?));
                there.extend(origins.filter(|origin| wanted(*origin)));
            }
        }
        Ok(there)
    }

    /// Sends letters, and returns when all of them are acknowledged, with those that the broker takes in no case: alone in
    /// their batch they are still too large for it.
    pub(super) async fn send(&mut self, envelope: &Envelope, letters: &[Letter]) -> Result<Vec<Origin>, PostError> {
        let mut refused = Vec::new();
        let mut lanes: BTreeMap<PartitionId, (usize, Vec<(Origin, Record)>)> = BTreeMap::new();
        for letter in letters {
            let key = envelope.key(letter).into_bytes();
            let partition = partition_of(&key, self.partitions);
            let (bytes, records) = lanes.entry(partition).or_default();
            let more = key.len().saturating_add(letter.value.len());
            if !records.is_empty() && bytes.saturating_add(more) > BATCH_BYTES {
                *bytes = 0;
                let full = std::mem::take(records);
                refused.extend(self.send_batch(partition, full).await?);
            }
            *bytes = bytes.saturating_add(more);
            records.push((letter.origin, Record::new_key_value(key, letter.value.to_vec())));
        }
        for (partition, (_, records)) in lanes {
            refused.extend(self.send_batch(partition, records).await?);
        }
        Ok(refused)
    }

    /// `Some` if there is one record, and the broker takes none so large.
    async fn send_batch(
        &mut self,
        partition: PartitionId,
        records: Vec<(Origin, Record)>,
    ) -> Result<Option<Origin>, PostError> {
        let unsure = |error: &dyn std::fmt::Display| PostError::Unsure(format!("`{}`: {error}", self.topic));
        let (origins, records): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let batch = seal(records, self.compression).map_err(PostError::Refused)?;
        // A connection that was lost meanwhile is no failed attempt.
        let (socket, isolation) = match self.leaders.remove(&partition).filter(|(socket, _)| !socket.is_stale()) {
            Some(leader) => leader,
            None => self.connect(partition).await?,
        };
        let data = DefaultPartitionRequest { partition_index: partition, records: RecordSet { batches: vec![batch] } };
        let topic = DefaultTopicRequest { name: self.topic.clone(), partitions: vec![data], ..Default::default() };
        let request = DefaultProduceRequest { isolation, timeout: PATIENCE, topics: vec![topic], ..Default::default() };
        let answer = timeout(PATIENCE, socket.send_receive(request)).await;
        let answer = answer.map_err(|_| unsure(&format_args!("no answer within {} s", PATIENCE.as_secs())))?;
        let answer = answer.map_err(|error| unsure(&error))?;
        let code =
            answer.responses.into_iter().flat_map(|topic| topic.partitions).next().map(|answer| answer.error_code);
        match code {
            Some(ErrorCode::None) => {
                self.leaders.insert(partition, (socket, isolation));
                Ok(None)
            }
            Some(ErrorCode::MessageTooLarge) if origins.len() == 1 => Ok(origins.first().copied()),
            Some(code @ (ErrorCode::MessageTooLarge | ErrorCode::PermissionDenied)) => {
                Err(PostError::Refused(format!("`{}` does not take a letter: {code}", self.topic)))
            }
            Some(code) => Err(unsure(&code)),
            None => Err(unsure(&"an answer leaves the partition out")),
        }
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
}

/// A batch of records with the time of now.
fn seal(records: Vec<Record>, compression: Compression) -> Result<Batch<RawRecords>, String> {
    let mut batch = Batch::from(records);
    batch.header.set_compression(compression);
    // A clock before 1970 gives no timestamp.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    (batch.header.first_timestamp, batch.header.max_time_stamp) = (now, now);
    Batch::<RawRecords>::try_from(batch).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_batch_is_what_was_put_in() {
        let records = vec![Record::new_key_value("a", "1"), Record::new_key_value("b", Vec::new())];
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let sealed = seal(records.clone(), compression).expect("records can be written");
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
