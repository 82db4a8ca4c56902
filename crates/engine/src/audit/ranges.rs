//! The ranges of a ledger, listed again as the ledger lists them, and compared.

use std::collections::BTreeMap;

use isotherm_model::partial::SourceRange;

use super::account::Scope;
use super::findings::Findings;
use crate::ledger::{KeyedRange, MAX_RANGES, Ranges};

/// Ranges, joined as the ledger joins them: each with the next batch, or another cell of the same one.
#[derive(Debug, Clone)]
pub(super) struct List<K> {
    listed: Vec<KeyedRange<K>>,
    last: BTreeMap<K, usize>,
    unlisted: u64,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { listed: Vec::new(), last: BTreeMap::new(), unlisted: 0 }
    }
}

impl<K: Copy + Ord> List<K> {
    /// `records` records of this key stand in a batch.
    pub(super) fn add(&mut self, key: K, batch: SourceRange, records: u64) {
        if let Some(place) = self.last.get(&key)
            && let Some(last) = self.listed.get_mut(*place)
            && [batch.first, batch.next].contains(&last.range.next)
        {
            last.range.next = batch.next;
            last.records = last.records.saturating_add(records);
        } else if self.listed.len() < MAX_RANGES {
            self.last.insert(key, self.listed.len());
            self.listed.push(KeyedRange { key, range: batch, records });
        } else {
            self.unlisted = self.unlisted.saturating_add(records);
        }
    }
}

/// A stored list of ranges, and the one that was listed again.
pub(super) struct Both<'a, K> {
    /// What list it is.
    pub(super) what: String,
    pub(super) stored: &'a Ranges<K>,
    pub(super) again: &'a List<K>,
}

impl<K: Copy + Ord> Both<'_, K> {
    /// What must hold whatever is left of the log: `records` are in the account, and stand where the partition has been read.
    pub(super) fn check(&self, records: u64, scope: Scope, findings: &mut Findings) {
        let what = &self.what;
        let listed = self.stored.listed().iter().fold(0, |sum: u64, range| sum.saturating_add(range.records));
        let all = listed.saturating_add(self.stored.unlisted());
        if records != all {
            findings.differ(format!("{what}: records"), records, format!("{all}, which the ranges add up to"));
        }
        let mut ends: BTreeMap<K, i64> = BTreeMap::new();
        for (place, KeyedRange { key, range: SourceRange { first, next }, records }) in
            self.stored.listed().iter().enumerate()
        {
            let before = ends.insert(*key, *next).unwrap_or(scope.start);
            let offsets = u64::try_from(next.saturating_sub(*first)).unwrap_or(0);
            if *first < before || *next > scope.position || *records == 0 || *records > offsets {
                let can = format!("1 or more within {before} to {}, at most one an offset", scope.position);
                findings.differ(format!("{what}: range {place}"), format!("{records} in {first} to {next}"), can);
            }
        }
    }

    /// Compares them. `told` says whether all that the list may name can be told.
    pub(super) fn compare(&self, scope: Scope, told: bool, name: impl Fn(K) -> String, findings: &mut Findings) {
        let (what, whole) = (&self.what, scope.is_whole() && told);
        if !whole && (self.stored.unlisted() > 0 || self.again.unlisted > 0) {
            findings.skip(what, "the list is full, and which ranges came first can no longer be told");
            return;
        }
        let unlisted = (self.stored.unlisted(), self.again.unlisted);
        findings.compare(format!("{what}: records that are not listed"), unlisted.0, unlisted.1);
        let line = |range: &KeyedRange<K>| Line {
            range: (range.range.first.max(scope.from), range.range.next),
            key: range.key,
            records: range.records,
            cut: u64::try_from(scope.from.saturating_sub(range.range.first)).unwrap_or(0),
        };
        let left = |line: &Line<K>| line.range.1 > scope.from;
        let mut stored: Vec<_> = self.stored.listed().iter().map(line).filter(left).collect();
        let mut again: Vec<_> = self.again.listed.iter().map(line).filter(left).collect();
        if !whole {
            stored.sort_unstable();
            again.sort_unstable();
        }
        let say = |line: Option<&Line<K>>| match line {
            Some(Line { range: (first, next), key, records, .. }) => {
                format!("{}: {records} in {first} to {next}", name(*key))
            }
            None => "none".to_owned(),
        };
        for place in 0..stored.len().max(again.len()) {
            let (stored, again) = (stored.get(place), again.get(place));
            let same = stored.zip(again).is_some_and(|(stored, again)| stored.is(again));
            if !same {
                findings.differ(format!("{what}: range {place}"), say(stored), say(again));
            }
        }
    }
}

/// A range as it is compared: where nothing has been cut, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line<K> {
    range: (i64, i64),
    key: K,
    records: u64,
    /// How many of its offsets the log no longer holds.
    cut: u64,
}

impl<K: Copy + Ord> Line<K> {
    /// Whether this stored range is what was listed again.
    fn is(&self, again: &Self) -> bool {
        let records = again.records..=again.records.saturating_add(self.cut);
        (self.range, self.key) == (again.range, again.key) && records.contains(&self.records)
    }
}
