//! A batch of records, as it is on the wire and in the log.
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | base offset, set by the server |
//! | 8 | 4 | length of all that follows |
//! | 12 | 4 | leader epoch, unused |
//! | 16 | 1 | magic, 2 |
//! | 17 | 4 | CRC-32C of all that follows it |
//! | 21 | 2 | attributes: compression in the low three bits, 0x10 if a schema id follows |
//! | 23 | 4 | last offset delta: number of records minus one |
//! | 27 | 8 | first timestamp |
//! | 35 | 8 | maximum timestamp |
//! | 43 | 14 | producer id, its epoch, first sequence: unused |
//! | 57 | … | records, compressed as a whole |

use bytes::Bytes;
use fluvio_compression::Compression;
use fluvio_protocol::Encoder;
use fluvio_protocol::record::{BATCH_FILE_HEADER_SIZE, BATCH_PREAMBLE_SIZE, Batch, BatchHeader, RawRecords, Record};

use super::compression::decompress;
use super::{MAX_BATCH_BYTES, records};

/// Bytes before the records.
pub(crate) const HEADER_BYTES: usize = BATCH_FILE_HEADER_SIZE;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const MAGIC: u8 = 2;
const SCHEMA: i16 = 0x10;
const COMPRESSION: i16 = 0x07;

/// Why a batch that came over the wire is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchFault {
    /// Fewer bytes than its header needs or than its length field says.
    #[error("batch {index} is cut off, or its length field is wrong")]
    Length { index: usize },
    /// Beyond [`MAX_BATCH_BYTES`].
    #[error("batch {index} has {bytes} bytes, the most is {MAX_BATCH_BYTES}")]
    TooLarge { index: usize, bytes: usize },
    /// Another format.
    #[error("batch {index} has magic {magic}, not 2")]
    Magic { index: usize, magic: u8 },
    /// Damaged on the way.
    #[error("batch {index} does not match its CRC-32C")]
    Checksum { index: usize },
    /// Schema ids are not kept.
    #[error("batch {index} carries a schema id, which this node does not keep")]
    Schema { index: usize },
    /// Unknown compression, or records that do not decompress.
    #[error("batch {index} cannot be decompressed: {reason}")]
    Compression { index: usize, reason: String },
    /// Another number of records than in the header, or records that are not well-formed.
    #[error("batch {index} says it has {count} records, and its bytes are not that many well-formed records")]
    Records { index: usize, count: i64 },
}

/// What the server needs of a batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) first_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// Bytes of the whole batch.
    pub(crate) length: usize,
}

impl Header {
    /// Reads the header of the batch that `bytes` begin with. `None` if they are too few or the length is nonsense.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let i64_at = |at: usize| i64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let i32_at = |at: usize| i32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let length = usize::try_from(i32_at(8)).ok()? + BATCH_PREAMBLE_SIZE;
        (length >= HEADER_BYTES).then_some(Self {
            base_offset: i64_at(0),
            attributes: i16::from_be_bytes([bytes[21], bytes[22]]),
            last_offset_delta: i32_at(23),
            first_timestamp: i64_at(27),
            max_timestamp: i64_at(35),
            length,
        })
    }

    pub(crate) fn count(&self) -> i64 {
        i64::from(self.last_offset_delta) + 1
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// `None` for a number that no compression has.
    pub(crate) fn compression(&self) -> Option<Compression> {
        Compression::try_from((self.attributes & COMPRESSION) as i8).ok()
    }
}

/// Whether `bytes` could be the start of a stored batch: enough of them, magic and a sane record count.
pub(crate) fn plausible(bytes: &[u8]) -> Option<Header> {
    let header = Header::read(bytes)?;
    (bytes.get(MAGIC_AT) == Some(&MAGIC) && header.last_offset_delta >= 0 && header.length <= MAX_BATCH_BYTES)
        .then_some(header)
}

/// Splits the record set of a produce request into batches and checks each in full: lengths, magic, CRC, compression,
/// number and framing of records. Batches without records are left out.
///
/// Costs one CRC, one decompression and one walk over the framing per batch; the batches share `set`'s memory.
pub(crate) fn split_checked(set: &Bytes) -> Result<Vec<Bytes>, BatchFault> {
    let mut rest = set.clone();
    let mut batches = Vec::new();
    let mut index = 0;
    while !rest.is_empty() {
        let header = Header::read(&rest).ok_or(BatchFault::Length { index })?;
        if header.length > MAX_BATCH_BYTES {
            return Err(BatchFault::TooLarge { index, bytes: header.length });
        }
        if header.length > rest.len() {
            return Err(BatchFault::Length { index });
        }
        let batch = rest.split_to(header.length);
        check(&batch, &header, index)?;
        if header.count() > 0 {
            batches.push(batch);
        }
        index += 1;
    }
    Ok(batches)
}

fn check(batch: &[u8], header: &Header, index: usize) -> Result<(), BatchFault> {
    let magic = batch[MAGIC_AT];
    if magic != MAGIC {
        return Err(BatchFault::Magic { index, magic });
    }
    if batch[CRC_AT..CRC_FROM] != crc32c::crc32c(&batch[CRC_FROM..]).to_be_bytes() {
        return Err(BatchFault::Checksum { index });
    }
    if header.attributes & SCHEMA != 0 {
        return Err(BatchFault::Schema { index });
    }
    let compression =
        header.compression().ok_or_else(|| BatchFault::Compression { index, reason: "unknown compression".into() })?;
    let records = decompress(compression, &batch[HEADER_BYTES..])
        .map_err(|error| BatchFault::Compression { index, reason: error.to_string() })?;
    let count = header.count();
    match usize::try_from(count) {
        Ok(count) if records::well_formed(&records, count) => Ok(()),
        _ => Err(BatchFault::Records { index, count }),
    }
}

/// The records of a whole stored batch, decompressed, as the module and the record decoder want them.
pub(crate) fn raw_records(batch: &[u8], header: &Header) -> std::io::Result<Vec<u8>> {
    let compression = header.compression().ok_or_else(|| std::io::Error::other("unknown compression"))?;
    let bytes = batch.get(HEADER_BYTES..).unwrap_or_default();
    decompress(compression, bytes).map(std::borrow::Cow::into_owned)
}

/// A new batch with this header, apart from its checksum. `records` must be [encodable](records::encodable).
pub(crate) fn build(base_offset: i64, header: BatchHeader, records: &Vec<Record>) -> std::io::Result<Bytes> {
    let mut raw = Vec::with_capacity(records.write_size(0));
    records.encode(&mut raw, 0)?;
    let mut batch = Batch::<RawRecords>::default();
    batch.base_offset = base_offset;
    batch.header = header;
    let records = match batch.get_compression().map_err(std::io::Error::other)? {
        Compression::None => Bytes::from(raw),
        compression => compression.compress(&raw).map_err(std::io::Error::other)?,
    };
    if records.len() > i32::MAX as usize - HEADER_BYTES {
        return Err(std::io::Error::other("the batch would be larger than 2 GiB"));
    }
    *batch.mut_records() = RawRecords(records);
    let mut out = Vec::with_capacity(batch.write_size(0));
    batch.encode(&mut out, 0)?;
    Ok(out.into())
}
