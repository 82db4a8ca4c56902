//! A tally: statistics and sensors by group, of one open window or of the whole run.

use std::collections::BTreeMap;

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::Cell;
use isotherm_model::stats::{SensorHash, Stats};

use crate::names::{GroupId, Names};
use crate::results::GroupResult;
use crate::sensors::{HashSeed, Sensors};
use crate::state::GroupState;

/// Statistics of any number of readings.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    groups: Groups,
    sensors: Sensors,
}

/// Groups in the order of their numbers.
#[derive(Debug, Clone)]
enum Groups {
    /// Of a run, which has all of them: a place for each number. One that counts nothing is none.
    All(Vec<GroupTally>),
    /// Of a window.
    Some(BTreeMap<GroupId, GroupTally>),
}

/// Of one group.
#[derive(Debug, Clone)]
struct GroupTally {
    stats: Stats,
    sensors: u64,
}

impl GroupTally {
    const NOTHING: Self = Self { stats: Stats { count: 0, ..Stats::of(Fixed::from_micros(0)) }, sensors: 0 };
}

impl Groups {
    /// The place of a group; what is there counts nothing if it is new.
    fn place(&mut self, GroupId(id): GroupId) -> &mut GroupTally {
        match self {
            Self::Some(groups) => groups.entry(GroupId(id)).or_insert(GroupTally::NOTHING),
            Self::All(groups) => {
                let place = id as usize;
                if groups.len() <= place {
                    groups.resize(place + 1, GroupTally::NOTHING);
                }
                &mut groups[place]
            }
        }
    }

    fn get(&self, id: GroupId) -> Option<&GroupTally> {
        let found = match self {
            Self::Some(groups) => groups.get(&id),
            Self::All(groups) => groups.get(id.0 as usize),
        };
        found.filter(|group| group.stats.count > 0)
    }

    fn iter(&self) -> impl Iterator<Item = (GroupId, &GroupTally)> {
        let (all, some) = match self {
            Self::All(groups) => (groups.as_slice(), None),
            Self::Some(groups) => (&[][..], Some(groups)),
        };
        let all = (0..).map(GroupId).zip(all).filter(|(_, group)| group.stats.count > 0);
        all.chain(some.into_iter().flatten().map(|(id, group)| (*id, group)))
    }
}

impl Tally {
    /// Nothing, of a window.
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { groups: Groups::Some(BTreeMap::new()), sensors: Sensors::new(seed) }
    }

    /// Of a run, as it was when it had been committed.
    pub(super) fn restored(groups: &[GroupState], sensors: Sensors) -> Self {
        let mut all = Groups::All(Vec::with_capacity(groups.len()));
        for group in groups {
            *all.place(GroupId(group.id)) = GroupTally { stats: group.stats, sensors: group.sensors };
        }
        Self { groups: all, sensors }
    }

    /// A group's statistics and its number of sensors.
    pub(super) fn group(&self, group: GroupId) -> Option<(Stats, u64)> {
        self.groups.get(group).map(|tally| (tally.stats, tally.sensors))
    }

    /// Adds a cell. Answers which of its sensors are new to the group here. Cost: constant for each of its sensors.
    pub(super) fn add(&mut self, group: GroupId, cell: Cell) -> Cell {
        let Cell { stats, mut sensors } = cell;
        sensors.retain(|sensor: &SensorHash| self.sensors.insert(*sensor, group.0));
        let tally = self.groups.place(group);
        match tally.stats.count {
            0 => tally.stats = stats,
            _ => tally.stats.merge(&stats),
        }
        tally.sensors += sensors.len() as u64;
        Cell { stats, sensors }
    }

    /// Readings.
    pub(super) fn messages(&self) -> u64 {
        self.groups.iter().fold(0, |sum, (_, group)| sum.saturating_add(group.stats.count))
    }

    /// How many groups.
    pub(super) fn groups(&self) -> usize {
        match &self.groups {
            Groups::All(groups) => groups.len(),
            Groups::Some(groups) => groups.len(),
        }
    }

    /// Distinct sensors over all groups.
    pub(super) fn sensors(&self) -> u64 {
        self.sensors.count()
    }

    /// By group, ascending by name.
    pub(super) fn results(&self, names: &Names) -> Vec<GroupResult> {
        let mut results: Vec<_> = (self.groups.iter())
            .map(|(id, GroupTally { stats, sensors })| GroupResult {
                group: names.name(id).to_owned(),
                messages: stats.count,
                sensors: *sensors,
                sum: stats.sum,
                avg: stats.average(),
                min: stats.min,
                max: stats.max,
            })
            .collect();
        results.sort_unstable_by(|a, b| a.group.cmp(&b.group));
        results
    }
}
