//! What a start does with a segment: it reads all of it and checks every entry, so that what is served later is what
//! was written. In the last segment a tail that is no whole entry is what a killed process or a lost power left of its
//! last write; it was never acknowledged, and is cut. Anything else is damage: a bad entry with a good one somewhere
//! behind it, or in a segment that is not the last. Damage stops the start with an error that names the place.
//!
//! Costs one sequential read of the segment; memory for one entry and one megabyte.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::entry::{self, PREFIX_BYTES, Parsed};
use super::segment::Segment;
use super::{MAX_BATCH_BYTES, batch};

const READ_BYTES: usize = 1024 * 1024;

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All entries are whole; the next offset.
    Whole(i64),
    /// A torn tail of so many bytes stands behind the last whole entry; the next offset.
    Torn { next: i64, bytes: u64 },
    /// A bad entry at `segment.size` that is not a torn tail.
    Damaged { offset: i64, what: &'static str },
}

/// Notes every entry of `segment`, from its first. `last` says whether no segment follows it.
pub(super) fn scan(segment: &mut Segment, last: bool) -> io::Result<Outcome> {
    let file = segment.file.clone();
    let length = file.metadata()?.len();
    let mut next = segment.base;
    let mut window = Window { file: &file, length, from: segment.size, bytes: Vec::new() };
    while segment.size < length {
        let what = match window.parse(segment.size)? {
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
            return Ok(Outcome::Damaged { offset: next, what });
        }
        if sound_entry_behind(&file, segment.size + 1, length, next)? {
            return Ok(Outcome::Damaged { offset: next, what });
        }
        return Ok(Outcome::Torn { next, bytes: length - segment.size });
    }
    Ok(Outcome::Whole(next))
}

struct Window<'a> {
    file: &'a File,
    length: u64,
    from: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// Parses at `at`, reading on as far as the entry needs and the file goes.
    fn parse(&mut self, at: u64) -> io::Result<Parsed> {
        loop {
            let skip = usize::try_from(at - self.from).unwrap_or(usize::MAX);
            let parsed = Parsed::read(self.bytes.get(skip..).unwrap_or_default());
            let Parsed::Short(needed) = parsed else {
                return Ok(parsed);
            };
            let end = self.from + self.bytes.len() as u64;
            if end >= self.length {
                return Ok(parsed);
            }
            self.bytes.drain(..skip.min(self.bytes.len()));
            self.from = at;
            let have = self.bytes.len();
            let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
            let want = needed.max(READ_BYTES).min(left);
            self.bytes.resize(want.max(have), 0);
            self.file.read_exact_at(&mut self.bytes[have..], at + have as u64)?;
        }
    }
}

/// Whether a sound entry of a later offset begins anywhere in `from..length`.
fn sound_entry_behind(file: &File, from: u64, length: u64, next: i64) -> io::Result<bool> {
    const LOOK: usize = PREFIX_BYTES + batch::HEADER_BYTES;
    let mut at = from;
    let mut bytes = Vec::new();
    while at + LOOK as u64 <= length {
        let want = usize::try_from(length - at).unwrap_or(usize::MAX).min(READ_BYTES);
        bytes.resize(want, 0);
        file.read_exact_at(&mut bytes, at)?;
        let starts = want - LOOK + 1;
        for skip in 0..starts {
            let Some(header) = entry::may_begin(&bytes[skip..skip + LOOK]) else {
                continue;
            };
            let size = PREFIX_BYTES + header.length;
            let place = at + skip as u64;
            if header.base_offset < next || header.length > MAX_BATCH_BYTES || place + size as u64 > length {
                continue;
            }
            let mut whole = vec![0; size];
            file.read_exact_at(&mut whole, place)?;
            if matches!(Parsed::read(&whole), Parsed::Entry(_)) {
                return Ok(true);
            }
        }
        at += starts as u64;
    }
    Ok(false)
}
