//! One stored batch: a u32 length, a u32 CRC-32C of that length and of the batch, the batch. Big-endian.
//!
//! The top bit of the length is set in an entry that was written in one append with the entry before it. The bytes of one
//! append may reach the disk in any order. Where appends wait for the disk, those of the next append reach it later. So a
//! start can distinguish a torn append from damage.
//!
//! The batch's own CRC leaves out its base offset and length, and no client checks it; this one covers everything.

use bytes::BufMut;

use super::MAX_BATCH_BYTES;
use super::batch::{self, Header};

/// Bytes before the batch.
pub(super) const PREFIX_BYTES: usize = 8;

/// In the length: written in one append with the entry before it.
const CONTINUES: u32 = 1 << 31;

/// What the bytes at a position of a segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole entry; its batch follows the prefix and has this header.
    Entry(Header),
    /// The start of what may be an entry of this many bytes.
    Short(usize),
    /// No entry.
    Bad(&'static str),
}

impl Parsed {
    /// Reads what `bytes` begin with, checksum included.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
            return Self::Short(PREFIX_BYTES + batch::HEADER_BYTES);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *prefix;
        let written = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = (written & !CONTINUES) as usize;
        if !(batch::HEADER_BYTES..=MAX_BATCH_BYTES).contains(&length) {
            return Self::Bad("the length is not that of a batch");
        }
        let Some(stored) = rest.get(..length) else {
            return Self::Short(PREFIX_BYTES + length);
        };
        if checksum(written, stored) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return Self::Bad("the checksum does not match");
        }
        match batch::plausible(stored) {
            Some(header) if header.length == length => Self::Entry(header),
            _ => Self::Bad("the batch's header is not sound"),
        }
    }
}

/// Whether an entry may begin here, judged without its checksum: the lengths agree and the batch looks like one.
pub(super) fn may_begin(bytes: &[u8]) -> Option<Header> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let header = batch::plausible(rest.get(4..)?)?;
    (header.length == (u32::from_be_bytes(*length) & !CONTINUES) as usize).then_some(header)
}

/// Whether the entry that `bytes` begin with was written in one append with the entry before it.
pub(super) fn continues(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|length| u32::from_be_bytes(*length) & CONTINUES != 0)
}

/// Appends the entry of `batch`, its base offset set to `base`; to others of one append, unless `out` is empty.
pub(super) fn put(out: &mut Vec<u8>, batch: &[u8], base: i64) {
    let continues = if out.is_empty() { 0 } else { CONTINUES };
    let length = batch.len() as u32 | continues;
    out.put_u32(length);
    let at = out.len();
    out.put_u32(0);
    out.put_i64(base);
    out.extend_from_slice(batch.get(8..).unwrap_or_default());
    let sum = checksum(length, &out[at + 4..]);
    out[at..at + 4].copy_from_slice(&sum.to_be_bytes());
}

fn checksum(length: u32, batch: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length.to_be_bytes()), batch)
}
