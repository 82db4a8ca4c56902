//! Looks up what a log has at an offset now, and what it adds up to.

use isotherm_model::codec;
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;

use crate::log::{BatchCombiner, Log, LogBatch, LogError, LogReader, ReadOptions};

/// How often something is tried when a stored batch is looked for.
const OPTIONS: ReadOptions = ReadOptions { bytes: 2 << 20, tries: 2 };

/// How many records a look-up reads on from the last one, rather than open another stream.
const NEAR: i64 = 1_000_000;

/// What is known of a stored batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredInfo {
    /// Its first offset.
    pub(super) first: i64,
    /// The offset after its last one, by its header.
    pub(super) next: i64,
    pub(super) bytes: usize,
    pub(super) digest: u64,
}

/// What a partition's leader has at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// This batch.
    Batch(StoredInfo),
    /// Something that cannot be read: what.
    Unreadable(String),
    /// Nothing: its log begins further on.
    Evicted,
}

pub(super) struct Lookups<'a> {
    pub(super) log: &'a dyn Log,
    pub(super) partition: PartitionId,
    pub(super) settings: &'a Settings,
}

impl Lookups<'_> {
    /// The batch that holds an offset; `None` if the log ends before it. A reader from which the next look-up is not far stays
    /// in `slot`.
    pub(super) async fn batch(
        &self,
        slot: &mut Option<Box<dyn LogReader>>,
        offset: i64,
    ) -> Result<Option<StoredInfo>, LogError> {
        let mut reader = match slot.take() {
            Some(reader) => reader,
            None => self.log.read(self.partition, offset, OPTIONS).await?,
        };
        let at = reader.position();
        let near = at <= offset && offset.saturating_sub(at) <= NEAR;
        reader.seek(if near { at } else { offset }, offset.saturating_add(1));
        while let Some(batch) = reader.next().await? {
            if batch.next <= offset {
                continue;
            }
            let (info, next_record) = self.info(batch).await?;
            // Where one batch lacks records others do.
            if next_record < info.next {
                *slot = Some(reader);
            }
            return Ok(Some(info));
        }
        Ok(None)
    }

    /// What the partition's leader has at an offset now; an error says why that cannot be known.
    pub(super) async fn look(&self, slot: &mut Option<Box<dyn LogReader>>, offset: i64) -> Result<Lookup, String> {
        // What another connection has read ahead need not be this leader's.
        *slot = None;
        match self.batch(slot, offset).await {
            Ok(Some(batch)) => Ok(Lookup::Batch(batch)),
            Err(LogError::Evicted { .. }) => Ok(Lookup::Evicted),
            Err(error @ LogError::Unreadable { .. }) => Ok(Lookup::Unreadable(error.to_string())),
            Ok(None) => Err("it does not come".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn info(&self, batch: LogBatch) -> Result<(StoredInfo, i64), LogError> {
        let (settings, offset) = (self.settings.clone(), batch.first);
        let combined = tokio::task::spawn_blocking(move || {
            let mut combiner = BatchCombiner::new(&settings);
            let (combined, bytes) = combiner.encode(&batch)?;
            let info =
                StoredInfo { first: batch.first, next: batch.next, bytes: bytes.len(), digest: codec::digest(bytes) };
            Ok::<_, String>((info, combined.to_partial().source.next))
        });
        let what = match combined.await {
            Ok(Ok(info)) => return Ok(info),
            Ok(Err(what)) => what,
            Err(error) => error.to_string(),
        };
        let topic = self.log.identity().topic.clone();
        Err(LogError::Unreadable { topic, partition: self.partition, offset, what })
    }
}
