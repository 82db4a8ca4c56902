//! Sends the batches of one partition, each until it is acknowledged, one after the other.
//!
//! One batch is on its way at a time, and a batch that fails is tried again before the next: records keep their order
//! through any outage. A batch whose answer was lost may be stored twice; nothing here can know.

use std::time::Duration;

use async_trait::async_trait;
use isotherm_model::partial::PartitionId;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::batch::SealedBatch;
use crate::backoff::Backoff;

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), LONGEST_PAUSE);

/// The broker that takes the batches of one partition.
#[async_trait]
pub trait Broker: Send {
    /// Hands a batch over, and returns when it is acknowledged. An attempt may be given up at any time.
    async fn attempt(&mut self, batch: &SealedBatch) -> Result<(), Attempt>;

    /// Gets ready for another attempt after the one that failed.
    async fn recover(&mut self);

    /// How long an attempt with this batch may go without an answer; less if retries are bounded by less.
    fn timeout(&self, batch: &SealedBatch) -> Duration;
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// Worth another attempt.
    Again(String),
    /// The same batch will never be taken.
    Never { reason: String, refusal: Refusal },
}

/// Why a batch will never be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is larger than the broker takes.
    TooLarge,
    /// The leader has it, and not all replicas got it in time.
    NotReplicated,
    /// This user may not write there.
    NotPermitted,
}

/// Why a batch was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The broker stayed away, or silent, for too long.
    #[error("partition {partition} of topic `{topic}` took no batch for {}: {reason}", humantime::format_duration(*tried))]
    GaveUp {
        topic: String,
        partition: PartitionId,
        /// How long the batch was tried again.
        tried: Duration,
        reason: String,
    },
    /// The broker refused the batch for good, or took it and could not have it replicated in time.
    #[error(
        "partition {partition} of topic `{topic}` did not acknowledge a batch of {messages} messages, {bytes} bytes: {reason}"
    )]
    Refused {
        topic: String,
        partition: PartitionId,
        messages: u64,
        /// How many bytes it holds, as sent.
        bytes: usize,
        reason: String,
        refusal: Refusal,
    },
}

/// Sends to one partition.
pub struct Sender<B> {
    /// The partition's leader.
    pub broker: B,
    pub topic: String,
    pub partition: PartitionId,
    /// For how long a batch is tried again.
    pub retry_timeout: Duration,
}

impl<B: Broker> Sender<B> {
    /// Sends one batch and waits for its acknowledgement.
    ///
    /// # Errors
    /// A [`SendError`].
    pub async fn send(&mut self, batch: &SealedBatch) -> Result<(), SendError> {
        let started = Instant::now();
        let mut attempts = 1u32;
        loop {
            let left = self.retry_timeout.saturating_sub(started.elapsed());
            // The last attempt comes when the time is over, and needs a chance.
            let bound = left.max(LONGEST_PAUSE).min(self.broker.timeout(batch));
            let reason = match timeout(bound, self.broker.attempt(batch)).await {
                Ok(Ok(())) => {
                    if attempts > 1 {
                        info!(partition = self.partition, attempts, "the broker takes batches again");
                    }
                    return Ok(());
                }
                Ok(Err(Attempt::Never { reason, refusal })) => return Err(self.refused(batch, reason, refusal)),
                Ok(Err(Attempt::Again(reason))) => reason,
                Err(_) => format!("no answer within {}", for_people(bound)),
            };
            let left = self.retry_timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(self.gave_up(started.elapsed(), reason));
            }
            if attempts == 1 {
                let bound = for_people(self.retry_timeout);
                warn!(partition = self.partition, "{reason}; trying again for up to {bound}");
            } else {
                debug!(partition = self.partition, attempts, "{reason}");
            }
            sleep(BACKOFF.pause(attempts - 1, 0.0).min(left)).await;
            attempts += 1;
            self.broker.recover().await;
        }
    }

    fn gave_up(&self, tried: Duration, reason: String) -> SendError {
        let (topic, partition) = (self.topic.clone(), self.partition);
        SendError::GaveUp { topic, partition, tried: in_tenths(tried), reason }
    }

    fn refused(&self, batch: &SealedBatch, reason: String, refusal: Refusal) -> SendError {
        SendError::Refused {
            topic: self.topic.clone(),
            partition: self.partition,
            messages: batch.messages,
            bytes: batch.byte_len(),
            reason,
            refusal,
        }
    }
}

