//! Who may open a store, and what is refused.

use std::time::Duration;

use isotherm_engine::commit::Store;
use isotherm_model::settings::Settings;
use isotherm_model::window::WindowSize;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::super::files::beside;
use super::super::row::Hasher;
use super::place::{reset, unwrapped};
use super::world::{Place, SMALL, World, expect, open, options, subject};
use crate::Error;
use crate::{Options, SqliteStore, StoreReader, Subject};

fn take_over() -> Options {
    Options { take_over: true, ..options() }
}

#[test]
fn a_store_that_was_never_committed_to_has_nothing_saved() {
    let place = Place::new();
    for _ in 0..2 {
        let mut store = open(&place.path).unwrap();
        assert!(store.load().unwrap().is_none());
    }
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
    expect(&World::default(), &place.path);
}

#[test]
fn identity_is_made_once_and_stays() {
    let place = Place::new();
    let first = open(&place.path).unwrap().identity().clone();
    assert_eq!((first.subject.clone(), first.run.get_version_num()), (subject(), 4));
    // The cluster's address is for information only.
    let moved = Subject::new("sensors", "elsewhere:9003", &Settings::default());
    let again = SqliteStore::open(&place.path, &moved, options()).unwrap();
    assert_eq!((again.identity(), again.epoch()), (&first, 2));
    assert_eq!(StoreReader::open(&place.path).unwrap().identity(), &first);
}

#[test]
fn a_store_of_something_else_is_refused_and_left_alone() {
    let (place, mut world) = (Place::new(), World::default());
    world.go_on(1, SMALL, &mut open(&place.path).unwrap()).unwrap();
    let window = WindowSize::new(Duration::from_secs(5)).unwrap();
    let others = [
        (Subject::new("other", "local", &Settings::default()), "another topic: `sensors` there, `other` here"),
        (
            Subject::new("sensors", "local", &Settings { window, ..Settings::default() }),
            "another window: `3s` there, `5s` here",
        ),
        (
            Subject::new("sensors", "local", &Settings { max_ahead: Duration::from_secs(5), ..Settings::default() }),
            "another max-ahead: `1m` there, `5s` here",
        ),
    ];
    for (other, text) in others {
        let error = SqliteStore::open(&place.path, &other, options()).unwrap_err();
        assert!(matches!(error, Error::OtherIdentity { .. }), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
    expect(&world, &place.path);
}

#[test]
fn a_second_consumer_is_told_who_holds_the_store() {
    let place = Place::new();
    let first = open(&place.path).unwrap();
    let error = open(&place.path).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(&format!("by process {} on ", std::process::id())), "{said}");
    assert!(matches!(SqliteStore::open(&place.path, &subject(), reset()), Err(Error::Locked { .. })));
    drop(first);
    open(&place.path).unwrap();
}

#[test]
fn whoever_is_taken_over_writes_nothing_more() {
    let (place, mut world) = (Place::new(), World::default());
    let mut zombie = open(&place.path).unwrap();
    world.go_on(1, SMALL, &mut zombie).unwrap();
    let mut outbox = zombie.outbox().unwrap();

    let mut heir = SqliteStore::open(&place.path, &subject(), take_over()).unwrap();
    assert_eq!((zombie.epoch(), heir.epoch()), (1, 2));
    assert_eq!(world.difference_saved(heir.load().unwrap().as_ref()), None);
    let error = unwrapped(world.clone().go_on(2, SMALL, &mut zombie).unwrap_err());
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    assert!(error.to_string().contains("took the store"), "{error}");
    assert!(matches!(outbox.oldest(9), Err(Error::Fenced { .. })));
    assert!(matches!(outbox.mark_done(0, &[]), Err(Error::Fenced { .. })));
    expect(&world, &place.path);

    // The zombie's end lets nobody in, and its lock was another one.
    drop((zombie, outbox));
    assert!(matches!(open(&place.path), Err(Error::Locked { .. })));
    world.go_on(3, SMALL, &mut heir).unwrap();
    expect(&world, &place.path);
    drop(heir);
    assert_eq!(open(&place.path).unwrap().epoch(), 3);
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
}

#[test]
fn reset_removes_the_store_and_fences_whoever_had_it() {
    let (place, mut world) = (Place::new(), World::default());
    let mut zombie = open(&place.path).unwrap();
    world.go_on(1, SMALL, &mut zombie).unwrap();
    let run = zombie.identity().run;
    let fresh = SqliteStore::open(&place.path, &subject(), Options { reset: true, ..take_over() }).unwrap();
    assert_ne!(fresh.identity().run, run);
    let error = unwrapped(world.clone().go_on(2, SMALL, &mut zombie).unwrap_err());
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    assert!(matches!(zombie.outbox(), Err(Error::Fenced { .. })));
    drop((zombie, fresh));
    expect(&World::default(), &place.path);
    // Also where there is nothing.
    for _ in 0..2 {
        drop(SqliteStore::open(&place.path, &subject(), reset()).unwrap());
        expect(&World::default(), &place.path);
        std::fs::remove_file(&place.path).unwrap();
    }
    assert!(matches!(StoreReader::open(&place.path), Err(Error::Missing { .. })));
    assert_eq!(place.files(), ["store.db.lock"]);
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let foreign = Place::new();
    Connection::open(&foreign.path)
        .unwrap()
        .execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)")
        .unwrap();
    let (text, empty) = (Place::new(), Place::new());
    std::fs::write(&text.path, "a letter to a friend, longer than a page of a database\n".repeat(100)).unwrap();
    std::fs::write(&empty.path, "").unwrap();
    for place in [&foreign, &text, &empty] {
        let before = std::fs::read(&place.path).unwrap();
        let both = Options { reset: true, ..take_over() };
        let errors = [
            open(&place.path).unwrap_err(),
            SqliteStore::open(&place.path, &subject(), both).unwrap_err(),
            SqliteStore::open(&place.path, &subject(), reset()).unwrap_err(),
            StoreReader::open(&place.path).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| matches!(error, Error::NotAStore { .. })), "{errors:?}");
        assert_eq!(std::fs::read(&place.path).unwrap(), before);
        assert_eq!(place.files(), ["store.db"]);
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let place = Place::new();
    drop(open(&place.path).unwrap());
    Connection::open(&place.path).unwrap().pragma_update(None, "user_version", 77).unwrap();
    for error in [open(&place.path).unwrap_err(), StoreReader::open(&place.path).unwrap_err()] {
        assert!(matches!(&error, Error::NewerFormat { found, .. } if found == "format 77"), "{error:?}");
    }
    let version: i64 =
        Connection::open(&place.path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 77);
}

