//! What became of the readings of a batch. The windows that the store has decide it; for windows that it has dropped, its
//! ledger does.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use isotherm_model::window::{Window, WindowSize};

use super::stored::{Stored, WindowSet};

/// What became of the readings of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It counted into a window that the store has, or that is open.
    Counted,
    /// It counted into a window that the store has dropped.
    Dropped,
    /// Its window had closed.
    Late,
    /// Its window has been dropped from the store, and the ledger's list is full: nobody can tell.
    Unknown,
}

/// Decides it.
#[derive(Debug, Clone)]
pub(super) struct Classifier {
    size: WindowSize,
    windows: WindowSet,
    closed_until: Option<Millis>,
    /// Windows before this one have been dropped from the store, if any have.
    pub(super) dropped_before: Option<Window>,
    /// By partition and window that has been dropped, the first batch of which readings were late for it: the store's
    /// ledger says so. What came before it counted.
    closed_at: BTreeMap<(PartitionId, Window), i64>,
    /// Partitions whose list of late ranges is full: a window that is not in it may have late readings all the same.
    full: BTreeSet<PartitionId>,
}

impl Classifier {
    pub(super) fn new(size: WindowSize, stored: &Stored) -> Self {
        let dropped_before = (stored.dropped > 0).then(|| stored.windows.first()).flatten();
        let mut closed_at = BTreeMap::new();
        for (partition, account) in &stored.accounts {
            let listed = account.late_ranges.listed().iter();
            for range in listed.filter(|range| dropped_before.is_some_and(|before| range.key < before)) {
                let first = closed_at.entry((*partition, range.key)).or_insert(range.range.first);
                *first = range.range.first.min(*first);
            }
        }
        let full = stored.accounts.iter().filter(|(_, account)| account.late_ranges.unlisted() > 0);
        let full = full.map(|(partition, _)| *partition).collect();
        let (windows, closed_until) = (stored.windows.clone(), stored.topic.closed_until);
        Self { size, windows, closed_until, dropped_before, closed_at, full }
    }

    /// Of a cell of this window, in the batch of a partition that begins at `first`. `compared` are the windows whose offsets have
    /// been reached.
    pub(super) fn of(&self, partition: PartitionId, first: i64, window: Window, compared: &WindowSet) -> Outcome {
        if self.windows.has(window) {
            return if compared.has(window) { Outcome::Late } else { Outcome::Counted };
        }
        if self.closed_until.is_none_or(|until| self.size.end(window) > until) {
            return Outcome::Counted;
        }
        if self.dropped_before.is_none_or(|before| window >= before) {
            return Outcome::Late;
        }
        match self.closed_at.get(&(partition, window)) {
            Some(closed_at) if first >= *closed_at => Outcome::Late,
            Some(_) => Outcome::Dropped,
            None if self.full.contains(&partition) => Outcome::Unknown,
            None => Outcome::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use isotherm_model::partial::SourceRange;

    use super::*;
    use crate::ledger::{Account, KeyedRange, Ranges};

    #[test]
    fn of_dropped_windows_the_ledger_says_who_was_late() {
        let range =
            |key, first| KeyedRange { key: Window(key), range: SourceRange { first, next: first + 5 }, records: 1 };
        let account = |unlisted| {
            let late_ranges = Ranges::restored(vec![range(3, 20), range(2, 30), range(3, 40)], unlisted);
            Account { late_ranges, ..Account::default() }
        };
        let mut stored =
            Stored { dropped: 4, accounts: [(0, account(0)), (1, account(1))].into(), ..Stored::default() };
        stored.topic.closed_until = Some(24_000);
        [6, 5].into_iter().for_each(|window| stored.windows.push(Window(window)));
        let mut compared = WindowSet::default();
        compared.push(Window(5));
        let classifier = Classifier::new(WindowSize::default(), &stored);
        for (partition, first, window, outcome) in [
            (0, 15, 3, Outcome::Dropped),
            (0, 20, 3, Outcome::Late),
            (0, 30, 3, Outcome::Late),
            (0, 90, 1, Outcome::Dropped),
            (1, 15, 3, Outcome::Dropped),
            (1, 90, 1, Outcome::Unknown),
            // Kept ones, one that nothing had been counted into, and one that is open.
            (0, 90, 5, Outcome::Late),
            (0, 90, 6, Outcome::Counted),
            (0, 90, 7, Outcome::Late),
            (0, 90, 8, Outcome::Counted),
        ] {
            let found = classifier.of(partition, first, Window(window), &compared);
            assert_eq!(found, outcome, "window {window} at {first} in partition {partition}");
        }
    }
}
