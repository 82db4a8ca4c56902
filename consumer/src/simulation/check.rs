//! Holds what a store says against the plain reference, and against what was published.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use isotherm_model::window::Window;

use super::reference::{Account, Ranges, by_reason, recompute};
use super::world::World;
use crate::materializer::ledger;
use crate::results::WindowResult;
use crate::store::DeadBatch;
use crate::store::sqlite::{StoreReader, Windows};

impl World<'_> {
    /// Looks at the store as it is now; at the end everything must have been read, closed and said.
    pub(super) fn check(&mut self, end: bool) {
        let mut reader = StoreReader::open(&self.folder.path()).expect("the store opens to be read");
        let snapshot = reader.snapshot().expect("the store can be read");
        let (mut stored, topic) = (Vec::new(), snapshot.topic());
        let each = |window| {
            stored.push(window);
            ControlFlow::Continue(())
        };
        snapshot.windows(Windows::All, each).expect("windows can be read");
        let states = snapshot.partitions().expect("partitions can be read");
        let accounts = snapshot.accounts().expect("accounts can be read");
        let totals = snapshot.totals().expect("totals can be read");
        self.settle(&accounts);
        let merged: BTreeMap<u32, i64> = states.iter().map(|(partition, state)| (*partition, state.merged)).collect();
        for (partition, offset) in &merged {
            let batches = &self.log.partitions[*partition as usize].batches;
            let boundary = *offset == 0 || batches.iter().any(|batch| batch.next == *offset || batch.reach == *offset);
            assert!(boundary, "partition {partition} is merged up to {offset}, within a batch");
        }
        let expected = recompute(&self.log, &stored, &topic, &states);

        let windows = stored.iter().map(|w| (w.start, (w.messages, w.sensors, w.groups.clone()))).collect();
        assert_same(&windows, &expected.windows, "windows");
        stored.iter().for_each(|window| self.check_time(window));
        assert_eq!(totals, expected.totals, "totals");
        let dead = snapshot.dead(u64::MAX).expect("dead batches can be read");
        let dead: Vec<DeadBatch> = dead.into_iter().map(|(_, batch)| batch).collect();
        let plain: BTreeMap<u32, Account> = (merged.keys())
            .map(|partition| {
                let account = accounts.get(partition).cloned().unwrap_or_default();
                (*partition, plain(&account, dead.iter().filter(|batch| batch.partition == *partition)))
            })
            .collect();
        let mut wanted = expected.accounts;
        if !self.options.dead_letters {
            wanted.values_mut().for_each(|account| account.dead.clear());
        }
        if end {
            let dead = wanted.values().flat_map(|account| &account.dead);
            let plain = |batch: &DeadBatch| {
                (batch.partition, batch.range.first, batch.late.iter().map(|window| window.0).collect())
            };
            self.check_letters(
                &dead.map(plain).collect::<Vec<_>>(),
                &snapshot.lost().expect("what is lost can be read"),
            );
        }
        wanted.values_mut().for_each(|account| {
            account.dead.retain(|batch| !self.letters.is_settled(batch.partition, batch.range.first));
        });
        assert_same(&plain, &wanted, "accounts");
        for account in wanted.values() {
            assert_eq!(account.read, account.counted + account.late + account.rejected.values().sum::<u64>());
            self.tally.late.fetch_add(account.late, Ordering::Relaxed);
        }
        for (partition, state) in &states {
            let needed = expected.refill.get(partition).copied().unwrap_or(state.merged);
            assert!(state.refill <= needed, "partition {partition} resumes at {state:?}, but {needed} is needed");
        }
        self.check_published(&stored, end);
        if end {
            assert!(expected.open.is_empty(), "windows are still open: {:?}", expected.open);
            assert_eq!(topic.open_windows, 0);
            assert_eq!(self.said.as_ref(), Some(&totals), "the last words are what is stored");
            for (partition, log) in (0..).zip(&self.log.partitions) {
                assert_eq!(merged.get(&partition).copied().unwrap_or(0), log.end(), "partition {partition} is read");
            }
        }
    }

    /// Nothing is published that is not stored; and only what a crash came between is stored and not published.
    fn check_published(&self, stored: &[WindowResult], end: bool) {
        let by_start: BTreeMap<_, _> = stored.iter().map(|window| (window.start, window.clone())).collect();
        assert_eq!(by_start.len(), stored.len(), "a window closed twice");
        for (start, window) in self.published.iter().chain(&self.silent) {
            assert_eq!(by_start.get(start), Some(window), "the window from {start}, stored and published");
        }
        for start in by_start.keys() {
            let spoken = self.published.contains_key(start) || self.unspoken.contains(start);
            assert!(
                spoken || !end && self.zombie.is_some(),
                "the window from {start} is stored, and was never published"
            );
        }
    }

    /// A window closes neither early nor late: some life had to close it then, for this reason.
    fn check_time(&self, window: &WindowResult) {
        let closings = self.closings.get(&window.end).map_or(&[][..], Vec::as_slice);
        let due = closings.iter().any(|(by, merged)| *by == window.closed_by && *merged == window.merged);
        assert!(due, "it closed when it had not to: {window:?}\nit had to close at {closings:?}");
    }
}

/// An account in the reference's terms.
fn plain<'a>(account: &ledger::Account, dead: impl Iterator<Item = &'a DeadBatch>) -> Account {
    let mut plain = Account {
        read: account.read,
        counted: account.counted,
        late: account.late,
        rejected: by_reason(&account.rejected),
        dead: dead.cloned().collect(),
        ..Account::default()
    };
    for range in account.late_ranges.listed() {
        let Window(window) = range.key;
        let ranges: &mut Ranges = plain.late_ranges.entry(window).or_default();
        ranges.push((range.range.first, range.range.next, range.records));
    }
    for range in account.rejected_ranges.listed() {
        let ranges: &mut Ranges = plain.rejected_ranges.entry(range.key).or_default();
        ranges.push((range.range.first, range.range.next, range.records));
    }
    plain
}

/// Fails with the first entry that differs.
fn assert_same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    seen: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
    what: &str,
) {
    for key in seen.keys().chain(wanted.keys()) {
        assert_eq!(seen.get(key), wanted.get(key), "{what}: {key:?}, stored and recomputed");
    }
}
