//! Records of one partition, written as the log stores them while they come in.
//!
//! A record, with `v` for a zigzag varint of 64 bits: `v` length of what follows, attributes (one byte, 0), `v`
//! milliseconds since the batch's first timestamp, `v` position in the batch, key flag (one byte; if 1: `v` length and
//! bytes of the key), `v` length and bytes of the value, `v` number of headers (0). A 32-bit count, big-endian, goes
//! before them all.

use std::io;

use bytes::Bytes;
use fluvio_compression::{Compression, CompressionError};
use fluvio_protocol::EncoderVarInt;
use fluvio_protocol::record::{Batch, RawRecords};
use tokio::time::Instant;

/// A batch that still takes records.
#[derive(Debug)]
pub struct OpenBatch {
    /// The count's four bytes, then the records.
    bytes: Vec<u8>,
    messages: u32,
    first_ms: i64,
    last_ms: i64,
    opened: Instant,
}

const COUNT_BYTES: usize = 4;

impl OpenBatch {
    /// An empty one, with room for `bytes` bytes of records.
    pub fn with_room(bytes: usize) -> Self {
        let mut room = Vec::with_capacity(COUNT_BYTES + bytes);
        room.resize(COUNT_BYTES, 0);
        Self { bytes: room, messages: 0, first_ms: 0, last_ms: 0, opened: Instant::now() }
    }

    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// How many records it has.
    pub fn messages(&self) -> u64 {
        u64::from(self.messages)
    }

    /// The bytes of its records.
    pub fn byte_len(&self) -> usize {
        self.bytes.len() - COUNT_BYTES
    }

    /// When its first record came.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Appends a record with this log timestamp, in milliseconds since the epoch. Timestamps do not go back in a batch.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8], now_ms: i64) -> io::Result<()> {
        if self.is_empty() {
            self.first_ms = now_ms;
            self.last_ms = now_ms;
            self.opened = Instant::now();
        }
        self.last_ms = self.last_ms.max(now_ms);
        let delta_ms = self.last_ms.saturating_sub(self.first_ms);
        let position = i64::from(self.messages);
        let bytes = &mut self.bytes;
        framed_len(key, value, delta_ms, position).encode_varint(bytes)?;
        bytes.push(0);
        delta_ms.encode_varint(bytes)?;
        position.encode_varint(bytes)?;
        bytes.push(u8::from(key.is_some()));
        if let Some(key) = key {
            length(key).encode_varint(bytes)?;
            bytes.extend_from_slice(key);
        }
        length(value).encode_varint(bytes)?;
        bytes.extend_from_slice(value);
        0i64.encode_varint(bytes)?;
        self.messages += 1;
        Ok(())
    }

    /// The bytes that [`OpenBatch::push`] would append for this record, at most.
    pub fn most_bytes_for(key: Option<&[u8]>, value: &[u8]) -> usize {
        // Five varints of ten bytes at most, and two single bytes.
        key.map_or(0, <[u8]>::len) + value.len() + 52
    }

    /// The finished batch. Cost: compression; nothing is copied without it.
    ///
    /// # Errors
    /// It cannot be compressed.
    pub fn seal(mut self, compression: Compression) -> Result<SealedBatch, CompressionError> {
        if let Some(count) = self.bytes.get_mut(..COUNT_BYTES) {
            count.copy_from_slice(&self.messages.to_be_bytes());
        }
        let records = match compression {
            Compression::None => Bytes::from(self.bytes),
            other => other.compress(&self.bytes)?,
        };
        let mut batch = Batch::<RawRecords>::default();
        let header = batch.get_mut_header();
        header.last_offset_delta = i32::try_from(self.messages).unwrap_or(i32::MAX) - 1;
        header.first_timestamp = self.first_ms;
        header.max_time_stamp = self.last_ms;
        header.set_compression(compression);
        batch.batch_len = i32::try_from(records.len()).unwrap_or(i32::MAX);
        *batch.mut_records() = RawRecords(records);
        Ok(SealedBatch { batch, messages: u64::from(self.messages) })
    }
}

/// A batch as it is sent. Cheap to clone: the records are shared.
#[derive(Debug, Clone)]
pub struct SealedBatch {
    pub(crate) batch: Batch<RawRecords>,
    /// How many records it has.
    pub messages: u64,
}

impl SealedBatch {
    /// The bytes of its records, as sent.
    pub fn byte_len(&self) -> usize {
        self.batch.records().0.len()
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn framed_len(key: Option<&[u8]>, value: &[u8], delta_ms: i64, position: i64) -> i64 {
    let key = key.map_or(0, |key| length(key).var_write_size() + key.len());
    let value = length(value).var_write_size() + value.len();
    let numbers = delta_ms.var_write_size() + position.var_write_size() + 0i64.var_write_size();
    // Attributes and key flag are a byte each.
    i64::try_from(2 + numbers + key + value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use fluvio_protocol::record::RecordSet;
    use fluvio_protocol::{Decoder, Encoder};
    use proptest::prelude::*;

    use super::*;

    type Record = (Option<Vec<u8>>, Vec<u8>, i64);

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
        let record = (proptest::option::of(bytes()), bytes(), 0i64..5_000);
        proptest::collection::vec(record, 1..200)
    }

    proptest! {
        /// What the broker stores decodes, with the platform's own code, to what was pushed.
        #[test]
        fn the_platform_reads_what_is_written(records in records(), compression in 0i8..5) {
            let compression = Compression::try_from(compression).unwrap();
            let mut open = OpenBatch::with_room(0);
            let mut now_ms = 1_795_341_600_000;
            let mut stamps = Vec::new();
            for (key, value, later) in &records {
                now_ms += later;
                stamps.push(now_ms);
                let before = open.byte_len();
                open.push(key.as_deref(), value, now_ms).unwrap();
                prop_assert!(open.byte_len() - before <= OpenBatch::most_bytes_for(key.as_deref(), value));
            }
            let sealed = open.seal(compression).unwrap();
            prop_assert_eq!(sealed.messages, records.len() as u64);

            let mut wire = Vec::new();
            RecordSet::<RawRecords> { batches: vec![sealed.batch] }.encode(&mut wire, 0).unwrap();
            let mut set = RecordSet::<RawRecords>::default();
            set.decode(&mut &wire[..], 0).unwrap();
            let [batch] = &set.batches[..] else { panic!("one batch") };
            prop_assert!(batch.validate_decoding());
            prop_assert_eq!(batch.records_len(), records.len());
            prop_assert_eq!(batch.get_header().max_time_stamp, now_ms);
            let decoded = batch.memory_records().unwrap();
            prop_assert_eq!(decoded.len(), records.len());
            for (position, (record, (key, value, _))) in decoded.iter().zip(&records).enumerate() {
                prop_assert_eq!(record.key().map(|key| key.as_ref()), key.as_deref());
                prop_assert_eq!(record.value().as_ref(), &value[..]);
                prop_assert_eq!(record.preamble.offset_delta(), position as i64);
                prop_assert_eq!(batch.get_base_timestamp() + record.timestamp_delta(), stamps[position]);
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_leaves_timestamps_in_order() {
        let mut open = OpenBatch::with_room(0);
        for now_ms in [1_000, 1_005, 990] {
            open.push(None, b"x", now_ms).unwrap();
        }
        let sealed = open.seal(Compression::None).unwrap();
        let deltas: Vec<_> =
            sealed.batch.memory_records().unwrap().iter().map(|record| record.timestamp_delta()).collect();
        assert_eq!(deltas, [0, 5, 5]);
    }
}
