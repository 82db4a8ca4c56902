//! Stored batches as they come without a SmartModule: which of an answer are whole, and what their records say.
//!
//! Records are told apart by the module's own reader (`smartmodules/abi`), so that [`RawBatch::combine`] gives, byte for byte,
//! the partial that the module gives for the same batch, however loosely that is framed.

use std::io::{self, Read};

use bytes::Bytes;
use fluvio::dataplane::record::{Batch, RawRecords};
use fluvio_compression::Compression;
use fluvio_protocol::record::{BATCH_FILE_HEADER_SIZE, BATCH_HEADER_SIZE, BATCH_PREAMBLE_SIZE};
use isotherm_model::combine::{Combined, Combiner, Record as Reading};
use isotherm_model::partial::Partial;
use isotherm_smartmodule_abi::{self as abi, Record, Records};

/// The most bytes that a batch's records may take, compressed or not: far beyond what producers send, and what a module's
/// memory could hold.
const LARGEST: usize = 512 << 20;

/// Bytes of the schema's number, which stands before the records of some batches.
const SCHEMA_BYTES: usize = 4;

/// A batch as the log stores it, decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBatch {
    /// Its first offset.
    pub base_offset: i64,
    /// Its last offset less its first one, as its header says. Where a broker dropped records of it before it stored the
    /// rest (a producer's SmartModule, a topic's deduplication), that is more than the records reach.
    pub last_offset_delta: i32,
    /// The offset after its last one, by its header: where the next batch begins.
    pub next: i64,
    /// The log timestamp that those of its records count from, in milliseconds since the epoch, if it has one.
    pub base_timestamp: Option<i64>,
    /// How many bytes its records take, decompressed.
    pub bytes: usize,
    /// Its records, in order.
    pub records: Vec<RawRecord>,
}

/// A record of a stored batch. Its offset is the batch's first one and its place; what it says of that itself counts nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Its log timestamp in milliseconds since the epoch, if the batch has one.
    pub timestamp: Option<i64>,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its value; empty for none.
    pub value: Bytes,
}

impl RawBatch {
    /// What its readings add up to, as the module says it. Whatever the combiner held before is forgotten.
    pub fn combine<'a>(&self, combiner: &'a mut Combiner) -> Combined<'a> {
        combiner.begin(self.base_offset, self.base_timestamp);
        for record in &self.records {
            combiner.push(&Reading { timestamp: record.timestamp, value: &record.value });
        }
        combiner.finish()
    }

    /// [`RawBatch::combine`], to the partial's bytes: those that the module gives.
    pub fn encoded(&self, combiner: &mut Combiner) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.combine(combiner).encode_into(&mut bytes);
        bytes
    }

    /// [`RawBatch::combine`], as a value of its own. Its source ends where the records do, not where the header says.
    pub fn partial(&self, combiner: &mut Combiner) -> Partial {
        self.combine(combiner).to_partial()
    }
}

/// A batch that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Damaged {
    /// Its first offset.
    pub(super) base_offset: i64,
    /// What is wrong.
    pub(super) what: String,
}

/// The batches of an answer.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// Those that are whole, in order.
    pub(super) batches: Vec<Batch<RawRecords>>,
    /// How many bytes the first one that is cut off has in all, if one is.
    pub(super) cut: Option<usize>,
}

/// Drops what is cut off at the end of an answer: the client's decoder keeps it as if it were all.
pub(super) fn whole(answer: Vec<Batch<RawRecords>>) -> Result<Whole, Damaged> {
    let mut whole = Whole::default();
    for batch in answer {
        let schema = if batch.header.has_schema() { SCHEMA_BYTES } else { 0 };
        let records = usize::try_from(batch.batch_len).ok().and_then(|len| len.checked_sub(BATCH_HEADER_SIZE + schema));
        match records {
            Some(len) if len > LARGEST => {
                return Err(Damaged {
                    base_offset: batch.base_offset,
                    what: format!("it says that it has {len} bytes, the most is {LARGEST}"),
                });
            }
            Some(len) if batch.records().0.len() < len => {
                whole.cut = Some(BATCH_PREAMBLE_SIZE + BATCH_HEADER_SIZE + schema + len);
                return Ok(whole);
            }
            Some(len) if batch.records().0.len() == len => whole.batches.push(batch),
            _ => {
                let (base_offset, len) = (batch.base_offset, batch.batch_len);
                return Err(Damaged { base_offset, what: format!("it says that it has {len} bytes") });
            }
        }
    }
    Ok(whole)
}

/// The least that an answer must hold for the size of its first batch to be known.
pub(super) const LEAST_ANSWER: usize = BATCH_FILE_HEADER_SIZE + SCHEMA_BYTES;

/// The offset after a batch's last one, by its header.
pub(super) fn next_offset(batch: &Batch<RawRecords>) -> i64 {
    batch.base_offset.saturating_add(i64::from(batch.header.last_offset_delta)).saturating_add(1)
}

/// Decompresses a whole batch, and tells its records apart. They share its memory.
pub(super) fn open(batch: Batch<RawRecords>) -> Result<RawBatch, Damaged> {
    let base_offset = batch.base_offset;
    let damaged = |what: String| Damaged { base_offset, what };
    let (next, last_offset_delta) = (next_offset(&batch), batch.header.last_offset_delta);
    // As Fluvio's client has it, and the module: 0 and below is none.
    let base_timestamp = Some(batch.header.first_timestamp).filter(|timestamp| *timestamp > 0);
    let compression = batch.get_compression().map_err(|error| damaged(error.to_string()))?;
    let bytes = decompress(compression, batch.own_records().0, LARGEST)
        .map_err(|error| damaged(format!("it cannot be decompressed: {error}")))?;
    let records = records(&bytes, base_offset, base_timestamp).map_err(damaged)?;
    Ok(RawBatch { base_offset, last_offset_delta, next, base_timestamp, bytes: bytes.len(), records })
}

fn decompress(compression: Compression, bytes: Bytes, limit: usize) -> io::Result<Bytes> {
    let source = bytes.as_ref();
    let out = match compression {
        Compression::None => return Ok(bytes),
        Compression::Gzip => read_bounded(flate2::read::GzDecoder::new(source), limit)?,
        Compression::Snappy => read_bounded(snap::read::FrameDecoder::new(source), limit)?,
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(source), limit)?,
        Compression::Zstd => read_bounded(zstd::Decoder::new(source)?, limit)?,
    };
    Ok(out.into())
}

/// A few kilobytes from outside can say gigabytes.
fn read_bounded(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    source.take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its records take more than {limit} bytes")));
    }
    Ok(out)
}

/// Tells records apart, as the module does: its own reader.
fn records(bytes: &Bytes, base_offset: i64, base_timestamp: Option<i64>) -> Result<Vec<RawRecord>, String> {
    let records = Records::new(bytes, base_offset, base_timestamp).map(|record| match record {
        Ok(Record { timestamp, key, value, .. }) => {
            Ok(RawRecord { timestamp, key: key.map(|key| bytes.slice_ref(key)), value: bytes.slice_ref(value) })
        }
        Err(abi::Damaged { offset, what }) => Err(format!("{what}, at offset {offset}")),
    });
    records.collect()
}

#[cfg(test)]
mod tests;
