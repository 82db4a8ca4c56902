//! Lays out rows as blocks of columns that fit a width and a height.
//!
//! Fifty-one states do not fit a terminal of 24 lines, so the rows are put in as many blocks side by side as the width allows.
//! Styles are tried from roomy to dense: the first one in which everything fits is taken, else the one that shows the most rows.

use std::iter;

use console::{Alignment, measure_text_width};

use super::format;

/// Between two columns.
const GAP: &str = "  ";
/// Between two columns of a dense style.
const NARROW_GAP: &str = " ";
/// Between two blocks.
const BETWEEN: &str = " │ ";

/// Rows of plain text in one style: a header, and a line of cells for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) header: Vec<String>,
    /// As many cells in each row as the header has.
    pub(super) rows: Vec<Vec<String>>,
    /// Whether columns are close together.
    pub(super) dense: bool,
}

/// A line of the laid-out grid, in plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Header(String),
    /// Rows side by side.
    Rows(String),
    /// How many rows are not shown.
    More(usize),
}

/// A grid's place in a space.
struct Plan {
    blocks: usize,
    /// Rows in each block.
    lines: usize,
    /// Rows that are shown.
    shown: usize,
}

/// Lays out the first grid that fits into `width` columns and `height` lines (header included), or the one of which the most rows
/// fit. The first column is set flush left, the others flush right.
pub(super) fn lay_out(styles: &[Grid], width: usize, height: Option<usize>) -> Vec<Line> {
    let mut best: Option<(&Grid, Plan)> = None;
    for grid in styles {
        let Some(plan) = plan(grid, width, height) else {
            continue;
        };
        if plan.shown == grid.rows.len() {
            return draw(grid, &plan);
        }
        if best.as_ref().is_none_or(|(_, other)| plan.shown > other.shown) {
            best = Some((grid, plan));
        }
    }
    match (best, styles.last()) {
        (Some((grid, plan)), _) => draw(grid, &plan),
        // Nothing fits: a line that is cut is better than none.
        (None, Some(grid)) => {
            let lines = height.map_or(grid.rows.len(), |height| height.saturating_sub(2).max(1).min(grid.rows.len()));
            draw(grid, &Plan { blocks: 1, lines, shown: lines })
        }
        (None, None) => Vec::new(),
    }
}

fn widths(grid: &Grid) -> Vec<usize> {
    format::widths(iter::once(&grid.header).chain(&grid.rows).map(Vec::as_slice))
}

fn gap(grid: &Grid) -> &'static str {
    if grid.dense { NARROW_GAP } else { GAP }
}

fn plan(grid: &Grid, width: usize, height: Option<usize>) -> Option<Plan> {
    let widths = widths(grid);
    let block = widths.iter().sum::<usize>() + gap(grid).len() * widths.len().saturating_sub(1);
    let between = measure_text_width(BETWEEN);
    let most = (width + between) / (block + between);
    if most == 0 {
        return None;
    }
    let rows = grid.rows.len();
    let Some(height) = height else {
        return Some(Plan { blocks: 1, lines: rows, shown: rows });
    };
    let room = height.saturating_sub(1).max(1);
    if rows <= room * most {
        let blocks = rows.div_ceil(room).max(1);
        return Some(Plan { blocks, lines: rows.div_ceil(blocks), shown: rows });
    }
    // One line says how many are missing.
    let lines = room.saturating_sub(1).max(1);
    Some(Plan { blocks: most, lines, shown: (lines * most).min(rows) })
}

fn draw(grid: &Grid, plan: &Plan) -> Vec<Line> {
    let widths = widths(grid);
    let header = vec![row(grid, &widths, &grid.header); plan.blocks].join(BETWEEN);
    let mut lines = vec![Line::Header(header.trim_end().to_owned())];
    for line in 0..plan.lines {
        let cells = (0..plan.blocks).map(|block| block * plan.lines + line).filter(|index| *index < plan.shown);
        let blocks: Vec<_> =
            cells.filter_map(|index| grid.rows.get(index)).map(|cells| row(grid, &widths, cells)).collect();
        lines.push(Line::Rows(blocks.join(BETWEEN).trim_end().to_owned()));
    }
    if plan.shown < grid.rows.len() {
        lines.push(Line::More(grid.rows.len() - plan.shown));
    }
    lines
}

/// One row of one block, padded to the block's width.
fn row(grid: &Grid, widths: &[usize], cells: &[String]) -> String {
    let cells = widths.iter().zip(cells).enumerate().map(|(index, (width, cell))| {
        let side = if index == 0 { Alignment::Left } else { Alignment::Right };
        console::pad_str(cell, *width, side, None)
    });
    cells.collect::<Vec<_>>().join(gap(grid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(rows: usize, dense: bool) -> Grid {
        let header = vec!["name".to_owned(), if dense { "n".to_owned() } else { "a long name".to_owned() }];
        let rows = (0..rows).map(|row| vec![format!("r{row}"), row.to_string()]).collect();
        Grid { header, rows, dense }
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines
            .iter()
            .map(|line| match line {
                Line::Header(text) | Line::Rows(text) => text.clone(),
                Line::More(rows) => format!("+{rows}"),
            })
            .collect()
    }

    #[test]
    fn without_a_height_there_is_one_block() {
        assert_eq!(texts(&lay_out(&[grid(3, true)], 80, None)), ["name n", "r0   0", "r1   1", "r2   2"]);
    }

    #[test]
    fn rows_go_down_first_and_then_right() {
        assert_eq!(
            texts(&lay_out(&[grid(5, true)], 80, Some(4))),
            ["name n │ name n", "r0   0 │ r3   3", "r1   1 │ r4   4", "r2   2"]
        );
    }

    #[test]
    fn a_dense_style_is_taken_when_a_roomy_one_does_not_fit() {
        let styles = [grid(6, false), grid(6, true)];
        assert!(texts(&lay_out(&styles, 40, Some(4)))[0].contains("a long name"));
        assert_eq!(texts(&lay_out(&styles, 20, Some(4)))[0], "name n │ name n");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let lines = texts(&lay_out(&[grid(100, true)], 17, Some(10)));
        assert_eq!(lines.len(), 10);
        assert_eq!(lines.last().map(String::as_str), Some("+84"));
    }

    #[test]
    fn no_space_and_no_rows_are_survived() {
        for rows in [0, 1, 60] {
            for width in [0, 1, 5, 80] {
                for height in [None, Some(0), Some(1), Some(2), Some(24)] {
                    let lines = lay_out(&[grid(rows, false), grid(rows, true)], width, height);
                    assert!(matches!(lines.first(), Some(Line::Header(_))));
                }
            }
        }
    }
}
