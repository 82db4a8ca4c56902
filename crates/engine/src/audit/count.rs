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
    sensors: SensorSet,
    /// Sensors that were taken out of the set.
    taken: u64,
}

/// A set of sensors. Where groups are very many, most have few: these take no table.
#[derive(Debug, Clone)]
#[expect(clippy::box_collection, reason = "a million groups with a few sensors each are to be small")]
enum SensorSet {
    Few(Vec<SensorHash>),
    Many(Box<HashSet<SensorHash>>),
}

impl SensorSet {
    /// The most sensors without a table.
    const FEW: usize = 16;

    fn extend(&mut self, sensors: &[SensorHash]) {
        match self {
            Self::Many(many) => many.extend(sensors),
            Self::Few(few) => {
                let mut new = sensors.iter().filter(|sensor| !few.contains(sensor)).copied().collect::<Vec<_>>();
                if few.len() + new.len() <= Self::FEW {
                    few.append(&mut new);
                } else {
                    *self = Self::Many(Box::new(few.iter().copied().chain(new).collect()));
                }
            }
        }
    }

    fn remove(&mut self, sensor: SensorHash) -> bool {
        match self {
            Self::Many(many) => many.remove(&sensor),
            Self::Few(few) => {
                let place = few.iter().position(|one| *one == sensor);
                place.map(|place| few.swap_remove(place)).is_some()
            }
        }
    }

    /// About the memory that it takes, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Many(many) => many.capacity() * (size_of::<SensorHash>() + 1),
            Self::Few(few) => few.capacity() * size_of::<SensorHash>(),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Many(many) => many.len() as u64,
            Self::Few(few) => few.len() as u64,
        }
    }

    fn iter(&self) -> impl Iterator<Item = SensorHash> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_slice(), None),
            Self::Many(many) => (&[][..], Some(many.iter())),
        };
        few.iter().chain(many.into_iter().flatten()).copied()
    }
}

impl Group {
    fn bytes(&self) -> usize {
        size_of::<(Box<str>, Self)>() * 3 / 2 + self.sensors.bytes()
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
                let mut sensors = SensorSet::Few(Vec::new());
                sensors.extend(&cell.sensors);
                self.groups.entry(group.into()).or_insert(Group { stats: cell.stats, sensors, taken: 0 })
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
        for (name, Group { stats, sensors, .. }) in &self.groups {
            let cell = Cell { stats: *stats, sensors: sensors.iter().collect() };
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
        self.groups.get_mut(group).is_some_and(|group| {
            let taken = group.sensors.remove(sensor);
            group.taken += u64::from(taken);
            taken
        })
    }

    /// By group, the sensors that have not been taken out.
    pub(super) fn left(&self) -> impl Iterator<Item = (&str, u64)> {
        self.groups.iter().map(|(name, group)| (&**name, group.sensors.len()))
    }

    /// How many sensors a group has, those that were taken out too.
    pub(super) fn sensors_of(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |group| group.sensors.len() + group.taken)
    }

    pub(super) fn messages(&self) -> u64 {
        self.groups.values().fold(0, |sum: u64, group| sum.saturating_add(group.stats.count))
    }

    /// Distinct sensors that have not been taken out, over all groups. Cost: linear in groups and sensors.
    pub(super) fn sensors(&self) -> u64 {
        match self.groups.len() {
            1 => self.left().map(|(_, sensors)| sensors).sum(),
            _ => self.groups.values().flat_map(|group| group.sensors.iter()).collect::<HashSet<_>>().len() as u64,
        }
    }

    /// By group, ascending by name.
    fn results(&self) -> impl Iterator<Item = GroupResult> {
        self.groups.iter().map(|(name, Group { stats, sensors, taken })| GroupResult {
            group: name.to_string(),
            messages: stats.count,
            sensors: sensors.len() + taken,
            sum: stats.sum,
            avg: stats.average(),
            min: stats.min,
            max: stats.max,
        })
    }
}

/// The numbers of a window, or of the run, as they are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statistics<'a> {
    pub(super) messages: u64,
    pub(super) sensors: u64,
    /// Ascending by name.
    pub(super) groups: &'a [GroupResult],
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
fn side_by_side(
    left: &[GroupResult],
    right: impl Iterator<Item = GroupResult>,
) -> impl Iterator<Item = (Option<&GroupResult>, Option<GroupResult>)> {
    let (mut left, mut right) = (left.iter().peekable(), right.peekable());
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

impl Statistics<'_> {
    /// Compares `self`, which is stored, with what was counted again, with its number of sensors over all groups. `whole` says
    /// whether all input was there; otherwise a group with more readings than were counted again is left alone.
    pub(super) fn compare(
        self,
        what: &str,
        (counted, sensors): (&Counted, u64),
        whole: bool,
        findings: &mut Findings,
    ) -> Comparison {
        let before = findings.different();
        let messages = counted.messages();
        findings.compare_part(format!("{what}: messages"), self.messages, messages, whole);
        findings.compare_part(format!("{what}: sensors"), self.sensors, sensors, whole);
        let mut equal = (self.messages, self.sensors) == (messages, sensors);
        for (stored, counted) in side_by_side(self.groups, counted.results()) {
            equal &= stored == counted.as_ref();
            let group = |group: &GroupResult| format!("{what}: group {}", group.group);
            let readings = |group: &GroupResult| format!("{} readings", group.messages);
            match (stored, counted) {
                (Some(stored), Some(counted)) if whole || stored.messages <= counted.messages => {
                    if *stored != counted {
                        same(&group(stored), stored, &counted, findings);
                    }
                }
                (Some(stored), None) if whole => findings.differ(group(stored), readings(stored), "none"),
                (None, Some(counted)) => findings.differ(group(&counted), "none", readings(&counted)),
                (Some(_), _) | (None, None) => {}
            }
        }
        match (equal, findings.different() > before, whole) {
            (true, ..) => Comparison::Same,
            (false, true, _) => Comparison::Different,
            // The same but for their order.
            (false, false, true) => Comparison::Same,
            (false, false, false) => Comparison::Part,
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
