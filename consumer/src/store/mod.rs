//! The seam at which results become lasting: what is published has gone through a [`Store`] before.
//!
//! One commit is one transaction: offsets, watermarks, closed windows (each with the offsets that had been merged),
//! totals by group, ledger and sensors change together or not at all. A commit says what has changed since the one
//! before it; [`Saved`] is what all commits so far add up to, and where the next run goes on.

pub mod error;
pub mod memory;
pub mod sqlite;

use std::collections::BTreeMap;

use isotherm_model::partial::SourceRange;
use isotherm_model::rejection::Rejection;
use isotherm_model::stats::{SensorHash, Stats};
use isotherm_model::window::{Millis, Window};

pub use self::error::{StoreError, StoreFault};
use crate::materializer::event::PartitionId;
use crate::materializer::ledger::{Account, KeyedRange, Ledger};
use crate::materializer::sensors::Sensors;
use crate::results::WindowResult;
use crate::source::From;

/// Where a run began, for partitions that it has not come to yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Began {
    /// Where partitions that were there when it began are read from. Those that were added later are read from their beginning.
    pub from: From,
    /// How many partitions there were then; `None` as long as they have not been listed.
    pub partitions: Option<u32>,
}

/// The topic as a whole, at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicState {
    /// Where the run began.
    pub began: Began,
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// Windows that end at this time or before are closed, whether or not they ever held a reading.
    pub closed_until: Option<Millis>,
    /// The newest event time of any accepted reading (each counting for no more than its record's log timestamp).
    pub newest: Option<Millis>,
    /// The first instant of the oldest window that is open.
    pub oldest_open: Option<Millis>,
    /// Windows that hold readings and are open.
    pub open_windows: u64,
    /// Distinct sensors of the counted readings, over all groups.
    pub sensors: u64,
}

/// A partition, at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionState {
    /// The offset at which this run began to read it.
    pub start: i64,
    /// The merged offset: the one that comes next.
    pub merged: i64,
    /// The lowest offset of a batch that an open window holds readings of; `merged` if there is none. A batch boundary.
    pub refill: i64,
    /// Its watermark.
    pub watermark: Option<Millis>,
    /// The last batch that was merged; `None` before the first.
    pub last: Option<LastBatch>,
}

impl PartitionState {
    /// Where the next run begins to read: what open windows hold, and at least the last batch, to know the log by.
    pub fn resume(&self) -> i64 {
        self.last.map_or(self.refill, |last| self.refill.min(last.first))
    }

    /// Whether a log that begins at `start` lacks what the next run needs. It lacks nothing where only the batch has been cut
    /// that it is known by, and no open window needs it.
    pub fn lacks(&self, start: i64) -> bool {
        self.refill < start
    }
}

/// A merged batch, to know it again by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBatch {
    /// Its first offset.
    pub first: i64,
    /// The digest of its partial ([`isotherm_model::codec::digest`]).
    pub digest: u64,
}

/// A sensor that reported from a group for the first time in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Who.
    pub sensor: SensorHash,
    /// The group's number.
    pub group: u32,
}

/// A group of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// Its number: groups are numbered from 0 in the order in which they came up, also over restarts.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The run's statistics of it.
    pub stats: Stats,
    /// Distinct sensors in it.
    pub sensors: u64,
}

/// Of which kind the records in a range of the ledger are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeKey {
    /// Late for this window.
    Late(Window),
    /// Rejected for this reason.
    Rejected(Rejection),
}

/// A range of the ledger that is new or has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeState {
    /// Of which partition.
    pub partition: PartitionId,
    /// Its place in the partition's list of its kind (late or rejected), from 0 without holes.
    pub place: u32,
    /// What, where and how many.
    pub range: KeyedRange<RangeKey>,
}

/// A batch of which some readings are to be copied to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadBatch {
    /// Of which partition.
    pub partition: PartitionId,
    /// Which offsets.
    pub range: SourceRange,
    /// The digest of its partial, to know it again by; `None` where a version before had noted none.
    pub digest: Option<u64>,
    /// The windows that its readings were late for, ascending.
    pub late: Vec<Window>,
    /// Late and rejected records in it.
    pub records: u64,
}

/// What is committed at once: everything that has changed since the last commit. Made by
/// [`Materializer::commit`](crate::materializer::Materializer::commit), borrowed from it: the materializer cannot move
/// on between the windows and what belongs to them.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The topic.
    pub topic: TopicState,
    /// Every partition that has been attached, ascending.
    pub partitions: Vec<(PartitionId, PartitionState)>,
    /// The account of all records so far. Its counts may all have changed, of its ranges and gaps only those below.
    pub ledger: &'a Ledger,
    /// Ranges of the ledger that are new or have grown.
    pub ranges: Vec<RangeState>,
    /// Groups whose statistics have changed, or that are new.
    pub groups: Vec<GroupState>,
    /// Sensors that are new to a group.
    pub sensors: &'a [Sighting],
    /// The windows that have closed, ascending by start.
    pub windows: &'a [&'a WindowResult],
    /// Batches with late or rejected records, in the order in which they came.
    pub dead: &'a [DeadBatch],
}

/// What all commits of a store add up to.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// The topic.
    pub topic: TopicState,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// Groups, in the order of their numbers.
    pub groups: Vec<GroupState>,
    /// Who reported from where.
    pub sensors: Sensors,
}

impl Saved {
    /// Nothing: what a run goes on from that begins there.
    pub fn beginning(from: From) -> Self {
        let topic = TopicState { began: Began { from, partitions: None }, ..TopicState::default() };
        Self { topic, ..Self::default() }
    }
}

/// Where commits go.
pub trait Store: Send {
    /// What was committed before; `None` for a store that has never been used.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be read, or if what is read cannot be trusted.
    fn load(&mut self) -> Result<Option<Saved>, StoreError>;

    /// Makes all of `commit` lasting, or nothing of it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it could not; the store then stands as before.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError>;
}
