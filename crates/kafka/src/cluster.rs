//! A cluster: its topics, where their partitions begin and end, and the offsets of our group.

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::TIMEOUT;
use crate::client::{Client, client, failed};
use crate::error::KafkaError;
use crate::native::{self, Topic};
use crate::reader::Reader;
use crate::settings::Settings;

/// A cluster.
pub struct Cluster {
    servers: String,
    settings: Settings,
    group: String,
    client: Client,
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is still there.
    pub start: i64,
    /// The last stable offset: all before it is committed or aborted.
    pub end: i64,
}

impl Cluster {
    /// The cluster of these brokers, `HOST:PORT[,HOST:PORT…]`. Nothing is connected to yet.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(servers: &str, settings: &Settings, group: &str) -> Result<Self, KafkaError> {
        let client = client(servers, settings, group, 1024)?;
        Ok(Self { servers: servers.to_owned(), settings: settings.clone(), group: group.to_owned(), client })
    }

    /// Its own id.
    ///
    /// # Errors
    /// No broker answers.
    pub fn id(&self) -> Result<String, KafkaError> {
        let id = self.client.client().fetch_cluster_id(TIMEOUT);
        id.ok_or_else(|| KafkaError::Retry(format!("no broker answered within {} s", TIMEOUT.as_secs())))
    }

    /// A topic; `None` if there is none of that name.
    ///
    /// # Errors
    /// No broker answers, or none tells us.
    pub fn topic(&self, name: &str) -> Result<Option<Topic>, KafkaError> {
        native::describe(self.client.client(), name)
    }

    /// Whether Kafka deletes records of a topic that later ones with the same key replace.
    ///
    /// # Errors
    /// No broker answers, or none tells us.
    pub fn is_compacted(&self, topic: &str) -> Result<bool, KafkaError> {
        let policy = native::topic_setting(self.client.client(), topic, "cleanup.policy")?;
        Ok(policy.is_some_and(|policy| policy.split(',').any(|policy| policy.trim() == "compact")))
    }

    /// Where a partition begins and ends.
    ///
    /// # Errors
    /// Its leader does not answer.
    pub fn bounds(&self, topic: &str, partition: i32) -> Result<Bounds, KafkaError> {
        let (start, end) = self.client.fetch_watermarks(topic, partition, TIMEOUT).map_err(|error| failed(&error))?;
        Ok(Bounds { start, end })
    }

    /// Reads a partition from an offset on, with at most about this many KiB fetched ahead.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn reader(&self, topic: &str, partition: i32, from: i64, ahead: usize) -> Result<Reader, KafkaError> {
        let client = client(&self.servers, &self.settings, &self.group, ahead)?;
        Reader::new(client, topic, partition, from)
    }

    /// Commits our group's offsets, for Kafka's tools to show: nobody reads them back.
    ///
    /// # Errors
    /// The group's coordinator does not take them.
    pub fn commit(&self, topic: &str, positions: &[(i32, i64)]) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (partition, position) in positions {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(*position));
            added.map_err(|error| KafkaError::Fatal(error.to_string()))?;
        }
        self.client.commit(&list, CommitMode::Sync).map_err(|error| failed(&error))
    }
}
