//! Why the materializer refuses an event. A refused event has changed nothing (but see [`Fault::Scratch`]).

use isotherm_model::partial::{ModuleVersion, PartitionId};
use isotherm_model::settings::Fingerprint;

use crate::scratch::ScratchError;

/// An event that would make a number wrong.
///
/// The materializer has not changed. A source may reconnect at the position and go on; a second refusal ends the run.
/// The message says what is wrong; the command line adds what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An event of a partition that was never found.
    #[error("partition {partition} was never found in the topic, but something came from it: a fault of the source")]
    Unknown {
        /// Which.
        partition: PartitionId,
    },
    /// A partial or an end of a partition that is not attached.
    #[error("partition {partition} is not attached, but something came from it: a fault of the source")]
    NotAttached {
        /// Which.
        partition: PartitionId,
    },
    /// Records are missing between the position and the partial.
    #[error(
        "partition {partition}: offset {expected} was to come next, but the partial begins at {found}: {} records are \
         missing",
        .found.saturating_sub(*.expected)
    )]
    Missing {
        /// Which.
        partition: PartitionId,
        /// The position.
        expected: i64,
        /// Where the partial begins.
        found: i64,
    },
    /// The partial begins with records that have been counted.
    #[error(
        "partition {partition}: offset {expected} was to come next, but the partial begins at {found}: its first \
         records have been counted before"
    )]
    Overlap {
        /// Which.
        partition: PartitionId,
        /// The position.
        expected: i64,
        /// Where the partial begins.
        found: i64,
    },
    /// The partition was attached again at another offset than the position.
    #[error(
        "partition {partition} was attached again at offset {position}, but offset {merged} comes next: a fault of the source"
    )]
    Reattached {
        /// Which.
        partition: PartitionId,
        /// The position.
        merged: i64,
        /// Where it was attached.
        position: i64,
    },
    /// The log begins beyond the offset at which reading is to go on.
    #[error(
        "partition {partition} begins at offset {position}, but this run must go on at {resume}: the log no longer holds \
         the records between them"
    )]
    Behind {
        /// Which.
        partition: PartitionId,
        /// Where it was to be read from.
        resume: i64,
        /// Where it was attached.
        position: i64,
    },
    /// The log is not the one that was read before.
    #[error(
        "partition {partition}: the batch at offset {offset} is not the one that was counted: the topic was deleted and made \
         again, restored, or is another cluster's"
    )]
    OtherLog {
        /// Which.
        partition: PartitionId,
        /// Where the batch stands.
        offset: i64,
    },
    /// The topic lacks a partition that it had before.
    #[error(
        "the topic has no partition {partition}, which it had before: it was deleted and made again, or is another \
         cluster's"
    )]
    Vanished {
        /// Which.
        partition: PartitionId,
    },
    /// The partition ends before the offset up to which it has been read.
    #[error(
        "partition {partition} ends at offset {end}, before offset {position}, up to which it has been read: its log lost \
         records, or the topic was deleted and made again, restored, or is another cluster's"
    )]
    EndsBefore {
        /// Which.
        partition: PartitionId,
        /// Up to where it has been read.
        position: i64,
        /// Where it ends.
        end: i64,
    },
    /// The partial was made by another version of the module.
    #[error("partition {partition}, offset {offset}: the partial was made by version {found}, this is version {ours}")]
    OtherVersion {
        /// Of which partition.
        partition: PartitionId,
        /// Where the partial begins.
        offset: i64,
        /// Who made it.
        found: ModuleVersion,
        /// Who reads it.
        ours: ModuleVersion,
    },
    /// The partial was made with other settings.
    #[error(
        "partition {partition}, offset {offset}: the partial was made with settings of fingerprint {found}, this topology's is \
         {ours}"
    )]
    OtherSettings {
        /// Of which partition.
        partition: PartitionId,
        /// Where the partial begins.
        offset: i64,
        /// The settings it was made with.
        found: Fingerprint,
        /// The settings of this run.
        ours: Fingerprint,
    },
    /// The scratch file could not be written or read. The event counts, but the run cannot go on.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The partial contradicts itself: its counts do not add up, or are more than its offsets.
    #[error(
        "partition {partition}: the partial for offsets {first} to {next} says {records} records, of which {counted} \
         counted and {rejected} were rejected: what made it is not sound"
    )]
    Unsound {
        /// Of which partition.
        partition: PartitionId,
        /// The partial's first offset.
        first: i64,
        /// The offset after its last one.
        next: i64,
        /// Records it claims.
        records: u64,
        /// Readings in its cells.
        counted: u64,
        /// Records it rejects.
        rejected: u64,
    },
}
