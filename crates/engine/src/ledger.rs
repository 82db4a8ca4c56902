//! The ledger: the account of all records, by partition, with the ranges of late and rejected ones.
//!
//! `read = counted + late + rejected`, in every account, at every moment.

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Window;

/// The most ranges in one list. Later ones are counted, not listed.
pub const MAX_RANGES: usize = 10_000;

/// The accounts of all partitions. They move with the positions, so they include readings in open windows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    pub(crate) accounts: BTreeMap<PartitionId, Account>,
}

impl From<BTreeMap<PartitionId, Account>> for Ledger {
    fn from(accounts: BTreeMap<PartitionId, Account>) -> Self {
        Self { accounts }
    }
}

impl Ledger {
    /// By partition, ascending. A partition without a record has none.
    pub fn accounts(&self) -> impl Iterator<Item = (PartitionId, &Account)> {
        self.accounts.iter().map(|(partition, account)| (*partition, account))
    }

    /// Records read, of all partitions.
    pub fn read(&self) -> u64 {
        self.accounts.values().fold(0, |sum, account| sum.saturating_add(account.read))
    }

    /// The ranges that are new or have grown since the last commit.
    pub(crate) fn changed(&self) -> Vec<RangeState> {
        let mut changed = Vec::new();
        for (partition, account) in &self.accounts {
            let late = account.late_ranges.changed().map(|(place, range)| (place, range.keyed(RangeKey::Late)));
            let rejected = account.rejected_ranges.changed();
            let rejected = rejected.map(|(place, range)| (place, range.keyed(RangeKey::Rejected)));
            changed.extend(late.chain(rejected).map(|(place, range)| RangeState {
                partition: *partition,
                // Lists are shorter than `MAX_RANGES`.
                place: u32::try_from(place).unwrap_or(u32::MAX),
                range,
            }));
        }
        changed
    }

    pub(crate) fn committed(&mut self) {
        for account in self.accounts.values_mut() {
            account.late_ranges.committed();
            account.rejected_ranges.committed();
        }
    }

    /// One partition's account.
    pub fn account(&self, partition: PartitionId) -> Option<&Account> {
        self.accounts.get(&partition)
    }
}

/// One partition's account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// Records read.
    pub read: u64,
    /// Readings that count into a window, open ones included.
    pub counted: u64,
    /// Readings for windows that were closed.
    pub late: u64,
    /// Records that are no reading that counts, by reason.
    pub rejected: RejectedCounts,
    /// Which batches the late readings came in, by window.
    pub late_ranges: Ranges<Window>,
    /// Which batches the rejected records came in, by reason.
    pub rejected_ranges: Ranges<Rejection>,
    /// Records read again after a restart, to restore open windows. No other count includes them a second time.
    pub restored: u64,
    /// Data loss that was accepted.
    pub data_losses: Vec<DataLoss>,
}

/// Records that retention deleted before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataLoss {
    /// From where reading should have gone on, to where the log began.
    pub range: SourceRange,
    /// How many of these offsets had never been read. The others had been counted before: totals include them, but windows that were open
    /// then lack them.
    pub lost: u64,
}

/// Ranges of whole batches that hold records of some kind. Adjacent ranges of the same key join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges<K> {
    listed: Vec<KeyedRange<K>>,
    /// The last range of each key in the list.
    last: BTreeMap<K, usize>,
    unlisted: u64,
    /// The places in the list that are new or have grown since the last commit.
    changed: BTreeSet<usize>,
}

/// A range of whole batches that hold records of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRange<K> {
    /// The window, or the reason.
    pub key: K,
    /// From the first batch's first offset to the offset after the last batch.
    pub range: SourceRange,
    /// How many such records the range holds.
    pub records: u64,
}

impl<K: Copy> KeyedRange<K> {
    /// The same range, its key as one of several kinds.
    pub fn keyed<L>(&self, key: impl FnOnce(K) -> L) -> KeyedRange<L> {
        KeyedRange { key: key(self.key), range: self.range, records: self.records }
    }
}

