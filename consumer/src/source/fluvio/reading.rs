//! Where each partition of a topic is read from.

use std::collections::BTreeMap;

use isotherm_engine::state::{PartitionState, RunStart};
use isotherm_model::partial::PartitionId;

use super::partition::Begin;

/// How a topic is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Where the run start: it says where a partition is read from that has not been read before.
    pub start: RunStart,
    /// Whether partitions that are added later are left alone.
    pub fixed_partitions: bool,
    /// Partitions that have been read before, and how they stand: each is read from [`PartitionState::resume`] on.
    pub resume: BTreeMap<PartitionId, PartitionState>,
    /// Whether a partition of `resume` whose log begins later by now is read from there on.
    pub accept_data_loss: bool,
}

impl Reading {
    /// Where a partition that is there at the first look is read from. It may have been there when the run began, and never
    /// have been reached since.
    pub(super) fn place(&self, partition: PartitionId) -> Begin {
        match self.resume.get(&partition) {
            Some(state) => Begin::At {
                offset: state.resume(),
                needed: state.restore_from,
                accept_data_loss: self.accept_data_loss,
            },
            None if self.start.partitions.is_none_or(|there| partition < there) => self.start.from.into(),
            None => Begin::Beginning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm_engine::state::{LastBatch, StartOffset};

    fn reading(from: StartOffset, partitions: Option<u32>) -> Reading {
        Reading { start: RunStart { from, partitions }, ..Reading::default() }
    }

    #[test]
    fn a_run_that_begins_reads_all_that_is_there_from_where_it_is_told() {
        for partition in [0, 1, 77] {
            assert_eq!(reading(StartOffset::Beginning, None).place(partition), Begin::Beginning);
            assert_eq!(reading(StartOffset::End, None).place(partition), Begin::End);
        }
    }

    #[test]
    fn a_run_that_goes_on_remembers_what_was_there_when_it_began() {
        let last = Some(LastBatch { first: 40, digest: 7 });
        let state = PartitionState { start: 5, position: 50, restore_from: 45, watermark: None, last };
        let reading = Reading {
            resume: BTreeMap::from([(1, state)]),
            accept_data_loss: true,
            ..reading(StartOffset::End, Some(3))
        };
        // Never reached, read before, never reached, and added since.
        let places: Vec<_> = (0..5).map(|partition| reading.place(partition)).collect();
        let known = Begin::At { offset: 40, needed: 45, accept_data_loss: true };
        assert_eq!(places, [Begin::End, known, Begin::End, Begin::Beginning, Begin::Beginning]);
    }
}
