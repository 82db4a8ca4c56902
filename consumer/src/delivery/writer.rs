//! Writes letters to their partitions in batches, and reads the topic's tail back for those that are there already.

use std::collections::BTreeMap;

use isotherm_model::partial::PartitionId;

use super::letter::{Envelope, Known, Letter, Origin, partition_of};
use crate::log::target::{Appended, OutgoingRecord, Target, TargetError};

/// The bytes of keys and values that a batch takes, unless a single letter is larger.
const BATCH_BYTES: usize = 512 << 10;

/// How many records others may write to a partition behind a letter of ours before it is no longer looked for.
pub const OTHERS: u64 = 100_000;

pub struct TopicWriter {
    topic: Box<dyn Target>,
    envelope: Envelope,
    /// How many the topic had when it was last looked at.
    partitions: u32,
}

impl TopicWriter {
    /// A writer that sends letters in this envelope. [`TopicWriter::there`] comes before the first [`TopicWriter::send`].
    pub fn new(topic: Box<dyn Target>, envelope: Envelope) -> Self {
        Self { topic, envelope, partitions: 0 }
    }

    /// Looks at the topic again, and shows the letters of this run that are there already: of each partition those among the last
    /// records, as many as `letters`, which is how many may have been sent and not noted, and [`OTHERS`] besides.
    pub async fn there(&mut self, letters: u64, mut note: impl FnMut(Known) + Send) -> Result<(), TargetError> {
        self.partitions = self.topic.partitions().await?;
        let envelope = &self.envelope;
        let mut show = |key: &[u8]| envelope.known(key).into_iter().for_each(&mut note);
        for partition in 0..self.partitions {
            self.topic.read_back(partition, letters.saturating_add(OTHERS), &mut show).await?;
        }
        Ok(())
    }

    /// Sends letters, and returns when all of them are acknowledged, with those that the broker takes in no case: alone in
    /// their batch they are still too large for it.
    pub async fn send(&mut self, letters: &[Letter]) -> Result<Vec<Origin>, TargetError> {
        let mut refused = Vec::new();
        let mut queues: BTreeMap<PartitionId, Queue> = BTreeMap::new();
        for letter in letters {
            let key = self.envelope.key(letter).into_bytes();
            let partition = partition_of(&key, self.partitions);
            let queue = queues.entry(partition).or_default();
            let more = key.len().saturating_add(letter.value.len());
            if !queue.records.is_empty() && queue.bytes.saturating_add(more) > BATCH_BYTES {
                let full = std::mem::take(queue);
                self.append(partition, &full.records, &full.origins, &mut refused).await?;
            }
            let queue = queues.entry(partition).or_default();
            queue.bytes = queue.bytes.saturating_add(more);
            queue.origins.push(letter.origin);
            queue.records.push(OutgoingRecord { key, value: letter.value.clone() });
        }
        for (partition, queue) in queues {
            self.append(partition, &queue.records, &queue.origins, &mut refused).await?;
        }
        Ok(refused)
    }

    /// Appends a batch; in halves, and halves of these, where the broker takes none so large.
    async fn append(
        &mut self,
        partition: PartitionId,
        records: &[OutgoingRecord],
        origins: &[Origin],
        refused: &mut Vec<Origin>,
    ) -> Result<(), TargetError> {
        let mut left = vec![(records, origins)];
        while let Some((records, origins)) = left.pop() {
            match self.topic.append(partition, records).await? {
                Appended::Acknowledged => {}
                Appended::TooLarge if records.len() <= 1 => refused.extend(origins),
                Appended::TooLarge => {
                    let middle = records.len() / 2;
                    let (former, latter) = (records.split_at(middle), origins.split_at(middle));
                    left.extend([(former.1, latter.1), (former.0, latter.0)]);
                }
            }
        }
        Ok(())
    }
}

/// The records of a partition that are sent together, and where they come from.
#[derive(Default)]
struct Queue {
    bytes: usize,
    records: Vec<OutgoingRecord>,
    origins: Vec<Origin>,
}
