//! What became of the readings of a batch: by which windows the store has, and, where it has dropped them, by its ledger.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use isotherm_model::window::{Window, WindowSize};

use super::stored::Stored;

/// A set of windows, as runs of consecutive numbers: most follow on each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows(BTreeMap<i64, i64>);

impl Rows {
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

/// What became of the readings of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counted into a window that the store has, or that is open.
    Counted,
    /// It counted into a window that the store has dropped.
    Dropped,
    /// Its window had closed.
    Late,
    /// Its window has been dropped from the store, and the ledger's list is full: nobody can tell.
    Unknown,
}

/// What decides it.
#[derive(Debug, Clone)]
pub(super) struct Fates {
    size: WindowSize,
    rows: Rows,
    closed_until: Option<Millis>,
    /// Windows before this one have been dropped from the store, if any have.
    pub(super) dropped_before: Option<Window>,
    /// By partition and window that has been dropped, the first batch of which readings were late for it: the store's
    /// ledger says so. What came before it counted.
    closed_at: BTreeMap<(PartitionId, Window), i64>,
    /// Partitions whose list of late ranges is full: a window that is not in it may have late readings all the same.
    full: BTreeSet<PartitionId>,
}

impl Fates {
    pub(super) fn new(size: WindowSize, stored: &Stored) -> Self {
        let dropped_before = (stored.dropped > 0).then(|| stored.rows.first()).flatten();
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
        let (rows, closed_until) = (stored.rows.clone(), stored.topic.closed_until);
        Self { size, rows, closed_until, dropped_before, closed_at, full }
    }

    /// Of a cell of this window, in the batch of a partition that begins at `first`. `compared` is the last window whose
    /// offsets have been reached.
    pub(super) fn of(&self, partition: PartitionId, first: i64, window: Window, compared: Option<Window>) -> Fate {
        if self.rows.has(window) {
            return if compared.is_some_and(|compared| window <= compared) { Fate::Late } else { Fate::Counted };
        }
        if self.closed_until.is_none_or(|until| self.size.end(window) > until) {
            return Fate::Counted;
        }
        if self.dropped_before.is_none_or(|before| window >= before) {
            return Fate::Late;
        }
        match self.closed_at.get(&(partition, window)) {
            Some(closed_at) if first >= *closed_at => Fate::Late,
            Some(_) => Fate::Dropped,
            None if self.full.contains(&partition) => Fate::Unknown,
            None => Fate::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use isotherm_model::partial::SourceRange;

    use super::*;
    use crate::ledger::Account;
    use crate::ledger::{KeyedRange, Ranges};

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
        [6, 5].into_iter().for_each(|row| stored.rows.push(Window(row)));
        let fates = Fates::new(WindowSize::default(), &stored);
        for (partition, first, window, fate) in [
            (0, 15, 3, Fate::Dropped),
            (0, 20, 3, Fate::Late),
            (0, 30, 3, Fate::Late),
            (0, 90, 1, Fate::Dropped),
            (1, 15, 3, Fate::Dropped),
            (1, 90, 1, Fate::Unknown),
            // Kept ones, one that nothing had been counted into, and one that is open.
            (0, 90, 5, Fate::Late),
            (0, 90, 6, Fate::Counted),
            (0, 90, 7, Fate::Late),
            (0, 90, 8, Fate::Counted),
        ] {
            let found = fates.of(partition, first, Window(window), Some(Window(5)));
            assert_eq!(found, fate, "window {window} at {first} in partition {partition}");
        }
    }

    #[test]
    fn windows_in_any_order_are_a_set_of_runs() {
        let mut rows = Rows::default();
        for window in [5, 7, 6, 5, -3, i64::MAX, i64::MIN, i64::MAX - 1] {
            rows.push(Window(window));
        }
        let runs = [(i64::MIN, i64::MIN), (-3, -3), (5, 7), (i64::MAX - 1, i64::MAX)];
        assert_eq!(rows.0.iter().map(|(first, last)| (*first, *last)).collect::<Vec<_>>(), runs);
        assert_eq!((rows.len(), rows.first()), (7, Some(Window(i64::MIN))));
        assert!([-3, 5, 6, 7].iter().all(|window| rows.has(Window(*window))));
        assert!([-2, 4, 8].iter().all(|window| !rows.has(Window(*window))));
    }
}
