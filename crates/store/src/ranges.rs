//! The ledger's ranges and data losses, as rows.

use isotherm_engine::ledger::{DataLoss, KeyedRange, RangeKey, RangeState};
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::Rejection;
use isotherm_model::window::Window;
use rusqlite::types::ValueRef;

use super::column::{Malformed, Typed, count, int, of_count, small};
use super::row::Table;
use crate::error::DbError;

/// `kind` is 0 for late ranges, whose key is the window's number, and 1 for rejected ones, whose key is the reason's number.
pub(super) const RANGES: Table<7> =
    Table { name: "ranges", columns: ["partition", "kind", "place", "\"key\"", "first", "next", "records"] };

pub(super) const DATA_LOSSES: Table<5> =
    Table { name: "data_losses", columns: ["partition", "place", "first", "next", "lost"] };

/// Of which list a range is: 0 for late, 1 for rejected records.
pub(super) fn kind(key: &RangeKey) -> usize {
    match key {
        RangeKey::Late(_) => 0,
        RangeKey::Rejected(_) => 1,
    }
}

pub(super) fn encode_range(range: &RangeState) -> [ValueRef<'static>; 7] {
    let KeyedRange { key, range: source, records } = range.range;
    let number = match key {
        RangeKey::Late(window) => window.0,
        RangeKey::Rejected(reason) => i64::from(reason.number()),
    };
    [
        ValueRef::Integer(i64::from(range.partition)),
        ValueRef::Integer(i64::from(kind(&key) == 1)),
        ValueRef::Integer(i64::from(range.place)),
        ValueRef::Integer(number),
        ValueRef::Integer(source.first),
        ValueRef::Integer(source.next),
        of_count(records),
    ]
}

pub(super) fn decode_range(values: [ValueRef<'_>; 7]) -> Result<RangeState, DbError> {
    let decoded = |[partition, kind, place, key, first, next, records]: [ValueRef<'_>; 7]| {
        let key = match int(kind)? {
            0 => RangeKey::Late(Window(int(key)?)),
            1 => RangeKey::Rejected(Rejection::from_number(small(key)?).ok_or(Malformed)?),
            _ => return Err(Malformed),
        };
        let source = SourceRange { first: int(first)?, next: int(next)? };
        let range = KeyedRange { key, range: source, records: count(records)? };
        Ok(RangeState { partition: small(partition)?, place: small(place)?, range })
    };
    decoded(values).map_err(RANGES.malformed())
}

pub(super) fn encode_data_loss(partition: PartitionId, place: u64, loss: &DataLoss) -> [ValueRef<'static>; 5] {
    [
        ValueRef::Integer(i64::from(partition)),
        of_count(place),
        ValueRef::Integer(loss.range.first),
        ValueRef::Integer(loss.range.next),
        of_count(loss.lost),
    ]
}

/// A data loss with its partition and its place in the partition's list.
pub(super) fn decode_data_loss(values: [ValueRef<'_>; 5]) -> Result<(PartitionId, u64, DataLoss), DbError> {
    let decoded = |[partition, place, first, next, lost]: [ValueRef<'_>; 5]| -> Typed<_> {
        let range = SourceRange { first: int(first)?, next: int(next)? };
        Ok((small(partition)?, count(place)?, DataLoss { range, lost: count(lost)? }))
    };
    decoded(values).map_err(DATA_LOSSES.malformed())
}
