//! Whoever takes a store over, or resets it, takes nothing from a consumer as long as anything can still refuse.

use std::time::Duration;

use isotherm_model::settings::Settings;
use rusqlite::Connection;

use super::super::files::beside;
use super::super::lock::Lock;
use super::super::{open as opening, schema};
use super::place::unwrapped;
use super::world::{Place, SMALL, World, begun, expect, open, options, subject};
use crate::Error;
use crate::{Identity, Options, SqliteStore, Subject, holder};

/// Nobody is waited for.
fn take_over() -> Options {
    Options { take_over: true, busy_timeout: Duration::from_millis(20), ..options() }
}

fn reset() -> Options {
    Options { reset: true, ..take_over() }
}

/// Damages the identity.
const OTHER_CLUSTER: &str = "UPDATE identity SET value = replace(value, 'local', 'locax')";

/// The consumer has noticed nothing: it holds the store, keeps others out, and goes on.
#[track_caller]
fn unharmed(place: &Place, world: &mut World, store: &mut SqliteStore) {
    let held = holder(&place.path).unwrap().expect("it is held");
    assert!(held.to_string().contains(&format!("by process {} on ", std::process::id())), "{held}");
    assert!(matches!(open(&place.path), Err(Error::Locked { .. })));
    world.go_on(world.commits + 1, SMALL, store).unwrap();
    expect(world, &place.path);
    assert_eq!(place.files(), ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]);
}

#[track_caller]
fn fenced(world: &World, store: &mut SqliteStore) {
    let error = unwrapped(world.clone().go_on(77, SMALL, store).unwrap_err());
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
}

#[test]
fn a_take_over_that_is_refused_takes_nothing() {
    let (place, mut world, mut store) = begun(1..2);
    let change = |sql: &str| Connection::open(&place.path).unwrap().execute_batch(sql).unwrap();
    let other = Subject::new("other", "local", &Settings::default());
    let error = SqliteStore::open(&place.path, &other, take_over()).unwrap_err();
    assert!(matches!(error, Error::OtherIdentity { .. }), "{error:?}");
    unharmed(&place, &mut world, &mut store);

    for (damage, mend) in [
        (
            r#"UPDATE manifest SET value = replace(value, '"dropped":0', '"dropped":7')"#,
            r#"UPDATE manifest SET value = replace(value, '"dropped":7', '"dropped":0')"#,
        ),
        (OTHER_CLUSTER, "UPDATE identity SET value = replace(value, 'locax', 'local')"),
        ("UPDATE run_groups SET messages = messages + 1", "UPDATE run_groups SET messages = messages - 1"),
        ("UPDATE sensors SET id = -id", "UPDATE sensors SET id = -id"),
        ("CREATE TABLE other (x)", "DROP TABLE other"),
        ("PRAGMA user_version = 77", "PRAGMA user_version = 1"),
    ] {
        change(damage);
        let error = SqliteStore::open(&place.path, &subject(), take_over()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. } | Error::NewerFormat { .. }), "{damage}: {error:?}");
        change(mend);
        unharmed(&place, &mut world, &mut store);
    }
    SqliteStore::open(&place.path, &subject(), take_over()).unwrap();
    fenced(&world, &mut store);
}

#[test]
fn a_consumer_that_hangs_in_a_commit_is_named_and_keeps_its_store() {
    let (place, mut world, mut store) = begun(1..2);
    let hangs = Connection::open(&place.path).unwrap();
    hangs.execute_batch("BEGIN IMMEDIATE").unwrap();
    for options in [take_over(), reset()] {
        let error = SqliteStore::open(&place.path, &subject(), options).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        let (said, process) = (error.to_string(), format!("by process {} on ", std::process::id()));
        assert!(said.contains(&process), "{said}");
    }
    // Nobody is to be ended for a store that is not meant.
    let other = Subject::new("other", "local", &Settings::default());
    let error = SqliteStore::open(&place.path, &other, take_over()).unwrap_err();
    assert!(matches!(error, Error::OtherIdentity { .. }), "{error:?}");
    hangs.execute_batch("ROLLBACK").unwrap();
    unharmed(&place, &mut world, &mut store);
}

