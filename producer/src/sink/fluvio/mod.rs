//! A topic of a Fluvio cluster.
//!
//! This speaks the produce request of the published protocol crates rather than going through the `fluvio` crate's
//! `TopicProducer`. That one, when a connection drops, fails the batch on its way and later sends the batches behind
//! it from a task that cannot be stopped and that retries without bound: sending the failed one again then changes the
//! order of records, which makes readings late, and dropping the producer stores batches twice. Here a partition has
//! one task, which sends one batch at a time until it is acknowledged.
//!
//! Memory: by partition, the batch that fills, up to three that wait, and the one on its way.

mod batch;
mod broker;
mod cluster;
mod lane;
mod partitioner;
mod sender;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fluvio_compression::Compression;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::cluster::{DEFAULT_ADDRESS, cluster_config};

use self::broker::Leader;
use self::cluster::Cluster;
use self::lane::Lane;
use self::partitioner::Partitioner;
use self::sender::{Broker, Sender};
use super::Sink;
use crate::clock::now_ms;
use crate::config::FluvioSettings;
use crate::error::ProduceError;
use crate::messages::Messages;
use crate::summary::Counters;

/// A producer to all partitions of a topic. Dropping it drops what is not acknowledged.
pub struct FluvioSink {
    lanes: Vec<Arc<Lane>>,
    partitioner: Partitioner,
    failure: Arc<Failure>,
    /// One task a partition; they end with the sink.
    senders: JoinSet<()>,
}

/// The first failure of any partition.
#[derive(Default)]
struct Failure {
    error: Mutex<Option<ProduceError>>,
    happened: CancellationToken,
}

impl FluvioSink {
    /// Looks the topic up and gets ready to send. The brokers are connected to when there is something to send.
    ///
    /// # Errors
    /// [`ProduceError::Unreachable`], [`ProduceError::NoTopic`], or [`ProduceError::Compression`] if the topic wants
    /// another compression than the settings.
    pub async fn connect(settings: FluvioSettings, counters: Arc<Counters>) -> Result<Self, ProduceError> {
        let cluster = Arc::new(Cluster::connect(settings.cluster, settings.topic).await?);
        let layout = cluster.layout().await;
        let compression = layout.compression(cluster.topic(), settings.compression)?;
        let leaders = (0..layout.partitions()).map(|partition| Sender {
            broker: Leader::new(Arc::clone(&cluster), partition, layout.replicated, settings.retry_timeout),
            topic: cluster.topic().to_owned(),
            partition,
            retry_timeout: settings.retry_timeout,
        });
        let lane = || Lane::new(settings.batch_size, settings.linger);
        Ok(Self::over(leaders, layout.online, lane, compression, counters))
    }

    /// Sends by these, one a partition.
    fn over<B: Broker + 'static>(
        ways: impl Iterator<Item = Sender<B>>,
        online: Vec<usize>,
        lane: impl Fn() -> Lane,
        compression: Compression,
        counters: Arc<Counters>,
    ) -> Self {
        let failure = Arc::new(Failure::default());
        let mut senders = JoinSet::new();
        let lanes: Vec<_> = ways
            .map(|sender| {
                let lane = Arc::new(lane());
                let (lane_of_task, failure, counters) =
                    (Arc::clone(&lane), Arc::clone(&failure), Arc::clone(&counters));
                senders.spawn(async move {
                    let failure = EndsWithFailure(failure);
                    if let Err(error) = send_all(&lane_of_task, sender, compression, &counters).await {
                        failure.0.set(error);
                    }
                });
                lane
            })
            .collect();
        let partitioner = Partitioner::new(lanes.len(), online);
        Self { lanes, partitioner, failure, senders }
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> usize {
        self.lanes.len()
    }
}

/// The task of one partition: ends only with an error.
async fn send_all<B: Broker>(
    lane: &Lane,
    mut sender: Sender<B>,
    compression: Compression,
    counters: &Counters,
) -> Result<(), ProduceError> {
    loop {
        let batch = lane.take().await;
        let batch = batch.seal(compression).map_err(|error| ProduceError::Encode(error.to_string()))?;
        counters.add_sent(batch.messages);
        sender.send(&batch).await?;
        counters.add_acknowledged(batch.messages);
    }
}

#[async_trait]
impl Sink for FluvioSink {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        let now_ms = now_ms();
        for message in messages.iter() {
            let partition = self.partitioner.partition(message.key);
            let Some(lane) = self.lanes.get(partition) else {
                continue;
            };
            while !lane.push(message, now_ms).map_err(|error| ProduceError::Encode(error.to_string()))? {
                tokio::select! {
                    () = lane.room() => {}
                    () = self.failure.happened.cancelled() => return Err(self.failure.take()),
                }
            }
        }
        if self.failure.happened.is_cancelled() {
            return Err(self.failure.take());
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        let flush_all = async {
            let mut flushes = JoinSet::new();
            for lane in self.lanes.iter().map(Arc::clone) {
                flushes.spawn(async move { lane.flush().await });
            }
            while flushes.join_next().await.is_some() {}
        };
        tokio::select! {
            () = flush_all => Ok(()),
            () = self.failure.happened.cancelled() => Err(self.failure.take()),
        }
    }

    async fn stop(&mut self) {
        self.senders.shutdown().await;
    }
}

/// Held by the task of a partition: however it ends, also by a panic, nobody waits for it any longer.
struct EndsWithFailure(Arc<Failure>);

impl Drop for EndsWithFailure {
    fn drop(&mut self) {
        self.0.set(ProduceError::Ended);
    }
}

impl Failure {
    fn set(&self, error: ProduceError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.happened.cancel();
    }

    /// The error; later calls say only that there was one.
    fn take(&self) -> ProduceError {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        error.unwrap_or(ProduceError::Ended)
    }
}

#[cfg(test)]
mod stop_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_a_failure_and_the_first_error_stays() {
        let failure = Arc::new(Failure::default());
        let held = EndsWithFailure(Arc::clone(&failure));
        let task = tokio::spawn(async move {
            let _held = held;
            panic!("as a fault of the program would");
        });
        failure.happened.cancelled().await;
        task.await.unwrap_err();
        assert!(matches!(failure.take(), ProduceError::Ended));

        let failure = Arc::new(Failure::default());
        let held = EndsWithFailure(Arc::clone(&failure));
        held.0.set(ProduceError::Encode("first".to_owned()));
        drop(held);
        assert!(matches!(failure.take(), ProduceError::Encode(_)));
    }
}
