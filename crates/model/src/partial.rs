//! The partial: what one log batch becomes, and the law by which partials merge.
//!
//! An [`Aggregate`] is a commutative monoid under [`Aggregate::merge`] with [`Aggregate::default`] as identity: any
//! split of records into batches, merged in any order, gives equal aggregates, bit for bit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::rejection::{RejectedCounts, RejectedPrint};
use crate::settings::Fingerprint;
use crate::stats::{SensorHash, Stats};
use crate::window::{Millis, Window};

/// A partition's number.
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

/// A decimal of Cargo's own making, at compile time.
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
    /// The offset after the batch's last one; equal to `first` for a batch without records. It is where the next
    /// batch's partial must begin, and the only place where reading may resume.
    pub next: i64,
}

impl SourceRange {
    /// The last offset, if there is one.
    pub const fn last(&self) -> Option<i64> {
        if self.next > self.first { Some(self.next - 1) } else { None }
    }
}

/// One batch's contribution: where it comes from, who made it, and what it adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The version of the code that made it.
    pub version: ModuleVersion,
    /// The settings it was made with.
    pub fingerprint: Fingerprint,
    /// The batch's place in its partition.
    pub source: SourceRange,
    /// The batch's base timestamp: the log timestamp that those of its records count from, above 0; `None` if it has none. It
    /// counts nothing. By it a log that was made anew is known, also where its statistics are the same.
    pub base_timestamp: Option<Millis>,
    /// What the rejected records said; it counts nothing either. By it logs without timestamps are told apart, of whose
    /// rejected records the aggregate has the counts alone.
    pub rejected_print: RejectedPrint,
    /// What it adds.
    pub aggregate: Aggregate,
}

/// Statistics of any number of records. `records = rejected + the sum of the cells' counts`, always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aggregate {
    /// Records of the log, whatever they held.
    pub records: u64,
    /// The newest event time of an accepted reading, each reading counting for no more than its own record's log
    /// timestamp (where it has one); `None` without an accepted reading.
    pub newest: Option<Millis>,
    /// Records that are no reading that counts, by reason.
    pub rejected: RejectedCounts,
    /// Statistics by window and group.
    pub cells: BTreeMap<CellKey, Cell>,
}

/// A window and a group of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The window.
    pub window: Window,
    /// The group's name as the reading has it, escapes decoded.
    pub group: Box<str>,
}

/// The statistics of one window and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Count, sum, least and greatest value.
    pub stats: Stats,
    /// The sensors that reported, ascending, each once.
    pub sensors: Vec<SensorHash>,
}

impl Aggregate {
    /// Adds what `other` counts. Cost: linear in the cells and sensors of both where they meet.
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

    /// Readings that counted.
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
                let least = **a.min(b);
                l.next_if(|id| **id == least);
                r.next_if(|id| **id == least);
                all.push(least);
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
