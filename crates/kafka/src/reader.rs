//! The committed records of one partition, from any offset on.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::{Client, failed, of_code};
use crate::error::KafkaError;
use crate::native::{self, Message};

/// How many records are taken at once.
const AT_ONCE: usize = 4096;

/// Reads one partition.
#[derive(Clone)]
pub struct Reader {
    client: Arc<Client>,
    topic: String,
    partition: i32,
}

/// What came.
#[derive(Default)]
pub struct Polled {
    /// Records, ascending by offset. Offsets may lack: of aborted transactions, of control records, and of what compaction deleted.
    pub messages: Vec<Message>,
    /// The partition has been read to its end, which is here. Control records may stand before it.
    pub end: Option<i64>,
}

impl Reader {
    pub(crate) fn new(client: Client, topic: &str, partition: i32, from: i64) -> Result<Self, KafkaError> {
        let reader = Self { client: Arc::new(client), topic: topic.to_owned(), partition };
        reader.seek(from)?;
        Ok(reader)
    }

    /// Goes on from this offset. What was fetched from elsewhere is dropped.
    ///
    /// # Errors
    /// The client is broken.
    pub fn seek(&self, from: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        let offset = list.add_partition_offset(&self.topic, self.partition, Offset::Offset(from));
        offset.and_then(|()| self.client.assign(&list)).map_err(|error| failed(&error))
    }

    /// Waits for the next records, for so long.
    ///
    /// # Errors
    /// They cannot be read. Lost connections are no error: librdkafka connects again.
    pub fn poll(&self, wait: Duration) -> Result<Polled, KafkaError> {
        let mut polled = Polled::default();
        for message in native::take(&self.client, AT_ONCE, wait)? {
            match message.error() {
                None => polled.messages.push(message),
                Some(RDKafkaErrorCode::PartitionEOF) => polled.end = Some(message.offset()),
                // It connects again by itself; what brokers answer to questions shows whether they are there.
                Some(
                    RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::Resolve
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::NotLeaderForPartition
                    | RDKafkaErrorCode::LeaderNotAvailable,
                ) => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    return Err(KafkaError::NoTopic(self.topic.clone()));
                }
                Some(code) => return Err(of_code(code)),
            }
        }
        Ok(polled)
    }
}
