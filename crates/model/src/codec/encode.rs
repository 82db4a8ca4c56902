//! Writing the bytes of a partial.

use super::check::{self, Fault};
use super::sink::{Length, Sink};
use super::{EXACT_SENSORS, FORMAT, GROUP_MEMBERS, MAGIC, NO_TIMESTAMP, STATISTICS};
use crate::combine::Combined;
use crate::partial::{CellView, Partial};
use crate::rejection::Rejection;
use crate::varint::zigzag;
use crate::window::Window;

impl Combined<'_> {
    /// Appends the bytes of the partial. With room in `out` for [`Combined::encoded_len`] bytes it needs no memory.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        write(self.header(), self.groups(), self.cells(), out);
    }

    /// How many bytes [`Combined::encode_into`] appends. Cost: linear in the cells; needs no memory.
    pub fn encoded_len(&self) -> usize {
        let mut length = Length::default();
        write(self.header(), self.groups(), self.cells(), &mut length);
        length.0
    }
}

/// The bytes of a partial; an error if no batch gives such a partial, so that [`decode`](super::decode()) would refuse them.
pub fn encode(partial: &Partial) -> Result<Vec<u8>, Fault> {
    check::partial(partial)?;
    let (mut out, groups) = (Vec::new(), partial.groups());
    write(partial, groups.iter().copied(), partial.cells(&groups), &mut out);
    Ok(out)
}

/// Writes a partial; its cells, which the header may lack, are given apart.
fn write<'a>(
    header: &Partial,
    groups: impl ExactSizeIterator<Item = &'a str>,
    cells: impl Iterator<Item = CellView<'a>> + Clone,
    out: &mut impl Sink,
) {
    out.put(&MAGIC);
    out.push(FORMAT);
    for number in [header.version.major, header.version.minor, header.version.patch] {
        out.put(&number.to_le_bytes());
    }
    out.put(&header.fingerprint.0.to_le_bytes());
    out.put(&header.source.first.to_le_bytes());
    out.put(&header.base_timestamp.unwrap_or(NO_TIMESTAMP).to_le_bytes());
    out.put(&header.rejected_hash.0.to_le_bytes());
    out.number(header.source.next.wrapping_sub(header.source.first).cast_unsigned());
    out.number(header.aggregate.records);
    out.number(header.aggregate.rejected.iter().count() as u64);
    for reason in (0..).map_while(Rejection::from_number) {
        let count = header.aggregate.rejected.get(reason);
        if count > 0 {
            out.number(reason.number().into());
            out.number(count);
        }
    }
    out.push(header.aggregate.newest.is_some().into());
    if let Some(newest) = header.aggregate.newest {
        out.put(&newest.to_le_bytes());
    }
    out.number(STATISTICS);
    (0..STATISTICS).for_each(|statistic| out.number(statistic));
    out.number(GROUP_MEMBERS);
    out.number(groups.len() as u64);
    for group in groups {
        out.number(group.len() as u64);
        out.put(group.as_bytes());
    }
    write_windows(cells, out);
}

fn write_windows<'a>(cells: impl Iterator<Item = CellView<'a>> + Clone, out: &mut impl Sink) {
    out.number(windows(cells.clone()).count() as u64);
    let (mut window_before, mut rest) = (None, cells.clone());
    for (window, count) in windows(cells) {
        match window_before.replace(window) {
            None => out.wide(zigzag(window.0.into())),
            Some(before) => out.number(window.0.wrapping_sub(before.0).wrapping_sub(1).cast_unsigned()),
        }
        out.number(count as u64);
        let mut next_group = 0;
        for cell in rest.by_ref().take(count) {
            out.number(cell.group_index.wrapping_sub(next_group) as u64);
            next_group = cell.group_index + 1;
            write_cell(&cell, out);
        }
    }
}

/// Each window that has cells, with their number.
fn windows<'a>(cells: impl Iterator<Item = CellView<'a>> + Clone) -> impl Iterator<Item = (Window, usize)> {
    let mut cells = cells.peekable();
    std::iter::from_fn(move || {
        let window = cells.next()?.window;
        let mut count = 1;
        while cells.next_if(|cell| cell.window == window).is_some() {
            count += 1;
        }
        Some((window, count))
    })
}

fn write_cell(cell: &CellView<'_>, out: &mut impl Sink) {
    let stats = cell.stats;
    let (min, max) = (stats.min.micros(), stats.max.micros());
    out.number(stats.count);
    out.wide(zigzag(min.into()));
    out.number(max.wrapping_sub(min).cast_unsigned());
    out.wide(stats.sum.wrapping_sub(i128::from(stats.count).wrapping_mul(min.into())).cast_unsigned());
    out.push(EXACT_SENSORS);
    out.number(cell.sensors.len() as u64);
    out.put_sensors(cell.sensors);
}
