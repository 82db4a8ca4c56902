//! The log on disk: per partition a folder of segment files, each a row of checksummed entries, each entry one batch
//! of records as its producer sent it (the server sets the base offset and nothing else; compressed stays compressed).
//!
//! - `batch` checks a batch that came over the wire, and builds one
//! - `records` the framing of records inside a batch
//! - `compression` bounded decompression
//! - `entry` one stored batch: length, checksum, bytes
//! - `segment` one file of entries with a sparse index in memory
//! - `recover` the check of a segment at the start: all of it is read, a torn tail is cut, other damage is refused
//! - `partition` the log of one partition: append, read, follow, cut at its beginning, delete
//!
//! Offsets of one partition are dense: a batch begins where the one before it ended.

pub(crate) mod batch;
pub(crate) mod compression;
mod entry;
mod error;
mod partition;
pub(crate) mod records;
mod recover;
mod segment;
#[cfg(test)]
mod tests;

pub use error::LogError;
pub use partition::PartitionId;
pub(crate) use partition::{Chunk, LogOptions, PartitionLog, Retention, Tip};

/// The largest batch that the log takes, in bytes as sent, and the most that its records may take decompressed.
///
/// Producers of the published client send at most 32 MiB at once.
pub(crate) const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;
