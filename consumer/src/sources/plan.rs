//! Where each partition of a topic is read from.

use std::collections::BTreeMap;

use isotherm_engine::state::{LogPart, PartitionState, RunStart, StartOffset};
use isotherm_model::partial::PartitionId;

/// Where a partition of which nothing has been read in this run is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStart {
    /// Its first record that is still there.
    Beginning,
    /// Its end at the first look.
    End,
    /// Where a run before this one said.
    At {
        /// A batch boundary.
        offset: i64,
        /// From where on it must be there: what lies before is read only to know the log by.
        needed: i64,
        /// Whether to begin where the log begins, if that is later.
        accept_data_loss: bool,
    },
}

impl From<StartOffset> for ReadStart {
    fn from(from: StartOffset) -> Self {
        match from {
            StartOffset::Beginning => Self::Beginning,
            StartOffset::End => Self::End,
        }
    }
}

/// How a topic is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadPlan {
    /// Where the run began: it says where a partition is read from that has not been read before.
    pub start: RunStart,
    /// Whether partitions that are added later are left alone.
    pub fixed_partitions: bool,
    /// Partitions that have been read before, and how they stand: each is read from [`PartitionState::resume`] on.
    pub resume: BTreeMap<PartitionId, PartitionState>,
    /// The parts of partitions whose log has parts.
    pub parts: BTreeMap<PartitionId, Vec<LogPart>>,
    /// Whether a partition of `resume` whose log begins later now is read from there on.
    pub accept_data_loss: bool,
}

impl ReadPlan {
    /// Where a partition that is there at the first look is read from. It may have been there when the run began, and never
    /// have been reached since.
    pub(super) fn start(&self, partition: PartitionId) -> ReadStart {
        match self.resume.get(&partition) {
            Some(state) => ReadStart::At {
                offset: state.resume(),
                needed: state.restore_from,
                accept_data_loss: self.accept_data_loss,
            },
            None if self.start.partitions.is_none_or(|there| partition < there) => self.start.from.into(),
            None => ReadStart::Beginning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm_engine::state::LastBatch;

    fn plan(from: StartOffset, partitions: Option<u32>) -> ReadPlan {
        ReadPlan { start: RunStart { from, partitions }, ..ReadPlan::default() }
    }

    #[test]
    fn a_run_that_begins_reads_all_that_is_there_from_where_it_is_told() {
        for partition in [0, 1, 77] {
            assert_eq!(plan(StartOffset::Beginning, None).start(partition), ReadStart::Beginning);
            assert_eq!(plan(StartOffset::End, None).start(partition), ReadStart::End);
        }
    }

    #[test]
    fn a_run_that_goes_on_remembers_what_was_there_when_it_began() {
        let last = Some(LastBatch { first: 40, digest: 7 });
        let state =
            PartitionState { start: 5, position: 50, restore_from: 45, watermark: None, bounded_from: None, last };
        let plan = ReadPlan {
            resume: BTreeMap::from([(1, state)]),
            accept_data_loss: true,
            ..plan(StartOffset::End, Some(3))
        };
        // Never reached, read before, never reached, and added since.
        let starts: Vec<_> = (0..5).map(|partition| plan.start(partition)).collect();
        let known = ReadStart::At { offset: 40, needed: 45, accept_data_loss: true };
        assert_eq!(starts, [ReadStart::End, known, ReadStart::End, ReadStart::Beginning, ReadStart::Beginning]);
    }
}
