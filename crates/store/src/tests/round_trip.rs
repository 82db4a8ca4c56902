//! What was committed comes back, whatever it was, after any number of restarts, and also while it is written.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use isotherm_engine::commit::{Commit, Store};
use isotherm_engine::ledger::Ledger;
use isotherm_engine::results::{ClosedBy, GroupResult, WindowResult};
use isotherm_engine::state::{GroupState, SensorEntry, TopicState};
use isotherm_model::fixed::Fixed;
use isotherm_model::stats::Stats;
use proptest::prelude::*;
use rusqlite::Connection;

use super::world::{Place, SMALL, Size, World, ask_reader, begun, expect, open, subject};
use crate::{Options, SqliteStore, StoreReader, Windows};

/// A step of a store's life.
#[derive(Debug, Clone)]
enum Step {
    Commit(u64),
    Reopen,
    Checkpoint,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<u64>().prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Checkpoint),
    ];
    proptest::collection::vec(step, 0..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_was_committed_comes_back(steps in steps(), out_of_order: bool) {
        let (place, mut world) = (Place::new(), World::default());
        world.out_of_order = out_of_order;
        let mut store = Some(open(&place.path).unwrap());
        let mut reader = StoreReader::open(&place.path).unwrap();
        for step in steps {
            match step {
                Step::Commit(seed) => world.go_on(seed, SMALL, store.as_mut().unwrap()).unwrap(),
                Step::Checkpoint => checkpoint(&place.path),
                Step::Reopen => {
                    drop(store.take());
                    store = Some(open(&place.path).unwrap());
                    let saved = store.as_mut().unwrap().load().unwrap();
                    prop_assert_eq!(world.difference_saved(saved.as_ref()), None);
                }
            }
            prop_assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
        }
        drop((store, reader));
        prop_assert_eq!(world.difference_saved(open(&place.path).unwrap().load().unwrap().as_ref()), None);
        expect(&world, &place.path);
    }
}

pub(super) fn checkpoint(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
}

#[test]
fn a_snapshot_stands_still_while_commits_go_on() {
    let (place, mut world, mut store) = begun(1..2);
    let mut reader = StoreReader::open(&place.path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let (before, totals) = (snapshot.overview(), snapshot.totals().unwrap());
    (2..9).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    assert_eq!((snapshot.overview(), snapshot.totals().unwrap()), (before, totals));
    drop(snapshot);
    assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
}

#[test]
fn many_small_chunks_of_sensors_are_put_together() {
    let (place, mut world, mut store) = begun(0..0);
    let size = Size { windows: 0, sensors: 2 };
    (0..400).for_each(|seed| world.go_on(seed, size, &mut store).unwrap());
    drop(store);
    let chunks = |path: &Path| -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM sensors", [], |row| row.get(0)).unwrap()
    };
    let before = chunks(&place.path);
    assert_eq!(world.difference_saved(open(&place.path).unwrap().load().unwrap().as_ref()), None);
    let after = chunks(&place.path);
    assert!(before > 100 && after <= 64, "{before} chunks, then {after}");
    expect(&world, &place.path);
}

#[test]
fn a_large_commit_comes_back() {
    let (place, mut world, mut store) = begun(0..0);
    world.go_on(7, Size { windows: 0, sensors: 2_000 }, &mut store).unwrap();
    for seed in 8..12 {
        let windows = world.windows.len();
        let change = world.step(seed, Size { windows: 4_000, sensors: 150_000 });
        let begun = Instant::now();
        world.commit(&change, &mut store).unwrap();
        // Printed, not judged: how fast it is depends on the machine.
        println!("{} windows, {change} took {:?}", world.windows.len() - windows, begun.elapsed());
    }
    drop(store);
    assert_eq!(world.difference_saved(open(&place.path).unwrap().load().unwrap().as_ref()), None);
    expect(&world, &place.path);
}

/// As the consumer commits them when it catches up: windows of all states, and many new sensors.
#[test]
fn a_commit_of_a_consumer_that_catches_up() {
    let place = Place::new();
    let mut store = SqliteStore::open(&place.path, &subject(), Options::default()).unwrap();
    let group = |id: u64, messages: u64| GroupResult {
        group: format!("{}{}", char::from(b'A' + (id / 26) as u8), char::from(b'A' + (id % 26) as u8)),
        messages,
        sensors: messages.div_ceil(2),
        sum: i128::from(messages) * 57_300_000 + i128::from(id),
        avg: Fixed::from_micros(57_300_000),
        min: Fixed::from_micros(20_300_000 - id as i64),
        max: Fixed::from_micros(99_100_000),
    };
    let window = |k: i64| WindowResult {
        start: k * 3_000,
        end: (k + 1) * 3_000,
        closed_by: ClosedBy::Watermark,
        messages: 51 * 60,
        sensors: 900,
        groups: (0..51).map(|id| group(id, 60 + id)).collect(),
        positions: vec![(0, 1_000_000_000 + k * 3_000)],
    };
    let windows: Vec<_> = (600_000_000..600_002_000).map(window).collect();
    let sensors: Vec<_> =
        (0..20_000).map(|id: u64| SensorEntry { sensor: id.wrapping_mul(0x9e37_79b9_7f4a_7c15), group: 0 }).collect();
    let first = GroupState { id: 0, name: "AA".to_owned(), stats: Stats::of(Fixed::from_micros(1)), sensors: 20_000 };
    let begun = Instant::now();
    let commit = Commit {
        topic: TopicState { sensors: 20_000, ..TopicState::default() },
        partitions: Vec::new(),
        ledger: &Ledger::default(),
        ranges: Vec::new(),
        groups: vec![first],
        sensors: &sensors,
        windows: &windows.iter().collect::<Vec<_>>(),
        dead: &[],
        parts: &[],
    };
    store.commit(&commit).unwrap();
    let took = begun.elapsed();
    drop(store);
    let bytes = std::fs::metadata(&place.path).unwrap().len();
    // Printed, not judged: how fast it is depends on the machine.
    println!("2,000 windows of 51 groups and 20,000 sensors took {took:?}, and {bytes} bytes");
    let mut read = Vec::new();
    let each = |window| {
        read.push(window);
        ControlFlow::Continue(())
    };
    StoreReader::open(&place.path).unwrap().snapshot().unwrap().windows(Windows::All, each).unwrap();
    // Averages are computed again.
    let averaged = |mut window: WindowResult| {
        window.groups.iter_mut().for_each(|group| group.avg = Fixed::default());
        window
    };
    assert!(read.into_iter().map(averaged).eq(windows.into_iter().map(averaged)));
}

#[test]
fn a_full_disk_leaves_the_store_as_it_was() {
    let (place, mut world, mut store) = begun(1..2);
    let large = Size { windows: 400, sensors: 40_000 };
    let mut limit = |pages: i64| {
        store.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        let mut next = world.clone();
        let committed = next.go_on(5, large, &mut store);
        if committed.is_ok() {
            world = next;
        }
        expect(&world, &place.path);
        committed
    };
    let said = limit(60).unwrap_err().to_string();
    assert!(said.contains("the disk is full") && said.contains("nothing was published"), "{said}");
    limit(1_000_000).unwrap();
    assert_eq!(world.difference_saved(store.load().unwrap().as_ref()), None);
}
