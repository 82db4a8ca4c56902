//! The state of a run that a commit writes and a store keeps: topic, partitions, groups and sensors.

use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::stats::{SensorHash, Stats};
use isotherm_model::time::Millis;
use isotherm_model::window::Window;

/// Where a partition that has never been read is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartOffset {
    /// Its first record that is still there.
    #[default]
    Beginning,
    /// Its end at the time of the first look: only what comes later counts.
    End,
}

/// Where the run began: it says where a partition is read from that has not been read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunStart {
    /// Where the partitions are read from that existed when the run began. Partitions added later are read from their beginning.
    pub from: StartOffset,
    /// How many partitions existed then; `None` until they have been listed.
    pub partitions: Option<u32>,
}

/// The topic as a whole, at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicState {
    /// Where the run began.
    pub start: RunStart,
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// Windows that end at this time or before are closed, whether or not they ever held a reading. Beyond it only those are that
    /// a run published at its end.
    pub closed_until: Option<Millis>,
    /// How many windows beyond are closed.
    pub closed_beyond: u64,
    /// The newest event time of any accepted reading (each counting for no more than its record's log timestamp).
    pub newest: Option<Millis>,
    /// The first instant of the oldest window that is open.
    pub oldest_open: Option<Millis>,
    /// The number of open windows that hold readings.
    pub open_windows: u64,
    /// Distinct sensors of the counted readings, over all groups.
    pub sensors: u64,
    /// Whether a bounded run has begun and not come to its end: the next bounded run goes on with it.
    pub bounded: bool,
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
    /// Its watermark when the bounded run began that has not come to its end.
    pub bounded_from: Option<Millis>,
    /// The last batch that was merged; `None` before the first.
    pub last: Option<LastBatch>,
}

impl PartitionState {
    /// Where the next run begins to read: at the batches that open windows need, and at the latest at the last batch, which identifies the log.
    pub fn resume(&self) -> i64 {
        self.last.map_or(self.restore_from, |last| self.restore_from.min(last.first))
    }

    /// Whether a log that begins at `start` lacks records that open windows need. The last batch alone, which only identifies the log, may be missing.
    pub fn lacks(&self, start: i64) -> bool {
        self.restore_from < start
    }
}

/// A merged batch, by which the log is recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBatch {
    /// Its first offset.
    pub first: i64,
    /// The digest of its partial ([`isotherm_model::codec::digest`]).
    pub digest: u64,
}

/// A part of a partition whose log is a file that is replaced by a new one from time to time: the offsets of the partition count on
/// from file to file. A store keeps it, so that a later run finds the file again. Digests are XXH3-64. A partition of a Kafka topic has one,
/// whose head is the digest of the ids of cluster and topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPart {
    /// The partition's offset of its first byte; `None` for a file that was there before the first one and is not read.
    pub base: Option<i64>,
    /// The file's number in its file system.
    pub inode: u64,
    /// How many of its first bytes `head` is the digest of.
    pub head_length: u32,
    /// The digest of its first bytes.
    pub head: u64,
    /// How long it is, once it has ended.
    pub length: Option<u64>,
    /// The digest of its last bytes, once it has ended.
    pub tail: u64,
}

/// The first report of a sensor from a group in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SensorEntry {
    pub sensor: SensorHash,
    /// The group's number.
    pub group: u32,
}

/// A group of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// Its number: groups are numbered from 0 in the order of their first reading, over all restarts.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The run's statistics of it.
    pub stats: Stats,
    /// Distinct sensors in it.
    pub sensors: u64,
}

/// A batch with records to copy to the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadBatch {
    /// Of which partition.
    pub partition: PartitionId,
    /// Which offsets.
    pub range: SourceRange,
    /// The digest of its partial, by which it is recognized; `None` if none was stored.
    pub digest: Option<u64>,
    /// The windows that its readings were late for, ascending.
    pub late: Vec<Window>,
    /// Late and rejected records in it.
    pub records: u64,
}
