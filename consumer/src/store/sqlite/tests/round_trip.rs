//! What was committed comes back, whatever it was, after any number of restarts, and also while it is written.

use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use rusqlite::Connection;

use super::world::{Place, SMALL, Size, World, ask_reader, expect, open};
use crate::store::Store;
use crate::store::sqlite::StoreReader;

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
    fn what_was_committed_comes_back(steps in steps()) {
        let (place, mut world) = (Place::new(), World::default());
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
    let (place, mut world) = (Place::new(), World::default());
    let mut store = open(&place.path).unwrap();
    world.go_on(1, SMALL, &mut store).unwrap();
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
    let (place, mut world) = (Place::new(), World::default());
    let mut store = open(&place.path).unwrap();
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
    let (place, mut world) = (Place::new(), World::default());
    let mut store = open(&place.path).unwrap();
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

#[test]
fn a_full_disk_leaves_the_store_as_it_was() {
    let (place, mut world) = (Place::new(), World::default());
    let mut store = open(&place.path).unwrap();
    world.go_on(1, SMALL, &mut store).unwrap();
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
