//! The bytes of a partial, and its text for people.
//!
//! # The bytes, format 2
//!
//! One partial has exactly one encoding. Fixed integers are little-endian. A *varint* is an unsigned LEB128: seven bits a
//! byte, the lowest first, the top bit set on all bytes but the last, and no byte more than needed. A *zigzag* is a varint
//! of `2n` for `n ≥ 0` and of `-2n - 1` for `n < 0`.
//!
//! | offset | size | field |
//! | ---: | ---: | --- |
//! | 0 | 4 | the letters `ISOP` |
//! | 4 | 1 | format: 2 |
//! | 5 | 2 + 2 + 2 | version of the module: major, minor, patch |
//! | 11 | 8 | fingerprint of the settings |
//! | 19 | 8 | source: first offset (signed) |
//! | 27 | 8 | base timestamp of the batch, in milliseconds since the epoch (signed), 0 if it has none |
//! | 35 | 8 | print of the rejected records, 0 if there are none |
//! | 43 | varint | source: next offset - first offset |
//! | | varint | records |
//! | | 7 varints | rejected records, by reason in the order of [`Rejection::ALL`] |
//! | | 1 | 1 if there is a newest event time, else 0 |
//! | | 8 or 0 | the newest event time, in milliseconds since the epoch (signed) |
//! | | varint | windows that have cells |
//!
//! then for each window, ascending:
//!
//! | size | field |
//! | ---: | --- |
//! | zigzag or varint | the first window's number as a zigzag; of each other, its number - the number before - 1, as a varint |
//! | varint | its cells, at least 1 |
//!
//! and behind these two for each of its cells, ascending by the group's bytes:
//!
//! | size | field |
//! | ---: | --- |
//! | varint, and so many | the group, UTF-8 |
//! | varint | count, at least 1 |
//! | zigzag | min, in millionths |
//! | varint | max - min |
//! | varint | sum - count · min (at most 128 bits) |
//! | varint | sensors, from 1 to the count |
//! | 8 each | the sensors' hashes, strictly ascending |
//!
//! Nothing follows. [`decode`] refuses whatever is not exactly this, and of what no batch can have given: a first offset
//! below 0, a base timestamp below 0, a print without rejected records, more records than offsets, counts that do not add up, more sensors than readings, a newest time without a reading
//! or the reverse, a newest time beyond the year 9998, a window into which no time of the years 1000 to 9998 falls, however
//! long windows are, a least or greatest value beyond ±10¹², a sum beyond `count · min ..= count · max`. A format that differs
//! in any way has another number.
//!
//! # How large a partial can be
//!
//! A batch of `n` raw bytes (its records as they are framed in the log, uncompressed) becomes at most
//! [`max_encoded_len`]`(n)` = `2·n + 256` bytes. The fields before the windows take at most 152 bytes. A reading that counts takes
//! at least 40 bytes of the log (7 of framing, 20 for a time, 13 for the rest of the shortest object that has a text
//! and a number), and its group no fewer than the group has when it is decoded. For it the partial takes at most one window (7
//! bytes for the number, as times end in the year 9998, and its share of the number of cells, 1), one cell (the group and its length, 1 or for
//! long groups at most as much as a tenth of it; count, max - min, sum and number of sensors, 1 each, as long as it is alone in its cell; min, 9, as
//! bounds end at 10¹²) and one sensor (8): 30 bytes and the group. Where readings share a cell, they share these: two take at most 9
//! bytes more for max - min and 10 for the sum, and need but one of everything else.
//!
//! The text takes at most [`max_text_len`]`(n)` = `8·n + 1024` bytes, by the same reckoning: 224 bytes for a reading that is alone in
//! its window, besides the group and the name of its member, which both stand in the reading, no shorter.

mod decode;
mod sink;
mod text;
mod varint;

pub use decode::{DecodeError, Fault, decode};
pub use text::text;

use sink::{Length, Sink};

use crate::combine::Combined;
use crate::partial::{ModuleVersion, Partial, SourceRange};
use crate::rejection::{RejectedCounts, RejectedPrint, Rejection};
use crate::settings::Fingerprint;
use crate::stats::{SensorHash, Stats};
use crate::window::{Millis, Window};

/// The letters that every partial begins with.
pub const MAGIC: [u8; 4] = *b"ISOP";
/// The version of the format.
pub const FORMAT: u8 = 2;

/// What stands for the base timestamp of a batch that has none.
const NO_TIMESTAMP: Millis = 0;

/// The most bytes of a partial for each raw byte of its batch.
pub const MAX_EXPANSION: usize = 2;
/// The most bytes of a partial besides.
pub const MAX_FIXED: usize = 256;
/// The most bytes of a partial's text for each raw byte of its batch.
pub const MAX_TEXT_EXPANSION: usize = 8;
/// The most bytes of a partial's text besides.
pub const MAX_TEXT_FIXED: usize = 1_024;

/// Where in the bytes of a partial begins what it says of the log: behind the format and the version of the module.
const SAID: usize = 11;

/// A digest of what a partial says of its batch, and with which settings (XXH3-64 of its bytes behind the module's version).
/// Equal batches have equal digests with equal settings, whichever version of the module made their partials; two others have
/// with a chance of 2⁻⁶⁴. For bytes that [`decode`] accepts.
pub fn digest(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes.get(SAID..).unwrap_or_default())
}

