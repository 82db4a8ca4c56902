//! Closed windows, read in order. Their numbers, and the manifest's first and last, show that none is missing; where windows closed out
//! of order, their digest does.

use std::ops::ControlFlow;

use isotherm_engine::results::WindowResult;
use isotherm_model::time::Millis;
use rusqlite::{Connection, OptionalExtension};

use super::manifest::Manifest;
use super::row::Digest;
use super::window::{self, StoredWindow, WINDOWS};
use crate::error::DbError;

/// Which windows. They come ascending by start, unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// All that are kept.
    All,
    /// All that are kept, in the order in which they closed.
    AllAsClosed,
    /// The newest ones, this many.
    Newest(u64),
    /// Those that start at `from` or later, and before `to`.
    Starting {
        /// The earliest start.
        from: Millis,
        /// The earliest start that is too late.
        to: Millis,
    },
}

/// Reads windows one by one, as long as `each` says so.
///
/// A window that is missing is noticed when the one after it, or the end, comes: what was read before is right all the same.
pub(super) fn windows(
    connection: &Connection,
    manifest: &Manifest,
    which: Windows,
    mut each: impl FnMut(WindowResult) -> ControlFlow<()>,
) -> Result<(), DbError> {
    let missing = || WINDOWS.damaged("a window is missing");
    let (Some(first), Some(last)) = (manifest.first, manifest.last) else {
        return manifest.windows.expect(Digest::default(), WINDOWS.name);
    };
    let out_of_order = manifest.out_of_order;
    if which == Windows::AllAsClosed || (out_of_order && which != Windows::All) {
        let mut digest = Digest::default();
        let is_asked = which == Windows::AllAsClosed;
        let mut listening = true;
        window::until(connection, "ORDER BY number", [], |stored| {
            digest.add(stored.check);
            listening = !is_asked || each(stored.window).is_continue();
            Ok(listening)
        })?;
        if listening {
            manifest.windows.expect(digest, WINDOWS.name)?;
        }
        if is_asked {
            return Ok(());
        }
    }
    let (oldest, end) = (manifest.dropped, manifest.next_window());
    // Where to begin, and the number there if it is known.
    let (begin, mut next) = match which {
        Windows::Starting { from, to } if from > last || to <= from || to <= first => return Ok(()),
        Windows::Newest(0) => return Ok(()),
        Windows::Newest(n) if n < manifest.windows.rows => {
            let sql = "SELECT start FROM closed_windows WHERE start <= ?1 ORDER BY start DESC LIMIT 1 OFFSET ?2";
            let begin = start(connection, sql, (last, (n - 1).cast_signed()))?;
            (begin.ok_or_else(missing)?, Some(end - n))
        }
        // The window before the first one shows that none is missing between.
        Windows::Starting { from, .. } if from > first => {
            let sql = "SELECT start FROM closed_windows WHERE start < ?1 ORDER BY start DESC LIMIT 1";
            (start(connection, sql, [from])?.ok_or_else(missing)?, None)
        }
        _ => (first, Some(oldest)),
    };
    let (from, to) = match which {
        Windows::Starting { from, to } => (from, to),
        _ => (begin, Millis::MAX),
    };
    let (mut before, mut digest, mut whole) = (None, Digest::default(), false);
    window::until(connection, "WHERE start >= ?1 AND start <= ?2 ORDER BY start", (begin, last), |stored| {
        let StoredWindow { number, window, check } = stored;
        let follows = next.is_none_or(|next| number == next) && (oldest..end).contains(&number) || out_of_order;
        let ends = (window.start == last) == (number.saturating_add(1) == end) || out_of_order;
        if !follows || !ends || before.map_or(window.start != begin, |before| window.start <= before) {
            return Err(missing());
        }
        (before, next, whole) = (Some(window.start), Some(number.saturating_add(1)), window.start == last);
        digest.add(check);
        if window.start >= to || (window.start >= from && each(window).is_break()) {
            whole = true;
            next = None;
            return Ok(false);
        }
        Ok(true)
    })?;
    match (whole, which, next) {
        (false, ..) => Err(WINDOWS.damaged("the newest windows are missing")),
        // All have been read.
        (true, Windows::All, Some(_)) => manifest.windows.expect(digest, WINDOWS.name),
        (true, Windows::Newest(n), Some(_)) if n >= manifest.windows.rows => {
            manifest.windows.expect(digest, WINDOWS.name)
        }
        _ => Ok(()),
    }
}

fn start(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Option<Millis>, DbError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}
