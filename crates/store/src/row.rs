//! Rows that say whether they are what was written: each ends with a `check`, the XXH3-64 of its table's name and all
//! of its values. And digests of whole tables: a row can vanish from a damaged tree, or come back, without SQLite noticing.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, params_from_iter};
use xxhash_rust::xxh3::Xxh3;

use super::bytes::Malformed;
use crate::error::Wrong;

/// A table, as far as reading and writing its rows goes.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    /// Its name.
    pub(super) name: &'static str,
    /// Its columns without `check`, the primary key first.
    pub(super) columns: [&'static str; N],
}

/// A row's check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Check(pub(super) i64);

impl<const N: usize> Table<N> {
    /// A fault of a row of it.
    pub(super) fn damaged(&self, what: impl Into<String>) -> Wrong {
        Wrong::damaged(self.name, what)
    }

    /// `SELECT` of all columns; `rest` is what follows the name under which the table stands.
    fn select(&self, place: &str, rest: &str) -> String {
        format!("SELECT {}, \"check\" FROM {place} {rest}", self.columns.join(", "))
    }

    fn write(&self, verb: &str, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, Wrong> {
        let check = self.check(&values);
        let places = vec!["?"; N + 1].join(", ");
        let columns = self.columns.join(", ");
        let statement = format!("{verb} INTO {} ({columns}, \"check\") VALUES ({places})", self.name);
        let all = values.into_iter().chain([ValueRef::Integer(check.0)]).map(ToSqlOutput::Borrowed);
        connection.prepare_cached(&statement)?.execute(params_from_iter(all))?;
        Ok(check)
    }

    /// Writes a row that is not there.
    pub(super) fn insert(&self, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, Wrong> {
        self.write("INSERT", connection, values)
    }

    /// Writes a row in the place of the one of its key.
    pub(super) fn replace(&self, connection: &Connection, values: [ValueRef<'_>; N]) -> Result<Check, Wrong> {
        self.write("INSERT OR REPLACE", connection, values)
    }

    /// Reads rows one by one, each of them checked.
    pub(super) fn each(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut each: impl FnMut([ValueRef<'_>; N], Check) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        self.until(connection, rest, params, |values, check| each(values, check).map(|()| true))
    }

    /// Reads rows one by one, each of them checked, as long as `each` says so.
    pub(super) fn until(
        &self,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        each: impl FnMut([ValueRef<'_>; N], Check) -> Result<bool, Wrong>,
    ) -> Result<(), Wrong> {
        self.until_in(self.name, connection, rest, params, each)
    }

    /// The same of a table that stands under another name than that of its rows' checks.
    pub(super) fn until_in(
        &self,
        place: &str,
        connection: &Connection,
        rest: &str,
        params: impl Params,
        mut each: impl FnMut([ValueRef<'_>; N], Check) -> Result<bool, Wrong>,
    ) -> Result<(), Wrong> {
        let mut statement = connection.prepare_cached(&self.select(place, rest))?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            let mut values = [ValueRef::Null; N];
            for (at, value) in values.iter_mut().enumerate() {
                *value = row.get_ref(at)?;
            }
            let check = self.check(&values);
            if row.get_ref(N)? != ValueRef::Integer(check.0) {
                return Err(self.damaged("a row is not what was written"));
            }
            if !each(values, check)? {
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
        mut read: impl FnMut([ValueRef<'_>; N], Check) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        let mut found = None;
        self.until(connection, rest, params, |values, check| {
            found = Some(read(values, check)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// The fixed encoding: the table's name and a zero; each value as a byte for its type and eight bytes, little-endian:
    /// the integer, or the number of bytes that follow.
    pub(super) fn check(&self, values: &[ValueRef<'_>; N]) -> Check {
        let mut hash = Xxh3::new();
        hash.update(self.name.as_bytes());
        hash.update(&[0]);
        for value in values {
            let (kind, number, bytes): (u8, u64, &[u8]) = match value {
                ValueRef::Null => (0, 0, &[]),
                ValueRef::Integer(number) => (1, number.cast_unsigned(), &[]),
                ValueRef::Real(number) => (2, number.to_bits(), &[]),
                ValueRef::Text(bytes) => (3, bytes.len() as u64, bytes),
                ValueRef::Blob(bytes) => (4, bytes.len() as u64, bytes),
            };
            let mut fixed = [kind; 9];
            for (place, byte) in fixed.iter_mut().skip(1).zip(number.to_le_bytes()) {
                *place = byte;
            }
            hash.update(&fixed);
            hash.update(bytes);
        }
        Check(hash.digest().cast_signed())
    }
}

/// A digest of a table: how many rows, and the sum of their checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digest {
    /// Rows.
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
    pub(super) fn expect(self, read: Self, table: &'static str) -> Result<(), Wrong> {
        if self == read {
            return Ok(());
        }
        let what = match self.rows == read.rows {
            true => format!("some of its {} rows are older or newer than the rest of the store", self.rows),
            false => format!("{} rows where {} were written", read.rows, self.rows),
        };
        Err(Wrong::damaged(table, what))
    }
}

/// A value that is not of its column's type: a row of ours never has one.
pub(super) type Typed<T> = Result<T, Malformed>;

/// An integer.
pub(super) fn int(value: ValueRef<'_>) -> Typed<i64> {
    optional(value)?.ok_or(Malformed)
}

/// An integer, or none.
pub(super) fn optional(value: ValueRef<'_>) -> Typed<Option<i64>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        _ => Err(Malformed),
    }
}

/// An integer that fits `T`.
pub(super) fn small<T: TryFrom<i64>>(value: ValueRef<'_>) -> Typed<T> {
    T::try_from(int(value)?).map_err(|_| Malformed)
}

/// A count: 64 bits without a sign, kept in 64 bits with one.
pub(super) fn count(value: ValueRef<'_>) -> Typed<u64> {
    int(value).map(i64::cast_unsigned)
}

/// A text.
pub(super) fn text(value: ValueRef<'_>) -> Typed<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

/// A blob.
pub(super) fn blob(value: ValueRef<'_>) -> Typed<&[u8]> {
    match value {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// The column of a count.
pub(super) fn of_count(count: u64) -> ValueRef<'static> {
    ValueRef::Integer(count.cast_signed())
}

/// The column of an integer, or none.
pub(super) fn of_optional(number: Option<i64>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}
