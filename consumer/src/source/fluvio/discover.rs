//! Looks for partitions that are added while a topic is read, and for its deletion.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Terms;
use super::cluster::Cluster;
use super::error::SourceError;
use super::policy::backoff;

/// How often the controller is asked.
const PERIOD: Duration = Duration::from_secs(2);

/// In how many answers in a row the topic must be missing: a controller that has just started may not know it yet.
const MISSES: u32 = 3;

/// Asks the controller for the topic, forever.
pub(super) struct Discovery {
    pub(super) cluster: Cluster,
    pub(super) terms: Arc<Terms>,
    /// How many partitions are known.
    pub(super) known: u32,
    /// Whether more partitions are of no interest.
    pub(super) fixed: bool,
    /// Where to tell: the new number of partitions, or that the topic is gone.
    pub(super) added: mpsc::Sender<Result<u32, SourceError>>,
}

impl Discovery {
    pub(super) async fn run(mut self) {
        let (mut misses, mut failures) = (0, 0);
        loop {
            tokio::time::sleep(PERIOD.max(backoff(failures, 0.0))).await;
            let topic = &self.terms.topic;
            let news = match self.cluster.topic(topic).await {
                Err(error) => {
                    if failures == 0 {
                        warn!("the controller at {} does not answer: {error}; asking again", self.cluster.address());
                    }
                    failures = (failures + 1).min(16);
                    continue;
                }
                Ok(answer) => {
                    if failures > 0 {
                        info!("the controller at {} answers again", self.cluster.address());
                    }
                    failures = 0;
                    answer
                }
            };
            let Some(found) = news else {
                misses += 1;
                if misses >= MISSES {
                    let gone = SourceError::TopicDeleted { cluster: self.cluster.flag(), topic: topic.clone() };
                    // Whoever does not listen any longer need not know.
                    let _ = self.added.send(Err(gone)).await;
                    return;
                }
                continue;
            };
            misses = 0;
            if self.fixed || found.partitions <= self.known {
                continue;
            }
            info!("`{topic}` has {} partitions now, {} before", found.partitions, self.known);
            self.known = found.partitions;
            if self.added.send(Ok(found.partitions)).await.is_err() {
                return;
            }
        }
    }
}
