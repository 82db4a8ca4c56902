//! The frame around a batch.
//!
//! From version 23 on it is: `base_offset` (i64), the length of the records (u32), the records, `base_timestamp` (i64), all
//! big-endian. In version 22 parameters and a record to join, both long deprecated, stand before the timestamp, which is
//! the last thing there as well.

use crate::bytes::Bytes;
use crate::records::Records;

/// A batch where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The log timestamp that those of its records count from, in milliseconds since the epoch; `None` if it has none, as Fluvio's client has
    /// it: 0 and below.
    pub base_timestamp: Option<i64>,
    records: &'a [u8],
}

/// Bytes around the records of a batch of version 22: no parameters (2), no lookback (1), no record to join (4).
const LEAST_BETWEEN: usize = 7;

impl<'a> Batch<'a> {
    /// Reads the frame; `None` if it is none of this version of the engine's protocol.
    pub fn read(input: &'a [u8], version: i32) -> Option<Self> {
        let (frame, timestamp) = input.split_last_chunk::<8>()?;
        let mut frame = Bytes(frame);
        let base_offset = frame.i64()?;
        let len = u32::from_be_bytes(frame.array()?);
        let records = frame.take(usize::try_from(len).ok()?)?;
        let whole = match version {
            ..crate::LEAST_VERSION => false,
            crate::LEAST_VERSION => frame.0.len() >= LEAST_BETWEEN,
            _ => frame.0.is_empty(),
        };
        let base_timestamp = Some(i64::from_be_bytes(*timestamp)).filter(|timestamp| *timestamp > 0);
        whole.then_some(Self { base_offset, base_timestamp, records })
    }

    /// Its records in their order.
    pub fn records(&self) -> Records<'a> {
        Records::new(self.records, self.base_offset, self.base_timestamp)
    }
}
