//! From each format of a store to the next. A new store goes through all of them, so that its tables are those of one that has
//! come a long way.

mod format_2;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::row::{Digest, Table};
use crate::error::Wrong;

/// What brings a store from one format to the next, within a transaction.
pub(super) type Step = fn(&Transaction<'_>) -> Result<(), Wrong>;

/// From the format of its place in the list, each.
pub(super) const MIGRATIONS: &[Step] = &[format_1, format_2::migrate];

fn format_1(transaction: &Transaction<'_>) -> Result<(), Wrong> {
    Ok(transaction.execute_batch(include_str!("migrations/format_1.sql"))?)
}

/// Brings a store to the newest format, in one transaction.
pub(super) fn migrate(connection: &mut Connection, migrations: &[Step]) -> Result<(), Wrong> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    steps(&transaction, migrations)?;
    Ok(transaction.commit()?)
}

/// Brings a store to the newest format, within a transaction.
pub(super) fn steps(transaction: &Transaction<'_>, migrations: &[Step]) -> Result<(), Wrong> {
    loop {
        let at = format(transaction)?;
        let Some(step) = usize::try_from(at).ok().and_then(|at| migrations.get(at)) else {
            return Ok(());
        };
        step(transaction)?;
        transaction.pragma_update(None, "user_version", at + 1)?;
    }
}

/// The format of a store.
pub(super) fn format(connection: &Connection) -> Result<i64, Wrong> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Writes the rows of a table that has been renamed into its successor, each of them checked before, and all of them against
/// the digest that the head had of them. Returns the new digest.
fn rewrite<const O: usize, const N: usize>(
    transaction: &Transaction<'_>,
    (old, renamed, expected): (&Table<O>, &str, Digest),
    new: &Table<N>,
    row: impl for<'a> Fn([ValueRef<'a>; O]) -> [ValueRef<'a>; N],
) -> Result<Digest, Wrong> {
    let (mut before, mut after) = (Digest::default(), Digest::default());
    old.until_in(renamed, transaction, "", [], |values, check| {
        before.add(check);
        after.add(new.insert(transaction, row(values))?);
        Ok(true)
    })?;
    expected.expect(before, old.name)?;
    Ok(after)
}
