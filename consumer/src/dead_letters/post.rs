//! The post: letters go to their partitions in batches, and the topic's tail is read back for those that stand there.

use std::collections::BTreeMap;

use isotherm_model::partial::PartitionId;

use super::letter::{Envelope, Known, Letter, Origin, partition_of};
use super::seam::{PostError, Put, Reach, Sealed, Topic};

/// The bytes of keys and values that a batch takes, unless a single letter is larger.
const BATCH_BYTES: usize = 512 << 10;

/// How many records others may write to a partition behind a letter of ours before it is no longer looked for.
pub const OTHERS: u64 = 100_000;

/// See the module's text.
pub struct Post<T> {
    topic: T,
    envelope: Envelope,
    /// How many the topic had when it was last looked at.
    partitions: u32,
    /// By partition, where letters end that its leader has, and that nobody can read yet: its tail does not show them, and to
    /// send them again would only store them twice.
    behind: BTreeMap<PartitionId, i64>,
}

impl<T: Topic> Post<T> {
    /// A post that sends letters in this envelope. [`Post::there`] comes before the first [`Post::send`].
    pub fn new(topic: T, envelope: Envelope) -> Self {
        Self { topic, envelope, partitions: 0, behind: BTreeMap::new() }
    }

    /// Looks at the topic anew, and shows the letters of this run that are there already: of each partition those among the last
    /// records, as many as `letters`, which is how many may have been sent and not noted, and [`OTHERS`] besides.
    pub async fn there(&mut self, letters: u64, mut note: impl FnMut(Known) + Send) -> Result<(), PostError> {
        self.partitions = self.topic.look().await?;
        while let Some((partition, end)) = self.behind.first_key_value() {
            self.topic.reach(*partition, *end).await?;
            self.behind.pop_first();
        }
        let envelope = &self.envelope;
        let mut show = |key: &[u8]| envelope.known(key).into_iter().for_each(&mut note);
        for partition in 0..self.partitions {
            self.topic.tail(partition, letters.saturating_add(OTHERS), &mut show).await?;
        }
        Ok(())
    }

    /// Sends letters, and returns when all of them are acknowledged, with those that the broker takes in no case: alone in
    /// their batch they are still too large for it.
    pub async fn send(&mut self, letters: &[Letter]) -> Result<Vec<Origin>, PostError> {
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
                (Put::Stored(end), _) => {
                    self.behind.insert(partition, end);
                    let reached = self.topic.reach(partition, end).await?;
                    self.behind.remove(&partition);
                    if reached == Reach::Unknown {
                        let lost =
                            format!("partition {partition} has lost its leader before all replicas had its letters");
                        return Err(PostError::Unsure(lost));
                    }
                }
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
