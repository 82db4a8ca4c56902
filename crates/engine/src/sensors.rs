//! Sets of sensors, by group and over all groups, made for tens of millions.
//!
//! Most sensors report from one group only. So the first group of each is kept beside it, 13 bytes a place, and only
//! what reports from further groups takes a second place. Ten million sensors of a run take about 220 MB (and half as
//! much again for the moment in which the table doubles).
//!
//! A sensor is a 64-bit hash already. It is hashed once more with a random seed of the process, so that nobody can choose
//! ids that collide and make the table slow. No result depends on the seed.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use isotherm_model::stats::SensorHash;

use crate::names::GroupId;

/// The random seed of the hash tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashSeed(u64);

impl HashSeed {
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0_u64))
    }

    /// A sensor's place: multiply wide and fold.
    fn of(self, sensor: SensorHash) -> u64 {
        let wide = u128::from(sensor ^ self.0) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        (wide as u64) ^ ((wide >> 64) as u64)
    }

    fn of_member(self, member: &SensorGroup) -> u64 {
        self.of(self.of(member.sensor()) ^ u64::from(member.group.0))
    }
}

/// A sensor and a group, in 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SensorGroup {
    sensor: [u32; 2],
    group: GroupId,
}

impl SensorGroup {
    fn new(sensor: SensorHash, group: GroupId) -> Self {
        Self { sensor: [sensor as u32, (sensor >> 32) as u32], group }
    }

    fn sensor(&self) -> SensorHash {
        u64::from(self.sensor[0]) | u64::from(self.sensor[1]) << 32
    }
}

/// The sensors that reported, with their groups.
#[derive(Debug, Clone)]
pub struct Sensors {
    seed: HashSeed,
    /// Every sensor once, with the group that it reported from first.
    first: HashTable<SensorGroup>,
    /// Every further group that a sensor reported from.
    further: HashTable<SensorGroup>,
}

impl Default for Sensors {
    fn default() -> Self {
        Self::new(HashSeed::new())
    }
}

impl Sensors {
    /// An empty set.
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { seed, first: HashTable::new(), further: HashTable::new() }
    }

    /// The seed of its tables.
    pub(crate) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.first.allocation_size() + self.further.allocation_size()
    }

    /// Each sensor with each group that it reported from, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SensorHash, GroupId)> {
        self.first.iter().chain(&self.further).map(|member| (member.sensor(), member.group))
    }

    /// How many sensors reported, over all groups.
    pub fn count(&self) -> u64 {
        self.first.len() as u64
    }

    /// Adds a sensor to a group, by its number. Answers whether it is new there. Cost: constant on average.
    pub fn insert(&mut self, sensor: SensorHash, group: u32) -> bool {
        let group = GroupId(group);
        let (seed, member) = (self.seed, SensorGroup::new(sensor, group));
        let same = |other: &SensorGroup| other.sensor == member.sensor;
        match self.first.entry(seed.of(sensor), same, |other| seed.of(other.sensor())) {
            Entry::Vacant(place) => {
                place.insert(member);
                return true;
            }
            Entry::Occupied(place) if place.get().group == group => return false,
            Entry::Occupied(_) => {}
        }
        let same = |other: &SensorGroup| *other == member;
        match self.further.entry(seed.of_member(&member), same, |other| seed.of_member(other)) {
            Entry::Vacant(place) => {
                place.insert(member);
                true
            }
            Entry::Occupied(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_takes_twelve_bytes() {
        assert_eq!(size_of::<SensorGroup>(), 12);
    }

    proptest! {
        #[test]
        fn counts_as_plain_sets_do(members in proptest::collection::vec((0_u64..40, 0_u32..5), 0..300)) {
            let mut sensors = Sensors::new(HashSeed::new());
            let (mut groups, mut all) = (BTreeMap::<u32, BTreeSet<u64>>::new(), BTreeSet::new());
            for (sensor, group) in members {
                let sensor = sensor.wrapping_mul(0x0100_0000_0000_0001);
                all.insert(sensor);
                prop_assert_eq!(sensors.insert(sensor, group), groups.entry(group).or_default().insert(sensor));
                prop_assert_eq!(sensors.count(), all.len() as u64);
            }
        }
    }
}