/// For people: rounded to tenths of a second.
fn in_tenths(duration: Duration) -> Duration {
    let tenths = (duration.as_secs_f64() * 10.0).round();
    Duration::try_from_secs_f64(tenths / 10.0).unwrap_or(duration)
}

fn for_people(duration: Duration) -> impl std::fmt::Display {
    humantime::format_duration(in_tenths(duration))
}

#[cfg(test)]
mod tests {
    use fluvio_compression::Compression;

    use super::super::batch::OpenBatch;
    use super::*;

    /// Answers as it was told, then takes everything.
    struct Scripted {
        answers: Vec<Attempt>,
        attempts: Vec<u64>,
        recoveries: usize,
    }

    #[async_trait]
    impl Broker for Scripted {
        async fn attempt(&mut self, batch: &SealedBatch) -> Result<(), Attempt> {
            self.attempts.push(batch.messages);
            self.answers.pop().map_or(Ok(()), Err)
        }

        async fn recover(&mut self) {
            self.recoveries += 1;
        }

        fn timeout(&self, _: &SealedBatch) -> Duration {
            Duration::MAX
        }
    }

    fn sender(answers: Vec<Attempt>, retry_timeout: Duration) -> Sender<Scripted> {
        let broker = Scripted { answers, attempts: Vec::new(), recoveries: 0 };
        Sender { broker, topic: "sensors".to_owned(), partition: 3, retry_timeout }
    }

    fn batch(messages: u64) -> SealedBatch {
        let mut open = OpenBatch::with_room(0);
        for _ in 0..messages {
            open.push(None, b"x", 1_000).unwrap();
        }
        open.seal(Compression::None).unwrap()
    }

    fn again() -> Attempt {
        Attempt::Again("connection lost".to_owned())
    }

    #[tokio::test]
    async fn a_batch_is_tried_again_before_the_next() {
        let mut sender = sender(vec![again(), again()], Duration::from_secs(3600));
        sender.send(&batch(2)).await.unwrap();
        sender.send(&batch(1)).await.unwrap();
        assert_eq!(sender.broker.attempts, [2, 2, 2, 1]);
        assert_eq!(sender.broker.recoveries, 2);
    }

    #[tokio::test]
    async fn it_gives_up_after_its_bound() {
        let mut sender = sender(vec![again(); 100], Duration::ZERO);
        let error = sender.send(&batch(2)).await.unwrap_err();
        assert!(matches!(&error, SendError::GaveUp { partition: 3, .. }), "{error}");
        assert!(error.to_string().ends_with("connection lost"), "{error}");
        assert_eq!(sender.broker.attempts, [2]);
    }

    #[tokio::test]
    async fn it_tries_a_last_time_when_the_bound_is_reached() {
        let mut sender = sender(vec![again(); 100], Duration::from_millis(150));
        sender.send(&batch(1)).await.unwrap_err();
        assert!(sender.broker.attempts.len() >= 2, "{:?}", sender.broker.attempts);
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_not_tried_again() {
        let never = Attempt::Never { reason: "too large".to_owned(), refusal: Refusal::TooLarge };
        let mut sender = sender(vec![never], Duration::from_secs(3600));
        let error = sender.send(&batch(2)).await.unwrap_err();
        assert!(matches!(&error, SendError::Refused { messages: 2, .. }), "{error}");
        assert!(error.to_string().ends_with("too large"), "{error}");
        assert_eq!(sender.broker.attempts, [2]);
    }
}
