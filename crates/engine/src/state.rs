//! Where a run stands: topic, partitions, groups and sensors, as a commit says it and a store keeps it.

use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::stats::{SensorHash, Stats};
use isotherm_model::window::{Millis, Window};

/// Where a partition that has never been read is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartOffset {
    /// Its first record that is still there.
    #[default]
    Beginning,
    /// Its end at the time of the first look: only what comes later counts.
    End,
}

/// Where a run began, for partitions that it has not come to yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunStart {
    /// Where partitions that were there when it began are read from. Those that were added later are read from their beginning.
    pub from: StartOffset,
    /// How many partitions there were then; `None` as long as they have not been listed.
    pub partitions: Option<u32>,
}

/// The topic as a whole, at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicState {
    /// Where the run began.
    pub start: RunStart,
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
    /// The next offset to process: everything below has been merged.
    pub position: i64,
    /// The lowest offset of a batch that an open window holds readings of; `position` if there is none. A batch boundary.
    pub restore_from: i64,
    /// Its watermark.
    pub watermark: Option<Millis>,
    /// The last batch that was merged; `None` before the first.
    pub last: Option<LastBatch>,
}

impl PartitionState {
    /// Where the next run begins to read: what open windows hold, and at least the last batch, to know the log by.
    pub fn resume(&self) -> i64 {
        self.last.map_or(self.restore_from, |last| self.restore_from.min(last.first))
    }

    /// Whether a log that begins at `start` lacks what the next run needs. It lacks nothing where only the batch has been cut
    /// that it is known by, and no open window needs it.
    pub fn lacks(&self, start: i64) -> bool {
        self.restore_from < start
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
pub struct SensorEntry {
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
