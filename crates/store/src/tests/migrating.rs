//! Stores of formats before this one: files that were made with them.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_engine::commit::Store;
use isotherm_engine::state::{RunStart, StartOffset};
use isotherm_model::settings::Settings;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::lock::Lock;
use super::super::migrations::MIGRATIONS;
use super::world::{Place, SMALL, World, ask, open, subject};
use crate::error::StoreFault;
use crate::{Options, SqliteStore, StoreReader, Subject};

/// Made by the last version that wrote format 1: 14 commits of small windows and few sensors, batches in the outbox, and three
/// that were lost to it.
const FORMAT_1: &[u8] = include_bytes!("fixtures/format-1.store");

/// By table, its rows: the values by column.
type Dump = BTreeMap<String, Vec<BTreeMap<String, Value>>>;

fn dump(connection: &Connection) -> Dump {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |table: &String| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).unwrap();
        let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            columns.iter().enumerate().map(|(at, column)| Ok((column.clone(), row.get(at)?))).collect()
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    tables.iter().map(|table| (table.clone(), rows(table))).collect()
}

fn of_format_1() -> Place {
    let place = Place::new();
    std::fs::write(&place.path, FORMAT_1).unwrap();
    place
}

/// What format 2 is to make of a dump of format 1, sums and checks aside.
fn expected(mut dump: Dump) -> Dump {
    let mut set = |table: &str, column: &str, value: Value| {
        dump.get_mut(table).unwrap().iter_mut().for_each(|row| drop(row.insert(column.to_owned(), value.clone())));
    };
    set("head", "from_end", Value::Integer(0));
    set("head", "began_with", Value::Null);
    set("partitions", "last_first", Value::Null);
    set("partitions", "last_digest", Value::Null);
    set("dead", "digest", Value::Null);
    set("dead_lost", "cause", Value::Null);
    set("dead_lost", "batches", Value::Integer(1));
    // The one who opens it.
    set("head", "epoch", Value::Integer(2));
    dump
}

/// Without the columns that follow from all others.
fn bare(mut dump: Dump) -> Dump {
    let sums = ["check", "partitions_sum", "dead_sum", "lost_sum"];
    dump.values_mut().flatten().for_each(|row| sums.iter().for_each(|sum| drop(row.remove(*sum))));
    dump
}

