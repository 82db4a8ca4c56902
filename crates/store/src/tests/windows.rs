//! Closed windows: which of them a question gives, and how long they are kept.

use std::ops::ControlFlow;
use std::time::Duration;

use isotherm_engine::results::WindowResult;
use rusqlite::Connection;

use super::place::unwrapped;
use super::world::{Place, SMALL, Size, World, begun, expect, open, options, subject};
use crate::Error;
use crate::{Options, SqliteStore, StoreReader, Windows};

fn read(reader: &mut StoreReader, which: Windows) -> Result<Vec<WindowResult>, Error> {
    let mut windows = Vec::new();
    reader.snapshot()?.windows(which, |window| {
        windows.push(window);
        ControlFlow::Continue(())
    })?;
    Ok(windows)
}

#[test]
fn every_question_is_answered_with_the_right_windows() {
    let (place, world, _store) = begun(0..10);
    let mut reader = StoreReader::open(&place.path).unwrap();
    let all = &world.windows;
    assert!(all.len() > 5);
    for count in [0, 1, 2, all.len() - 1, all.len(), all.len() + 1, usize::MAX] {
        let newest = read(&mut reader, Windows::Newest(count as u64)).unwrap();
        assert_eq!(newest, all[all.len().saturating_sub(count)..], "newest {count}");
    }
    let (first, last) = (all[0].start, all[all.len() - 1].end);
    for from in (first - 3_000..=last).step_by(1_500) {
        for to in (from..=last + 3_000).step_by(1_500) {
            let expected: Vec<_> = all.iter().filter(|window| (from..to).contains(&window.start)).cloned().collect();
            assert_eq!(read(&mut reader, Windows::Starting { from, to }).unwrap(), expected, "{from} to {to}");
        }
    }
    let far = [Windows::Starting { from: i64::MIN, to: i64::MAX }, Windows::All];
    assert!(far.into_iter().all(|which| read(&mut reader, which).unwrap() == *all));

    let mut seen = 0;
    let snapshot = reader.snapshot().unwrap();
    snapshot
        .windows(Windows::All, |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_window_that_is_missing_is_noticed_by_every_question_across_it() {
    let (place, world, store) = begun(0..10);
    drop(store);
    let all = &world.windows;
    for missing in 0..all.len() {
        let copy = place.copy();
        let gone = all[missing].start;
        Connection::open(&copy.path).unwrap().execute("DELETE FROM closed_windows WHERE start = ?1", [gone]).unwrap();
        let mut reader = StoreReader::open(&copy.path).unwrap();
        let across = [
            Windows::All,
            Windows::Newest((all.len() - missing) as u64),
            Windows::Starting { from: gone, to: gone + 1 },
            Windows::Starting { from: i64::MIN, to: gone + 1 },
            Windows::Starting { from: gone, to: i64::MAX },
        ];
        for which in across {
            let answer = read(&mut reader, which);
            assert!(matches!(answer, Err(Error::Damaged { table: "closed_windows", .. })), "{which:?}: {answer:?}");
        }
        let later = Windows::Newest((all.len() - missing - 1) as u64);
        if missing + 1 < all.len() {
            assert_eq!(read(&mut reader, later).unwrap(), all[missing + 1..], "those after it are there");
        }
    }
}

#[test]
fn windows_are_kept_for_as_long_as_is_said() {
    let (place, mut world, store) = begun(0..10);
    drop(store);
    for (keep, seeds) in [(90, 10..14), (30, 14..20), (0, 20..24)] {
        let options = Options { keep: Some(Duration::from_secs(keep)), ..options() };
        let mut store = SqliteStore::open(&place.path, &subject(), options).unwrap();
        for seed in seeds {
            world.go_on(seed, SMALL, &mut store).unwrap();
            world.drop_older(keep as i64 * 1_000, usize::MAX);
            expect(&world, &place.path);
        }
    }
    assert_eq!(world.windows.len(), 1);
    // And for ever again.
    let mut store = open(&place.path).unwrap();
    (30..40).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    assert!(world.windows.len() > 2);
    expect(&world, &place.path);
    let mut reader = StoreReader::open(&place.path).unwrap();
    assert_eq!(read(&mut reader, Windows::Starting { from: 0, to: i64::MAX }).unwrap(), world.windows);
}

#[test]
fn old_windows_are_dropped_in_small_steps() {
    let (place, mut world) = (Place::new(), World::default());
    let options = Options { keep: Some(Duration::ZERO), ..options() };
    let mut store = SqliteStore::open(&place.path, &subject(), options).unwrap();
    let (many, none) = (Size { windows: 4_000, sensors: 0 }, Size { windows: 0, sensors: 3 });
    world.go_on(3, many, &mut store).unwrap();
    world.drop_older(0, 500);
    assert!(world.windows.len() > 1_000, "{}", world.windows.len());
    let mut steps = 0;
    while world.windows.len() > 1 {
        expect(&world, &place.path);
        world.go_on(steps, none, &mut store).unwrap();
        world.drop_older(0, 500);
        steps += 1;
    }
    expect(&world, &place.path);
}

#[test]
fn a_window_never_comes_twice() {
    let (place, world, mut store) = begun(0..10);
    let mut back = world.clone();
    back.windows.clear();
    let size = Size { windows: 40, sensors: 0 };
    let error = unwrapped(back.go_on(11, size, &mut store).unwrap_err());
    assert!(matches!(error, Error::Unsound { .. }), "{error:?}");
    expect(&world, &place.path);
}

#[test]
fn retention_drops_nothing_by_a_row_that_is_not_what_was_written() {
    let place = Place::new();
    let (mut world, keep) = (World::default(), Some(Duration::from_secs(86_400)));
    let mut store = SqliteStore::open(&place.path, &subject(), Options { keep, ..options() }).unwrap();
    (0..10).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    let (first, last) = (world.windows[0].start, world.windows[world.windows.len() - 1].start);
    let rows = || -> i64 {
        let connection = Connection::open(&place.path).unwrap();
        connection.query_row("SELECT count(*) FROM closed_windows", [], |row| row.get(0)).unwrap()
    };
    let before = rows();
    for (start, change, back) in [
        // A bit up: all others would be older than a day. A bit down: this one would.
        (last, "\"end\" + 1099511627776", "\"end\" - 1099511627776"),
        (first, "\"end\" - 1099511627776", "\"end\" + 1099511627776"),
    ] {
        let set = |value: &str| {
            let sql = format!("UPDATE closed_windows SET \"end\" = {value} WHERE start = ?1");
            Connection::open(&place.path).unwrap().execute(&sql, [start]).unwrap();
        };
        set(change);
        let error = unwrapped(world.clone().go_on(50, SMALL, &mut store).unwrap_err());
        assert!(matches!(error, Error::Damaged { table: "closed_windows", .. }), "{error:?}");
        assert_eq!(rows(), before);
        set(back);
    }
    // Nor does a check that is damaged become one of what is left.
    let old = world.windows[0].end + 86_400_000;
    let set = |change: &str| {
        let sql = format!("UPDATE closed_windows SET \"check\" = \"check\" {change} WHERE start = ?1");
        Connection::open(&place.path).unwrap().execute(&sql, [first]).unwrap();
    };
    set("+ 1");
    let mut later = world.clone();
    later.windows.last_mut().unwrap().end = old + 9_000;
    let error = unwrapped(later.go_on(51, Size { windows: 40, sensors: 0 }, &mut store).unwrap_err());
    assert!(matches!(error, Error::Damaged { table: "closed_windows", .. }), "{error:?}");
    set("- 1");
    expect(&world, &place.path);
    world.go_on(52, SMALL, &mut store).unwrap();
    expect(&world, &place.path);
}
