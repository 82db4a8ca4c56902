//! A stored batch of a log, and what its readings add up to.

use std::sync::Arc;

use bytes::Bytes;
use isotherm_model::codec;
use isotherm_model::combine::{Combined, Combiner, Record};
use isotherm_model::settings::Settings;
use isotherm_model::time::Millis;

/// A batch as the log stores it. Cloning it copies no record.
#[derive(Clone)]
pub struct LogBatch {
    /// Its first offset.
    pub first: i64,
    /// Where the next batch begins, by this one's header. That is further on than its records reach where a broker dropped
    /// records of it before it stored the rest.
    pub next: i64,
    /// The log timestamp that those of its records count from, if it has one.
    pub base_timestamp: Option<Millis>,
    /// Whether the offsets of its partial go on up to `next`, however many records there are.
    is_dense: bool,
    records: Arc<dyn Records>,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Its offset; `None` if that is the batch's first one and its place in the batch.
    pub offset: Option<i64>,
    /// Its log timestamp, if it has one.
    pub timestamp: Option<Millis>,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` for a null one.
    pub value: Option<&'a [u8]>,
}

/// The records of a batch, in whatever form its backend keeps them.
pub trait Records: Send + Sync {
    /// Shows each record in order. What must be decompressed goes into `buffer`; what that held before is lost.
    ///
    /// # Errors
    /// What cannot be read: then what was shown is not the whole batch.
    fn each(&self, buffer: &mut Vec<u8>, show: &mut dyn FnMut(LogRecord<'_>)) -> Result<(), String>;

    /// How many bytes they take, as they are stored.
    fn byte_len(&self) -> usize;
}

/// A record on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Its log timestamp, if it has one.
    pub timestamp: Option<Millis>,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its value; empty for none.
    pub value: Bytes,
}

/// A batch of records on their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBatch {
    /// Its first offset.
    pub first: i64,
    /// Where the next batch begins.
    pub next: i64,
    /// The log timestamp that those of its records count from, if it has one.
    pub base_timestamp: Option<Millis>,
    pub records: Vec<OwnedRecord>,
}

impl OwnedBatch {
    /// As a log gives it.
    pub fn batch(&self) -> LogBatch {
        LogBatch::new(self.first, self.next, self.base_timestamp, self.records.clone())
    }
}

impl Records for Vec<OwnedRecord> {
    fn each(&self, _buffer: &mut Vec<u8>, show: &mut dyn FnMut(LogRecord<'_>)) -> Result<(), String> {
        for OwnedRecord { timestamp, key, value } in self {
            show(LogRecord { offset: None, timestamp: *timestamp, key: key.as_deref(), value: Some(value) });
        }
        Ok(())
    }

    fn byte_len(&self) -> usize {
        self.iter().map(|record| record.value.len()).sum()
    }
}

impl LogBatch {
    /// A batch of these records.
    pub fn new(first: i64, next: i64, base_timestamp: Option<Millis>, records: impl Records + 'static) -> Self {
        Self { first, next, base_timestamp, is_dense: false, records: Arc::new(records) }
    }

    /// A batch of a log whose offsets are no numbers of records, such as the bytes of a file: its partial goes on up to `next`.
    pub fn dense(first: i64, next: i64, records: impl Records + 'static) -> Self {
        Self { first, next, base_timestamp: None, is_dense: true, records: Arc::new(records) }
    }

    /// How many bytes its records take, as they are stored.
    pub fn byte_len(&self) -> usize {
        self.records.byte_len()
    }

    /// Shows each record in order.
    pub fn each(&self, buffer: &mut Vec<u8>, mut show: impl FnMut(LogRecord<'_>)) -> Result<(), String> {
        self.records.each(buffer, &mut show)
    }
}

/// Combines batches in memory that it keeps from one to the next.
pub struct BatchCombiner {
    combiner: Combiner,
    decompressed: Vec<u8>,
    encoded: Vec<u8>,
}

impl BatchCombiner {
    /// For readings of this kind.
    pub fn new(settings: &Settings) -> Self {
        Self { combiner: Combiner::new(settings), decompressed: Vec::new(), encoded: Vec::new() }
    }

    /// What the readings of a batch add up to, as the module says it.
    pub fn combine(&mut self, batch: &LogBatch) -> Result<Combined<'_>, String> {
        self.push(batch)?;
        Ok(self.combiner.finish())
    }

    fn push(&mut self, batch: &LogBatch) -> Result<(), String> {
        let combiner = &mut self.combiner;
        combiner.begin(batch.first, batch.base_timestamp);
        batch.each(&mut self.decompressed, |LogRecord { timestamp, value, .. }| match value {
            Some(value) => combiner.push(&Record { timestamp, value }),
            None => combiner.push_null(),
        })?;
        if batch.is_dense {
            combiner.reach(batch.next);
        }
        Ok(())
    }

    /// [`BatchCombiner::combine`], and the bytes that the module gives for the same batch.
    pub fn encode(&mut self, batch: &LogBatch) -> Result<(Combined<'_>, &[u8]), String> {
        self.push(batch)?;
        let combined = self.combiner.finish();
        self.encoded.clear();
        combined.encode_into(&mut self.encoded);
        Ok((combined, &self.encoded))
    }

    /// The digest of a batch's partial.
    pub fn digest(&mut self, batch: &LogBatch) -> Result<u64, String> {
        Ok(codec::digest(self.encode(batch)?.1))
    }
}
