//! Holds what a store says against what it must say: the book of the commit that it is at, and the plain reference.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use isotherm_engine::ledger;
use isotherm_engine::results::WindowResult;
use isotherm_engine::state::DeadBatch;
use isotherm_model::window::Window;
use isotherm_store::{Snapshot, StoreReader, Windows};

use super::book::{Book, Dead};
use super::commit::Committed;
use super::reference::{self, Account, Ranges, by_reason};
use super::world::World;

impl World<'_> {
    /// Looks at the store as it is now; at the end everything must have been read, closed and said.
    pub(super) fn check(&mut self, end: bool) {
        let mut reader = StoreReader::open(&self.folder.path()).expect("the store opens to be read");
        let snapshot = reader.snapshot().expect("the store can be read");
        let overview = snapshot.overview();
        self.allowed.retain(|committed| committed.book.commits == overview.commits);
        let [Committed { book, stand: (topic, partitions) }] = &self.allowed[..] else {
            panic!("the store is at a commit that it cannot be at: {overview:?}");
        };
        let states: Vec<_> = snapshot.partitions().expect("partitions can be read").into_iter().collect();
        assert_eq!((&snapshot.topic(), &states), (topic, partitions), "where the run stands, stored and handed over");
        assert_eq!(overview.dropped, book.dropped.len() as u64, "windows that were dropped");
        check_windows(&snapshot, book);
        let totals = snapshot.totals().expect("totals can be read");
        assert_eq!(totals, reference::totals(&self.log, book), "totals, stored and recomputed");
        let dead = snapshot.dead(u64::MAX).expect("dead batches can be read");
        let dead: Vec<Dead> = dead.into_iter().map(|(_, batch)| plain_dead(batch)).collect();
        let waiting: Vec<Dead> = self.letters.waiting(book).cloned().collect();
        assert_eq!(dead, waiting, "dead batches, stored and expected");
        if end {
            self.check_letters(&book.dead, &snapshot.lost().expect("what is lost can be read"));
        }
        self.check_accounts(&snapshot, book);
        self.check_spoken(book);
        if end {
            assert!(book.open.is_empty(), "windows are still open: {:?}", book.open);
            assert_eq!(topic.open_windows, 0);
            assert_eq!(self.said.as_ref(), Some(&totals), "the last words are what is stored");
            for (partition, log) in (0..).zip(&self.log.partitions) {
                let merged = book.pages.get(&partition).map_or(0, |page| page.merged);
                assert_eq!(merged, log.end(), "partition {partition} is read");
            }
            for page in book.pages.values() {
                self.tally.gaps.fetch_add(page.gaps.len() as u64, Ordering::Relaxed);
            }
            self.tally.late.fetch_add(totals.late, Ordering::Relaxed);
            self.tally.dropped.fetch_add(book.dropped.len() as u64, Ordering::Relaxed);
        }
    }

    fn check_accounts(&self, snapshot: &Snapshot<'_>, book: &Book) {
        let accounts = snapshot.accounts().expect("accounts can be read");
        for partition in accounts.keys() {
            assert!(book.pages.contains_key(partition), "an account of partition {partition}, which was not read");
        }
        for (partition, page) in &book.pages {
            let stored = accounts.get(partition).cloned().unwrap_or_default();
            let wanted = reference::account(&self.log, *partition, page);
            assert_eq!(plain(&stored), wanted, "the account of partition {partition}, stored and recomputed");
            assert_eq!(stored.data_losses, page.gaps, "gaps of partition {partition}, stored and accepted");
            assert_eq!(wanted.read, wanted.counted + wanted.late + wanted.rejected.values().sum::<u64>());
        }
    }

    /// What is published has been closed and committed; and only what a crash came between was closed and not published.
    fn check_spoken(&self, book: &Book) {
        let closed = |start| book.windows.contains_key(start) || book.dropped.contains(start);
        for start in &self.published {
            assert!(closed(start), "the window from {start} was published, and is not closed");
        }
        for start in book.windows.keys().chain(&book.dropped) {
            let spoken = self.published.contains(start) || self.unspoken.contains(start);
            assert!(spoken, "the window from {start} is closed, and was never published");
        }
    }
}

fn check_windows(snapshot: &Snapshot<'_>, book: &Book) {
    let mut stored = BTreeMap::new();
    let each = |window: WindowResult| {
        let before = stored.insert(window.start, Rc::new(window));
        assert!(before.is_none(), "a window closed twice: {before:?}");
        ControlFlow::Continue(())
    };
    snapshot.windows(Windows::All, each).expect("windows can be read");
    for start in stored.keys().chain(book.windows.keys()) {
        assert_eq!(stored.get(start), book.windows.get(start), "the window from {start}, stored and recomputed");
    }
}

fn plain_dead(batch: DeadBatch) -> Dead {
    let late = batch.late.iter().map(|window| window.0).collect();
    let (partition, first, next, records) = (batch.partition, batch.range.first, batch.range.next, batch.records);
    let digest = batch.digest.expect("each batch has a digest");
    Dead { partition, first, next, digest, late, records }
}

/// An account in the reference's terms.
fn plain(account: &ledger::Account) -> Account {
    let mut plain = Account {
        read: account.read,
        counted: account.counted,
        late: account.late,
        rejected: by_reason(&account.rejected),
        restored: account.restored,
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
