//! The text of a partial: one line of JSON, in the words of results.

use std::fmt::{self, Write};

use super::sink::{self, Length};
use crate::combine::Combined;
use crate::fixed::Micros;
use crate::json::Quoted;
use crate::partial::{CellView, Partial};
use crate::time::{Millis, Utc};
use crate::window::{Window, WindowSize};

/// The text of a partial made with windows of this size; `group` names the group's member:
///
/// ```json
/// {"type":"partial","first":0,"last":1,"base_timestamp":"2026-11-22T10:00:00.550Z","messages":2,"counted":1,
///  "rejected":{"not-json":1},"newest":"2026-11-22T10:00:00.500Z","windows":[{"start":"2026-11-22T10:00:00Z","end":"2026-11-22T10:00:03Z",
///   "groups":[{"state":"AK","messages":1,"sensors":1,"sum":26.6,"avg":26.6,"min":26.6,"max":26.6}]}]}
/// ```
///
/// in one line, without a line end. `last` is `null` for a batch without records, `base_timestamp` for one without log
/// timestamps, `newest` without a reading that counts.
pub fn text(partial: &Partial, size: WindowSize, group: &str) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write(partial, partial.cells(&partial.groups()), size, group, &mut out);
    out
}

impl Combined<'_> {
    /// Appends the text of the partial (see [`text`]). With room in `out` for [`Combined::text_len`] bytes it needs no memory.
    pub fn text_into(&self, group: &str, out: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        let _ = write(self.header(), self.cells(), self.window_size(), group, &mut sink::TextSink(out));
    }

    /// How many bytes [`Combined::text_into`] appends. Costs as much as that; needs no memory.
    pub fn text_len(&self, group: &str) -> usize {
        let mut length = Length::default();
        let _ = write(self.header(), self.cells(), self.window_size(), group, &mut length);
        length.0
    }
}

fn write<'a>(
    header: &Partial,
    cells: impl Iterator<Item = CellView<'a>> + Clone,
    size: WindowSize,
    group: &str,
    out: &mut impl Write,
) -> fmt::Result {
    write!(out, r#"{{"type":"partial","first":{},"last":"#, header.source.first)?;
    match header.source.last() {
        Some(last) => write!(out, "{last}")?,
        None => out.write_str("null")?,
    }
    out.write_str(r#","base_timestamp":"#)?;
    time(header.base_timestamp, out)?;
    let counted: u64 = cells.clone().fold(0, |sum, cell| sum.saturating_add(cell.stats.count));
    write!(out, r#","messages":{},"counted":{counted},"rejected":{{"#, header.aggregate.records)?;
    for (i, (reason, count)) in header.aggregate.rejected.iter().enumerate() {
        write!(out, r#"{}"{reason}":{count}"#, comma(i == 0))?;
    }
    out.write_str(r#"},"newest":"#)?;
    time(header.aggregate.newest, out)?;
    out.write_str(r#","windows":["#)?;
    let mut window_before: Option<Window> = None;
    for cell in cells {
        if window_before != Some(cell.window) {
            out.write_str(if window_before.is_some() { "]}," } else { "" })?;
            let (start, end) = (Utc(size.start(cell.window)), Utc(size.end(cell.window)));
            write!(out, r#"{{"start":"{start}","end":"{end}","groups":["#)?;
        }
        out.write_str(comma(window_before != Some(cell.window)))?;
        window_before = Some(cell.window);
        let stats = cell.stats;
        write!(
            out,
            r#"{{{}:{},"messages":{},"sensors":{},"sum":{},"avg":{},"min":{},"max":{}}}"#,
            Quoted(group),
            Quoted(cell.group),
            stats.count,
            cell.sensors.len(),
            Micros(stats.sum),
            stats.average(),
            stats.min,
            stats.max,
        )?;
    }
    out.write_str(if window_before.is_some() { "]}]}" } else { "]}" })
}

fn time(time: Option<Millis>, out: &mut impl Write) -> fmt::Result {
    match time {
        Some(time) => write!(out, r#""{}""#, Utc(time)),
        None => out.write_str("null"),
    }
}

/// What separates a member or an element from the one before.
fn comma(first: bool) -> &'static str {
    if first { "" } else { "," }
}
