//! Partitions with the counts of their accounts, the ranges and the gaps of the ledger, as rows.

use isotherm_engine::ledger::{Account, DataLoss, KeyedRange, RangeKey, RangeState};
use isotherm_engine::state::{LastBatch, PartitionState};
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Window;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::bytes::Malformed;
use super::row::{Check, Table, Typed, count, int, of_count, of_optional, optional, small};
use crate::error::Wrong;

/// Where partitions stand.
pub(super) const PARTITIONS: Table<24> = Table {
    name: "partitions",
    columns: [
        "partition",
        "start",
        "merged",
        "refill",
        "watermark",
        "last_first",
        "last_digest",
        "account",
        "read",
        "counted",
        "late",
        "not_json",
        "missing_field",
        "wrong_type",
        "unknown_group",
        "bad_time",
        "out_of_range",
        "future",
        "replayed",
        "late_ranges",
        "late_unlisted",
        "rejected_ranges",
        "rejected_unlisted",
        "gaps",
    ],
};

/// Where ranges stand. `kind` is 0 for late ones, whose key is the window's number, and 1 for rejected ones, whose key is
/// the reason's place in [`Rejection::ALL`].
pub(super) const RANGES: Table<7> =
    Table { name: "ranges", columns: ["partition", "kind", "place", "\"key\"", "first", "next", "records"] };

/// Where gaps stand.
pub(super) const GAPS: Table<5> = Table { name: "gaps", columns: ["partition", "place", "first", "next", "unread"] };

/// The counts of an account, and how long its lists are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) late: u64,
    pub(super) rejected: RejectedCounts,
    pub(super) restored: u64,
    /// Ranges of late and of rejected records.
    pub(super) ranges: [u64; 2],
    /// Late and rejected records whose range is not listed.
    pub(super) unlisted: [u64; 2],
    pub(super) data_losses: u64,
}

impl From<&Account> for Counts {
    fn from(account: &Account) -> Self {
        Self {
            read: account.read,
            counted: account.counted,
            late: account.late,
            rejected: account.rejected,
            restored: account.restored,
            ranges: [account.late_ranges.listed().len() as u64, account.rejected_ranges.listed().len() as u64],
            unlisted: [account.late_ranges.unlisted(), account.rejected_ranges.unlisted()],
            data_losses: account.data_losses.len() as u64,
        }
    }
}

/// A partition's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartitionRow {
    pub(super) partition: PartitionId,
    pub(super) state: PartitionState,
    /// `None` without an account: no batch of it has been merged.
    pub(super) counts: Option<Counts>,
}

