//! A topic of a Fluvio cluster as a [`Target`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use isotherm_fluvio::produce::{Attempt, Broker, LeaderWriter, OpenBatch, Refusal, Topic, TopicError};
use isotherm_model::partial::PartitionId;
use tokio::time::{Instant, timeout};

use super::fluvio::{FluvioLog, cluster};
use super::target::{Appended, OutgoingRecord, ShowKey, Target, TargetError};
use super::{Log, LogError, LogRecord, ReadOptions};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long replicas may take. The leader must give up before we stop listening.
const REPLICAS: Duration = Duration::from_secs(16);

pub(super) struct FluvioTarget {
    log: FluvioLog,
    topic: Arc<Topic>,
    leaders: BTreeMap<PartitionId, LeaderWriter>,
}

impl FluvioTarget {
    pub(super) async fn open(address: Option<&str>, topic: &str) -> Result<Self, LogError> {
        let cluster = cluster(address)?;
        let log = FluvioLog::of(cluster.clone(), topic);
        let topic = Topic::open(cluster, topic.to_owned()).await.map_err(|error| match error {
            TopicError::Unreachable { address, reason } => {
                LogError::NoAnswer { name: "Fluvio cluster", address, reason }
            }
            TopicError::Missing { topic, address } => LogError::NoTopic { address, topic },
        })?;
        Ok(Self { log, topic: Arc::new(topic), leaders: BTreeMap::new() })
    }
}

impl From<LogError> for TargetError {
    fn from(error: LogError) -> Self {
        match error {
            error @ LogError::Unreadable { .. } => Self::Refused(error.to_string()),
            // The topic may have been deleted, created again, or cut meanwhile: another look tells.
            error => Self::Unsure(error.to_string()),
        }
    }
}

#[async_trait]
impl Target for FluvioTarget {
    async fn partitions(&mut self) -> Result<u32, TargetError> {
        self.leaders.clear();
        match self.topic.refresh(Instant::now()).await {
            Ok(()) => Ok(self.topic.layout().await.partitions()),
            Err(TopicError::Missing { topic, .. }) => {
                Err(TargetError::Unsure(format!("the topic `{topic}` was deleted")))
            }
            Err(error) => Err(TargetError::Unsure(error.to_string())),
        }
    }

    async fn read_back(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut ShowKey<'_>,
    ) -> Result<(), TargetError> {
        let bounds = self.log.bounds(partition).await?;
        let back = i64::try_from(records).unwrap_or(i64::MAX);
        let from = bounds.start.max(bounds.end.saturating_sub(back));
        let mut reader = self.log.read(partition, from, ReadOptions::default()).await?;
        let mut buffer = Vec::new();
        while let Some(batch) = reader.next().await? {
            let read = batch.each(&mut buffer, |LogRecord { key, .. }| {
                if let Some(key) = key {
                    show(key);
                }
            });
            read.map_err(TargetError::Refused)?;
        }
        Ok(())
    }

    async fn append(&mut self, partition: PartitionId, records: &[OutgoingRecord]) -> Result<Appended, TargetError> {
        let layout = self.topic.layout().await;
        // A clock before 1970 gives no timestamp.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let mut batch = OpenBatch::with_room(0);
        for OutgoingRecord { key, value } in records {
            batch.push(Some(key), value, now).map_err(|error| TargetError::Refused(error.to_string()))?;
        }
        let batch = batch.seal(layout.compression().unwrap_or_default());
        let batch = batch.map_err(|error| TargetError::Refused(error.to_string()))?;
        let writer = LeaderWriter::new(Arc::clone(&self.topic), partition, layout.is_replicated(), REPLICAS);
        let writer = self.leaders.entry(partition).or_insert(writer);
        let unsure = |reason: &str| TargetError::Unsure(format!("`{}`: {reason}", self.topic.name()));
        match timeout(TIMEOUT, writer.attempt(&batch)).await {
            Ok(Ok(())) => Ok(Appended::Acknowledged),
            Ok(Err(Attempt::Never { refusal: Refusal::TooLarge, .. })) => Ok(Appended::TooLarge),
            Ok(Err(Attempt::Never { refusal: Refusal::NotPermitted, reason })) => {
                Err(TargetError::Refused(format!("`{}` does not take a letter: {reason}", self.topic.name())))
            }
            Ok(Err(Attempt::Never { refusal: Refusal::NotReplicated, reason } | Attempt::Again(reason))) => {
                Err(unsure(&reason))
            }
            Err(_) => Err(unsure(&format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }
}
