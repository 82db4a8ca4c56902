//! Batches as the log stores them: which of a response are whole, and what their records say.
//!
//! The module's own reader (`smartmodules/abi`) tells records apart, so that combining them gives, byte for byte, the partial
//! that the module gives for the same batch, however loosely that is framed.

use std::io::{self, Read};

use bytes::Bytes;
use fluvio_compression::Compression;
use fluvio_protocol::record::{BATCH_FILE_HEADER_SIZE, BATCH_HEADER_SIZE, BATCH_PREAMBLE_SIZE, Batch, RawRecords};
use isotherm_smartmodule_abi as abi;

/// The most bytes that a batch's records may take, compressed or not: far beyond what producers send, and what a module's
/// memory could hold.
const LARGEST: usize = 512 << 20;

/// Bytes of the schema's number, which comes before the records of some batches.
const SCHEMA_BYTES: usize = 4;

/// A batch as the log stores it, still compressed. Cloning it copies no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset after its last one, by its header: where the next batch begins. Where a broker dropped records of it before
    /// it stored the rest (a producer's SmartModule, a topic's deduplication), that is further on than its records reach.
    pub next: i64,
    /// The log timestamp that those of its records count from, in milliseconds since the epoch, if it has one.
    pub base_timestamp: Option<i64>,
    compression: Compression,
    records: Bytes,
}

impl StoredBatch {
    /// Reads the header of a whole batch.
    pub(crate) fn new(batch: Batch<RawRecords>) -> Result<Self, Damaged> {
        let base_offset = batch.base_offset;
        let compression = batch.get_compression().map_err(|error| Damaged { base_offset, what: error.to_string() })?;
        Ok(Self {
            base_offset,
            next: next_offset(&batch),
            // As Fluvio's client and the module have it: 0 and below is none.
            base_timestamp: Some(batch.header.first_timestamp).filter(|timestamp| *timestamp > 0),
            compression,
            records: batch.own_records().0,
        })
    }

    /// Its records in order, decompressed into `buffer` where they are compressed. A record's offset is the batch's first one
    /// and its place; what the record says of that itself counts nowhere.
    ///
    /// # Errors
    /// They cannot be decompressed. An item is an error where the records cannot be told apart; it is the last one.
    pub fn records<'a>(
        &'a self,
        buffer: &'a mut Vec<u8>,
    ) -> Result<impl Iterator<Item = Result<abi::Record<'a>, Damaged>> + use<'a>, Damaged> {
        let base_offset = self.base_offset;
        let bytes = decompress(self.compression, &self.records, buffer, LARGEST)
            .map_err(|error| Damaged { base_offset, what: format!("it cannot be decompressed: {error}") })?;
        let records = abi::Records::new(bytes, base_offset, self.base_timestamp);
        Ok(records.map(move |record| {
            record.map_err(|abi::Damaged { offset, what }| Damaged {
                base_offset,
                what: format!("{what}, at offset {offset}"),
            })
        }))
    }

    /// How many bytes its records take as they are stored.
    pub fn byte_len(&self) -> usize {
        self.records.len()
    }
}

/// A batch that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {base_offset} is damaged in the broker's log: {what}")]
pub struct Damaged {
    /// Its first offset.
    pub base_offset: i64,
    /// What is wrong.
    pub what: String,
}

/// The batches of a response.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    /// Those that are whole, in order.
    pub(crate) batches: Vec<Batch<RawRecords>>,
    /// How many bytes the first one that is cut off has in all, if one is.
    pub(crate) cut: Option<usize>,
}

/// Drops what is cut off at the end of a response: the client's decoder keeps it as if it were all.
pub(crate) fn whole(response: Vec<Batch<RawRecords>>) -> Result<Whole, Damaged> {
    let mut whole = Whole::default();
    for batch in response {
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

/// The least that a response must hold for the size of its first batch to be known.
pub(crate) const LEAST_RESPONSE: usize = BATCH_FILE_HEADER_SIZE + SCHEMA_BYTES;

/// The offset after a batch's last one, by its header.
pub(crate) fn next_offset(batch: &Batch<RawRecords>) -> i64 {
    batch.base_offset.saturating_add(i64::from(batch.header.last_offset_delta)).saturating_add(1)
}

/// The records' bytes: where they are stored, or decompressed into `buffer`.
fn decompress<'a>(
    compression: Compression,
    bytes: &'a [u8],
    buffer: &'a mut Vec<u8>,
    limit: usize,
) -> io::Result<&'a [u8]> {
    buffer.clear();
    match compression {
        Compression::None => return Ok(bytes),
        Compression::Gzip => read_bounded(flate2::read::GzDecoder::new(bytes), buffer, limit)?,
        Compression::Snappy => read_bounded(snap::read::FrameDecoder::new(bytes), buffer, limit)?,
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(bytes), buffer, limit)?,
        Compression::Zstd => read_bounded(zstd::Decoder::new(bytes)?, buffer, limit)?,
    }
    Ok(buffer)
}

/// A few kilobytes from outside can say gigabytes.
fn read_bounded(source: impl Read, buffer: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    source.take(limit as u64 + 1).read_to_end(buffer)?;
    if buffer.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its records take more than {limit} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
