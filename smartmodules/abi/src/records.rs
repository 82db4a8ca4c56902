//! The records of a batch, walked in place.
//!
//! `count` (i32, big-endian), then for each record: its length (varint), attributes (i8), timestamp delta (varint), offset
//! delta (varint), 1 and the key (varint length and bytes) or 0, the value (varint length and bytes), and a number of
//! headers (varint), of which Fluvio writes no more. Varints are zigzag.

use crate::bytes::Bytes;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset, less the batch's first one.
    pub offset_delta: i64,
    /// Its log timestamp in milliseconds since the epoch, if the batch has one.
    pub timestamp: Option<i64>,
    /// Its value, empty for none.
    pub value: &'a [u8],
    /// All of it as it stands in the batch, with its length.
    pub bytes: &'a [u8],
}

/// A batch whose records cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged {
    /// The offset of the record that is no record, or of the one that would follow the last.
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
    damaged: Option<&'static str>,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8], base_offset: i64, base_timestamp: Option<i64>) -> Self {
        let mut bytes = Bytes(bytes);
        let (left, damaged) = match (bytes.0.is_empty(), bytes.i32()) {
            (true, _) => (0, None),
            (false, None) => (0, Some("its number of records is cut off")),
            (false, Some(count)) => match u32::try_from(count) {
                Ok(0) | Err(_) if !bytes.0.is_empty() => (0, Some("bytes stand behind its last record")),
                Ok(count) => (count, None),
                Err(_) => (0, None),
            },
        };
        Self { bytes, base_timestamp, next_offset: base_offset, left, damaged }
    }

    /// The next record's parts.
    #[inline(always)]
    fn read(&mut self) -> Result<Record<'a>, &'static str> {
        let from = self.bytes.0;
        let mut body = Bytes(self.bytes.sized().ok_or("a record is cut off")?);
        let bytes = from.get(..from.len() - self.bytes.0.len()).unwrap_or_default();
        let (offset_delta, timestamp_delta, value) =
            parts(&mut body).ok_or("a record's parts do not fit its length")?;
        if !body.0.is_empty() {
            return Err("a record is longer than its parts");
        }
        let timestamp = self.base_timestamp.map(|base| base.saturating_add(timestamp_delta));
        Ok(Record { offset_delta, timestamp, value, bytes })
    }
}

/// Offset delta, timestamp delta and value.
#[inline(always)]
fn parts<'a>(body: &mut Bytes<'a>) -> Option<(i64, i64, &'a [u8])> {
    let _attributes = body.byte()?;
    let timestamp_delta = body.varint()?;
    let offset_delta = body.varint()?;
    match body.byte()? {
        0 => {}
        1 => drop(body.sized()?),
        _ => return None,
    }
    let value = body.sized()?;
    let _headers = body.varint()?;
    Some((offset_delta, timestamp_delta, value))
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Damaged>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.next_offset;
        if let Some(what) = self.damaged.take() {
            self.left = 0;
            return Some(Err(Damaged { offset, what }));
        }
        self.left = self.left.checked_sub(1)?;
        self.next_offset = offset.saturating_add(1);
        match self.read() {
            Ok(record) => {
                if self.left == 0 && !self.bytes.0.is_empty() {
                    self.damaged = Some("bytes stand behind its last record");
                }
                Some(Ok(record))
            }
            Err(what) => {
                self.left = 0;
                Some(Err(Damaged { offset, what }))
            }
        }
    }
}
