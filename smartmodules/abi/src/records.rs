//! The records of a batch, walked in place.
//!
//! `count` (i32, big-endian), then for each record: its length (varint), attributes (i8), timestamp delta (varint), offset
//! delta (varint), 1 and the key (varint length and bytes) or 0, the value (varint length and bytes), and a number of
//! headers (varint), of which Fluvio writes no more. Varints are zigzag.
//!
//! Modules read batches so, and the consumer where no module has: both count the same records.
//!
//! What Fluvio's own decoder reads is read, and as the same records, so that a topic is not lost to this module alone because a
//! client of another making frames loosely: a record's length says no more than that so much follows, the next record begins
//! where the parts of this one end, and what stands behind the last one is no matter. What that decoder refuses is refused: parts
//! that are cut off, lengths beyond the bytes that there are, a key flag that is neither 0 nor 1. So are two things that would
//! end that decoder: a negative length of a key or value, and a varint of more than ten bytes.

use crate::bytes::Bytes;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it says of its offset, less the batch's first one. No broker checks that and no client heeds it: records are
    /// numbered by their place.
    pub offset_delta: i64,
    /// Its log timestamp in milliseconds since the epoch, if the batch has one.
    pub timestamp: Option<i64>,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value, empty for none.
    pub value: &'a [u8],
    /// All of it as it stands in the batch, less its length, which need not be the true one.
    pub body: &'a [u8],
}

/// A batch whose records cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// The offset of the record that is no record.
    pub offset: i64,
    /// What is wrong.
    pub what: &'static str,
}

/// The records of a batch in their order; after an error nothing.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: Bytes<'a>,
    base_timestamp: Option<i64>,
    next_offset: i64,
    left: u32,
    /// Whether not even the number of records is there.
    cut: bool,
}

impl<'a> Records<'a> {
    /// The records that these bytes are, decompressed, with the batch's first offset and what its timestamps count from.
    pub fn new(bytes: &'a [u8], base_offset: i64, base_timestamp: Option<i64>) -> Self {
        let mut bytes = Bytes(bytes);
        let empty = bytes.0.is_empty();
        let count = bytes.i32();
        // A negative number is that of no records.
        let left = count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        Self { bytes, base_timestamp, next_offset: base_offset, left, cut: !empty && count.is_none() }
    }

    /// The next record's parts.
    #[inline(always)]
    fn read(&mut self) -> Result<Record<'a>, &'static str> {
        let len = self.bytes.varint();
        let from = self.bytes.0;
        if len.is_none_or(|len| len > from.len() as i64) {
            return Err("a record is cut off");
        }
        let Parts { offset_delta, timestamp_delta, key, value } =
            parts(&mut self.bytes).ok_or("a record's parts are cut off, or are none")?;
        let body = from.get(..from.len() - self.bytes.0.len()).unwrap_or_default();
        let timestamp = self.base_timestamp.map(|base| base.saturating_add(timestamp_delta));
        Ok(Record { offset_delta, timestamp, key, value, body })
    }
}

/// What a record says, as it says it.
struct Parts<'a> {
    offset_delta: i64,
    timestamp_delta: i64,
    key: Option<&'a [u8]>,
    value: &'a [u8],
}

#[inline(always)]
fn parts<'a>(bytes: &mut Bytes<'a>) -> Option<Parts<'a>> {
    let _attributes = bytes.byte()?;
    let timestamp_delta = bytes.varint()?;
    let offset_delta = bytes.varint()?;
    let key = match bytes.byte()? {
        0 => None,
        1 => Some(bytes.sized()?),
        _ => return None,
    };
    let value = bytes.sized()?;
    let _headers = bytes.varint()?;
    Some(Parts { offset_delta, timestamp_delta, key, value })
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Damaged>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.next_offset;
        if std::mem::take(&mut self.cut) {
            return Some(Err(Damaged { offset, what: "its number of records is cut off" }));
        }
        self.left = self.left.checked_sub(1)?;
        self.next_offset = offset.saturating_add(1);
        match self.read() {
            Ok(record) => Some(Ok(record)),
            Err(what) => {
                self.left = 0;
                Some(Err(Damaged { offset, what }))
            }
        }
    }
}
