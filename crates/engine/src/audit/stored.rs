//! What a store says, but for its windows and sensors.

use std::collections::BTreeMap;

use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;

use super::fate::Rows;
use crate::ledger::Account;
use crate::results::Totals;
use crate::state::{GroupState, PartitionState, TopicState};

/// What a store says, but for its windows and sensors.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The topic.
    pub topic: TopicState,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// The run.
    pub totals: Totals,
    /// The groups of the run, in the order of their numbers.
    pub groups: Vec<GroupState>,
    /// How many windows have been dropped from it.
    pub dropped: u64,
    /// Which windows it has.
    pub rows: Rows,
    /// How long ago it was made, in milliseconds, if that is known.
    pub age: Option<Millis>,
}

impl Stored {
    /// Where the last gap that was accepted in a partition ends, if there is one: the log must not hold what lies before.
    pub fn gap_end(&self, partition: PartitionId) -> Option<i64> {
        self.accounts.get(&partition)?.data_losses.iter().map(|gap| gap.range.next).max()
    }

    /// Where a partition begins that has not been cut since: behind the last gap that was accepted.
    pub fn begin(&self, partition: PartitionId, state: &PartitionState) -> i64 {
        self.gap_end(partition).map_or(state.start, |end| end.min(state.position).max(state.start))
    }
}
