//! The records of a batch, walked in place.
//!
//! `count` (i32, big-endian), then for each record: its length (varint), attributes (i8), timestamp delta (varint), offset
//! delta (varint), 1 and the key (varint length and bytes) or 0, the value (varint length and bytes), and a number of
//! headers (varint), after which Fluvio writes nothing. Varints are zigzag.
//!
//! Modules and the consumer read batches with this code, so that both count the same records.
//!
//! It reads whatever Fluvio's own decoder reads, as the same records: clients that frame records loosely must not lose a topic to
//! this module alone. A record's length is only a lower bound of the bytes that follow; the next record begins where the parts of
//! this one end; bytes after the last record are ignored. It refuses what that decoder refuses: parts that are cut off, lengths
//! beyond the end, a key flag other than 0 and 1. It also refuses two things on which that decoder panics: a negative length of
//! a key or value, and a varint of more than ten bytes.

use crate::bytes::Bytes;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its own offset delta. Brokers and clients ignore it: records are numbered by their position in the batch.
    pub offset_delta: i64,
    /// Its log timestamp in milliseconds since the epoch, if the batch has one.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// Empty for none.
    pub value: &'a [u8],
    /// All of its bytes but its length, which need not be the true one.
    pub body: &'a [u8],
}

/// A batch whose records cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// The offset of the first damaged record.
    pub offset: i64,
    pub what: &'static str,
}

/// The records of a batch in their order; it ends after an error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: Bytes<'a>,
    base_timestamp: Option<i64>,
    next_offset: i64,
    left: u32,
    /// Whether even the number of records is cut off.
    cut: bool,
}

impl<'a> Records<'a> {
    /// The records in these decompressed bytes, with the batch's first offset and base timestamp.
    pub fn new(bytes: &'a [u8], base_offset: i64, base_timestamp: Option<i64>) -> Self {
        let mut bytes = Bytes(bytes);
        let empty = bytes.0.is_empty();
        let count = bytes.i32();
        // A negative number means no records.
        let left = count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        Self { bytes, base_timestamp, next_offset: base_offset, left, cut: !empty && count.is_none() }
    }

    #[inline(always)]
    fn read(&mut self) -> Result<Record<'a>, &'static str> {
        let len = self.bytes.varint();
        let from = self.bytes.0;
        if len.is_none_or(|len| len > from.len() as i64) {
            return Err("a record is cut off");
        }
        let Parts { offset_delta, timestamp_delta, key, value } =
            parts(&mut self.bytes).ok_or("a record's parts are cut off or invalid")?;
        let body = from.get(..from.len() - self.bytes.0.len()).unwrap_or_default();
        let timestamp = self.base_timestamp.map(|base| base.saturating_add(timestamp_delta));
        Ok(Record { offset_delta, timestamp, key, value, body })
    }
}

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
