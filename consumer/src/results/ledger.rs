//! The ledger as one JSON object: the account of all records, for the run and by partition, and where the late and the
//! rejected ones stand. `docs/store-queries.md` lists its members.

use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::time::Millis;
use isotherm_store::LostCause;
use serde::{Serialize, Serializer};

use super::{reasons, text, time};

/// The ledger of a store at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "ledger")]
pub struct LedgerReport {
    pub topic: String,
    /// Made with the store, the same over all restarts.
    pub run: String,
    pub commits: u64,
    /// All partitions together.
    #[serde(flatten)]
    pub counts: Counts,
    pub partitions: Vec<PartitionLedger>,
}

/// An account: `read = counted + late + rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    pub read: u64,
    /// Readings that count into a window, open ones included.
    pub counted: u64,
    /// Readings whose windows were closed.
    pub late: u64,
    #[serde(serialize_with = "reasons")]
    pub rejected: RejectedCounts,
    /// Records that were read again after a restart, to restore open windows.
    pub restored: u64,
    /// Records that retention deleted before they were read.
    pub lost: u64,
    pub dead_letters: DeadLetters,
}

/// Late and rejected records that are not in the topic of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct DeadLetters {
    /// Still to be copied.
    pub waiting: Letters,
    /// Could not be copied.
    pub lost: Letters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Letters {
    pub batches: u64,
    /// Late and rejected records in these batches.
    pub records: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PartitionLedger {
    pub partition: PartitionId,
    /// The offset at which the run began to read it.
    pub start: i64,
    /// The next offset to read.
    pub next: i64,
    #[serde(flatten)]
    pub counts: Counts,
    /// What the run went on without.
    pub data_losses: Vec<DataLoss>,
    /// Whole batches with late readings, in the order in which they began.
    pub late_ranges: Vec<Range>,
    /// Late readings whose range the ledger does not name, because its list is full.
    pub late_unlisted: u64,
    /// Whole batches with rejected records, in the order in which they began.
    pub rejected_ranges: Vec<Range>,
    pub rejected_unlisted: u64,
    /// What could not be copied to the dead letters.
    pub lost_ranges: Vec<LostLetters>,
}

/// Offsets that retention had deleted before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DataLoss {
    pub first: i64,
    pub next: i64,
    pub lost: u64,
}

/// Batches with records of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    pub first: i64,
    pub next: i64,
    pub records: u64,
    #[serde(flatten)]
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Late, for the window with this start.
    Window(#[serde(serialize_with = "time")] Millis),
    /// Rejected.
    Reason(#[serde(serialize_with = "text")] Rejection),
}

/// Batches whose letters could not be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LostLetters {
    pub first: i64,
    pub next: i64,
    pub records: u64,
    pub batches: u64,
    #[serde(serialize_with = "cause")]
    pub cause: LostCause,
}

fn cause<S: Serializer>(cause: &LostCause, serializer: S) -> Result<S::Ok, S::Error> {
    cause.name().serialize(serializer)
}

impl Letters {
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            batches: self.batches.saturating_add(other.batches),
            records: self.records.saturating_add(other.records),
        }
    }
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.read = self.read.saturating_add(other.read);
        self.counted = self.counted.saturating_add(other.counted);
        self.late = self.late.saturating_add(other.late);
        self.rejected.merge(&other.rejected);
        self.restored = self.restored.saturating_add(other.restored);
        self.lost = self.lost.saturating_add(other.lost);
        self.dead_letters.waiting = self.dead_letters.waiting.plus(&other.dead_letters.waiting);
        self.dead_letters.lost = self.dead_letters.lost.plus(&other.dead_letters.lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::json;

    fn range(kind: Kind, first: i64, next: i64, records: u64) -> Range {
        Range { first, next, records, kind }
    }

    #[test]
    fn the_object_is_byte_for_byte_that_of_the_documents() {
        let mut rejected = RejectedCounts::default();
        rejected.add(Rejection::NotJson, 1);
        rejected.add(Rejection::BadTime, 2);
        let letters = |batches, records| Letters { batches, records };
        let first = PartitionLedger {
            partition: 0,
            start: 0,
            next: 620,
            counts: Counts {
                read: 600,
                counted: 593,
                late: 4,
                rejected,
                restored: 50,
                lost: 20,
                dead_letters: DeadLetters { waiting: letters(1, 2), lost: letters(1, 3) },
            },
            data_losses: vec![DataLoss { first: 200, next: 250, lost: 20 }],
            late_ranges: vec![range(Kind::Window(1_795_341_600_000), 300, 350, 4)],
            late_unlisted: 0,
            rejected_ranges: vec![
                range(Kind::Reason(Rejection::BadTime), 0, 50, 2),
                range(Kind::Reason(Rejection::NotJson), 350, 400, 1),
            ],
            rejected_unlisted: 0,
            lost_ranges: vec![LostLetters { first: 0, next: 50, records: 3, batches: 1, cause: LostCause::Cut }],
        };
        let second = PartitionLedger {
            partition: 1,
            next: 400,
            counts: Counts { read: 400, counted: 400, ..Counts::default() },
            ..PartitionLedger::default()
        };
        let mut counts = first.counts;
        counts.add(&second.counts);
        let report = LedgerReport {
            topic: "sensors".to_owned(),
            run: "7f8c1d1e-9a51-4d0e-8a5b-0d9a4f4f1c55".to_owned(),
            commits: 57,
            counts,
            partitions: vec![first, second],
        };
        let golden = include_str!("golden/ledger.json");
        assert_eq!(json(&report) + "\n", golden);
        assert!(include_str!("../../../docs/store-queries.md").contains(golden.trim_end()), "not in the documents");
    }
}