/// Of which kind the records in a range of the ledger are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeKey {
    /// Late for this window.
    Late(Window),
    /// Rejected for this reason.
    Rejected(Rejection),
}

/// A range of the ledger that is new or has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeState {
    /// Of which partition.
    pub partition: PartitionId,
    /// Its place in the partition's list of its kind (late or rejected), from 0 without gaps.
    pub place: u32,
    /// What, where and how many.
    pub range: KeyedRange<RangeKey>,
}

impl<K> Default for Ranges<K> {
    fn default() -> Self {
        Self { listed: Vec::new(), last: BTreeMap::new(), unlisted: 0, changed: BTreeSet::new() }
    }
}

impl<K: Copy + Ord> Ranges<K> {
    /// The ranges, in the order in which they began; at most [`MAX_RANGES`].
    pub fn listed(&self) -> &[KeyedRange<K>] {
        &self.listed
    }

    /// Records whose range is not in the list, because it was full. More than 0: the list is truncated.
    pub fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// The list as a store says it.
    pub fn restored(listed: Vec<KeyedRange<K>>, unlisted: u64) -> Self {
        let last = listed.iter().enumerate().map(|(place, range)| (range.key, place)).collect();
        Self { listed, last, unlisted, changed: BTreeSet::new() }
    }

    /// What is new or has grown since the last commit, with its place in the list.
    pub fn changed(&self) -> impl Iterator<Item = (usize, &KeyedRange<K>)> {
        self.changed.iter().filter_map(|place| Some((*place, self.listed.get(*place)?)))
    }

    pub(crate) fn committed(&mut self) {
        self.changed.clear();
    }

    /// `records` records of this key stand in a batch.
    pub(crate) fn add(&mut self, key: K, batch: SourceRange, records: u64) {
        if let Some(place) = self.last.get(&key)
            && let Some(last) = self.listed.get_mut(*place)
            // The next batch, or another cell of the same one.
            && (last.range.next == batch.first || last.range.next == batch.next)
        {
            last.range.next = batch.next;
            last.records = last.records.saturating_add(records);
            self.changed.insert(*place);
        } else if self.listed.len() < MAX_RANGES {
            self.last.insert(key, self.listed.len());
            self.changed.insert(self.listed.len());
            self.listed.push(KeyedRange { key, range: batch, records });
        } else {
            self.unlisted = self.unlisted.saturating_add(records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: i64, next: i64) -> SourceRange {
        SourceRange { first, next }
    }

    #[test]
    fn adjacent_ranges_of_a_key_join_others_do_not() {
        let mut ranges = Ranges::default();
        ranges.add(Window(1), batch(0, 10), 3);
        ranges.add(Window(2), batch(0, 10), 1);
        ranges.add(Window(1), batch(10, 15), 2);
        ranges.add(Window(1), batch(10, 15), 4);
        ranges.add(Window(2), batch(15, 20), 1);
        let listed: Vec<_> =
            ranges.listed().iter().map(|r| (r.key.0, r.range.first, r.range.next, r.records)).collect();
        assert_eq!(listed, [(1, 0, 15, 9), (2, 0, 10, 1), (2, 15, 20, 1)]);
        assert_eq!(ranges.unlisted(), 0);
    }

    #[test]
    fn a_full_list_counts_on_and_still_joins() {
        let mut ranges = Ranges::default();
        for k in 0..MAX_RANGES as i64 {
            ranges.add(Window(0), batch(2 * k, 2 * k + 1), 1);
        }
        let end = 2 * MAX_RANGES as i64;
        ranges.add(Window(0), batch(end - 1, end), 1);
        ranges.add(Window(0), batch(end + 5, end + 6), 7);
        ranges.add(Window(9), batch(end, end + 1), 2);
        assert_eq!(ranges.listed().len(), MAX_RANGES);
        assert_eq!(ranges.unlisted(), 9);
        assert_eq!(ranges.listed().iter().map(|r| r.records).sum::<u64>(), MAX_RANGES as u64 + 1);
    }
}
