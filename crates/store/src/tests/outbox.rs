//! The outbox: its batches come in order, go together with what is lost of them, and never come back.

use std::sync::mpsc;

use isotherm_engine::commit::Store;
use isotherm_model::partial::SourceRange;
use rusqlite::Connection;

use super::world::{Place, SMALL, World, begun, expect, open};
use crate::Error;
use crate::{LostBatch, LostCause, LostRange};

#[test]
fn batches_leave_in_order_and_once() {
    let (place, mut world, mut store) = begun(0..0);
    let mut outbox = store.outbox().unwrap();
    assert_eq!(outbox.oldest(5).unwrap(), []);
    (0..12).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    assert!(world.dead.len() > 5, "{:?}", world.dead);
    assert_eq!(outbox.oldest(3).unwrap(), world.dead[..3]);
    assert_eq!(outbox.oldest(u64::MAX).unwrap(), world.dead);

    let (cause, range) = (LostCause::Cut, SourceRange { first: 3, next: 9 });
    let lost = LostBatch { partition: 7, cause, range, records: 2 };
    // Twice: the second time it is known.
    for _ in 0..2 {
        outbox.mark_done(2, &[lost]).unwrap();
    }
    world.dead.drain(..3);
    world.lost.push(LostRange { partition: 7, cause, range, batches: 1, records: 2 });
    assert_eq!(outbox.oldest(u64::MAX).unwrap(), world.dead);
    expect(&world, &place.path);
    assert!(matches!(outbox.mark_done(world.dead_next, &[]), Err(Error::Unsound { .. })));

    outbox.mark_done(world.dead_next - 1, &[]).unwrap();
    world.dead.clear();
    expect(&world, &place.path);
    drop((store, outbox));
    let mut store = open(&place.path).unwrap();
    (20..30).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    assert_eq!(store.outbox().unwrap().oldest(u64::MAX).unwrap(), world.dead);
    expect(&world, &place.path);
}

#[test]
fn an_outbox_that_is_not_what_was_written_is_noticed_before_anything_is_copied_or_removed() {
    let (place, mut world, mut store) = begun(0..0);
    let mut outbox = store.outbox().unwrap();
    (0..12).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    // A row of another moment: it is sound, and it is not that one.
    let other = Place::new();
    let mut others = World::default();
    let mut elsewhere = open(&other.path).unwrap();
    (50..62).for_each(|seed| others.go_on(seed, SMALL, &mut elsewhere).unwrap());
    drop(elsewhere);
    assert_ne!(world.dead[1], others.dead[1]);
    let run = |sql: &str| Connection::open(&place.path).unwrap().execute_batch(sql).unwrap();
    run(&format!(
        "ATTACH '{}' AS other; REPLACE INTO dead SELECT * FROM other.dead WHERE id = 1; DETACH other",
        other.path.display()
    ));
    let damaged = |fault: &Error| matches!(fault, Error::Damaged { table: "dead", .. });
    let loaded = store.load();
    assert!(matches!(&loaded, Err(error) if error.downcast_ref().is_some_and(damaged)), "{loaded:?}");
    let oldest = outbox.oldest(u64::MAX);
    assert!(oldest.as_ref().is_err_and(damaged), "{oldest:?}");
    let settled = outbox.mark_done(world.dead_next - 1, &[]);
    assert!(settled.as_ref().is_err_and(damaged), "{settled:?}");

    // A row that is not sound is not taken out.
    run("UPDATE dead SET records = records + 1 WHERE id = 2");
    let settled = outbox.mark_done(2, &[]);
    assert!(settled.as_ref().is_err_and(damaged), "{settled:?}");
    let rows: i64 =
        Connection::open(&place.path).unwrap().query_row("SELECT count(*) FROM dead", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, world.dead.len() as i64);
}

#[test]
fn a_copier_and_a_consumer_work_side_by_side() {
    let (place, mut world, mut store) = begun(0..0);
    let mut outbox = store.outbox().unwrap();
    let (committed, commits) = mpsc::channel::<()>();
    let copier = std::thread::spawn(move || {
        let mut copied = Vec::new();
        // Once for each commit, and once more when there are no further ones.
        loop {
            let more = commits.recv().is_ok();
            for (id, batch) in outbox.oldest(u64::MAX).unwrap() {
                copied.push((id, batch));
                outbox.mark_done(id, &[]).unwrap();
            }
            if !more {
                return copied;
            }
        }
    });
    for seed in 0..40 {
        world.go_on(seed, SMALL, &mut store).unwrap();
        committed.send(()).unwrap();
    }
    drop(committed);
    assert_eq!(copier.join().unwrap(), world.dead);
    world.dead.clear();
    expect(&world, &place.path);
}