#[test]
fn a_store_of_format_1_is_brought_to_this_one_with_all_that_it_holds() {
    let place = of_format_1();
    let before = dump(&Connection::open(&place.path).unwrap());
    for table in ["partitions", "ranges", "gaps", "groups", "sensors", "windows", "dead", "dead_lost"] {
        assert!(!before[table].is_empty(), "{table} of the fixture has {} rows", before[table].len());
    }
    let error = StoreReader::open(&place.path).unwrap_err();
    assert!(matches!(error, StoreFault::OtherFormat { found: 1, ours: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("a run of this version"), "{error}");

    drop(open(&place.path).unwrap());
    let connection = Connection::open(&place.path).unwrap();
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, MIGRATIONS.len() as i64);
    let after = dump(&connection);
    drop(connection);
    let (after, expected) = (bare(after), bare(expected(before)));
    for (table, rows) in &expected {
        assert_eq!(after.get(table), Some(rows), "{table}");
    }
    assert_eq!(after.len(), expected.len());
    // Every row's check and every table's sum are right: whoever asks looks at them.
    ask(&place.path).unwrap();
    let saved = open(&place.path).unwrap().load().unwrap().unwrap();
    assert_eq!(saved.topic.start, RunStart { from: StartOffset::Beginning, partitions: None });
    assert!(saved.partitions.values().all(|state| state.last.is_none()));
}

#[test]
fn a_store_that_has_come_a_long_way_goes_on_like_a_new_one() {
    // The world that the fixture was made of is not needed: what is committed from now on is.
    let place = of_format_1();
    let mut store = open(&place.path).unwrap();
    let before = store.load().unwrap().unwrap();
    let mut outbox = store.outbox().unwrap();
    let waiting = outbox.oldest(u64::MAX).unwrap();
    assert!(waiting.len() > 2 && waiting.iter().all(|(_, batch)| batch.digest.is_none()), "{waiting:?}");
    let last = waiting.last().unwrap().0;
    outbox.settle(last, &[]).unwrap();
    assert_eq!(outbox.oldest(u64::MAX).unwrap(), []);
    drop((outbox, store));
    let store = open(&place.path).unwrap().load().unwrap().unwrap();
    assert_eq!((store.topic, store.partitions, store.groups), (before.topic, before.partitions, before.groups));
    // And its tables are those of a store that is made now.
    let new = Place::new();
    let mut world = World::default();
    world.go_on(1, SMALL, &mut open(&new.path).unwrap()).unwrap();
    let schema = |place: &Place| {
        let connection = Connection::open(&place.path).unwrap();
        let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY 1").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect::<Vec<(String, Option<String>)>>()
    };
    assert_eq!(schema(&place), schema(&new));
}

#[test]
fn a_take_over_of_a_store_of_format_1_that_is_refused_takes_nothing() {
    let take_over = Options { take_over: true, patience: Duration::from_millis(20), ..super::world::options() };
    let untouched = |place: &Place, lock: &Lock| {
        let format: i64 =
            Connection::open(&place.path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert!(lock.is_in_place() && format == 1, "format {format}");
    };
    // What the migration does not write anew is looked at as well.
    for fault in ["UPDATE groups SET messages = messages + 1", "UPDATE sensors SET id = -id", "DELETE FROM gaps"] {
        let place = of_format_1();
        Connection::open(&place.path).unwrap().execute_batch(fault).unwrap();
        let lock = Lock::take(&place.path).unwrap();
        let error = SqliteStore::open(&place.path, &subject(), take_over).unwrap_err();
        assert!(matches!(error, StoreFault::Damaged { .. }), "{fault}: {error:?}");
        untouched(&place, &lock);
    }
    // Another store than the one that is meant is not even waited for.
    let place = of_format_1();
    let lock = Lock::take(&place.path).unwrap();
    let busy = Connection::open(&place.path).unwrap();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    let other = Subject::new("other", "local", &Settings::default());
    let error = SqliteStore::open(&place.path, &other, take_over).unwrap_err();
    assert!(matches!(error, StoreFault::OtherIdentity { .. }), "{error:?}");
    let error = SqliteStore::open(&place.path, &subject(), take_over).unwrap_err();
    assert!(matches!(error, StoreFault::Busy { .. }), "{error:?}");
    busy.execute_batch("ROLLBACK").unwrap();
    untouched(&place, &lock);
    // And one that is not refused.
    let taken = SqliteStore::open(&place.path, &subject(), take_over).unwrap();
    assert!(!lock.is_in_place());
    drop(taken);
    ask(&place.path).unwrap();
}

#[test]
fn a_store_of_format_1_is_thrown_away_as_it_is() {
    let place = of_format_1();
    let reset = Options { reset: true, ..super::world::options() };
    // Nothing could be written to it.
    Connection::open(&place.path).unwrap().execute_batch("CREATE TABLE head_1 (x)").unwrap();
    drop(SqliteStore::open(&place.path, &subject(), reset).unwrap());
    super::world::expect(&World::default(), &place.path);
}

#[test]
fn damage_in_a_store_of_format_1_is_not_carried_over() {
    let faults = [
        "UPDATE dead SET records = records + 1 WHERE id = (SELECT max(id) FROM dead)",
        "DELETE FROM dead_lost WHERE id = 1",
        "UPDATE partitions SET merged = merged + 1 WHERE partition = 7",
        "DELETE FROM partitions WHERE partition = 7",
        "UPDATE head SET commits = commits + 1",
    ];
    for fault in faults {
        let place = of_format_1();
        Connection::open(&place.path).unwrap().execute_batch(fault).unwrap();
        let before = std::fs::read(&place.path).unwrap();
        let error = open(&place.path).unwrap_err();
        assert!(matches!(error, StoreFault::Damaged { .. }), "{fault}: {error:?}");
        let connection = Connection::open(&place.path).unwrap();
        let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(format, 1, "{fault}");
        assert_eq!(bare(dump(&connection)), {
            let copy = Place::new();
            std::fs::write(&copy.path, before).unwrap();
            bare(dump(&Connection::open(&copy.path).unwrap()))
        });
        // Nothing of it is in the way of a new one.
        let reset = Options { reset: true, ..super::world::options() };
        drop(SqliteStore::open(&place.path, &subject(), reset).unwrap());
        ask(&place.path).unwrap();
    }
}
