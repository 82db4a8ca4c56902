//! Statistics counted the plain way: by group, with sets of sensors. Slower than the materializer's tallies and another
//! code, so that what both say is said twice.

use std::collections::{BTreeMap, HashSet};

use isotherm_model::partial::Cell;
use isotherm_model::stats::{SensorHash, Stats};

use super::findings::Findings;
use crate::results::GroupResult;

/// The statistics of any number of readings.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    groups: BTreeMap<Box<str>, Group>,
}

#[derive(Debug, Clone)]
struct Group {
    stats: Stats,
    sensors: HashSet<SensorHash>,
}

impl Counted {
    /// Adds a cell. Cost: constant for each of its sensors.
    pub(super) fn add(&mut self, group: &str, cell: &Cell) {
        match self.groups.get_mut(group) {
            Some(own) => {
                own.stats.merge(&cell.stats);
                own.sensors.extend(&cell.sensors);
            }
            None => {
                let sensors = cell.sensors.iter().copied().collect();
                self.groups.insert(group.into(), Group { stats: cell.stats, sensors });
            }
        }
    }

    /// Takes a sensor out of a group's set. Whether it was there.
    pub(super) fn take(&mut self, group: &str, sensor: SensorHash) -> bool {
        self.groups.get_mut(group).is_some_and(|group| group.sensors.remove(&sensor))
    }

    /// By group, the sensors that have not been taken out.
    pub(super) fn left(&self) -> impl Iterator<Item = (&str, u64)> {
        self.groups.iter().map(|(name, group)| (&**name, group.sensors.len() as u64))
    }

    /// By group, what the values come to.
    pub(super) fn stats(&self) -> impl Iterator<Item = (&str, &Stats)> {
        self.groups.iter().map(|(name, group)| (&**name, &group.stats))
    }

    /// What it comes to. Cost: linear in groups and sensors.
    pub(super) fn figures(&self) -> Figures {
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
        Figures { messages, sensors, groups }
    }
}

/// The numbers of a window, or of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) messages: u64,
    pub(super) sensors: u64,
    /// Ascending by name.
    pub(super) groups: Vec<GroupResult>,
}

/// Of what the recomputed numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Of all that the stored ones are of.
    Whole,
    /// Of what can still be read of it, or still be told.
    Part {
        /// So many readings can be missing.
        missing: u64,
    },
}

/// How the numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are equal.
    Same,
    /// The recomputed ones are of a part, and no more than a part of the stored ones can be.
    Less,
    /// They differ as they must not; the findings say how.
    Different,
}

/// The groups of two lists, each ascending by name, side by side.
pub(super) fn side_by_side<'a>(
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

impl Figures {
    /// Compares `self`, which is stored, with what was recomputed.
    pub(super) fn compare(&self, what: &str, recomputed: &Self, extent: Extent, findings: &mut Findings) -> Verdict {
        if self == recomputed {
            return Verdict::Same;
        }
        let before = findings.different();
        let more = self.messages.saturating_sub(recomputed.messages);
        let missing = match extent {
            Extent::Whole => 0,
            Extent::Part { missing } => missing.min(more),
        };
        findings.within(format!("{what}: messages"), self.messages, recomputed.messages, extent.missing());
        findings.within(format!("{what}: sensors"), self.sensors, recomputed.sensors, missing);
        for (stored, counted) in side_by_side(&self.groups, &recomputed.groups) {
            match (stored, counted) {
                (Some(stored), Some(counted)) if stored == counted => {}
                (Some(stored), Some(counted)) if missing == 0 || stored.messages <= counted.messages => {
                    same(what, stored, counted, findings);
                }
                (Some(stored), counted) if missing > 0 => super::sound::part(what, stored, counted, findings),
                (Some(stored), _) => {
                    findings.differ(format!("{what}: group {}", stored.group), readings(stored), "none");
                }
                (None, Some(counted)) => {
                    findings.differ(format!("{what}: group {}", counted.group), "none", readings(counted));
                }
                (None, None) => {}
            }
        }
        if findings.different() > before { Verdict::Different } else { Verdict::Less }
    }

    /// By group, how many readings there are more than were recomputed.
    pub(super) fn more<'a>(&'a self, recomputed: &'a Self) -> impl Iterator<Item = (&'a str, u64)> {
        side_by_side(&self.groups, &recomputed.groups).filter_map(|(stored, counted)| {
            let stored = stored?;
            let more = stored.messages.saturating_sub(counted.map_or(0, |counted| counted.messages));
            (more > 0).then_some((stored.group.as_str(), more))
        })
    }
}

impl Extent {
    fn missing(self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Part { missing } => missing,
        }
    }
}

pub(super) fn readings(group: &GroupResult) -> String {
    format!("{} readings", group.messages)
}

/// All readings of a group have been counted again: all of its numbers must be equal.
fn same(what: &str, stored: &GroupResult, counted: &GroupResult, findings: &mut Findings) {
    let name = |number: &str| format!("{what}: group {}: {number}", stored.group);
    let micros = super::findings::micros;
    findings.compare(name("messages"), stored.messages, counted.messages);
    findings.compare(name("sensors"), stored.sensors, counted.sensors);
    findings.compare(name("sum"), micros(stored.sum), micros(counted.sum));
    findings.compare(name("avg"), stored.avg.to_string(), counted.avg.to_string());
    findings.compare(name("min"), stored.min.to_string(), counted.min.to_string());
    findings.compare(name("max"), stored.max.to_string(), counted.max.to_string());
}
