//! Rows that say whether they are what was written: each ends with a `check`, the XXH3-64 of its table's name and all
//! of its values. And digests of whole tables: a damaged tree can lose a row, or bring one back, without SQLite noticing.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, params_from_iter};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use super::column::{Malformed, text};
use crate::error::DbError;

/// A table, as far as reading and writing its rows goes.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    pub(super) name: &'static str,
    /// Its columns without `check`, the primary key first.
    pub(super) columns: [&'static str; N],
}

/// A row's check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Check(i64);

impl Check {
    pub(super) fn value(self) -> ValueRef<'static> {
        ValueRef::Integer(self.0)
    }
}

/// Computes a row's check: over the table's name and a zero, then each value as a byte for its type and eight bytes,
/// little-endian: the integer, or the number of bytes that follow.
pub(super) struct Hasher(Vec<u8>);

impl Hasher {
    pub(super) fn new(table: &str) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(table.as_bytes());
        bytes.push(0);
        Self(bytes)
    }

    pub(super) fn add(&mut self, values: &[ValueRef<'_>]) {
        for value in values {
            let (kind, number, bytes): (u8, u64, &[u8]) = match value {
                ValueRef::Null => (0, 0, &[]),
                ValueRef::Integer(number) => (1, number.cast_unsigned(), &[]),
                ValueRef::Real(number) => (2, number.to_bits(), &[]),
                ValueRef::Text(bytes) => (3, bytes.len() as u64, bytes),
                ValueRef::Blob(bytes) => (4, bytes.len() as u64, bytes),
            };
            self.0.push(kind);
            self.0.extend_from_slice(&number.to_le_bytes());
            self.0.extend_from_slice(bytes);
        }
    }

    pub(super) fn check(&self) -> Check {
        Check(xxh3_64(&self.0).cast_signed())
    }
}

impl<const N: usize> Table<N> {
    /// A fault of a row of it.
    pub(super) fn damaged(&self, what: impl Into<String>) -> DbError {
        DbError::damaged(self.name, what)
    }

    /// A row whose values are not those that the table holds.
    pub(super) fn malformed(&self) -> impl Fn(Malformed) -> DbError + use<N> {
        let table = self.name;
        move |Malformed| DbError::damaged(table, "a row is malformed")
    }

