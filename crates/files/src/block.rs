//! A block: some whole records of a content, and the bytes around them.

use std::ops::Range;

use memchr::memchr_iter;

use crate::{BYTE_ORDER_MARK, is_space};

/// Some whole records of a content, and the bytes around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in the content.
    pub first: u64,
    /// Where the next block begins.
    pub next: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Records,
    /// The longest record that is shown.
    pub(crate) longest: usize,
}

/// Where the records of a block are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Records {
    /// The lines that are not blank.
    Lines,
    /// The elements of an array, in order.
    Elements(Vec<Range<usize>>),
    /// One that is too long to be held.
    TooLong,
    /// None.
    None,
}

impl Block {
    /// Shows each record in order. One that is longer than [`LONGEST_RECORD`](crate::LONGEST_RECORD) is shown as an empty one.
    pub fn each(&self, mut show: impl FnMut(&[u8])) {
        let mut show = |record: &[u8]| show(if record.len() > self.longest { &[] } else { record });
        match &self.records {
            Records::Lines => self.lines(show),
            Records::Elements(places) => {
                places.iter().for_each(|place| show(self.bytes.get(place.clone()).unwrap_or_default()))
            }
            Records::TooLong => show(&[]),
            Records::None => {}
        }
    }

    fn lines(&self, mut show: impl FnMut(&[u8])) {
        let text = match self.first {
            0 => self.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.bytes),
            _ => &self.bytes,
        };
        let mut start = 0;
        for end in memchr_iter(b'\n', text).chain([text.len()]) {
            let line = text.get(start..end).unwrap_or_default();
            start = end + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // Most lines are not blank by their first byte.
            if !line.iter().all(|byte| is_space(*byte)) {
                show(line);
            }
        }
    }

    /// How many bytes of memory it holds.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Its memory, to be used again.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
