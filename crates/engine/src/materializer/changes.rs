//! What has changed since the last commit.

use std::collections::BTreeSet;

use isotherm_model::partial::PartitionId;
use isotherm_model::stats::SensorHash;

use super::tally::Tally;
use crate::names::{GroupId, Names};
use crate::state::{DeadBatch, GroupState, LogPart, SensorEntry};

/// What the next commit writes besides what each commit writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    any: bool,
    groups: BTreeSet<GroupId>,
    sensors: Vec<SensorEntry>,
    dead: Vec<DeadBatch>,
    parts: Vec<(PartitionId, u32, LogPart)>,
}

impl Changes {
    /// Notes a change.
    pub(super) fn note(&mut self) {
        self.any = true;
    }

    /// Readings were counted into a group of the run; these of its sensors are new there.
    pub(super) fn count(&mut self, group: GroupId, new: &[SensorHash]) {
        self.groups.insert(group);
        self.sensors.extend(new.iter().map(|sensor| SensorEntry { sensor: *sensor, group: group.0 }));
    }

    /// Records of a batch are late or rejected.
    pub(super) fn enqueue(&mut self, batch: DeadBatch) {
        self.dead.push(batch);
    }

    /// A partition goes on in this part, or it is better known.
    pub(super) fn part(&mut self, partition: PartitionId, place: u32, part: LogPart) {
        self.parts.push((partition, place, part));
    }

    /// How many rows a commit of it takes.
    pub(super) fn rows(&self) -> usize {
        usize::from(self.any) + self.groups.len() + self.sensors.len() + self.dead.len() + self.parts.len()
    }

    /// All of it has been committed.
    pub(super) fn clear(&mut self) {
        self.any = false;
        self.groups.clear();
        self.sensors.clear();
        self.dead.clear();
        self.parts.clear();
    }

    /// The groups whose statistics have changed, as they are now.
    pub(super) fn groups(&self, run: &Tally, names: &Names) -> Vec<GroupState> {
        let state = |id: &GroupId| {
            let (stats, sensors) = run.group(*id)?;
            Some(GroupState { id: id.0, name: names.name(*id).to_owned(), stats, sensors })
        };
        self.groups.iter().filter_map(state).collect()
    }

    /// Sensors that are new to a group.
    pub(super) fn sensors(&self) -> &[SensorEntry] {
        &self.sensors
    }

    /// Batches with late or rejected records.
    pub(super) fn dead(&self) -> &[DeadBatch] {
        &self.dead
    }

    /// Parts of partitions that are new or better known.
    pub(super) fn parts(&self) -> &[(PartitionId, u32, LogPart)] {
        &self.parts
    }
}
