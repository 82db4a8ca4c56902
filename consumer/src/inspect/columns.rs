//! Rows of text as columns.

use console::Alignment;

use crate::sinks::table::format::widths;

/// A column: its name, and to which side its cells are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Left(&'static str),
    Right(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Left(name) | Self::Right(name) => name,
        }
    }
}

/// The columns' names, and a line for each row.
pub(crate) fn lines<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> Vec<String> {
    let header = columns.map(|column| column.name().to_owned());
    let rows = || std::iter::once(&header).chain(rows);
    let widths = widths(rows().map(<[String; N]>::as_slice));
    let line = |row: &[String; N]| {
        let cells = columns.iter().zip(row).zip(&widths).map(|((column, cell), width)| {
            let side = if let Column::Left(_) = column { Alignment::Left } else { Alignment::Right };
            console::pad_str(cell, *width, side, None)
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_their_names() {
        let row = |a: &str, b: &str, c: &str| [a, b, c].map(str::to_owned);
        let rows = [row("1", "1,000", "é"), row("all", "7", "")];
        let lines = lines([Column::Left("p"), Column::Right("read"), Column::Left("what")], &rows);
        assert_eq!(lines, ["p     read  what", "1    1,000  é", "all      7"]);
    }
}
