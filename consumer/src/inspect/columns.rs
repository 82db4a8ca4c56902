//! Rows of text as columns.

use console::measure_text_width;

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
    let mut widths = [0; N];
    for row in rows() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = measure_text_width(cell).max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let mut text = String::new();
        for ((column, cell), width) in columns.iter().zip(row).zip(widths) {
            let padding = " ".repeat(width.saturating_sub(measure_text_width(cell)));
            text.push_str(if text.is_empty() { "" } else { "  " });
            match column {
                Column::Left(_) => text.extend([cell, padding.as_str()]),
                Column::Right(_) => text.extend([padding.as_str(), cell]),
            }
        }
        text.trim_end().to_owned()
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
