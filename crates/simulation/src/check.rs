//! Holds what a store says against what it must say: the commit that it is at, and the plain reference.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use isotherm_engine::results::WindowResult;
use isotherm_engine::state::DeadBatch;
use isotherm_store::{Snapshot, StoreReader, Windows};

use super::check_letters::check_letters;
use super::reference::expected::{Expected, ExpectedDeadBatch};
use super::reference::results::Account;
use super::stored::{Committed, Stored};
use super::topic::SimLog;
use super::world::World;

/// Checks the store as it is now; at the end everything must have been read, closed and published.
pub(crate) fn check(world: &mut World, at_end: bool) {
    let mut reader = StoreReader::open(&world.folder.path()).expect("the store opens to be read");
    let snapshot = reader.snapshot().expect("the store can be read");
    let overview = snapshot.overview();
    let Committed { expected, state: (topic, partitions) } = world.stored.identify(overview.commits);
    let (expected, open_windows) = (Rc::clone(expected), topic.open_windows);
    let states: Vec<_> = snapshot.partitions().expect("partitions can be read").into_iter().collect();
    assert_eq!((&snapshot.topic(), &states), (topic, partitions), "topic and partitions, stored and handed over");
    assert_eq!(overview.dropped, expected.dropped.len() as u64, "windows that were dropped");
    check_windows(&snapshot, &expected);
    check_published(&world.stored, &expected);
    let totals = snapshot.totals().expect("totals can be read");
    assert_eq!(totals, expected.totals(), "totals, stored and recomputed");
    let dead = snapshot.dead(u64::MAX).expect("dead batches can be read");
    let dead: Vec<ExpectedDeadBatch> = dead.into_iter().map(|(_, batch)| plain(batch)).collect();
    let outbox: Vec<ExpectedDeadBatch> = world.letters.outbox(&expected).cloned().collect();
    assert_eq!(dead, outbox, "dead batches, stored and expected");
    check_accounts(&snapshot, &expected);
    if at_end {
        let lost = snapshot.lost().expect("what is lost can be read");
        check_letters(world, &expected.dead, &lost);
        assert_eq!(open_windows, 0);
        assert_eq!(world.stored.totals.as_ref(), Some(&totals), "the totals of the last run, published and stored");
        check_end(&world.log, &expected);
        let losses = expected.partitions.values().map(|partition| partition.data_losses.len() as u64).sum();
        world.seed.count("data losses", losses);
        world.seed.count("late readings", totals.late);
        world.seed.count("dropped windows", expected.dropped.len() as u64);
    }
}

fn check_windows(snapshot: &Snapshot<'_>, expected: &Expected) {
    let mut stored = BTreeMap::new();
    let each = |window: WindowResult| {
        let before = stored.insert(window.start, Rc::new(window));
        assert!(before.is_none(), "a window closed twice: {before:?}");
        ControlFlow::Continue(())
    };
    snapshot.windows(Windows::All, each).expect("windows can be read");
    for start in stored.keys().chain(expected.windows.keys()) {
        assert_eq!(stored.get(start), expected.windows.get(start), "the window from {start}, stored and recomputed");
    }
}

/// What is published has been closed and committed; and only a closed window that a crash came after was not published.
fn check_published(stored: &Stored, expected: &Expected) {
    let closed = |start| expected.windows.contains_key(start) || expected.dropped.contains(start);
    for start in &stored.published {
        assert!(closed(start), "the window from {start} was published, and is not closed");
    }
    for start in expected.windows.keys().chain(&expected.dropped) {
        let published = stored.published.contains(start) || stored.unpublished.contains(start);
        assert!(published, "the window from {start} is closed, and was never published");
    }
}

fn check_accounts(snapshot: &Snapshot<'_>, expected: &Expected) {
    let accounts = snapshot.accounts().expect("accounts can be read");
    for partition in accounts.keys() {
        assert!(expected.partitions.contains_key(partition), "an account of partition {partition}, which was not read");
    }
    for (partition, of) in &expected.partitions {
        let stored = accounts.get(partition).cloned().unwrap_or_default();
        let wanted = expected.account(*partition);
        assert_eq!(Account::from(&stored), wanted, "the account of partition {partition}, stored and recomputed");
        assert_eq!(stored.data_losses, of.data_losses, "data losses of partition {partition}, stored and accepted");
        assert_eq!(wanted.read, wanted.counted + wanted.late + wanted.rejected.values().sum::<u64>());
    }
}

/// Everything has been read and closed.
fn check_end(log: &SimLog, expected: &Expected) {
    assert!(expected.open.is_empty(), "windows are still open: {:?}", expected.open);
    for (partition, log) in (0..).zip(&log.partitions) {
        assert_eq!(expected.position(partition).unwrap_or(0), log.end(), "partition {partition} is read");
    }
}

fn plain(batch: DeadBatch) -> ExpectedDeadBatch {
    let late = batch.late.iter().map(|window| window.0).collect();
    let digest = batch.digest.expect("each batch has a digest");
    ExpectedDeadBatch { partition: batch.partition, range: batch.range, digest, late, records: batch.records }
}
