//! A closed window as a row. Each names the one that closed before it, so that a missing one is noticed.

use isotherm_engine::results::{ClosedBy, GroupResult, WindowResult};
use isotherm_model::fixed::{self, Fixed};
use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::bytes::{Bytes, Malformed, put, put_signed};
use super::row::{Check, Table, Typed, blob, count, int, of_count, of_optional, optional, small};
use crate::error::Wrong;

/// Where they stand.
pub(super) const WINDOWS: Table<8> = Table {
    name: "windows",
    columns: ["start", "\"end\"", "closed_by", "messages", "sensors", "previous", "merged", "\"groups\""],
};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WindowRow {
    /// The window.
    pub(super) window: WindowResult,
    /// The start of the one that closed before it.
    pub(super) previous: Option<Millis>,
}

/// Writes a window that is not there yet.
pub(super) fn insert(
    connection: &Connection,
    window: &WindowResult,
    previous: Option<Millis>,
    scratch: &mut [Vec<u8>; 2],
) -> Result<Check, Wrong> {
    let [merged, groups] = scratch;
    merged.clear();
    groups.clear();
    put_merged(merged, &window.positions);
    put_groups(groups, &window.groups);
    let closed_by = match window.closed_by {
        ClosedBy::Watermark => 0,
        ClosedBy::Idle => 1,
        ClosedBy::End => 2,
    };
    let row = [
        ValueRef::Integer(window.start),
        ValueRef::Integer(window.end),
        ValueRef::Integer(closed_by),
        of_count(window.messages),
        of_count(window.sensors),
        of_optional(previous),
        ValueRef::Blob(merged),
        ValueRef::Blob(groups),
    ];
    WINDOWS.insert(connection, row)
}

/// Reads a row.
pub(super) fn decode(values: [ValueRef<'_>; 8]) -> Result<WindowRow, Wrong> {
    decoded(values).map_err(|Malformed| WINDOWS.damaged("a row is malformed"))
}

fn decoded(
    [start, end, closed_by, messages, sensors, previous, merged, groups]: [ValueRef<'_>; 8],
) -> Typed<WindowRow> {
    let closed_by = match int(closed_by)? {
        0 => ClosedBy::Watermark,
        1 => ClosedBy::Idle,
        2 => ClosedBy::End,
        _ => return Err(Malformed),
    };
    let window = WindowResult {
        start: small(start)?,
        end: small(end)?,
        closed_by,
        messages: count(messages)?,
        sensors: count(sensors)?,
        groups: take_groups(blob(groups)?)?,
        positions: take_merged(blob(merged)?)?,
    };
    Ok(WindowRow { window, previous: optional(previous)? })
}

/// Where a window lies, and after which one it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edges {
    pub(super) start: Millis,
    pub(super) end: Millis,
    /// The start of the one that closed before it.
    pub(super) previous: Option<Millis>,
}

/// Reads these of a row.
pub(super) fn edges([start, end, _, _, _, previous, ..]: [ValueRef<'_>; 8]) -> Result<Edges, Wrong> {
    let edges = || Ok(Edges { start: int(start)?, end: int(end)?, previous: optional(previous)? });
    edges().map_err(|Malformed| WINDOWS.damaged("a row is malformed"))
}

/// Partitions ascend: each as the distance from the one before.
fn put_merged(out: &mut Vec<u8>, merged: &[(PartitionId, i64)]) {
    put(out, merged.len() as u128);
    let mut before = 0;
    for (partition, offset) in merged {
        put_signed(out, i128::from(*partition) - i128::from(before));
        put_signed(out, i128::from(*offset));
        before = *partition;
    }
}

fn take_merged(blob: &[u8]) -> Typed<Vec<(PartitionId, i64)>> {
    let mut bytes = Bytes(blob);
    let length: usize = bytes.unsigned()?;
    let mut merged = Vec::with_capacity(length.min(blob.len()));
    let mut before = 0_i64;
    for _ in 0..length {
        before = before.checked_add(bytes.signed()?).ok_or(Malformed)?;
        merged.push((PartitionId::try_from(before).map_err(|_| Malformed)?, bytes.signed()?));
    }
    bytes.end()?;
    Ok(merged)
}

/// Names ascend: each as the number of bytes that it shares with the one before, and the others. The greatest value as
/// the distance from the least; the average is computed again.
fn put_groups(out: &mut Vec<u8>, groups: &[GroupResult]) {
    put(out, groups.len() as u128);
    let mut before: &[u8] = &[];
    for group in groups {
        let name = group.group.as_bytes();
        let shared = before.iter().zip(name).take_while(|(a, b)| a == b).count();
        let own = name.get(shared..).unwrap_or_default();
        put(out, shared as u128);
        put(out, own.len() as u128);
        out.extend_from_slice(own);
        put(out, u128::from(group.messages));
        put(out, u128::from(group.sensors));
        put_signed(out, group.sum);
        put_signed(out, i128::from(group.min.micros()));
        put_signed(out, i128::from(group.max.micros()) - i128::from(group.min.micros()));
        before = name;
    }
}

fn take_groups(blob: &[u8]) -> Typed<Vec<GroupResult>> {
    let mut bytes = Bytes(blob);
    let length: usize = bytes.unsigned()?;
    let mut groups = Vec::with_capacity(length.min(blob.len()));
    let mut name = Vec::new();
    for _ in 0..length {
        let (shared, own): (usize, usize) = (bytes.unsigned()?, bytes.unsigned()?);
        if shared > name.len() {
            return Err(Malformed);
        }
        name.truncate(shared);
        name.extend_from_slice(bytes.take(own)?);
        let (messages, sensors, sum) = (bytes.unsigned()?, bytes.unsigned()?, bytes.signed()?);
        let least: i64 = bytes.signed()?;
        let greatest = i128::from(least).checked_add(bytes.signed()?).ok_or(Malformed)?;
        groups.push(GroupResult {
            group: String::from_utf8(name.clone()).map_err(|_| Malformed)?,
            messages,
            sensors,
            sum,
            avg: average(sum, messages)?,
            min: Fixed::from_micros(least),
            max: Fixed::from_micros(i64::try_from(greatest).map_err(|_| Malformed)?),
        });
    }
    bytes.end()?;
    Ok(groups)
}

/// As [`Stats::average`](isotherm_model::stats::Stats::average) gives it.
pub(super) fn average(sum: i128, messages: u64) -> Typed<Fixed> {
    if messages == 0 {
        return Err(Malformed);
    }
    Ok(fixed::average(sum, messages).unwrap_or_default())
}
