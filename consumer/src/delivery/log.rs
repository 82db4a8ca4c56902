//! The log that was read: batches of it are fetched again, over streams that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::{PartitionId, SourceRange};

use super::seam::BatchFetcher;
use crate::log::{Log, LogBatch, LogError, LogReader, ReadOptions};

/// How many offsets are rather read over than jumped over: a jump takes another stream.
const READ_OVER: i64 = 20_000;

pub(super) struct SourceLog {
    log: Arc<dyn Log>,
    readers: BTreeMap<PartitionId, Box<dyn LogReader>>,
}

impl SourceLog {
    /// Of this topic.
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, readers: BTreeMap::new() }
    }
}

impl BatchFetcher for SourceLog {
    async fn fetch(&mut self, batch: &DeadBatch) -> Result<LogBatch, LogError> {
        let (partition, SourceRange { first, next }) = (batch.partition, batch.range);
        // After an error the next attempt begins with a stream, and a batch, of its own.
        let mut reader = match self.readers.remove(&partition) {
            Some(reader) => reader,
            None => self.log.read(partition, first, ReadOptions::default()).await?,
        };
        let ahead = first.saturating_sub(reader.position());
        let from = if (0..=READ_OVER).contains(&ahead) { reader.position() } else { first };
        reader.seek(from, next);
        let mut found = None;
        while let Some(batch) = reader.next().await? {
            if found.is_none() && batch.next > first {
                found = Some(batch);
            }
        }
        self.readers.insert(partition, reader);
        found.ok_or_else(|| {
            let (topic, what) = (self.log.identity().topic.clone(), format!("no batch holds offset {first}"));
            LogError::Unreadable { topic, partition, offset: first, what }
        })
    }
}
