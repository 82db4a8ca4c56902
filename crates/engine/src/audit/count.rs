//! Statistics counted the plain way: by group, with sets of sensors. This code is slower than the materializer's tallies and
//! independent of it, so that agreement means something.

use std::collections::{BTreeMap, HashSet};
use std::mem::size_of;

use isotherm_model::partial::Cell;
use isotherm_model::stats::{SensorHash, Stats};

use super::findings::{Findings, micros};
use crate::results::GroupResult;
use crate::scratch::ScratchError;
use crate::spill;

/// The statistics of any number of readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    groups: BTreeMap<Box<str>, Group>,
    /// About the memory that it takes.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Group {
    stats: Stats,
    sensors: HashSet<SensorHash>,
}

impl Group {
    fn bytes(&self) -> usize {
        size_of::<(Box<str>, Self)>() * 3 / 2 + self.sensors.capacity() * (size_of::<SensorHash>() + 1)
    }
}

impl Counted {
    /// Adds a cell. Cost: constant for each of its sensors.
    pub(super) fn add(&mut self, group: &str, cell: &Cell) {
        let own = match self.groups.get_mut(group) {
            Some(own) => {
                self.bytes -= own.bytes();
                own.stats.merge(&cell.stats);
                own.sensors.extend(&cell.sensors);
                own
            }
            None => {
                self.bytes += group.len();
                let sensors = cell.sensors.iter().copied().collect();
                self.groups.entry(group.into()).or_insert(Group { stats: cell.stats, sensors })
            }
        };
        self.bytes += own.bytes();
    }

    /// About the memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of it as bytes, for a scratch file. Cost: linear in groups and sensors.
    pub(super) fn spilled(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, Group { stats, sensors }) in &self.groups {
            let cell = Cell { stats: *stats, sensors: sensors.iter().copied().collect() };
            spill::put(&mut bytes, name.as_bytes(), &cell);
        }
        bytes
    }

    /// Adds what [`Counted::spilled`] gave.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), ScratchError> {
        for (name, cell) in spill::take_all(bytes)? {
            self.add(&String::from_utf8_lossy(name), &cell);
        }
        Ok(())
    }

    /// Takes a sensor out of a group's set. Whether it was there.
    pub(super) fn take(&mut self, group: &str, sensor: SensorHash) -> bool {
        self.groups.get_mut(group).is_some_and(|group| group.sensors.remove(&sensor))
    }

    /// By group, the sensors that have not been taken out.
    pub(super) fn left(&self) -> impl Iterator<Item = (&str, u64)> {
        self.groups.iter().map(|(name, group)| (&**name, group.sensors.len() as u64))
    }

    /// The numbers. Cost: linear in groups and sensors.
    pub(super) fn statistics(&self) -> Statistics {
        let mut all: HashSet<SensorHash> = HashSet::new();
        let mut groups = Vec::with_capacity(self.groups.len());
        for (name, Group { stats, sensors }) in &self.groups {
            groups.push(GroupResult {
                group: name.to_string(),
                messages: stats.count,
                sensors: sensors.len() as u64,
                sum: stats.sum,
                avg: stats.average(),
                min: stats.min,
                max: stats.max,
            });
            if self.groups.len() > 1 {
                all.extend(sensors);
            }
        }
        let sensors = match groups.first() {
            Some(only) if groups.len() == 1 => only.sensors,
            _ => all.len() as u64,
        };
        let messages = groups.iter().fold(0, |sum: u64, group| sum.saturating_add(group.messages));
        Statistics { messages, sensors, groups }
    }
}

/// The numbers of a window, or of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) messages: u64,
    pub(super) sensors: u64,
    /// Ascending by name.
    pub(super) groups: Vec<GroupResult>,
}

/// How the numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Same,
    /// The stored ones are more than what the rest of the log gives: they cannot be verified.
    Part,
    /// They differ as they must not; the findings say how.
    Different,
}

/// The groups of two lists, each ascending by name, side by side.
fn side_by_side<'a>(
    left: &'a [GroupResult],
    right: &'a [GroupResult],
) -> impl Iterator<Item = (Option<&'a GroupResult>, Option<&'a GroupResult>)> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || {
        let next = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(left), Some(right)) => left.group.cmp(&right.group),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
        };
        let left = if next.is_le() { left.next() } else { None };
        let right = if next.is_ge() { right.next() } else { None };
        Some((left, right))
    })
}

impl Statistics {
    /// Compares `self`, which is stored, with what was recomputed. `whole` says whether all input was there; otherwise a group
    /// with more readings than were recomputed is left alone.
    pub(super) fn compare(&self, what: &str, recomputed: &Self, whole: bool, findings: &mut Findings) -> Comparison {
        if self == recomputed {
            return Comparison::Same;
        }
        let before = findings.different();
        findings.compare_part(format!("{what}: messages"), self.messages, recomputed.messages, whole);
        findings.compare_part(format!("{what}: sensors"), self.sensors, recomputed.sensors, whole);
        for (stored, counted) in side_by_side(&self.groups, &recomputed.groups) {
            let group = |group: &GroupResult| format!("{what}: group {}", group.group);
            let readings = |group: &GroupResult| format!("{} readings", group.messages);
            match (stored, counted) {
                (Some(stored), Some(counted)) if whole || stored.messages <= counted.messages => {
                    same(&group(stored), stored, counted, findings);
                }
                (Some(stored), None) if whole => findings.differ(group(stored), readings(stored), "none"),
                (None, Some(counted)) => findings.differ(group(counted), "none", readings(counted)),
                (Some(_), _) | (None, None) => {}
            }
        }
        match (findings.different() > before, whole) {
            (true, _) => Comparison::Different,
            // The same but for their order.
            (false, true) => Comparison::Same,
            (false, false) => Comparison::Part,
        }
    }
}

/// All readings of a group have been counted again: all of its numbers must be equal.
fn same(what: &str, stored: &GroupResult, counted: &GroupResult, findings: &mut Findings) {
    let name = |number: &str| format!("{what}: {number}");
    findings.compare(name("messages"), stored.messages, counted.messages);
    findings.compare(name("sensors"), stored.sensors, counted.sensors);
    findings.compare(name("sum"), micros(stored.sum), micros(counted.sum));
    findings.compare(name("avg"), stored.avg.to_string(), counted.avg.to_string());
    findings.compare(name("min"), stored.min.to_string(), counted.min.to_string());
    findings.compare(name("max"), stored.max.to_string(), counted.max.to_string());
}
