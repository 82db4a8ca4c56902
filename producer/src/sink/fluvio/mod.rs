//! A topic of a Fluvio cluster.
//!
//! A partition has one task, which sends one batch at a time until it is acknowledged (`isotherm_fluvio::produce`).
//!
//! Memory: by partition, the batch that fills, up to three that wait, and the one on its way.

mod queue;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use isotherm_fluvio::produce::{Broker, Layout, LeaderWriter, Partitioner, Sender, Topic};
use isotherm_fluvio::{Cluster, Compression};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::queue::PartitionQueue;
use super::Sink;
use crate::clock::now_ms;
use crate::config::FluvioSettings;
use crate::error::ProduceError;
use crate::messages::Messages;
use crate::summary::Counters;

/// What brokers know this client as.
const CLIENT_ID: &str = "isotherm-producer";

/// A producer to all partitions of a topic. Dropping it drops what is not acknowledged.
pub struct FluvioSink {
    queues: Vec<Arc<PartitionQueue>>,
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
        let cluster = Cluster::new(settings.cluster, CLIENT_ID);
        let topic = Arc::new(Topic::open(cluster, settings.topic).await?);
        let layout = topic.layout().await;
        let compression = compression(topic.name(), &layout, settings.compression)?;
        let (replicated, retry_timeout) = (layout.is_replicated(), settings.retry_timeout);
        let leaders = (0..layout.partitions()).map(|partition| Sender {
            broker: LeaderWriter::new(Arc::clone(&topic), partition, replicated, retry_timeout),
            topic: topic.name().to_owned(),
            partition,
            retry_timeout,
        });
        let queue = || PartitionQueue::new(settings.batch_size, settings.linger);
        Ok(Self::over(leaders, layout.online(), queue, compression, counters))
    }

    /// Sends by these, one a partition.
    fn over<B: Broker + 'static>(
        senders_of_partitions: impl Iterator<Item = Sender<B>>,
        online: Vec<usize>,
        queue: impl Fn() -> PartitionQueue,
        compression: Compression,
        counters: Arc<Counters>,
    ) -> Self {
        let failure = Arc::new(Failure::default());
        let mut senders = JoinSet::new();
        let queues: Vec<_> = senders_of_partitions
            .map(|sender| {
                let queue = Arc::new(queue());
                let (queue_of_task, failure, counters) =
                    (Arc::clone(&queue), Arc::clone(&failure), Arc::clone(&counters));
                senders.spawn(async move {
                    let failure = EndsWithFailure(failure);
                    if let Err(error) = send_all(&queue_of_task, sender, compression, &counters).await {
                        failure.0.set(error);
                    }
                });
                queue
            })
            .collect();
        let partitioner = Partitioner::new(queues.len(), online);
        Self { queues, partitioner, failure, senders }
    }
}

/// How batches of this topic are compressed.
fn compression(topic: &str, layout: &Layout, asked: Option<Compression>) -> Result<Compression, ProduceError> {
    match (layout.compression(), asked) {
        (None, asked) => Ok(asked.unwrap_or_default()),
        (Some(wanted), Some(asked)) if asked != wanted => {
            Err(ProduceError::Compression { topic: topic.to_owned(), wanted: wanted.to_string() })
        }
        (Some(wanted), _) => Ok(wanted),
    }
}

/// The task of one partition: ends only with an error.
async fn send_all<B: Broker>(
    queue: &PartitionQueue,
    mut sender: Sender<B>,
    compression: Compression,
    counters: &Counters,
) -> Result<(), ProduceError> {
    loop {
        let batch = queue.take().await;
        let batch = batch.seal(compression).map_err(|error| ProduceError::Encode(error.to_string()))?;
        counters.sent.add(batch.messages);
        sender.send(&batch).await?;
        counters.acknowledged.add(batch.messages);
    }
}

#[async_trait]
impl Sink for FluvioSink {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        let now_ms = now_ms();
        for message in messages.iter() {
            let partition = self.partitioner.partition(message.key);
            let Some(queue) = self.queues.get(partition) else {
                continue;
            };
            while !queue.push(message, now_ms).map_err(|error| ProduceError::Encode(error.to_string()))? {
                tokio::select! {
                    () = queue.room() => {}
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
            for queue in self.queues.iter().map(Arc::clone) {
                flushes.spawn(async move { queue.flush().await });
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
