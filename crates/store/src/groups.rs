//! Statistics of a group, and the run's sensors, as rows.
//!
//! Sensors are only ever added: a chunk is a row whose blob holds 12 bytes for each sensor and group, the sensor's hash and
//! the group's number, little-endian.

use isotherm_engine::results::GroupResult;
use isotherm_engine::state::{GroupState, SensorEntry};
use isotherm_model::fixed::{self, Fixed};
use isotherm_model::stats::Stats;
use rusqlite::types::ValueRef;

use super::column::{Typed, blob, count, int, of_count, of_sum, small, sum, text};
use super::row::Table;
use crate::error::DbError;

/// The run's groups. Behind the number come the columns of [`Statistics`].
pub(super) const GROUPS: Table<8> =
    Table { name: "run_groups", columns: ["id", "\"group\"", "messages", "sensors", "sum", "min", "max", "more"] };

/// Where chunks of sensors stand.
pub(super) const SENSORS: Table<2> = Table { name: "sensors", columns: ["id", "members"] };

/// Bytes for a sensor and a group.
pub(super) const MEMBER: usize = 12;

/// The most members in a chunk.
pub(super) const CHUNK: usize = 65_536;

/// A group's name and statistics, as they stand in the rows of windows and of the run.
pub(super) struct Statistics<'a> {
    pub(super) group: &'a str,
    pub(super) stats: Stats,
    pub(super) sensors: u64,
}

impl<'a> Statistics<'a> {
    pub(super) fn of_result(result: &'a GroupResult) -> Self {
        let GroupResult { group, messages: count, sensors, sum, min, max, .. } = result;
        Self { group, stats: Stats { count: *count, sum: *sum, min: *min, max: *max }, sensors: *sensors }
    }

    /// The average is computed again.
    pub(super) fn into_result(self, table: &'static str) -> Result<GroupResult, DbError> {
        let Stats { count: messages, sum, min, max } = self.stats;
        if messages == 0 {
            return Err(DbError::damaged(table, "a group without a reading"));
        }
        let avg = fixed::average(sum, messages).unwrap_or_default();
        Ok(GroupResult { group: self.group.to_owned(), messages, sensors: self.sensors, sum, avg, min, max })
    }

    /// The columns; `room` is for a long sum.
    pub(super) fn encode<'b>(&self, room: &'b mut String) -> [ValueRef<'b>; 7]
    where
        'a: 'b,
    {
        let Stats { count, sum, min, max } = self.stats;
        let numbers = [min, max].map(|value| ValueRef::Integer(value.micros()));
        let group = ValueRef::Text(self.group.as_bytes());
        [group, of_count(count), of_count(self.sensors), of_sum(sum, room), numbers[0], numbers[1], ValueRef::Null]
    }

    pub(super) fn decode(table: &'static str, values: [ValueRef<'a>; 7]) -> Result<Self, DbError> {
        let [group, messages, sensors, total, min, max, more] = values;
        if more != ValueRef::Null {
            return Err(DbError::Newer { table, what: "further statistics".to_owned() });
        }
        let decoded = || -> Typed<_> {
            let (min, max) = (Fixed::from_micros(int(min)?), Fixed::from_micros(int(max)?));
            let stats = Stats { count: count(messages)?, sum: sum(total)?, min, max };
            Ok(Self { group: text(group)?, stats, sensors: count(sensors)? })
        };
        decoded().map_err(|_| DbError::damaged(table, "a row is malformed"))
    }
}

/// The row of a group of the run; `room` is for a long sum.
pub(super) fn encode<'a>(group: &'a GroupState, room: &'a mut String) -> [ValueRef<'a>; 8] {
    let GroupState { id, name, stats, sensors } = group;
    let [name, messages, sensors, sum, min, max, more] =
        Statistics { group: name, stats: *stats, sensors: *sensors }.encode(room);
    [ValueRef::Integer(i64::from(*id)), name, messages, sensors, sum, min, max, more]
}

pub(super) fn decode([id, statistics @ ..]: [ValueRef<'_>; 8]) -> Result<GroupState, DbError> {
    let id = small(id).map_err(GROUPS.malformed())?;
    let Statistics { group, stats, sensors } = Statistics::decode(GROUPS.name, statistics)?;
    Ok(GroupState { id, name: group.to_owned(), stats, sensors })
}

pub(super) fn put_members(out: &mut Vec<u8>, members: &[SensorEntry]) {
    out.clear();
    out.reserve(members.len().saturating_mul(MEMBER));
    for SensorEntry { sensor, group } in members {
        out.extend_from_slice(&sensor.to_le_bytes());
        out.extend_from_slice(&group.to_le_bytes());
    }
}

pub(super) fn members(chunk: ValueRef<'_>) -> Result<impl Iterator<Item = SensorEntry>, DbError> {
    let bytes = blob(chunk).map_err(SENSORS.malformed())?;
    let (members, []) = bytes.as_chunks::<MEMBER>() else {
        return Err(SENSORS.damaged("a row is malformed"));
    };
    Ok(members.iter().map(|[a, b, c, d, e, f, g, h, group @ ..]| SensorEntry {
        sensor: u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
        group: u32::from_le_bytes(*group),
    }))
}
