//! The ledger as one JSON object: the account of all records, for the run and by partition, and where the late and the
//! rejected ones stand. `docs/store-queries.md` lists its members.

use std::fmt::{self, Display, Formatter};

use isotherm_engine::ledger::{DataLoss, KeyedRange};
use isotherm_model::json::Quoted;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Millis;
use isotherm_store::LostCause;

use super::{Instant, Reasons, list};

/// The ledger of a store at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerReport {
    /// The topic.
    pub topic: String,
    /// The run: made with the store, the same over all restarts.
    pub run: String,
    /// How many commits there were.
    pub commits: u64,
    /// All partitions together.
    pub counts: Counts,
    /// By partition, ascending.
    pub partitions: Vec<PartitionLedger>,
}

/// An account: `read = counted + late + rejected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records read.
    pub read: u64,
    /// Readings that count into a window, open ones included.
    pub counted: u64,
    /// Readings for windows that were closed.
    pub late: u64,
    /// Records that are no reading that counts, by reason.
    pub rejected: RejectedCounts,
    /// Records that were read again after a restart, to refill open windows.
    pub restored: u64,
    /// Records that retention deleted before they were read.
    pub lost: u64,
    /// What is still to be copied to the dead letters.
    pub waiting: Letters,
    /// What could not be copied there.
    pub letters_lost: Letters,
}

/// Late and rejected records on their way to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Letters {
    /// Batches that hold them.
    pub batches: u64,
    /// Such records in these batches.
    pub records: u64,
}

/// One partition's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartitionLedger {
    /// Which.
    pub partition: PartitionId,
    /// The offset at which the run began to read it.
    pub start: i64,
    /// The offset that comes next.
    pub next: i64,
    /// Its account.
    pub counts: Counts,
    /// What the run went on without.
    pub data_losses: Vec<DataLoss>,
    /// Where late readings stand, by the start of their window.
    pub late: Ranges<Millis>,
    /// Where rejected records stand, by reason.
    pub rejected: Ranges<Rejection>,
    /// What could not be copied to the dead letters.
    pub lost: Vec<Lost>,
}

/// Where late and rejected records stood that could not be copied to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// From the first of their batches to the last.
    pub range: SourceRange,
    /// How many, in how many batches.
    pub letters: Letters,
    /// Why.
    pub cause: LostCause,
}

/// Where records of one kind stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges<K> {
    /// Ranges of whole batches, in the order in which they began.
    pub listed: Vec<KeyedRange<K>>,
    /// Records whose range the ledger does not name, because it names only so many.
    pub unlisted: u64,
}

impl<K> Default for Ranges<K> {
    fn default() -> Self {
        Self { listed: Vec::new(), unlisted: 0 }
    }
}

impl Letters {
    /// Both.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            batches: self.batches.saturating_add(other.batches),
            records: self.records.saturating_add(other.records),
        }
    }
}

impl Counts {
    /// Adds another account.
    pub fn add(&mut self, other: &Self) {
        self.read = self.read.saturating_add(other.read);
        self.counted = self.counted.saturating_add(other.counted);
        self.late = self.late.saturating_add(other.late);
        self.rejected.merge(&other.rejected);
        self.restored = self.restored.saturating_add(other.restored);
        self.lost = self.lost.saturating_add(other.lost);
        self.waiting = self.waiting.plus(&other.waiting);
        self.letters_lost = self.letters_lost.plus(&other.letters_lost);
    }
}

impl Display for LedgerReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { topic, run, commits, counts, partitions } = self;
        let (topic, run) = (Quoted(topic), Quoted(run));
        write!(f, r#"{{"type":"ledger","topic":{topic},"run":{run},"commits":{commits},{},"#, Members(counts))?;
        write!(f, r#""partitions":{}}}"#, list(partitions, |partition, f| partition.fmt(f)))
    }
}

impl Display for PartitionLedger {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { partition, start, next, counts, data_losses, late, rejected, lost } = self;
        write!(f, r#"{{"partition":{partition},"start":{start},"next":{next},{},"#, Members(counts))?;
        let losses = list(data_losses, |DataLoss { range: SourceRange { first, next }, lost }, f| {
            write!(f, r#"{{"first":{first},"next":{next},"lost":{lost}}}"#)
        });
        write!(f, r#""data_losses":{losses},"#)?;
        let ranges = list(&late.listed, |range, f| {
            write!(f, r#"{{{},"window":{}}}"#, Place(range.range, range.records), Instant(range.key))
        });
        write!(f, r#""late_ranges":{ranges},"late_unlisted":{},"#, late.unlisted)?;
        let ranges = list(&rejected.listed, |range, f| {
            write!(f, r#"{{{},"reason":"{}"}}"#, Place(range.range, range.records), range.key)
        });
        write!(f, r#""rejected_ranges":{ranges},"rejected_unlisted":{},"#, rejected.unlisted)?;
        let lost = list(lost, |Lost { range, letters: Letters { batches, records }, cause }, f| {
            write!(f, r#"{{{},"batches":{batches},"cause":"{}"}}"#, Place(*range, *records), cause.name())
        });
        write!(f, r#""lost_ranges":{lost}}}"#)
    }
}

/// The members of an account.
struct Members<'a>(&'a Counts);

impl Display for Members<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Counts { read, counted, late, rejected, restored, lost, waiting, letters_lost } = self.0;
        let rejected = Reasons(rejected);
        write!(f, r#""read":{read},"counted":{counted},"late":{late},"rejected":{rejected},"restored":{restored},"#)?;
        write!(f, r#""lost":{lost},"dead_letters":{{"waiting":{waiting},"lost":{letters_lost}}}"#)
    }
}

impl Display for Letters {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { batches, records } = self;
        write!(f, r#"{{"batches":{batches},"records":{records}}}"#)
    }
}

/// The members of a range with records.
struct Place(SourceRange, u64);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(SourceRange { first, next }, records) = self;
        write!(f, r#""first":{first},"next":{next},"records":{records}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range<K>(key: K, first: i64, next: i64, records: u64) -> KeyedRange<K> {
        KeyedRange { key, range: SourceRange { first, next }, records }
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
                waiting: letters(1, 2),
                letters_lost: letters(1, 3),
            },
            data_losses: vec![DataLoss { range: SourceRange { first: 200, next: 250 }, lost: 20 }],
            late: Ranges { listed: vec![range(1_795_341_600_000, 300, 350, 4)], unlisted: 0 },
            rejected: Ranges {
                listed: vec![range(Rejection::BadTime, 0, 50, 2), range(Rejection::NotJson, 350, 400, 1)],
                unlisted: 0,
            },
            lost: vec![Lost {
                range: SourceRange { first: 0, next: 50 },
                letters: letters(1, 3),
                cause: LostCause::Cut,
            }],
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
        assert_eq!(format!("{report}\n"), golden);
        assert!(include_str!("../../../docs/store-queries.md").contains(golden.trim_end()), "not in the documents");
    }
}
