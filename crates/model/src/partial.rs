//! The partial: what one log batch becomes, and the law by which partials merge.
//!
//! An [`Aggregate`] is a commutative monoid under [`Aggregate::merge`] with [`Aggregate::default`] as identity: any
//! split of records into batches, merged in any order, gives equal aggregates, bit for bit.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::rejection::{RejectedCounts, RejectedHash};
use crate::settings::Fingerprint;
use crate::stats::{SensorHash, Stats};
use crate::time::Millis;
use crate::window::Window;

/// A partition's number within its topic.
pub type PartitionId = u32;

/// The version of the code that made a partial: this crate's own version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    /// Major version.
    pub major: u16,
    /// Minor version.
    pub minor: u16,
    /// Patch version.
    pub patch: u16,
}

impl ModuleVersion {
    /// The version of this code.
    pub const CURRENT: Self = Self {
        major: decimal(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: decimal(env!("CARGO_PKG_VERSION_MINOR")),
        patch: decimal(env!("CARGO_PKG_VERSION_PATCH")),
    };
}

impl std::fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Reads a decimal of Cargo's, at compile time.
const fn decimal(text: &str) -> u16 {
    let (bytes, mut i, mut value) = (text.as_bytes(), 0, 0);
    while i < bytes.len() {
        value = value * 10 + (bytes[i] - b'0') as u16;
        i += 1;
    }
    value
}

/// The offsets of the log that a partial accounts for: `[first, next)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceRange {
    /// The batch's first offset.
    pub first: i64,
    /// The offset after the batch's last one; equal to `first` for a batch without records. The next batch's partial must begin
    /// here, and reading may resume only here.
    pub next: i64,
}

impl SourceRange {
    /// The last offset, if there is one.
    pub const fn last(&self) -> Option<i64> {
        if self.next > self.first { Some(self.next - 1) } else { None }
    }
}

/// One batch's contribution: its source, the version and settings that made it, and what it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The version of the code that made it.
    pub version: ModuleVersion,
    /// The settings it was made with.
    pub fingerprint: Fingerprint,
    /// The batch's offsets.
    pub source: SourceRange,
    /// The batch's base timestamp, above 0: the log timestamps of its records are relative to it. `None` if it has none. It
    /// counts nothing, and tells apart a topic that was deleted and created again, even if its statistics are the same.
    pub base_timestamp: Option<Millis>,
    /// A hash of the rejected records' values. It counts nothing either, and tells apart logs without timestamps, of whose
    /// rejected records the aggregate holds only counts.
    pub rejected_hash: RejectedHash,
    /// What it adds.
    pub aggregate: Aggregate,
}

/// Statistics of any number of records. `records = rejected + the sum of the cells' counts`, always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aggregate {
    /// Records of the log, rejected ones included.
    pub records: u64,
    /// The newest event time of an accepted reading, each counting for no more than its record's log timestamp (if it has
    /// one); `None` without an accepted reading.
    pub newest: Option<Millis>,
    /// Rejected records by reason.
    pub rejected: RejectedCounts,
    /// Statistics by window and group.
    pub cells: BTreeMap<CellKey, Cell>,
}

/// A window and a group of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The window.
    pub window: Window,
    /// The group's name, escapes decoded.
    pub group: Box<str>,
}

/// The statistics of one window and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Count, sum, min and max.
    pub stats: Stats,
    /// The sensors that reported, ascending, without repeats.
    pub sensors: Vec<SensorHash>,
}

/// A cell, wherever it is in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellView<'a> {
    pub(crate) window: Window,
    pub(crate) group: &'a str,
    /// The position of the group's name among those of the partial, ascending.
    pub(crate) group_index: usize,
    pub(crate) stats: &'a Stats,
    pub(crate) sensors: &'a [SensorHash],
}

impl Partial {
    /// The names of the groups that have cells, ascending.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.aggregate.cells.keys().map(|key| &*key.group).collect();
        names.into_iter().collect()
    }

    /// The cells in their order, given [`Partial::groups`].
    pub(crate) fn cells<'a>(&'a self, groups: &'a [&str]) -> impl Iterator<Item = CellView<'a>> + Clone {
        self.aggregate.cells.iter().map(|(key, cell)| CellView {
            window: key.window,
            group: &key.group,
            group_index: groups.binary_search(&&*key.group).unwrap_or_default(),
            stats: &cell.stats,
            sensors: &cell.sensors,
        })
    }
}

impl Aggregate {
    /// Adds `other`. Cost: linear in its cells, and for common cells in the sensors of both.
    pub fn merge(&mut self, other: &Self) {
        self.records = self.records.saturating_add(other.records);
        self.newest = self.newest.max(other.newest);
        self.rejected.merge(&other.rejected);
        for (key, cell) in &other.cells {
            match self.cells.entry(key.clone()) {
                Entry::Vacant(place) => drop(place.insert(cell.clone())),
                Entry::Occupied(mut place) => place.get_mut().merge(cell),
            }
        }
    }

    /// Accepted readings.
    pub fn counted(&self) -> u64 {
        self.cells.values().fold(0, |sum, cell| sum.saturating_add(cell.stats.count))
    }
}

impl Cell {
    /// Adds the values and sensors of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.stats.merge(&other.stats);
        self.sensors = union(&self.sensors, &other.sensors);
    }
}

/// The union of two ascending lists without repeats.
fn union(left: &[SensorHash], right: &[SensorHash]) -> Vec<SensorHash> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut l, mut r) = (left.iter().peekable(), right.iter().peekable());
    loop {
        match (l.peek(), r.peek()) {
            (Some(a), Some(b)) => {
                let min = **a.min(b);
                l.next_if(|id| **id == min);
                r.next_if(|id| **id == min);
                all.push(min);
            }
            (Some(_), None) => {
                all.extend(l);
                return all;
            }
            _ => {
                all.extend(r);
                return all;
            }
        }
    }
}
