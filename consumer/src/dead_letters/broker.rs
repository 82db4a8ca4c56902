//! The topic of dead letters, by way of its brokers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fluvio::dataplane::link::ErrorCode;
use fluvio::{Compression, Isolation};
use fluvio_protocol::record::{Batch, RawRecords, Record, RecordSet};
use fluvio_socket::{MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use tokio::time::timeout;

use super::seam::{PostError, Put, Sealed, Topic};
use crate::materializer::event::PartitionId;
use crate::source::SourceError;
use crate::source::fluvio::cluster::{Cluster, TopicInfo};
use crate::source::fluvio::raw::{RawError, RawReader};

/// How long a connect, or an acknowledgement, may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
        Ok(Self { cluster, topic, compression, leaders: BTreeMap::new() })
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

impl Topic for Broker {
    async fn look(&mut self) -> Result<u32, PostError> {
        // Whatever broke, another connection is the way on.
        self.leaders.clear();
        let known = self.cluster.topic(&self.topic).await.map_err(|error| PostError::Unsure(error.to_string()))?;
        let known = known.ok_or_else(|| PostError::Unsure(format!("the topic `{}` was deleted", self.topic)))?;
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
        let request = DefaultProduceRequest { isolation, timeout: PATIENCE, topics: vec![topic], ..Default::default() };
        let answer = timeout(PATIENCE, socket.send_receive(request)).await;
        let answer = answer.map_err(|_| unsure(&format_args!("no answer within {} s", PATIENCE.as_secs())))?;
        let answer = answer.map_err(|error| unsure(&error))?;
        let code =
            answer.responses.into_iter().flat_map(|topic| topic.partitions).next().map(|answer| answer.error_code);
        match code {
            Some(code @ (ErrorCode::None | ErrorCode::MessageTooLarge)) => {
                self.leaders.insert(partition, (socket, isolation));
                Ok(if code == ErrorCode::None { Put::Acknowledged } else { Put::TooLarge })
            }
            Some(code @ ErrorCode::PermissionDenied) => {
                Err(PostError::Refused(format!("`{}` does not take a letter: {code}", self.topic)))
            }
            Some(code) => Err(unsure(&code)),
            None => Err(unsure(&"an answer leaves the partition out")),
        }
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

    use super::super::letter::Origin;
    use super::*;

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
