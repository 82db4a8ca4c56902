//! Parts of partitions, as rows: the files that a followed file was, one after the other.

use std::collections::BTreeMap;

use isotherm_engine::state::LogPart;
use isotherm_model::partial::PartitionId;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::column::{Typed, count, of_count, of_optional, optional, small};
use super::manifest::Manifest;
use super::read::table;
use super::row::Table;
use crate::error::DbError;

const PARTS: Table<8> =
    Table { name: "parts", columns: ["partition", "place", "base", "inode", "head_length", "head", "length", "tail"] };

/// Writes a part in its place: a new one follows the last of its partition.
pub(super) fn write(
    connection: &Connection,
    manifest: &mut Manifest,
    (partition, place, part): &(PartitionId, u32, LogPart),
) -> Result<(), DbError> {
    let last = "WHERE partition = ?1 ORDER BY place DESC LIMIT 1";
    let next = PARTS.one(connection, last, [partition], |values, _| decode(values))?.map_or(0, |(_, last, _)| last + 1);
    let row = [
        ValueRef::Integer(i64::from(*partition)),
        ValueRef::Integer(i64::from(*place)),
        of_optional(part.base),
        of_count(part.inode),
        ValueRef::Integer(i64::from(part.head_length)),
        of_count(part.head),
        part.length.map_or(ValueRef::Null, of_count),
        of_count(part.tail),
    ];
    if u64::from(*place) > next {
        return Err(DbError::Unsound(format!("part {place} of partition {partition} follows none")));
    }
    let of = "WHERE partition = ?1 AND place = ?2";
    let old = PARTS.one(connection, of, [*partition, *place], |_, check| Ok(check))?;
    manifest.parts.replace(old, PARTS.replace(connection, row)?);
    Ok(())
}

/// The parts of all partitions that have any, in their order.
pub(super) fn read(
    connection: &Connection,
    manifest: &Manifest,
) -> Result<BTreeMap<PartitionId, Vec<LogPart>>, DbError> {
    let mut parts: BTreeMap<PartitionId, Vec<LogPart>> = BTreeMap::new();
    for (partition, place, part) in table(connection, &PARTS, "ORDER BY partition, place", manifest.parts, decode)? {
        let own = parts.entry(partition).or_default();
        if own.len() as u64 != place {
            return Err(PARTS.damaged("a row of a list is missing"));
        }
        own.push(part);
    }
    Ok(parts)
}

fn decode(values: [ValueRef<'_>; 8]) -> Result<(PartitionId, u64, LogPart), DbError> {
    let decoded = |[partition, place, base, inode, head_length, head, length, tail]: [ValueRef<'_>; 8]| -> Typed<_> {
        let (inode, head, tail) = (count(inode)?, count(head)?, count(tail)?);
        let length = optional(length)?.map(i64::cast_unsigned);
        let part = LogPart { base: optional(base)?, inode, head_length: small(head_length)?, head, length, tail };
        Ok((small(partition)?, count(place)?, part))
    };
    decoded(values).map_err(PARTS.malformed())
}