#[test]
fn whoever_goes_on_with_a_damaged_store_is_fenced_by_its_reset() {
    for damage in [OTHER_CLUSTER, "CREATE TABLE other (x)", "PRAGMA user_version = 77"] {
        let (place, world, mut zombie) = begun(1..2);
        let mut outbox = zombie.outbox().unwrap();
        Connection::open(&place.path).unwrap().execute_batch(damage).unwrap();
        let mut fresh = SqliteStore::open(&place.path, &subject(), reset()).unwrap();
        expect(&World::default(), &place.path);
        // Its own file, which has no name any more, says nothing of it.
        fenced(&world, &mut zombie);
        assert!(matches!(outbox.oldest(9), Err(Error::Fenced { .. })), "{damage}");
        assert!(matches!(outbox.mark_done(0, &[]), Err(Error::Fenced { .. })), "{damage}");
        drop((zombie, outbox));
        let mut anew = World::default();
        anew.go_on(5, SMALL, &mut fresh).unwrap();
        expect(&anew, &place.path);
    }
}

#[test]
fn whoever_was_displaced_resets_nothing_and_makes_nothing() {
    let (place, mut world, store) = begun(1..2);
    drop(store);
    let mut claim = Some(Lock::take(&place.path).unwrap());
    let mut heir = SqliteStore::open(&place.path, &subject(), take_over()).unwrap();
    let error = opening::reset(&place.path, &mut claim, Duration::from_secs(9)).unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    unharmed(&place, &mut world, &mut heir);
    // Also where nothing can be read that would say so.
    Connection::open(&place.path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    let error = opening::reset(&place.path, &mut claim, Duration::from_secs(9)).unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    Connection::open(&place.path).unwrap().execute_batch("DROP TABLE other").unwrap();
    unharmed(&place, &mut world, &mut heir);

    let place = Place::new();
    let lock = Lock::take(&place.path).unwrap();
    let heir = SqliteStore::open(&place.path, &subject(), take_over()).unwrap();
    let error = schema::create(&place.path, &Identity::new(&subject()), 1024, &lock).unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
    let run = heir.identity().run;
    drop(heir);
    assert_eq!(open(&place.path).unwrap().identity().run, run);
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
}

#[test]
fn a_consumer_whose_files_are_not_in_place_writes_nothing() {
    let (place, mut world, mut store) = begun(1..2);
    for (ending, what) in [("", "database"), (".lock", "lock")] {
        let (there, aside) = (beside(&place.path, ending), beside(&place.path, ".aside"));
        std::fs::rename(&there, &aside).unwrap();
        let mut outbox = store.outbox().ok();
        let error = unwrapped(world.clone().go_on(9, SMALL, &mut store).unwrap_err());
        assert!(matches!(error, Error::Gone { .. }) && error.to_string().contains(what), "{error:?}");
        assert!(outbox.as_mut().is_none_or(|outbox| matches!(outbox.oldest(1), Err(Error::Gone { .. }))));
        drop(outbox);
        std::fs::rename(&aside, &there).unwrap();
        unharmed(&place, &mut world, &mut store);
    }
    std::fs::copy(&place.path, beside(&place.path, ".aside")).unwrap();
    std::fs::rename(beside(&place.path, ".aside"), &place.path).unwrap();
    let error = unwrapped(world.clone().go_on(9, SMALL, &mut store).unwrap_err());
    assert!(matches!(error, Error::Gone { .. }), "{error:?}");
}

#[test]
fn a_displaced_consumer_is_fenced_by_the_epoch_even_if_its_lock_file_is_put_back() {
    let (place, world, mut zombie) = begun(1..2);
    let mut outbox = zombie.outbox().unwrap();
    let (lock, aside) = (beside(&place.path, ".lock"), beside(&place.path, ".aside"));
    std::fs::hard_link(&lock, &aside).unwrap();
    let heir = SqliteStore::open(&place.path, &subject(), take_over()).unwrap();
    std::fs::rename(&aside, &lock).unwrap();
    fenced(&world, &mut zombie);
    assert!(matches!(outbox.oldest(9), Err(Error::Fenced { .. })));
    assert!(matches!(outbox.mark_done(0, &[]), Err(Error::Fenced { .. })));
    drop((zombie, outbox, heir));
    expect(&world, &place.path);
}
