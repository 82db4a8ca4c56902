//! Partitions with the counts of their accounts: one self-describing value each.

use isotherm_engine::ledger::Account;
use isotherm_engine::state::{LastBatch, PartitionState};
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::time::Millis;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};

use super::column::small;
use super::row::{Check, Table};
use crate::error::DbError;

pub(super) const PARTITIONS: Table<2> = Table { name: "partitions", columns: ["partition", "value"] };

/// A partition's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionRow {
    #[serde(skip)]
    pub(super) partition: PartitionId,
    #[serde(with = "StateValue")]
    pub(super) state: PartitionState,
    /// `None` before the first batch.
    pub(super) account: Option<Counts>,
}

/// The counts of an account, and how long its lists are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counts {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) late: u64,
    #[serde(with = "rejected")]
    pub(super) rejected: RejectedCounts,
    pub(super) restored: u64,
    pub(super) late_ranges: u64,
    /// Late records whose range is not listed.
    pub(super) late_unlisted: u64,
    pub(super) rejected_ranges: u64,
    pub(super) rejected_unlisted: u64,
    pub(super) data_losses: u64,
}

impl Counts {
    /// How many ranges of late, and of rejected records there are.
    pub(super) fn ranges(&self) -> [u64; 2] {
        [self.late_ranges, self.rejected_ranges]
    }
}

impl From<&Account> for Counts {
    fn from(account: &Account) -> Self {
        Self {
            read: account.read,
            counted: account.counted,
            late: account.late,
            rejected: account.rejected,
            restored: account.restored,
            late_ranges: account.late_ranges.listed().len() as u64,
            late_unlisted: account.late_ranges.unlisted(),
            rejected_ranges: account.rejected_ranges.listed().len() as u64,
            rejected_unlisted: account.rejected_ranges.unlisted(),
            data_losses: account.data_losses.len() as u64,
        }
    }
}

impl PartitionRow {
    pub(super) fn decode([partition, value]: [ValueRef<'_>; 2]) -> Result<Self, DbError> {
        let partition = small(partition).map_err(PARTITIONS.malformed())?;
        Ok(Self { partition, ..PARTITIONS.decode(value)? })
    }

    /// The row of a partition, if there is one.
    pub(super) fn find(connection: &Connection, partition: PartitionId) -> Result<Option<(Self, Check)>, DbError> {
        let read = |values: [ValueRef<'_>; 2], check| Ok((Self::decode(values)?, check));
        PARTITIONS.one(connection, "WHERE partition = ?1", [partition], read)
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<Check, DbError> {
        let value = PARTITIONS.encode(self)?;
        let row = [ValueRef::Integer(i64::from(self.partition)), ValueRef::Text(value.as_bytes())];
        PARTITIONS.replace(connection, row)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PartitionState", deny_unknown_fields)]
struct StateValue {
    start: i64,
    position: i64,
    restore_from: i64,
    watermark: Option<Millis>,
    bounded_from: Option<Millis>,
    #[serde(with = "last_batch")]
    last: Option<LastBatch>,
}

mod last_batch {
    use serde::{Deserializer, Serializer};

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "LastBatch", deny_unknown_fields)]
    struct LastBatchValue {
        first: i64,
        digest: u64,
    }

    #[derive(Serialize, Deserialize)]
    struct Wrapped(#[serde(with = "LastBatchValue")] LastBatch);

    pub(super) fn serialize<S: Serializer>(last: &Option<LastBatch>, serializer: S) -> Result<S::Ok, S::Error> {
        last.map(Wrapped).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LastBatch>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|Wrapped(last)| last))
    }
}

/// Rejected records as pairs of reason and count.
mod rejected {
    use std::collections::BTreeMap;

    use isotherm_model::rejection::{RejectedCounts, Rejection};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(counts: &RejectedCounts, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counts.iter().map(|(reason, records)| (reason.name(), records)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RejectedCounts, D::Error> {
        let mut counts = RejectedCounts::default();
        for (name, records) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            let reason = Rejection::ALL.into_iter().find(|reason| reason.name() == name);
            let reason = reason.ok_or_else(|| Error::custom(format_args!("unknown reason `{name}`")))?;
            counts.add(reason, records);
        }
        Ok(counts)
    }
}
