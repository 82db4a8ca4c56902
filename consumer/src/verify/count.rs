//! Statistics counted the plain way: by group, with sets of sensors. Slower than the materializer's tallies and another
//! code, so that what both say is said twice.

use std::collections::{BTreeMap, HashSet};

use isotherm_model::partial::Cell;
use isotherm_model::stats::{SensorHash, Stats};

use super::report::{Findings, micros};
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
    Part,
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

impl Figures {
    /// Compares `self`, which is stored, with what was recomputed.
    pub(super) fn compare(&self, what: &str, recomputed: &Self, extent: Extent, findings: &mut Findings) -> Verdict {
        if self == recomputed {
            return Verdict::Same;
        }
        let before = findings.different();
        let least = |stored: u64, recomputed: u64| match extent {
            Extent::Whole => stored == recomputed,
            Extent::Part => stored >= recomputed,
        };
        let number = |findings: &mut Findings, name: &str, stored: u64, recomputed: u64| {
            if !least(stored, recomputed) {
                findings.differ(format!("{what}: {name}"), stored, recomputed);
            }
        };
        number(findings, "messages", self.messages, recomputed.messages);
        number(findings, "sensors", self.sensors, recomputed.sensors);
        let (mut stored, mut counted) = (self.groups.iter().peekable(), recomputed.groups.iter().peekable());
        loop {
            let next = match (stored.peek(), counted.peek()) {
                (None, None) => break,
                (Some(stored), Some(counted)) => stored.group.cmp(&counted.group),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
            };
            let stored = if next.is_le() { stored.next() } else { None };
            let counted = if next.is_ge() { counted.next() } else { None };
            match (stored, counted) {
                (Some(stored), Some(counted)) => group(what, stored, counted, extent, findings),
                (Some(stored), None) if extent == Extent::Whole => {
                    findings.differ(format!("{what}: group {}", stored.group), readings(stored), "none");
                }
                (None, Some(counted)) => {
                    findings.differ(format!("{what}: group {}", counted.group), "none", readings(counted));
                }
                _ => {}
            }
        }
        if findings.different() > before { Verdict::Different } else { Verdict::Less }
    }
}

fn readings(group: &GroupResult) -> String {
    format!("{} readings", group.messages)
}

fn group(what: &str, stored: &GroupResult, counted: &GroupResult, extent: Extent, findings: &mut Findings) {
    // Whoever has all readings of a group has all of its numbers.
    let whole = extent == Extent::Whole || stored.messages == counted.messages;
    let fits = |whole_fits: bool, part_fits: bool| if whole { whole_fits } else { part_fits };
    let (s, c) = (stored, counted);
    let numbers = [
        (
            "messages",
            fits(s.messages == c.messages, s.messages > c.messages),
            s.messages.to_string(),
            c.messages.to_string(),
        ),
        ("sensors", fits(s.sensors == c.sensors, s.sensors >= c.sensors), s.sensors.to_string(), c.sensors.to_string()),
        ("sum", fits(s.sum == c.sum, true), micros(s.sum), micros(c.sum)),
        ("avg", fits(s.avg == c.avg, true), s.avg.to_string(), c.avg.to_string()),
        ("min", fits(s.min == c.min, s.min <= c.min), s.min.to_string(), c.min.to_string()),
        ("max", fits(s.max == c.max, s.max >= c.max), s.max.to_string(), c.max.to_string()),
    ];
    for (name, fits, stored, recomputed) in numbers {
        if !fits {
            findings.differ(format!("{what}: group {}: {name}", s.group), stored, recomputed);
        }
    }
}
