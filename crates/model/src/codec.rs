//! The bytes of a partial, format 1, and its text for people. `docs/partial-format.md` specifies both.
//!
//! One partial has exactly one encoding, and [`decode`] refuses all other bytes. What the format leaves open to grow is
//! numbered: reasons of rejections, statistics, kinds of sensor sets, members of a group. A number that this program does not
//! know is of a newer version ([`DecodeError::Newer`]), never a guess.
//!
//! # How large a partial can be
//!
//! A batch of `n` raw bytes (its records as they are framed in the log, uncompressed) becomes at most
//! [`max_encoded_len`]`(n)` = `2·n + 256` bytes. The fields before the groups take at most 158 bytes, the numbers of groups and
//! windows 10 each. An accepted reading takes at least 40 bytes of the log (7 of framing, 20 for a time, 13 for the rest of
//! the shortest object that has a text and a number), and its group no fewer bytes than the decoded group has. In the worst
//! case it is alone in its window and group. Then the partial has for it
//!
//! - one name: the group, and its length (1, or for long groups at most a tenth of it);
//! - one window: its number (7, as times end in the year 9998) and its number of cells (1);
//! - one cell: the group's position (4; 5 only beyond 2²⁸ groups), count, max - min and sum (1 each, as there is one value), min
//!   (9, as bounds end at 10¹²), the kind and number of sensors (1 each) and one sensor (8);
//!
//! in all 35 bytes and the group. Readings that share a cell share these: two readings take at most 9 bytes more for max - min
//! and 10 for the sum, and one of everything else less.
//!
//! The text takes at most [`max_text_len`]`(n)` = `8·n + 1024` bytes by the same reckoning: 224 bytes for a reading that is alone in
//! its window, besides the group and the name of its member, which are both in the reading and no shorter there.

mod check;
mod decode;
mod encode;
mod sink;
mod text;

pub use check::Fault;
pub use decode::{DecodeError, decode};
pub use encode::encode;
pub use text::text;

/// The first bytes of every partial.
pub const MAGIC: [u8; 4] = *b"IPAR";
/// The first bytes of the partials of older versions, which are refused.
const OLDER_MAGIC: [u8; 4] = *b"ISOP";
/// The version of the format.
pub const FORMAT: u8 = 1;

/// The base timestamp of a batch that has none.
const NO_TIMESTAMP: i64 = 0;
/// How many members a group has.
const GROUP_MEMBERS: u64 = 1;
/// The statistics of a cell, numbered in the order of its fields: count, min, max, sum, sensors.
const STATISTICS: u64 = 5;
/// The kind of a sensor set: every sensor's hash, ascending.
const EXACT_SENSORS: u8 = 0;

/// The most bytes of a partial for each raw byte of its batch.
pub const MAX_EXPANSION: usize = 2;
/// The most bytes of a partial besides.
pub const MAX_FIXED: usize = 256;
/// The most bytes of a partial's text for each raw byte of its batch.
pub const MAX_TEXT_EXPANSION: usize = 8;
/// The most bytes of a partial's text besides.
pub const MAX_TEXT_FIXED: usize = 1_024;

/// The digest covers a partial from here on: everything after the format and the module's version.
const DIGEST_FROM: usize = 11;

/// XXH3-64 of everything in a partial but its format and the module's version. Equal batches and settings have equal digests,
/// whichever version of the module made their partials; two others have with a chance of 2⁻⁶⁴. For bytes that [`decode`] accepts.
pub fn digest(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes.get(DIGEST_FROM..).unwrap_or_default())
}

/// The most bytes that a partial of a batch of `raw` bytes can take.
pub const fn max_encoded_len(raw: usize) -> usize {
    raw.saturating_mul(MAX_EXPANSION).saturating_add(MAX_FIXED)
}

/// The most bytes that the text of a partial of a batch of `raw` bytes can take.
pub const fn max_text_len(raw: usize) -> usize {
    raw.saturating_mul(MAX_TEXT_EXPANSION).saturating_add(MAX_TEXT_FIXED)
}
