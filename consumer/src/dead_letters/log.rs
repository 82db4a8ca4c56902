//! The log that was read, by way of its brokers: batches of it are fetched again, over streams that are kept.

use std::collections::BTreeMap;

use isotherm_model::codec;
use isotherm_model::combine::Combiner;
use isotherm_model::partial::SourceRange;
use isotherm_model::settings::Settings;

use super::seam::Log;
use crate::materializer::event::PartitionId;
use crate::source::fluvio::batches::RawBatch;
use crate::source::fluvio::cluster::Cluster;
use crate::source::fluvio::raw::{RawError, RawReader};
use crate::store::{DeadBatch, LastBatch};

/// So many offsets are rather read over than jumped over: a jump takes another stream.
const READ_OVER: i64 = 20_000;

/// See the module's text.
pub(super) struct SourceLog {
    cluster: Cluster,
    topic: String,
    settings: Settings,
    readers: BTreeMap<PartitionId, RawReader>,
}

impl SourceLog {
    /// Of this topic.
    pub(super) fn new(cluster: Cluster, topic: String, settings: Settings) -> Self {
        Self { cluster, topic, settings, readers: BTreeMap::new() }
    }
}

impl Log for SourceLog {
    async fn fetch(&mut self, batch: &DeadBatch) -> Result<RawBatch, RawError> {
        let (partition, SourceRange { first, next }) = (batch.partition, batch.range);
        // After an error the next attempt begins with a stream, and a batch, of its own.
        let mut reader = match self.readers.remove(&partition) {
            Some(reader) => reader,
            None => RawReader::open(&self.cluster, &self.topic, partition, first).await?,
        };
        let ahead = first.saturating_sub(reader.position());
        let from = if (0..=READ_OVER).contains(&ahead) { reader.position() } else { first };
        reader.seek(from, next);
        let mut found = None;
        while let Some(batch) = reader.next().await? {
            if batch.base_offset == first {
                found = Some(batch);
            }
        }
        self.readers.insert(partition, reader);
        let topic = self.topic.clone();
        found.ok_or(RawError::Misfit { topic, partition, expected: first, found: next })
    }

    async fn stands(&mut self, partition: PartitionId, last: LastBatch) -> Result<bool, RawError> {
        let mut reader = RawReader::open(&self.cluster, &self.topic, partition, last.first).await?;
        if reader.ask().await?.end == last.first {
            // A batch without records stood there.
            return Ok(true);
        }
        reader.seek(last.first, last.first.saturating_add(1));
        let mut combiner = Combiner::new(&self.settings);
        while let Some(batch) = reader.next().await? {
            if batch.base_offset == last.first && codec::digest(&batch.encoded(&mut combiner)) == last.digest {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