/// The most bytes that a partial of a batch of `raw` bytes can take.
pub const fn max_encoded_len(raw: usize) -> usize {
    raw.saturating_mul(MAX_EXPANSION).saturating_add(MAX_FIXED)
}

/// The most bytes that the text of a partial of a batch of `raw` bytes can take.
pub const fn max_text_len(raw: usize) -> usize {
    raw.saturating_mul(MAX_TEXT_EXPANSION).saturating_add(MAX_TEXT_FIXED)
}

/// Everything of a partial but its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) version: ModuleVersion,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) source: SourceRange,
    pub(crate) base_timestamp: Option<Millis>,
    pub(crate) records: u64,
    pub(crate) newest: Option<Millis>,
    pub(crate) rejected: RejectedCounts,
    pub(crate) rejected_print: RejectedPrint,
}

/// A cell as it stands somewhere in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellView<'a> {
    pub(crate) window: Window,
    pub(crate) group: &'a str,
    pub(crate) stats: &'a Stats,
    pub(crate) sensors: &'a [SensorHash],
}

impl Partial {
    /// Everything but the cells.
    fn header(&self) -> Header {
        Header {
            version: self.version,
            fingerprint: self.fingerprint,
            source: self.source,
            base_timestamp: self.base_timestamp,
            records: self.aggregate.records,
            newest: self.aggregate.newest,
            rejected: self.aggregate.rejected,
            rejected_print: self.rejected_print,
        }
    }

    /// The cells in their order.
    fn cells(&self) -> impl Iterator<Item = CellView<'_>> + Clone {
        self.aggregate.cells.iter().map(|(key, cell)| CellView {
            window: key.window,
            group: &key.group,
            stats: &cell.stats,
            sensors: &cell.sensors,
        })
    }
}

impl Combined<'_> {
    /// Appends the bytes of the partial. Needs no memory but what `out` lacks; with room for [`Combined::encoded_len`] none.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        write(&self.header(), self.cells(), out);
    }

    /// How many bytes [`Combined::encode_into`] appends. Cost: linear in the cells; needs no memory.
    pub fn encoded_len(&self) -> usize {
        let mut length = Length::default();
        write(&self.header(), self.cells(), &mut length);
        length.0
    }
}

/// The bytes of a partial; an error if it is not well-formed, so that [`decode`] would refuse them.
pub fn encode(partial: &Partial) -> Result<Vec<u8>, Fault> {
    decode::check(partial)?;
    let mut out = Vec::new();
    write(&partial.header(), partial.cells(), &mut out);
    Ok(out)
}

/// Appends the bytes of a well-formed partial.
fn write<'a>(header: &Header, cells: impl Iterator<Item = CellView<'a>> + Clone, out: &mut impl Sink) {
    out.put(&MAGIC);
    out.push(FORMAT);
    for number in [header.version.major, header.version.minor, header.version.patch] {
        out.put(&number.to_le_bytes());
    }
    out.put(&header.fingerprint.0.to_le_bytes());
    out.put(&header.source.first.to_le_bytes());
    out.put(&header.base_timestamp.unwrap_or(NO_TIMESTAMP).to_le_bytes());
    out.put(&header.rejected_print.0.to_le_bytes());
    varint::write(header.source.next.wrapping_sub(header.source.first).cast_unsigned().into(), out);
    varint::write(header.records.into(), out);
    for reason in Rejection::ALL {
        varint::write(header.rejected.get(reason).into(), out);
    }
    out.push(header.newest.is_some().into());
    if let Some(newest) = header.newest {
        out.put(&newest.to_le_bytes());
    }
    varint::write(windows(cells.clone()).count() as u128, out);
    let (mut before, mut rest) = (None, cells.clone());
    for (window, count) in windows(cells) {
        match before.replace(window) {
            None => varint::write(varint::zigzag(window.0).into(), out),
            Some(before) => varint::write(window.0.wrapping_sub(before.0).wrapping_sub(1).cast_unsigned().into(), out),
        }
        varint::write(count as u128, out);
        for cell in rest.by_ref().take(count) {
            write_cell(&cell, out);
        }
    }
}

/// Each window that has cells, with their number.
fn windows<'a>(cells: impl Iterator<Item = CellView<'a>> + Clone) -> impl Iterator<Item = (Window, usize)> {
    let mut cells = cells.peekable();
    std::iter::from_fn(move || {
        let window = cells.next()?.window;
        let mut count = 1;
        while cells.next_if(|cell| cell.window == window).is_some() {
            count += 1;
        }
        Some((window, count))
    })
}

/// Appends one cell.
fn write_cell(cell: &CellView<'_>, out: &mut impl Sink) {
    let stats = cell.stats;
    let (min, max) = (stats.min.micros(), stats.max.micros());
    varint::write(cell.group.len() as u128, out);
    out.put(cell.group.as_bytes());
    varint::write(stats.count.into(), out);
    varint::write(varint::zigzag(min).into(), out);
    varint::write(max.wrapping_sub(min).cast_unsigned().into(), out);
    let least = i128::from(stats.count).wrapping_mul(min.into());
    varint::write(stats.sum.wrapping_sub(least).cast_unsigned(), out);
    varint::write(cell.sensors.len() as u128, out);
    out.put_sensors(cell.sensors);
}
