//! Why the materializer refuses an event. A refused event has changed nothing.

use isotherm_model::partial::{ModuleVersion, PartitionId};
use isotherm_model::settings::Fingerprint;

/// An event that would make a number wrong.
///
/// The materializer stands as it stood before. A source may connect again at the merged offset and go on; what is
/// refused a second time ends the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An event of a partition that was never found.
    #[error(
        "partition {partition} was never found in the topic, but something came from it; this is a fault of the \
         source: report it"
    )]
    Unknown {
        /// Which.
        partition: PartitionId,
    },
    /// A partial or an end of a partition that is not attached.
    #[error(
        "partition {partition} is not attached, but something came from it; this is a fault of the source: report it"
    )]
    NotAttached {
        /// Which.
        partition: PartitionId,
    },
    /// Records are missing between the merged offset and the partial.
    #[error(
        "partition {partition}: offset {expected} was to come next, but the partial begins at {found}: {} records are \
         missing; run again: with a store it goes on at offset {expected}, and says what to do if the log no longer holds it",
        .found.saturating_sub(*.expected)
    )]
    Missing {
        /// Which.
        partition: PartitionId,
        /// The merged offset.
        expected: i64,
        /// Where the partial begins.
        found: i64,
    },
    /// The partial begins with records that have been merged.
    #[error(
        "partition {partition}: offset {expected} was to come next, but the partial begins at {found}: its first \
         records have been counted before; read again from offset {expected}"
    )]
    Overlap {
        /// Which.
        partition: PartitionId,
        /// The merged offset.
        expected: i64,
        /// Where the partial begins.
        found: i64,
    },
    /// The partition was attached anew at another offset than the merged one.
    #[error(
        "partition {partition} was attached anew at offset {position}, but {merged} comes next; attach it at {merged}"
    )]
    Reattached {
        /// Which.
        partition: PartitionId,
        /// The merged offset.
        merged: i64,
        /// Where it was attached.
        position: i64,
    },
    /// The log begins beyond the offset at which reading is to go on.
    #[error(
        "partition {partition} begins at offset {position}, but this run is to go on at {resume}: the log no longer holds \
         what lies between; go on without it with --accept-data-loss, which enters the gap in the ledger, or begin anew with \
         --reset"
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
        "partition {partition}: at offset {offset} stands another batch than the one that was counted: the topic was \
         deleted and made again, restored, or is another cluster's; read it with a store of its own (--store PATH), or \
         begin anew with --reset"
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
         cluster's; read it with a store of its own (--store PATH), or begin anew with --reset"
    )]
    Vanished {
        /// Which.
        partition: PartitionId,
    },
    /// The partition ends before the offset up to which it has been read.
    #[error(
        "partition {partition} ends at offset {end}, before offset {position}, up to which it has been read: its log lost \
         records, or the topic was deleted and made again, restored, or is another cluster's; read it with a store of its \
         own (--store PATH), or begin anew with --reset"
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
    #[error(
        "partition {partition}, offset {offset}: the module on the cluster is version {found}, this consumer is version \
         {ours}; run `isotherm-consumer deploy --replace` of this version, or the consumer of version {found}"
    )]
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
        "partition {partition}, offset {offset}: the module works with settings of fingerprint {found}, this topology's \
         is {ours}; run `isotherm-consumer deploy --replace`, so that the module on the cluster and this consumer agree"
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
    /// The partial contradicts itself: its counts do not add up, or are more than its offsets.
    #[error(
        "partition {partition}: the partial for offsets {first} to {next} says {records} records, of which {counted} \
         counted and {rejected} were rejected; the module on the cluster is not sound: run \
         `isotherm-consumer deploy --replace`"
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
