//! The post: letters go to their partitions in batches, and the topic's tail is read back for those that stand there.

use std::collections::{BTreeMap, BTreeSet};

use super::letter::{Envelope, Letter, Origin, partition_of};
use super::seam::{PostError, Put, Sealed, Topic};
use crate::materializer::event::PartitionId;

/// The bytes of keys and values that a batch takes, unless a single letter is larger.
const BATCH_BYTES: usize = 512 << 10;

/// How many records others may write to a partition behind a letter of ours before it is no longer looked for.
pub(crate) const OTHERS: u64 = 100_000;

/// See the module's text.
pub(crate) struct Post<T> {
    topic: T,
    envelope: Envelope,
    /// How many the topic had when it was last looked at.
    partitions: u32,
}

impl<T: Topic> Post<T> {
    /// A post that sends letters in this envelope. [`Post::there`] comes before the first [`Post::send`].
    pub(crate) fn new(topic: T, envelope: Envelope) -> Self {
        Self { topic, envelope, partitions: 0 }
    }

    /// Looks at the topic anew, and at which of the letters that `wanted` tells are there already: of each partition the last
    /// records, as many as `letters`, which is how many may have been sent and not noted, and [`OTHERS`] besides.
    pub(crate) async fn there(
        &mut self,
        letters: u64,
        wanted: impl Fn(Origin) -> bool + Send + Sync,
    ) -> Result<BTreeSet<Origin>, PostError> {
        self.partitions = self.topic.look().await?;
        let (envelope, mut there) = (&self.envelope, BTreeSet::new());
        let mut show = |key: &[u8]| there.extend(envelope.origin(key).filter(|origin| wanted(*origin)));
        for partition in 0..self.partitions {
            self.topic.tail(partition, letters.saturating_add(OTHERS), &mut show).await?;
        }
        Ok(there)
    }

    /// Sends letters, and returns when all of them are acknowledged, with those that the broker takes in no case: alone in
    /// their batch they are still too large for it.
    pub(crate) async fn send(&mut self, letters: &[Letter]) -> Result<Vec<Origin>, PostError> {
        let mut refused = Vec::new();
        let mut lanes: BTreeMap<PartitionId, (usize, Vec<Sealed>)> = BTreeMap::new();
        for letter in letters {
            let key = self.envelope.key(letter).into_bytes();
            let partition = partition_of(&key, self.partitions);
            let (bytes, lane) = lanes.entry(partition).or_default();
            let more = key.len().saturating_add(letter.value.len());
            if !lane.is_empty() && bytes.saturating_add(more) > BATCH_BYTES {
                *bytes = 0;
                let full = std::mem::take(lane);
                self.put(partition, &full, &mut refused).await?;
            }
            *bytes = bytes.saturating_add(more);
            lane.push(Sealed { origin: letter.origin, key, value: letter.value.clone() });
        }
        for (partition, (_, lane)) in lanes {
            self.put(partition, &lane, &mut refused).await?;
        }
        Ok(refused)
    }

    /// Sends a batch; in halves, and halves of these, where the broker takes none so large.
    async fn put(
        &mut self,
        partition: PartitionId,
        letters: &[Sealed],
        refused: &mut Vec<Origin>,
    ) -> Result<(), PostError> {
        let mut left = vec![letters];
        while let Some(letters) = left.pop() {
            match (self.topic.put(partition, letters).await?, letters) {
                (Put::Acknowledged, _) => {}
                (Put::TooLarge, [] | [_]) => refused.extend(letters.iter().map(|letter| letter.origin)),
                (Put::TooLarge, _) => {
                    let (former, latter) = letters.split_at(letters.len() / 2);
                    left.extend([latter, former]);
                }
            }
        }
        Ok(())
    }
}
