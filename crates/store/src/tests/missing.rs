//! A store of which something is missing (its log, a part of it, what was written since a copy was made) is refused, never
//! taken for one that holds less. Nor can two consumers have one file, whatever it is called.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::super::files::beside;
use super::place::reset;
use super::world::{Place, SMALL, World, begun, expect, open, subject};
use crate::{Error, SqliteStore, StoreReader};

/// The files of a store that matter after its consumer was killed.
const FILES: [&str; 3] = ["", "-wal", ".lock"];

fn lay(from: &Path, endings: &[&str]) -> Place {
    let place = Place::new();
    for ending in endings {
        fs::copy(beside(from, ending), beside(&place.path, ending)).unwrap();
    }
    place
}

/// A reader, and a consumer that wants to go on, is told that something is missing; and what the error says helps.
#[track_caller]
fn refused(what: &str, path: &Path) {
    let errors = [StoreReader::open(path).map(drop).unwrap_err(), open(path).map(drop).unwrap_err()];
    for error in errors {
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("PATH-wal"), "{what}: {error}");
    }
}

#[test]
fn whatever_is_missing_is_noticed() {
    let (place, mut world, mut store) = begun(0..0);
    // Nothing has been committed, and yet there is a run.
    refused("not a commit", &lay(&place.path, &[""]).path);
    (0..3).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    let earlier = lay(&place.path, &FILES);
    (3..6).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    let whole = lay(&place.path, &FILES);
    drop(store);
    let closed = lay(&place.path, &["", ".lock"]);
    let log = |place: &Place| fs::read(beside(&place.path, "-wal")).unwrap();
    let cut = |length: usize| {
        let killed = lay(&whole.path, &FILES);
        fs::write(beside(&killed.path, "-wal"), &log(&whole)[..length]).unwrap();
        killed
    };

    for (what, parts) in [("log and lock", &[""][..]), ("the log", &["", ".lock"])] {
        refused(what, &lay(&whole.path, parts).path);
    }
    for length in [0, 32, log(&earlier).len(), log(&whole).len() - 1] {
        refused(&format!("the log was cut to {length}"), &cut(length).path);
    }
    let swapped = lay(&whole.path, &FILES);
    fs::write(beside(&swapped.path, "-wal"), log(&earlier)).unwrap();
    refused("an earlier log", &swapped.path);
    for (what, of, endings) in
        [("an earlier database", &earlier, &[""][..]), ("an earlier database and log", &earlier, &["", "-wal"])]
    {
        let copied = lay(&closed.path, &["", ".lock"]);
        for ending in endings {
            fs::copy(beside(&of.path, ending), beside(&copied.path, ending)).unwrap();
        }
        refused(what, &copied.path);
        // The remedies: what is there is thrown away, or brought back.
        fs::remove_file(beside(&copied.path, "-wal")).ok();
        fs::copy(&closed.path, &copied.path).unwrap();
        expect(&world, &copied.path);
        drop(SqliteStore::open(&copied.path, &subject(), reset()).unwrap());
        expect(&World::default(), &copied.path);
    }

    // Nothing is missing: SQLite makes its index anew, and a program that merged the log into the database did no harm.
    for endings in [&FILES[..], &FILES[..2]] {
        let killed = lay(&whole.path, endings);
        expect(&world, &killed.path);
        world.clone().go_on(9, SMALL, &mut open(&killed.path).unwrap()).unwrap();
    }
    let merged = lay(&whole.path, &FILES);
    let shell = Connection::open(&merged.path).unwrap();
    shell.query_row("SELECT count(*) FROM manifest", [], |_| Ok(())).unwrap();
    drop(shell);
    assert!(!beside(&merged.path, "-wal").exists());
    expect(&world, &merged.path);
    // A closed store is one file.
    let copy = closed.copy();
    expect(&world, &copy.path);
    world.go_on(9, SMALL, &mut open(&copy.path).unwrap()).unwrap();
    expect(&world, &copy.path);
}

#[test]
fn a_reader_that_is_in_the_way_when_a_store_is_opened_holds_up_what_the_database_says() {
    let (place, mut world, store) = begun(0..0);
    drop(store);
    let mut reader = Connection::open(&place.path).unwrap();
    let look = reader.transaction().unwrap();
    look.query_row("SELECT count(*) FROM manifest", [], |_| Ok(())).unwrap();
    let mut store = open(&place.path).unwrap();
    world.go_on(1, SMALL, &mut store).unwrap();
    expect(&World::default(), &place.copy().path);
    refused("the log, while somebody reads", &lay(&place.path, &["", ".lock"]).path);
    drop(look);
    world.go_on(2, SMALL, &mut store).unwrap();
    refused("the log", &place.copy().path);
    expect(&world, &place.path);
}

#[test]
fn a_file_has_one_consumer_whatever_it_is_called() {
    let (place, mut world, mut store) = begun(0..2);
    let elsewhere = Place::new();
    // A second name, in the same folder and in another one.
    let second = beside(&place.path, ".second");
    fs::hard_link(&place.path, &second).unwrap();
    for path in [&place.path, &second] {
        for options in [reset(), super::world::options()] {
            let error = SqliteStore::open(path, &subject(), options).unwrap_err();
            assert!(matches!(error, Error::Linked { links: 2, .. } | Error::Locked { .. }), "{error:?}");
        }
    }
    // Nor is an old state read by that name.
    let killed = lay(&place.path, &FILES);
    let link = beside(&killed.path, ".second");
    fs::hard_link(&killed.path, &link).unwrap();
    assert!(matches!(StoreReader::open(&link), Err(Error::Damaged { .. })));
    expect(&world, &killed.path);
    world.go_on(2, SMALL, &mut store).unwrap();
    expect(&world, &place.path);
    drop(store);
    assert!(matches!(open(&place.path), Err(Error::Linked { links: 2, .. })));
    fs::remove_file(&second).unwrap();
    let mut store = open(&place.path).unwrap();
    world.go_on(3, SMALL, &mut store).unwrap();
    // A copy of the database alone, made meanwhile; and the file itself under another name, as by a mount.
    refused("a copy", &place.copy().path);
    let killed = lay(&place.path, &FILES);
    let renamed = beside(&killed.path, ".renamed");
    fs::rename(&killed.path, &renamed).unwrap();
    refused("renamed", &renamed);
    fs::rename(&place.path, &elsewhere.path).unwrap();
    let error = super::place::unwrapped(world.clone().go_on(4, SMALL, &mut store).unwrap_err());
    assert!(matches!(error, Error::Gone { .. }), "{error:?}");
    drop(store);
    fs::rename(&elsewhere.path, &place.path).unwrap();
    expect(&world, &place.path);
    world.go_on(4, SMALL, &mut open(&place.path).unwrap()).unwrap();
    expect(&world, &place.path);
}
