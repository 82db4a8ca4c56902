//! The frame around a batch.
//!
//! From version 23 on it is: `base_offset` (i64), the length of the records (u32), the records, `base_timestamp` (i64), all
//! big-endian. In version 22 there are also parameters and a record to join, both long deprecated, before the timestamp, which
//! comes last as well.

use crate::bytes::Bytes;
use crate::records::Records;

/// A batch, in place.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    pub base_offset: i64,
    /// The log timestamps of its records are relative to it, in milliseconds since the epoch. As in Fluvio's client, 0 and below
    /// is none.
    pub base_timestamp: Option<i64>,
    records: &'a [u8],
}

/// The fewest bytes after the records of a batch of version 22: no parameters (2), no lookback (1), no record to join (4).
const MIN_DEPRECATED: usize = 7;

impl<'a> Batch<'a> {
    /// Reads the frame; `None` if it is not a frame of this version of the engine's protocol.
    pub fn read(input: &'a [u8], version: i32) -> Option<Self> {
        let (frame, timestamp) = input.split_last_chunk::<8>()?;
        let mut frame = Bytes(frame);
        let base_offset = frame.i64()?;
        let len = u32::from_be_bytes(frame.array()?);
        let records = frame.take(usize::try_from(len).ok()?)?;
        let whole = match version {
            ..crate::MIN_VERSION => false,
            crate::MIN_VERSION => frame.0.len() >= MIN_DEPRECATED,
            _ => frame.0.is_empty(),
        };
        let base_timestamp = Some(i64::from_be_bytes(*timestamp)).filter(|timestamp| *timestamp > 0);
        whole.then_some(Self { base_offset, base_timestamp, records })
    }

    pub fn records(&self) -> Records<'a> {
        Records::new(self.records, self.base_offset, self.base_timestamp)
    }
}