#[test]
fn members_of_a_newer_version_are_refused_not_ignored() {
    let (place, mut world) = (Place::new(), World::default());
    (0..9).for_each(|seed| world.go_on(seed, SMALL, &mut open(&place.path).unwrap()).unwrap());
    for table in ["identity", "manifest", "partitions"] {
        // As a newer version writes it: with a check that is right.
        let copy = place.copy();
        let connection = Connection::open(&copy.path).unwrap();
        let select = format!("SELECT * FROM {table} LIMIT 1");
        let (id, value): (i64, String) =
            connection.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let value = value.replacen('{', "{\"further\":1,", 1);
        let mut hash = Hasher::new(table);
        hash.add(&[ValueRef::Integer(id), ValueRef::Text(value.as_bytes())]);
        let update = format!("UPDATE {table} SET value = ?2, \"check\" = ?3 WHERE rowid = ?1");
        let check = ToSqlOutput::Borrowed(hash.check().value());
        connection.execute(&update, (id, &value, check)).unwrap();
        let error = open(&copy.path).and_then(|mut store| store.load().map_err(unwrapped)).unwrap_err();
        let named = |found: &String| found.contains(table) && found.contains("further");
        assert!(matches!(&error, Error::NewerFormat { found, .. } if named(found)), "{error:?}");
    }
}

#[test]
fn a_store_of_an_older_version_is_refused_until_it_is_reset() {
    // All that is looked at of it is its mark, `ISOT`.
    let place = Place::new();
    let old = Connection::open(&place.path).unwrap();
    old.execute_batch("PRAGMA application_id = 0x49534f54; PRAGMA user_version = 2; CREATE TABLE head (x)").unwrap();
    drop(old);
    let before = std::fs::read(&place.path).unwrap();
    for result in [open(&place.path).map(drop), StoreReader::open(&place.path).map(drop)] {
        assert!(matches!(result, Err(Error::OlderFormat { .. })), "{result:?}");
    }
    assert!(matches!(SqliteStore::open(&place.path, &subject(), take_over()), Err(Error::OlderFormat { .. })));
    assert_eq!(std::fs::read(&place.path).unwrap(), before);
    drop(SqliteStore::open(&place.path, &subject(), reset()).unwrap());
    expect(&World::default(), &place.path);
}

#[test]
fn a_store_that_was_being_made_is_no_hindrance() {
    let place = Place::new();
    for ending in ["", "-wal", "-shm", "-journal"] {
        let name = format!(".isotherm-new-0123456789abcdef{ending}");
        std::fs::write(beside(&place.path, &name), "half of it").unwrap();
    }
    drop(open(&place.path).unwrap());
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
}
