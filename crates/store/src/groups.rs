//! Groups of the run, and its sensors, as rows.
//!
//! Sensors are only ever added: a chunk is a row whose blob holds 12 bytes for each sensor and group, the sensor's hash and
//! the group's number, little-endian.

use isotherm_engine::state::{GroupState, SensorEntry};
use isotherm_model::fixed::Fixed;
use isotherm_model::stats::Stats;
use rusqlite::types::ValueRef;

use super::bytes::Malformed;
use super::row::{Table, blob, count, int, of_count, small, text};
use crate::error::Wrong;

/// Where groups stand.
pub(super) const GROUPS: Table<7> =
    Table { name: "groups", columns: ["id", "name", "messages", "sum", "least", "greatest", "sensors"] };

/// Where chunks of sensors stand.
pub(super) const SENSORS: Table<2> = Table { name: "sensors", columns: ["id", "members"] };

/// Bytes for a sensor and a group.
pub(super) const MEMBER: usize = 12;

/// The most members in a chunk.
pub(super) const CHUNK: usize = 65_536;

/// The row of a group; `sum` is room for its sum.
pub(super) fn encode<'a>(group: &'a GroupState, sum: &'a mut [u8; 16]) -> [ValueRef<'a>; 7] {
    *sum = group.stats.sum.to_be_bytes();
    [
        ValueRef::Integer(i64::from(group.id)),
        ValueRef::Text(group.name.as_bytes()),
        of_count(group.stats.count),
        ValueRef::Blob(sum),
        ValueRef::Integer(group.stats.min.micros()),
        ValueRef::Integer(group.stats.max.micros()),
        of_count(group.sensors),
    ]
}

/// Reads the row of a group.
pub(super) fn decode(values: [ValueRef<'_>; 7]) -> Result<GroupState, Wrong> {
    let decoded = |[id, name, messages, sum, min, max, sensors]: [ValueRef<'_>; 7]| {
        let sum = <[u8; 16]>::try_from(blob(sum)?).map_err(|_| Malformed)?;
        let (min, max) = (Fixed::from_micros(int(min)?), Fixed::from_micros(int(max)?));
        let stats = Stats { count: count(messages)?, sum: i128::from_be_bytes(sum), min, max };
        Ok(GroupState { id: small(id)?, name: text(name)?.to_owned(), stats, sensors: count(sensors)? })
    };
    decoded(values).map_err(|Malformed| GROUPS.damaged("a row is malformed"))
}

/// The blob of a chunk.
pub(super) fn put_members(out: &mut Vec<u8>, members: &[SensorEntry]) {
    out.clear();
    out.reserve(members.len().saturating_mul(MEMBER));
    for SensorEntry { sensor, group } in members {
        out.extend_from_slice(&sensor.to_le_bytes());
        out.extend_from_slice(&group.to_le_bytes());
    }
}

/// Reads the blob of a chunk.
pub(super) fn members(chunk: ValueRef<'_>) -> Result<impl Iterator<Item = SensorEntry>, Wrong> {
    let malformed = || SENSORS.damaged("a row is malformed");
    let (members, []) = blob(chunk).map_err(|Malformed| malformed())?.as_chunks::<MEMBER>() else {
        return Err(malformed());
    };
    Ok(members.iter().map(|[a, b, c, d, e, f, g, h, group @ ..]| SensorEntry {
        sensor: u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
        group: u32::from_le_bytes(*group),
    }))
}
