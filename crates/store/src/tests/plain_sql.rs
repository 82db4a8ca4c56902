//! What anybody reads with plain SQL is what a query gives.

use std::ops::ControlFlow;

use isotherm_engine::results::GroupResult;
use isotherm_model::time::Utc;
use rusqlite::{Connection, Row};

use super::world::{Place, begun, subject};
use crate::{Options, SqliteStore, StoreReader, Windows};

/// Decimals as JSON readers have them.
fn decimal(text: impl ToString) -> f64 {
    text.to_string().parse().unwrap()
}

/// A group's row: what it is of, readings, sensors, sum, average, least and greatest value.
type Numbers = (String, i64, i64, f64, f64, f64, f64);

fn expected(group: &GroupResult) -> Numbers {
    let GroupResult { group, messages, sensors, sum, avg, min, max } = group;
    let sum = decimal(isotherm_model::fixed::Micros(*sum));
    let (messages, sensors) = (messages.cast_signed(), sensors.cast_signed());
    (group.clone(), messages, sensors, sum, decimal(avg), decimal(min), decimal(max))
}

fn numbers(row: &Row<'_>) -> rusqlite::Result<Numbers> {
    let get = |column| row.get(column);
    Ok((
        row.get("group")?,
        row.get("messages")?,
        row.get("sensors")?,
        get("sum")?,
        get("avg")?,
        get("min")?,
        get("max")?,
    ))
}

/// Values of more than 53 bits are as near as a floating-point number can be.
fn is_near(found: f64, expected: f64) -> bool {
    found == expected || (expected.abs() > 9e9 && (found - expected).abs() <= expected.abs() * 1e-15)
}

#[track_caller]
fn same(found: &[Numbers], groups: &[GroupResult]) {
    assert_eq!(found.len(), groups.len());
    for (found, group) in found.iter().zip(groups) {
        let expected = expected(group);
        let of = |numbers: &Numbers| [numbers.3, numbers.4, numbers.5, numbers.6];
        let counts = (&found.0, found.1, found.2) == (&expected.0, expected.1, expected.2);
        let values = of(found).into_iter().zip(of(&expected)).all(|(found, expected)| is_near(found, expected));
        assert!(counts && values, "{found:?} is to be {expected:?}");
    }
}

fn rows<T>(connection: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], read).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn views_give_what_queries_give() {
    let (place, _world, _store) = begun(0..30);
    // Beside the consumer, by somebody who only reads.
    let shell = Connection::open(&place.path).unwrap();
    shell.pragma_update(None, "query_only", true).unwrap();
    let mut reader = StoreReader::open(&place.path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    let mut windows = Vec::new();
    let each = |window| {
        windows.push(window);
        ControlFlow::Continue(())
    };
    snapshot.windows(Windows::All, each).unwrap();
    assert!(windows.len() > 20 && windows.iter().any(|window| window.groups.len() > 3));

    let found = rows(&shell, "SELECT * FROM windows ORDER BY start", |row| {
        let texts: (String, String, String) = (row.get("start")?, row.get("end")?, row.get("closed_by")?);
        let counts: (i64, i64) = (row.get("messages")?, row.get("sensors")?);
        Ok((texts, counts))
    });
    let mut all: Vec<_> = windows
        .iter()
        .map(|window| {
            let texts = (Utc(window.start).to_string(), Utc(window.end).to_string(), window.closed_by.to_string());
            (texts, (window.messages.cast_signed(), window.sensors.cast_signed()))
        })
        .collect();
    all.sort();
    assert_eq!(found, all);

    let mut groups = Vec::new();
    for window in &windows {
        let start = Utc(window.start);
        let sql = format!("SELECT * FROM groups WHERE start = '{start}' ORDER BY \"group\"");
        same(&rows(&shell, &sql, numbers), &window.groups);
        groups.extend(window.groups.clone());
    }
    let count: i64 = shell.query_row("SELECT count(*) FROM groups", [], |row| row.get(0)).unwrap();
    assert_eq!(count, groups.len() as i64);

    let totals = snapshot.totals().unwrap();
    same(&rows(&shell, "SELECT * FROM totals ORDER BY \"group\"", numbers), &totals.groups);
    for (partition, account) in snapshot.accounts().unwrap() {
        let sql = format!("SELECT * FROM accounts WHERE partition = {partition}");
        let found = rows(&shell, &sql, |row| Ok((row.get("late")?, row.get("rejected")?)));
        let expected: (i64, i64) = (account.late.cast_signed(), account.rejected.total().cast_signed());
        assert_eq!(found, [expected], "partition {partition}");
    }
}

/// Averages half way between two millionths, and values of any size.
#[test]
fn averages_round_half_to_even() {
    let place = Place::new();
    let store = SqliteStore::open(&place.path, &subject(), Options::default()).unwrap();
    let sums: [(i128, u64); 9] =
        [(1, 2), (3, 2), (5, 2), (-1, 2), (-3, 2), (-5, 2), (7, 4), (-10, 4), (i128::from(i64::MAX) * 3, 4)];
    for (id, (sum, messages)) in (0..).zip(sums) {
        let mut room = String::new();
        let stats = isotherm_model::stats::Stats {
            count: messages,
            sum,
            ..isotherm_model::stats::Stats::of(Default::default())
        };
        let group = isotherm_engine::state::GroupState { id, name: id.to_string(), stats, sensors: 1 };
        crate::groups::GROUPS.insert(&store.connection, crate::groups::encode(&group, &mut room)).unwrap();
        let found: f64 = store
            .connection
            .query_row("SELECT avg FROM totals WHERE \"group\" = ?1", [id.to_string()], |row| row.get(0))
            .unwrap();
        let avg = isotherm_model::fixed::average(sum, messages).unwrap();
        assert!(is_near(found, decimal(avg)), "{sum} / {messages}: {found}, not {avg}");
    }
}
