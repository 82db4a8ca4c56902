//! Closed windows, read in order: the chain from each to the one before it, and the head's first and last, show that
//! none is missing.

use std::ops::ControlFlow;

use isotherm_engine::results::WindowResult;
use isotherm_model::time::Millis;
use rusqlite::{Connection, OptionalExtension};

use super::head::Head;
use super::row::Digest;
use super::window::{WINDOWS, decode};
use crate::error::Wrong;

/// Which windows. They always come ascending by start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// All that are kept.
    All,
    /// The newest so many.
    Newest(u64),
    /// Those that start at `from` or later, and before `to`.
    Starting {
        /// The least start.
        from: Millis,
        /// The least start that is too late.
        to: Millis,
    },
}

/// Reads windows one by one, as long as `each` says so.
///
/// A window that is missing is noticed when the one after it, or the end, comes: what was read before is right all the same.
pub(super) fn windows(
    connection: &Connection,
    head: &Head,
    which: Windows,
    mut each: impl FnMut(WindowResult) -> ControlFlow<()>,
) -> Result<(), Wrong> {
    let (Some(first), Some(last)) = (head.first, head.last) else {
        return head.windows.expect(Digest::default(), WINDOWS.name);
    };
    let rows = head.windows.rows;
    let (from, to, expected) = match which {
        Windows::All => (first, None, Some(rows)),
        Windows::Newest(0) => return Ok(()),
        Windows::Newest(most) if most >= rows => (first, None, Some(rows)),
        Windows::Newest(most) => (nth_newest(connection, last, most)?.max(first), None, Some(most)),
        Windows::Starting { from, to } => (from.max(first), Some(to), None),
    };
    if from > last || to.is_some_and(|to| to <= from) {
        return Ok(());
    }
    let (mut before, mut digest, mut whole) = (None, Digest::default(), false);
    let range = "WHERE start >= ?1 AND start <= ?2 ORDER BY start";
    WINDOWS.until(connection, range, (from, last), |values, check| {
        let row = decode(values)?;
        let start = row.window.start;
        let follows = match before {
            Some(before) => row.previous == Some(before) && start > before,
            None if start == first => row.previous.is_some() == (head.dropped > 0),
            None => row.previous.is_some_and(|previous| previous >= first && previous < from),
        };
        if !follows || start < from {
            return Err(WINDOWS.damaged("a window is missing"));
        }
        (before, whole) = (Some(start), start == last);
        if to.is_some_and(|to| start >= to) {
            whole = true;
            return Ok(false);
        }
        digest.add(check);
        if each(row.window).is_break() {
            whole = true;
            return Ok(false);
        }
        Ok(true)
    })?;
    if !whole {
        return Err(WINDOWS.damaged("the newest windows are missing"));
    }
    // Whoever was stopped before the end has not seen them all.
    match expected {
        Some(expected) if before == Some(last) && digest.rows != expected => {
            Err(WINDOWS.damaged(format!("{} windows where {expected} were written", digest.rows)))
        }
        Some(expected) if before == Some(last) && expected == rows => head.windows.expect(digest, WINDOWS.name),
        _ => Ok(()),
    }
}

/// The start of the `nth` window from the newest one on; the chain then shows whether it is that.
fn nth_newest(connection: &Connection, last: Millis, nth: u64) -> Result<Millis, Wrong> {
    let sql = "SELECT start FROM windows WHERE start <= ?1 ORDER BY start DESC LIMIT 1 OFFSET ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let start = statement.query_row((last, nth.saturating_sub(1).cast_signed()), |row| row.get(0)).optional()?;
    start.ok_or_else(|| WINDOWS.damaged("windows are missing"))
}
