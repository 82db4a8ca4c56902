//! The check of a segment at the start: it reads all of it and checks every entry, so that what is served later is what
//! was written. In the last segment, a tail that is no whole entry is the rest of the last append of a killed process or
//! after a power cut. It was never acknowledged, and is cut. Anything else is damage: a bad entry before a good one of a later
//! append, or in a segment that is not the last. Damage stops the start with an error that names the position.
//!
//! Costs one sequential read of the segment; memory for one entry and one megabyte.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::batch;
use super::entry::{self, PREFIX_BYTES, Parsed};
use super::segment::Segment;

const READ_BYTES: usize = 1024 * 1024;
/// How many bytes show whether an entry may begin.
const HEAD: usize = PREFIX_BYTES + batch::HEADER_BYTES;
/// How many bytes are read at most to verify what looks like entries in a tail, as a multiple of the tail.
const MOST_VERIFIED: u64 = 4;

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanResult {
    /// All entries are whole; the next offset.
    Whole(i64),
    /// A torn tail of `bytes` bytes follows the last whole entry; the next offset.
    Torn { next: i64, bytes: u64 },
    /// A bad entry at `segment.size` that is not a torn tail.
    Damaged { offset: i64, what: &'static str },
}

/// Notes every entry of `segment`, from its first. `last` is whether no segment follows it.
pub(super) fn scan(segment: &mut Segment, last: bool) -> io::Result<ScanResult> {
    let file = segment.file()?;
    let length = file.metadata()?.len();
    let mut next = segment.base;
    let mut buffer = ReadBuffer { file: &file, length, from: segment.size, bytes: Vec::new() };
    while segment.size < length {
        let what = match buffer.parse(segment.size)? {
            Parsed::Entry(header) if header.base_offset == next => {
                segment.note(next, (PREFIX_BYTES + header.length) as u64);
                next = header.last_offset() + 1;
                continue;
            }
            Parsed::Entry(_) => "an entry begins with another offset than the one before it ended with",
            Parsed::Short(_) => "the last entry is cut off",
            Parsed::Bad(what) => what,
        };
        if !last {
            return Ok(ScanResult::Damaged { offset: next, what });
        }
        if later_append_behind(&file, segment.size, length, next)? {
            return Ok(ScanResult::Damaged { offset: next, what });
        }
        return Ok(ScanResult::Torn { next, bytes: length - segment.size });
    }
    Ok(ScanResult::Whole(next))
}

/// The bytes of a file from a position on, read a stretch at a time.
struct ReadBuffer<'a> {
    file: &'a File,
    length: u64,
    from: u64,
    bytes: Vec<u8>,
}

impl ReadBuffer<'_> {
    /// The bytes from `at` on: `needed` of them or more, or all to the end of the file.
    fn at(&mut self, at: u64, needed: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let skip = usize::try_from(at - self.from).unwrap_or(usize::MAX).min(self.bytes.len());
        if self.bytes.len() - skip >= needed.min(left) {
            return Ok(&self.bytes[skip..]);
        }
        self.bytes.drain(..skip);
        self.from = at;
        let have = self.bytes.len();
        self.bytes.resize(needed.max(READ_BYTES).min(left), 0);
        self.file.read_exact_at(&mut self.bytes[have..], at + have as u64)?;
        Ok(&self.bytes)
    }

    /// What is at `at`.
    fn parse(&mut self, at: u64) -> io::Result<Parsed> {
        let mut needed = 0;
        loop {
            match Parsed::read(self.at(at, needed)?) {
                Parsed::Short(more) if more > needed => needed = more,
                parsed => return Ok(parsed),
            }
        }
    }
}

/// Whether a sound entry of a later append begins behind the bad one at `from`: then the append that left the bad one
/// was complete once, and the bad entry is damage and no torn tail.
///
/// Clients choose what is in a batch, and it may look like entries. So the search follows the claimed lengths as long as the
/// heads of entries are plausible: it does not search an entry whose head was written, since a killed process may have written
/// a part of it. Where no head was written it tries every byte. It reads a bounded number of bytes for what looks like
/// entries there; at the bound the answer is yes, since nothing may be cut that was not checked.
fn later_append_behind(file: &File, from: u64, length: u64, next: i64) -> io::Result<bool> {
    let mut heads = ReadBuffer { file, length, from, bytes: Vec::new() };
    let mut left = (length - from).saturating_mul(MOST_VERIFIED);
    let mut at = from;
    let mut by_length = true;
    while let Some(head) = heads.at(at, HEAD)?.get(..HEAD) {
        let Some(header) = entry::may_begin(head) else {
            by_length = false;
            at += 1;
            continue;
        };
        let continues = entry::continues(head);
        let size = PREFIX_BYTES + header.length;
        let end = at + size as u64;
        if end > length {
            if by_length {
                return Ok(false);
            }
            at += 1;
            continue;
        }
        let sound = at != from && header.base_offset > next && {
            let Some(rest) = left.checked_sub(size as u64) else {
                return Ok(true);
            };
            left = rest;
            let mut whole = vec![0; size];
            file.read_exact_at(&mut whole, at)?;
            matches!(Parsed::read(&whole), Parsed::Entry(_))
        };
        if sound && !continues {
            return Ok(true);
        }
        at = if sound || by_length { end } else { at + 1 };
    }
    Ok(false)
}
