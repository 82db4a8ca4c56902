//! The log that was read, by way of its brokers: batches of it are fetched again, over streams that are kept.

use std::collections::BTreeMap;

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::{PartitionId, SourceRange};

use super::seam::Log;
use crate::source::fluvio::batches::RawBatch;
use crate::source::fluvio::cluster::Cluster;
use crate::source::fluvio::raw::{RawError, RawReader};

/// So many offsets are rather read over than jumped over: a jump takes another stream.
const READ_OVER: i64 = 20_000;

/// See the module's text.
pub(super) struct SourceLog {
    cluster: Cluster,
    topic: String,
    readers: BTreeMap<PartitionId, RawReader>,
}

impl SourceLog {
    /// Of this topic.
    pub(super) fn new(cluster: Cluster, topic: String) -> Self {
        Self { cluster, topic, readers: BTreeMap::new() }
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
}
