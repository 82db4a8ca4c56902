//! What a store says, but for its windows and sensors.

use std::collections::BTreeMap;

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use isotherm_model::window::Window;

use crate::ledger::Account;
use crate::results::Totals;
use crate::state::{GroupState, LogPart, PartitionState, TopicState};

/// What a store says, but for its windows and sensors.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The topic.
    pub topic: TopicState,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The parts of partitions whose log has parts.
    pub parts: BTreeMap<PartitionId, Vec<LogPart>>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// The run.
    pub totals: Totals,
    /// The groups of the run, in the order of their numbers.
    pub groups: Vec<GroupState>,
    /// How many windows have been dropped from it.
    pub dropped: u64,
    /// Which windows it has.
    pub windows: WindowSet,
    /// How long ago it was made, in milliseconds, if that is known.
    pub age: Option<Millis>,
}

/// A set of windows, as runs of consecutive numbers: most follow on each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowSet(BTreeMap<i64, i64>);

impl WindowSet {
    /// Adds a window, if it is not there. Cost: logarithmic in the runs, as everything here.
    pub fn push(&mut self, Window(window): Window) {
        if self.has(Window(window)) {
            return;
        }
        let after = window.checked_add(1).and_then(|after| self.0.remove(&after)).unwrap_or(window);
        match self.0.range_mut(..window).next_back() {
            Some((_, last)) if last.checked_add(1) == Some(window) => *last = after,
            _ => drop(self.0.insert(window, after)),
        }
    }

    /// Whether a window is among them.
    pub(super) fn has(&self, window: Window) -> bool {
        self.0.range(..=window.0).next_back().is_some_and(|(_, last)| window.0 <= *last)
    }

    /// The least.
    pub(super) fn first(&self) -> Option<Window> {
        self.0.first_key_value().map(|(first, _)| Window(*first))
    }

    /// How many there are. Cost: linear in the runs.
    pub(super) fn len(&self) -> u64 {
        let lengths = self.0.iter().map(|(first, last)| u64::try_from(last.saturating_sub(*first)).unwrap_or(0));
        lengths.fold(0, |sum: u64, length| sum.saturating_add(length).saturating_add(1))
    }
}

impl Stored {
    /// Where the last accepted data loss of a partition ends, if there is one: the log must not hold what lies before.
    pub fn data_loss_end(&self, partition: PartitionId) -> Option<i64> {
        self.accounts.get(&partition)?.data_losses.iter().map(|loss| loss.range.next).max()
    }

    /// Where a partition begins that retention has not cut since: behind the last accepted data loss.
    pub fn begin(&self, partition: PartitionId, state: &PartitionState) -> i64 {
        self.data_loss_end(partition).map_or(state.start, |end| end.min(state.position).max(state.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_any_order_are_a_set_of_runs() {
        let mut windows = WindowSet::default();
        for window in [5, 7, 6, 5, -3, i64::MAX, i64::MIN, i64::MAX - 1] {
            windows.push(Window(window));
        }
        let runs = [(i64::MIN, i64::MIN), (-3, -3), (5, 7), (i64::MAX - 1, i64::MAX)];
        assert_eq!(windows.0.iter().map(|(first, last)| (*first, *last)).collect::<Vec<_>>(), runs);
        assert_eq!((windows.len(), windows.first()), (7, Some(Window(i64::MIN))));
        assert!([-3, 5, 6, 7].iter().all(|window| windows.has(Window(*window))));
        assert!([-2, 4, 8].iter().all(|window| !windows.has(Window(*window))));
    }
}
