//! A block: some whole records of a content, and the bytes around them.

use std::ops::Range;

use memchr::memchr;

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
    /// Whether lines of white space alone are records.
    pub(crate) keeps_blank: bool,
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
        let mut place = 0;
        while let Some(record) = self.record(&mut place) {
            show(record);
        }
    }

    /// The record at `place`, which is 0 at first and then where the next one is.
    pub fn record(&self, place: &mut usize) -> Option<&[u8]> {
        let record = match &self.records {
            Records::Lines => self.line(place),
            Records::Elements(places) => {
                let element = places.get(*place)?.clone();
                *place += 1;
                self.bytes.get(element)
            }
            Records::TooLong => (std::mem::replace(place, 1) == 0).then_some(&[][..]),
            Records::None => None,
        };
        record.map(|record| if record.len() > self.longest { &[] } else { record })
    }

    fn line(&self, place: &mut usize) -> Option<&[u8]> {
        if *place == 0 && self.first == 0 && self.bytes.starts_with(BYTE_ORDER_MARK) {
            *place = BYTE_ORDER_MARK.len();
        }
        loop {
            let rest = self.bytes.get(*place..).filter(|rest| !rest.is_empty())?;
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            *place += end + 1;
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // Most lines are not blank by their first byte.
            if !line.iter().all(|byte| is_space(*byte)) || (self.keeps_blank && !line.is_empty()) {
                return Some(line);
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
