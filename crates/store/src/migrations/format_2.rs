//! Format 2: the head says where the run began, a batch in the outbox carries its digest, and what was lost says why.
//!
//! Digests of partials of the format before are of another kind, and are forgotten: until a batch of a partition has been merged,
//! its log is taken as it is, as that of a run whose last batch has been cut.

use rusqlite::Transaction;
use rusqlite::types::ValueRef;

use super::rewrite;
use crate::bytes::Malformed;
use crate::error::Wrong;
use crate::row::{Digest, Table, Typed, count, int};

/// Tables as they were and as they become here, whatever later formats make of them.
const PARTITIONS: Table<24> = Table {
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
const DEAD_1: Table<6> = Table { name: "dead", columns: ["id", "partition", "first", "next", "late", "records"] };
const DEAD_2: Table<7> =
    Table { name: "dead", columns: ["id", "partition", "first", "next", "digest", "late", "records"] };
const LOST_1: Table<5> = Table { name: "dead_lost", columns: ["id", "partition", "first", "next", "records"] };
const LOST_2: Table<7> =
    Table { name: "dead_lost", columns: ["id", "partition", "cause", "first", "next", "batches", "records"] };

/// The columns of the head in front of those that are new, and behind them.
const FRONT: [&str; 3] = ["id", "epoch", "commits"];
const BACK: [&str; 29] = [
    "watermark",
    "closed_until",
    "newest",
    "oldest_open",
    "open_windows",
    "distinct_sensors",
    "first_window",
    "last_window",
    "dropped_windows",
    "windows",
    "windows_sum",
    "partitions",
    "partitions_sum",
    "groups",
    "groups_sum",
    "ranges",
    "ranges_sum",
    "gaps",
    "gaps_sum",
    "sensors",
    "sensors_sum",
    "members",
    "dead",
    "dead_sum",
    "dead_first",
    "dead_next",
    "lost",
    "lost_sum",
    "lost_next",
];

/// The head, with these columns between front and back.
fn head<const N: usize>(new: &[&'static str]) -> Table<N> {
    let mut columns = FRONT.iter().chain(new).chain(&BACK).copied();
    Table { name: "head", columns: std::array::from_fn(|_| columns.next().unwrap_or_default()) }
}

/// What the head says of the tables that change.
#[derive(Default)]
struct Digests {
    partitions: Digest,
    dead: Digest,
    lost: Digest,
}

impl Digests {
    fn of(values: [ValueRef<'_>; 32]) -> Typed<Self> {
        let [_, _, _, back @ ..] = values;
        let mut digests = Self::default();
        for (column, value) in BACK.into_iter().zip::<[ValueRef<'_>; 29]>(back) {
            match column {
                "partitions" => digests.partitions.rows = count(value)?,
                "partitions_sum" => digests.partitions.sum = int(value)?,
                "dead" => digests.dead.rows = count(value)?,
                "dead_sum" => digests.dead.sum = int(value)?,
                "lost" => digests.lost.rows = count(value)?,
                "lost_sum" => digests.lost.sum = int(value)?,
                _ => {}
            }
        }
        Ok(digests)
    }
}

/// From format 1.
pub(super) fn migrate(transaction: &Transaction<'_>) -> Result<(), Wrong> {
    transaction.execute_batch(include_str!("format_2.sql"))?;
    let (old, new) = (head::<32>(&[]), head::<34>(&["from_end", "began_with"]));
    let mut digests = None;
    old.until_in("head_1", transaction, "WHERE id = 1", [], |values, _| {
        digests = Some(Digests::of(values).map_err(|Malformed| old.damaged("the row is malformed"))?);
        Ok(false)
    })?;
    // A store that is being made has no rows yet.
    if let Some(Digests { partitions, dead, lost }) = digests {
        let nothing = ValueRef::Null;
        let partitions = rewrite(transaction, (&PARTITIONS, "partitions_1", partitions), &PARTITIONS, |values| {
            let mut values = values;
            let [_, _, _, _, _, last_first, last_digest, ..] = &mut values;
            (*last_first, *last_digest) = (nothing, nothing);
            values
        })?;
        let dead = rewrite(transaction, (&DEAD_1, "dead_1", dead), &DEAD_2, |values| {
            let [id, partition, first, next, late, records] = values;
            [id, partition, first, next, nothing, late, records]
        })?;
        let lost = rewrite(transaction, (&LOST_1, "dead_lost_1", lost), &LOST_2, |values| {
            let [id, partition, first, next, records] = values;
            [id, partition, nothing, first, next, ValueRef::Integer(1), records]
        })?;
        old.until_in("head_1", transaction, "WHERE id = 1", [], |values, _| {
            let [id, epoch, commits, back @ ..] = values;
            let back = BACK.into_iter().zip::<[ValueRef<'_>; 29]>(back).map(|(column, value)| match column {
                "partitions_sum" => ValueRef::Integer(partitions.sum),
                "dead_sum" => ValueRef::Integer(dead.sum),
                "lost_sum" => ValueRef::Integer(lost.sum),
                _ => value,
            });
            // Runs began at the beginning, as far as that is known.
            let mut all = [id, epoch, commits, ValueRef::Integer(0), nothing].into_iter().chain(back);
            new.insert(transaction, std::array::from_fn(|_| all.next().unwrap_or(nothing)))?;
            Ok(false)
        })?;
    }
    Ok(transaction
        .execute_batch("DROP TABLE head_1; DROP TABLE partitions_1; DROP TABLE dead_1; DROP TABLE dead_lost_1")?)
}
