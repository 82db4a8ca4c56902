//! Parts of partitions, as rows: the files that a followed file was, one after the other.

use std::collections::BTreeMap;

use isotherm_engine::state::LogPart;
use isotherm_model::partial::PartitionId;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::column::{Typed, count, int, of_count, small};
use super::manifest::Manifest;
use super::read::table;
use super::row::Table;
use crate::error::DbError;

const PARTS: Table<7> =
    Table { name: "parts", columns: ["partition", "place", "base", "inode", "head_length", "head", "tail"] };

/// Appends a part to its partition's.
pub(super) fn insert(
    connection: &Connection,
    manifest: &mut Manifest,
    (partition, part): &(PartitionId, LogPart),
) -> Result<(), DbError> {
    let last = "WHERE partition = ?1 ORDER BY place DESC LIMIT 1";
    let before = PARTS.one(connection, last, [partition], |values, _| decode(values))?;
    if before.is_some_and(|(_, _, before)| part.base < before.base) {
        return Err(DbError::Unsound(format!("a part of partition {partition} begins before the one before it")));
    }
    let place = before.map_or(0, |(_, place, _)| place + 1);
    let row = [
        ValueRef::Integer(i64::from(*partition)),
        of_count(place),
        ValueRef::Integer(part.base),
        of_count(part.inode),
        ValueRef::Integer(i64::from(part.head_length)),
        of_count(part.head),
        of_count(part.tail),
    ];
    manifest.parts.add(PARTS.insert(connection, row)?);
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

fn decode(values: [ValueRef<'_>; 7]) -> Result<(PartitionId, u64, LogPart), DbError> {
    let decoded = |[partition, place, base, inode, head_length, head, tail]: [ValueRef<'_>; 7]| -> Typed<_> {
        let (inode, head, tail) = (count(inode)?, count(head)?, count(tail)?);
        let part = LogPart { base: int(base)?, inode, head_length: small(head_length)?, head, tail };
        Ok((small(partition)?, count(place)?, part))
    };
    decoded(values).map_err(PARTS.malformed())
}
