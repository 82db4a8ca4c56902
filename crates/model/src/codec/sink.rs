//! Where bytes and texts go: into memory, or nowhere, to learn their length before any memory is taken.

use std::fmt;

use crate::stats::SensorHash;
use crate::varint;

/// Takes bytes in their order.
pub(super) trait Sink {
    fn push(&mut self, byte: u8);
    fn put(&mut self, bytes: &[u8]);
    fn put_sensors(&mut self, sensors: &[SensorHash]);
    /// A varint.
    fn wide(&mut self, number: u128);

    /// A varint of 64 bits.
    #[inline]
    fn number(&mut self, number: u64) {
        self.wide(number.into());
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn push(&mut self, byte: u8) {
        Vec::push(self, byte);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_sensors(&mut self, sensors: &[SensorHash]) {
        self.reserve(size_of_val(sensors));
        for sensor in sensors {
            self.extend_from_slice(&sensor.to_le_bytes());
        }
    }

    #[inline]
    fn wide(&mut self, number: u128) {
        varint::put(self, number);
    }
}

/// Counts bytes.
#[derive(Debug, Default)]
pub(super) struct Length(pub(super) usize);

impl Sink for Length {
    #[inline]
    fn push(&mut self, _byte: u8) {
        self.0 += 1;
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    #[inline]
    fn put_sensors(&mut self, sensors: &[SensorHash]) {
        self.0 += size_of_val(sensors);
    }

    #[inline]
    fn wide(&mut self, number: u128) {
        self.0 += varint::len(number);
    }
}

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Appends text to bytes.
pub(super) struct TextSink<'a>(pub(super) &'a mut Vec<u8>);

impl fmt::Write for TextSink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