impl PartitionRow {
    /// Reads one.
    pub(super) fn decode(values: [ValueRef<'_>; 24]) -> Result<Self, Wrong> {
        Self::decoded(values).map_err(|Malformed| PARTITIONS.damaged("a row is malformed"))
    }

    /// The row of a partition, if there is one.
    pub(super) fn find(connection: &Connection, partition: PartitionId) -> Result<Option<(Self, Check)>, Wrong> {
        PARTITIONS
            .one(connection, "WHERE partition = ?1", [partition], |values, check| Ok((Self::decode(values)?, check)))
    }

    fn decoded(values: [ValueRef<'_>; 24]) -> Typed<Self> {
        let [partition, start, merged, refill, watermark, last_first, last_digest, account, rest @ ..] = values;
        let [read, counted, late, rest @ ..] = rest;
        let [reasons @ .., replayed, late_ranges, late_unlisted, rejected_ranges, rejected_unlisted, gaps] = rest;
        let last = match (optional(last_first)?, optional(last_digest)?) {
            (Some(first), Some(digest)) => Some(LastBatch { first, digest: digest.cast_unsigned() }),
            (None, None) => None,
            _ => return Err(Malformed),
        };
        let mut rejected = RejectedCounts::default();
        for (reason, records) in Rejection::ALL.into_iter().zip::<[ValueRef<'_>; 7]>(reasons) {
            rejected.add(reason, count(records)?);
        }
        let counts = Counts {
            read: count(read)?,
            counted: count(counted)?,
            late: count(late)?,
            rejected,
            restored: count(replayed)?,
            ranges: [count(late_ranges)?, count(rejected_ranges)?],
            unlisted: [count(late_unlisted)?, count(rejected_unlisted)?],
            data_losses: count(gaps)?,
        };
        Ok(Self {
            partition: small(partition)?,
            state: PartitionState {
                start: int(start)?,
                position: int(merged)?,
                restore_from: int(refill)?,
                watermark: optional(watermark)?,
                last,
            },
            counts: (int(account)? != 0).then_some(counts),
        })
    }

    /// Writes it.
    pub(super) fn encode(&self) -> [ValueRef<'static>; 24] {
        let Self { partition, state, counts } = self;
        let Counts { read, counted, late, rejected, restored, ranges, unlisted, data_losses } =
            counts.unwrap_or_default();
        let [not_json, missing, wrong_type, unknown, bad_time, range, future] =
            Rejection::ALL.map(|reason| of_count(rejected.get(reason)));
        let ([late_ranges, rejected_ranges], [late_unlisted, rejected_unlisted]) = (ranges, unlisted);
        [
            ValueRef::Integer(i64::from(*partition)),
            ValueRef::Integer(state.start),
            ValueRef::Integer(state.position),
            ValueRef::Integer(state.restore_from),
            of_optional(state.watermark),
            of_optional(state.last.map(|last| last.first)),
            of_optional(state.last.map(|last| last.digest.cast_signed())),
            ValueRef::Integer(i64::from(counts.is_some())),
            of_count(read),
            of_count(counted),
            of_count(late),
            not_json,
            missing,
            wrong_type,
            unknown,
            bad_time,
            range,
            future,
            of_count(restored),
            of_count(late_ranges),
            of_count(late_unlisted),
            of_count(rejected_ranges),
            of_count(rejected_unlisted),
            of_count(data_losses),
        ]
    }
}

/// Of which list a range is: 0 for late, 1 for rejected records.
pub(super) fn kind(key: &RangeKey) -> usize {
    match key {
        RangeKey::Late(_) => 0,
        RangeKey::Rejected(_) => 1,
    }
}

/// The row of a range.
pub(super) fn encode_range(range: &RangeState) -> [ValueRef<'static>; 7] {
    let KeyedRange { key, range: source, records } = range.range;
    let number = match key {
        RangeKey::Late(window) => window.0,
        RangeKey::Rejected(reason) => i64::from(reason as u8),
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

/// Reads the row of a range.
pub(super) fn decode_range(values: [ValueRef<'_>; 7]) -> Result<RangeState, Wrong> {
    let decoded = |[partition, kind, place, key, first, next, records]: [ValueRef<'_>; 7]| {
        let key = match int(kind)? {
            0 => RangeKey::Late(Window(int(key)?)),
            1 => RangeKey::Rejected(*Rejection::ALL.get(small::<usize>(key)?).ok_or(Malformed)?),
            _ => return Err(Malformed),
        };
        let source = SourceRange { first: int(first)?, next: int(next)? };
        let range = KeyedRange { key, range: source, records: count(records)? };
        Ok(RangeState { partition: small(partition)?, place: small(place)?, range })
    };
    decoded(values).map_err(|Malformed| RANGES.damaged("a row is malformed"))
}

/// The row of a gap.
pub(super) fn encode_gap(partition: PartitionId, place: u64, gap: &DataLoss) -> [ValueRef<'static>; 5] {
    [
        ValueRef::Integer(i64::from(partition)),
        of_count(place),
        ValueRef::Integer(gap.range.first),
        ValueRef::Integer(gap.range.next),
        of_count(gap.lost),
    ]
}

/// Reads the row of a gap: its partition, its place, and what it says.
pub(super) fn decode_gap(values: [ValueRef<'_>; 5]) -> Result<(PartitionId, u64, DataLoss), Wrong> {
    let decoded = |[partition, place, first, next, unread]: [ValueRef<'_>; 5]| {
        let range = SourceRange { first: int(first)?, next: int(next)? };
        Ok((small(partition)?, count(place)?, DataLoss { range, lost: count(unread)? }))
    };
    decoded(values).map_err(|Malformed| GAPS.damaged("a row is malformed"))
}
