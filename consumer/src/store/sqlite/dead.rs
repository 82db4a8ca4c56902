//! The outbox as rows: batches whose late or rejected readings are to be copied to the dead letters, and those that the log
//! no longer held when it was their turn.

use isotherm_model::partial::SourceRange;
use isotherm_model::window::Window;
use rusqlite::types::ValueRef;

use super::bytes::{Bytes, Malformed, put, put_signed};
use super::row::{Table, Typed, blob, count, int, of_count, small};
use crate::materializer::event::PartitionId;
use crate::store::DeadBatch;
use crate::store::error::Wrong;

/// Where dead batches stand.
pub(super) const DEAD: Table<6> =
    Table { name: "dead", columns: ["id", "partition", "first", "next", "late", "records"] };

/// Where lost ones stand.
pub(super) const LOST: Table<5> = Table { name: "dead_lost", columns: ["id", "partition", "first", "next", "records"] };

/// Readings that the log's retention had cut before they were copied to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostBatch {
    /// Of which partition.
    pub partition: PartitionId,
    /// Which offsets are gone.
    pub range: SourceRange,
    /// How many late and rejected records were among them, at most.
    pub records: u64,
}

/// What of a partition is in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Batches that are still to be copied to the dead letters.
    pub batches: u64,
    /// Late and rejected records in them.
    pub records: u64,
}

/// The row of a dead batch; `late` is room for its windows.
pub(super) fn encode<'a>(id: u64, batch: &DeadBatch, late: &'a mut Vec<u8>) -> [ValueRef<'a>; 6] {
    late.clear();
    put(late, batch.late.len() as u128);
    let mut before = 0;
    for window in &batch.late {
        put_signed(late, i128::from(window.0) - i128::from(before));
        before = window.0;
    }
    [
        of_count(id),
        ValueRef::Integer(i64::from(batch.partition)),
        ValueRef::Integer(batch.range.first),
        ValueRef::Integer(batch.range.next),
        ValueRef::Blob(late),
        of_count(batch.records),
    ]
}

/// Reads the row of a dead batch.
pub(super) fn decode(values: [ValueRef<'_>; 6]) -> Result<(u64, DeadBatch), Wrong> {
    let decoded = |[id, partition, first, next, late, records]: [ValueRef<'_>; 6]| {
        let range = SourceRange { first: int(first)?, next: int(next)? };
        let (late, records) = (take_late(blob(late)?)?, count(records)?);
        Ok((count(id)?, DeadBatch { partition: small(partition)?, range, late, records }))
    };
    decoded(values).map_err(|Malformed| DEAD.damaged("a row is malformed"))
}

fn take_late(blob: &[u8]) -> Typed<Vec<Window>> {
    let mut bytes = Bytes(blob);
    let length: usize = bytes.unsigned()?;
    let mut late = Vec::with_capacity(length.min(blob.len()));
    let mut before = 0_i128;
    for _ in 0..length {
        before = before.checked_add(bytes.signed()?).ok_or(Malformed)?;
        late.push(Window(i64::try_from(before).map_err(|_| Malformed)?));
    }
    bytes.end()?;
    Ok(late)
}

/// The row of a lost batch.
pub(super) fn encode_lost(id: u64, lost: &LostBatch) -> [ValueRef<'static>; 5] {
    [
        of_count(id),
        ValueRef::Integer(i64::from(lost.partition)),
        ValueRef::Integer(lost.range.first),
        ValueRef::Integer(lost.range.next),
        of_count(lost.records),
    ]
}

/// Reads the row of a lost batch.
pub(super) fn decode_lost(values: [ValueRef<'_>; 5]) -> Result<LostBatch, Wrong> {
    let decoded = |[_, partition, first, next, records]: [ValueRef<'_>; 5]| {
        let range = SourceRange { first: int(first)?, next: int(next)? };
        Ok(LostBatch { partition: small(partition)?, range, records: count(records)? })
    };
    decoded(values).map_err(|Malformed| LOST.damaged("a row is malformed"))
}
