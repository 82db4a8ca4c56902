//! A tally: statistics and sensors by group, of one open window or of the whole run.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem::size_of;

use isotherm_model::partial::Cell;
use isotherm_model::stats::{SensorHash, Stats};

use crate::names::{GroupId, Names};
use crate::results::GroupResult;
use crate::scratch::ScratchError;
use crate::sensors::{HashSeed, Sensors};
use crate::spill;
use crate::state::GroupState;

/// Statistics of any number of readings.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    groups: BTreeMap<GroupId, GroupTally>,
    sensors: Sensors,
}

/// Of one group.
#[derive(Debug, Clone)]
struct GroupTally {
    stats: Stats,
    sensors: u64,
}

impl Tally {
    /// Nothing.
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { groups: BTreeMap::new(), sensors: Sensors::new(seed) }
    }

    /// As it was when it had been committed.
    pub(super) fn restored(groups: &[GroupState], sensors: Sensors) -> Self {
        let tally = |group: &GroupState| GroupTally { stats: group.stats, sensors: group.sensors };
        Self { groups: groups.iter().map(|group| (GroupId(group.id), tally(group))).collect(), sensors }
    }

    /// A group's statistics and its number of sensors.
    pub(super) fn group(&self, group: GroupId) -> Option<(Stats, u64)> {
        self.groups.get(&group).map(|tally| (tally.stats, tally.sensors))
    }

    /// Adds a cell. Answers which of its sensors are new to the group here. Cost: constant for each of its sensors.
    pub(super) fn add(&mut self, group: GroupId, cell: Cell) -> Cell {
        let Cell { stats, mut sensors } = cell;
        sensors.retain(|sensor: &SensorHash| self.sensors.insert(*sensor, group.0));
        let new = sensors.len() as u64;
        match self.groups.entry(group) {
            Entry::Vacant(place) => {
                place.insert(GroupTally { stats, sensors: new });
            }
            Entry::Occupied(mut place) => {
                let tally = place.get_mut();
                tally.stats.merge(&stats);
                tally.sensors += new;
            }
        }
        Cell { stats, sensors }
    }

    /// Adds what [`Tally::spilled`] gave.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> Result<(), ScratchError> {
        for (group, cell) in spill::take_all(bytes)? {
            if let Ok(group) = group.try_into() {
                self.add(GroupId(u32::from_le_bytes(group)), cell);
            }
        }
        Ok(())
    }

    /// All of it as bytes, for a scratch file. Cost: linear in groups and sensors.
    pub(super) fn spilled(&self) -> Vec<u8> {
        let mut cells: BTreeMap<GroupId, Cell> = (self.groups.iter())
            .map(|(group, tally)| (*group, Cell { stats: tally.stats, sensors: Vec::new() }))
            .collect();
        for (sensor, group) in self.sensors.iter() {
            if let Some(cell) = cells.get_mut(&group) {
                cell.sensors.push(sensor);
            }
        }
        let mut bytes = Vec::new();
        cells.iter().for_each(|(group, cell)| spill::put(&mut bytes, &group.0.to_le_bytes(), cell));
        bytes
    }

    /// About the memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // A B-tree's nodes are two thirds full on average.
        self.sensors.bytes() + self.groups.len() * size_of::<(GroupId, GroupTally)>() * 3 / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Readings.
    pub(super) fn messages(&self) -> u64 {
        self.groups.values().fold(0, |sum, group| sum.saturating_add(group.stats.count))
    }

    /// Distinct sensors over all groups.
    pub(super) fn sensors(&self) -> u64 {
        self.sensors.count()
    }

    /// By group, ascending by name.
    pub(super) fn results(&self, names: &Names) -> Vec<GroupResult> {
        let mut results: Vec<_> = (self.groups.iter())
            .map(|(id, GroupTally { stats, sensors })| GroupResult {
                group: names.name(*id).to_owned(),
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