    fn write(&self, verb: &str, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, DbError> {
        let mut hash = Hasher::new(self.name);
        hash.add(&values);
        self.write_checked(verb, connection, values, hash.check())
    }

    /// Writes a row with a check that covers more than its own values.
    pub(super) fn write_checked(
        &self,
        verb: &str,
        connection: &Connection,
        values: [ValueRef<'_>; N],
        check: Check,
    ) -> Result<Check, DbError> {
        let places = vec!["?"; N + 1].join(", ");
        let columns = self.columns.join(", ");
        let statement = format!("{verb} INTO {} ({columns}, \"check\") VALUES ({places})", self.name);
        let all = values.into_iter().chain([check.value()]).map(ToSqlOutput::Borrowed);
        connection.prepare_cached(&statement)?.execute(params_from_iter(all))?;
        Ok(check)
    }

    /// Writes a row that is not there.
    pub(super) fn insert(&self, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, DbError> {
        self.write("INSERT", connection, values)
    }

    /// Writes a row in the place of the one of its key.
    pub(super) fn replace(&self, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, DbError> {
        self.write("INSERT OR REPLACE", connection, values)
    }

    /// Reads rows one by one, each of them checked.
    pub(super) fn each(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut each: impl FnMut([ValueRef<'_>; N], Check) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        self.until(connection, rest, params, |values, check| each(values, check).map(|()| true))
    }

    /// Reads rows one by one, each of them checked, as long as `each` says so.
    pub(super) fn until(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut each: impl FnMut([ValueRef<'_>; N], Check) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        self.until_hashed(connection, rest, params, |values, hash, stored| each(values, self.expect(hash, stored)?))
    }

    /// Whether a row's check is the one that was computed of it.
    pub(super) fn expect(&self, hash: &Hasher, stored: ValueRef<'_>) -> Result<Check, DbError> {
        let check = hash.check();
        if stored == check.value() { Ok(check) } else { Err(self.damaged("a row is not what was written")) }
    }

    /// Reads rows one by one, not yet checked: `each` gets the values, the hash of them, and the check that is stored.
    pub(super) fn until_hashed(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut each: impl FnMut([ValueRef<'_>; N], &mut Hasher, ValueRef<'_>) -> Result<bool, DbError>,
    ) -> Result<(), DbError> {
        let select = format!("SELECT {}, \"check\" FROM {} {rest}", self.columns.join(", "), self.name);
        let mut statement = connection.prepare_cached(&select)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            let mut values = [ValueRef::Null; N];
            for (at, value) in values.iter_mut().enumerate() {
                *value = row.get_ref(at)?;
            }
            let mut hash = Hasher::new(self.name);
            hash.add(&values);
            if !each(values, &mut hash, row.get_ref(N)?)? {
                break;
            }
        }
        Ok(())
    }

    /// The only row that `rest` selects, if there is one.
    pub(super) fn one<T>(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut read: impl FnMut([ValueRef<'_>; N], Check) -> Result<T, DbError>,
    ) -> Result<Option<T>, DbError> {
        let mut found = None;
        self.until(connection, rest, params, |values, check| {
            found = Some(read(values, check)?);
            Ok(false)
        })?;
        Ok(found)
    }
}

/// Tables whose rows are a key and one self-describing value, as JSON.
impl Table<2> {
    pub(super) fn encode<T: Serialize>(&self, value: &T) -> Result<String, DbError> {
        serde_json::to_string(value).map_err(|error| self.damaged(error.to_string()))
    }

    /// Reads a value whose check is right. So what it says was meant: members that are unknown here are a newer version's.
    pub(super) fn decode<T: DeserializeOwned>(&self, value: ValueRef<'_>) -> Result<T, DbError> {
        let value = text(value).map_err(self.malformed())?;
        serde_json::from_str(value).map_err(|error| DbError::Newer { table: self.name, what: error.to_string() })
    }

    /// The row of a table that has one.
    pub(super) fn only<T: DeserializeOwned>(&self, connection: &Connection) -> Result<T, DbError> {
        let row = self.one(connection, "WHERE id = 1", [], |[_, value], _| self.decode(value))?;
        row.ok_or_else(|| self.damaged("its row is missing"))
    }

    /// Writes the row of a table that has one.
    pub(super) fn write_only<T: Serialize>(&self, connection: &Connection, value: &T) -> Result<(), DbError> {
        let value = self.encode(value)?;
        self.replace(connection, [ValueRef::Integer(1), ValueRef::Text(value.as_bytes())]).map(drop)
    }
}

/// A digest of a table: how many rows, and the sum of their checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Digest {
    pub(super) rows: u64,
    /// The wrapping sum of their checks.
    pub(super) sum: i64,
}

impl Digest {
    /// A row more.
    pub(super) fn add(&mut self, check: Check) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(check.0);
    }

    /// A row less.
    pub(super) fn remove(&mut self, check: Check) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(check.0);
    }

    /// A row in the place of another.
    pub(super) fn replace(&mut self, old: Option<Check>, new: Check) {
        if let Some(old) = old {
            self.remove(old);
        }
        self.add(new);
    }

    /// Whether the rows that were read are all that were written.
    pub(super) fn expect(self, read: Self, table: &'static str) -> Result<(), DbError> {
        if self == read {
            return Ok(());
        }
        let what = match self.rows == read.rows {
            true => format!("some of its {} rows are older or newer than the rest of the store", self.rows),
            false => format!("{} rows where {} were written", read.rows, self.rows),
        };
        Err(DbError::damaged(table, what))
    }
}
