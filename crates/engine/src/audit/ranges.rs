//! The ranges of a ledger, listed again as the ledger lists them, and compared.

use std::collections::BTreeMap;

use isotherm_model::partial::SourceRange;

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

/// Which offsets the run has read of a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) start: i64,
    pub(super) position: i64,
}

/// A stored list of ranges, and the one that was listed again.
pub(super) struct Compared<'a, K> {
    /// What list it is.
    pub(super) what: String,
    pub(super) stored: &'a Ranges<K>,
    pub(super) again: &'a List<K>,
}

impl<K: Copy + Ord> Compared<'_, K> {
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

    /// Compares them: all that either may name has been read.
    pub(super) fn compare(&self, name: impl Fn(K) -> String, findings: &mut Findings) {
        let what = &self.what;
        let unlisted = (self.stored.unlisted(), self.again.unlisted);
        findings.compare(format!("{what}: records that are not listed"), unlisted.0, unlisted.1);
        let say = |range: Option<&KeyedRange<K>>| match range {
            Some(KeyedRange { key, range: SourceRange { first, next }, records }) => {
                format!("{}: {records} in {first} to {next}", name(*key))
            }
            None => "none".to_owned(),
        };
        let (stored, again) = (self.stored.listed(), &self.again.listed);
        for place in 0..stored.len().max(again.len()) {
            let (stored, again) = (stored.get(place), again.get(place));
            if stored != again {
                findings.differ(format!("{what}: range {place}"), say(stored), say(again));
            }
        }
    }
}
