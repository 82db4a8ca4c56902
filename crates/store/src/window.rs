//! A closed window as rows: one for itself, one for each of its groups. Its check covers all of them. Windows are numbered
//! from 0 in the order in which they closed, so that a missing one is noticed.

use isotherm_engine::results::{ClosedBy, GroupResult, WindowResult};
use isotherm_model::partial::PartitionId;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, params_from_iter};

use super::column::{Malformed, Numbers, Typed, blob, count, of_count, put, put_ascending, put_signed, small, text};
use super::groups::Statistics;
use super::row::{Check, Hasher, Table};
use crate::error::DbError;

pub(super) const WINDOWS: Table<7> = Table {
    name: "closed_windows",
    columns: ["start", "\"end\"", "number", "closed_by", "messages", "sensors", "positions"],
};

/// The table of the windows' groups.
const GROUPS: &str = "window_groups";

/// In front of a window's positions: each partition has this many numbers. The number after it is how many partitions.
const NUMBERS_OF_A_PARTITION: u64 = 1;

/// A window that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredWindow {
    pub(super) number: u64,
    pub(super) window: WindowResult,
    pub(super) check: Check,
}

/// Writes a window that is not there yet.
pub(super) fn insert(connection: &Connection, window: &WindowResult, number: u64) -> Result<Check, DbError> {
    if !window.groups.is_sorted_by(|a, b| a.group < b.group) {
        return Err(DbError::Unsound(format!("groups of the window that starts at {} are out of order", window.start)));
    }
    let positions = put_positions(&window.positions);
    let closed_by = window.closed_by.to_string();
    let row = [
        ValueRef::Integer(window.start),
        ValueRef::Integer(window.end),
        of_count(number),
        ValueRef::Text(closed_by.as_bytes()),
        of_count(window.messages),
        of_count(window.sensors),
        ValueRef::Blob(&positions),
    ];
    let mut hash = Hasher::new(WINDOWS.name);
    hash.add(&row);
    let mut insert = connection.prepare_cached("INSERT INTO window_groups VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut room = String::new();
    for group in &window.groups {
        let values = Statistics::of_result(group).encode(&mut room);
        hash.add(&values);
        for (place, value) in (1..).zip([of_count(number)].into_iter().chain(values)) {
            insert.raw_bind_parameter(place, rusqlite::types::ToSqlOutput::Borrowed(value))?;
        }
        insert.raw_execute()?;
    }
    WINDOWS.write_checked("INSERT", connection, row, hash.check())
}

/// Reads windows one by one, each of them checked with its groups, as long as `each` says so.
pub(super) fn until(
    connection: &Connection,
    rest: &str,
    params: impl Params,
    mut each: impl FnMut(StoredWindow) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let groups_of = format!("SELECT * FROM {GROUPS} WHERE window = ?1 ORDER BY \"group\"");
    let mut groups_of = connection.prepare_cached(&groups_of)?;
    WINDOWS.until_hashed(connection, rest, params, |values, hash, stored| {
        let mut groups = Vec::new();
        let mut rows = groups_of.query(params_from_iter([small::<i64>(values[2]).map_err(WINDOWS.malformed())?]))?;
        while let Some(row) = rows.next()? {
            let mut values = [ValueRef::Null; 7];
            for (at, value) in (1..).zip(&mut values) {
                *value = row.get_ref(at)?;
            }
            hash.add(&values);
            groups.push(Statistics::decode(GROUPS, values)?.into_result(GROUPS)?);
        }
        drop(rows);
        let check = WINDOWS.expect(hash, stored)?;
        let (number, window) = decode(values, groups).map_err(WINDOWS.malformed())?;
        each(StoredWindow { number, window, check })
    })
}

/// The window that starts at this time.
pub(super) fn at(connection: &Connection, start: i64) -> Result<Option<StoredWindow>, DbError> {
    let mut found = None;
    until(connection, "WHERE start = ?1", [start], |window| {
        found = Some(window);
        Ok(false)
    })?;
    Ok(found)
}

/// Deletes windows by their numbers, with their groups.
pub(super) fn delete(connection: &Connection, numbers: &[u64], groups: usize) -> Result<(), DbError> {
    let mut window = connection.prepare_cached("DELETE FROM closed_windows WHERE number = ?1")?;
    let mut groups_of = connection.prepare_cached("DELETE FROM window_groups WHERE window = ?1")?;
    let (mut windows, mut deleted) = (0, 0);
    for number in numbers {
        windows += window.execute([number.cast_signed()])?;
        deleted += groups_of.execute([number.cast_signed()])?;
    }
    if (windows, deleted) != (numbers.len(), groups) {
        return Err(WINDOWS.damaged("rows vanish when they are read again"));
    }
    Ok(())
}

fn decode(values: [ValueRef<'_>; 7], groups: Vec<GroupResult>) -> Typed<(u64, WindowResult)> {
    let [start, end, number, closed_by, messages, sensors, positions] = values;
    let by = text(closed_by)?;
    let closed_by = [ClosedBy::Watermark, ClosedBy::Idle, ClosedBy::End].into_iter().find(|one| one.to_string() == by);
    let window = WindowResult {
        start: small(start)?,
        end: small(end)?,
        closed_by: closed_by.ok_or(Malformed)?,
        messages: count(messages)?,
        sensors: count(sensors)?,
        groups,
        positions: take_positions(blob(positions)?)?,
    };
    Ok((count(number)?, window))
}

/// Partitions ascend: each as the distance from the one before.
fn put_positions(positions: &[(PartitionId, i64)]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, NUMBERS_OF_A_PARTITION);
    let position = |out: &mut Vec<u8>, (_, position)| put_signed(out, i128::from(position));
    put_ascending(&mut out, positions, |(partition, _)| i64::from(partition), position);
    out
}

fn take_positions(blob: &[u8]) -> Typed<Vec<(PartitionId, i64)>> {
    let mut numbers = Numbers(blob);
    if numbers.unsigned::<u64>()? != NUMBERS_OF_A_PARTITION {
        return Err(Malformed);
    }
    numbers.ascending(|partition, numbers| {
        Ok((PartitionId::try_from(partition).map_err(|_| Malformed)?, numbers.signed()?))
    })
}
