//! Files and pipes of readings. It knows bytes, compression, lines and arrays; what a reading says it does not know.
//!
//! 1. [`content`]: a file's content, whatever it is compressed with, which its first bytes tell and not its name.
//! 2. [`format`]: whether the content is lines or one JSON array.
//! 3. [`block`], [`array`]: records of a block; the elements of an array.
//! 4. [`cut`]: the content cut into [`Block`]s of whole records, in bounded memory.
//!
//! Positions are byte offsets in the content, decompressed. They count every byte, also those that belong to no record: a byte order mark,
//! line ends, blank lines, and what stands between the elements of an array. Where a block ends depends on the content and on the place
//! alone (see [`cut`]), so that reading again from the end of a block gives the blocks that come after it.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod array;
mod block;
mod content;
mod cut;
mod error;
mod format;
#[cfg(test)]
mod tests;

pub use self::block::Block;
pub use self::content::{Compression, Content, Input};
pub use self::cut::{Blocks, Sizes};
pub use self::error::FileError;
pub use self::format::{Format, InputFormat, is_array};

/// The longest record, in bytes: a longer line or element is given as an empty record, which is no JSON, and never held in memory.
pub const LONGEST_RECORD: usize = 32 << 20;

/// What may stand at the beginning of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a byte is white space by JSON.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
