//! The table's text: a window, the run, and how reading goes.

use std::collections::BTreeMap;

use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{GroupResult, Totals, WindowResult};
use isotherm_model::fixed::{self, Fixed};
use isotherm_terminal::progress::{bar, thousands};

use super::format::{bytes, change, decimal, foreign, time_range};
use super::layout::{Grid, Line, lay_out};
use super::paint::Paint;

/// The longest name of a group that is shown whole.
const LONGEST_GROUP: usize = 16;

/// The space for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) width: usize,
    /// `None` if there is no end of lines.
    pub(super) height: Option<usize>,
}

/// A window and what belongs to it.
pub(super) struct View<'a> {
    pub(super) window: &'a WindowResult,
    /// The averages of the window before, by group.
    pub(super) before: &'a BTreeMap<String, Fixed>,
    /// The run when the window was published; `None` if only later figures are known.
    pub(super) totals: Option<&'a Totals>,
    /// What a group is called.
    pub(super) group: &'a str,
}

/// A style of the rows, from roomy to dense.
struct Style {
    decimals: u32,
    short: bool,
    /// Whether the run's sensors and average are shown beside the window's.
    run: bool,
}

const STYLES: [Style; 6] = [
    Style { decimals: 2, short: false, run: true },
    Style { decimals: 2, short: true, run: true },
    Style { decimals: 1, short: true, run: true },
    Style { decimals: 2, short: false, run: false },
    Style { decimals: 2, short: true, run: false },
    Style { decimals: 1, short: true, run: false },
];

/// A window's table: what and when, the figures of window and run, and the groups.
pub(super) fn window(view: &View<'_>, space: Space, paint: Paint) -> Vec<String> {
    let mut lines = heading(view, space.width, paint);
    lines.push(String::new());
    let groups = view.totals.map_or(&[][..], |totals| &totals.groups);
    let run: BTreeMap<&str, &GroupResult> = groups.iter().map(|group| (group.group.as_str(), group)).collect();
    let known = view.totals.is_some_and(|totals| totals.groups_omitted == 0);
    let styles = STYLES.iter().filter(|style| known || !style.run);
    let styles: Vec<Grid> = styles.map(|style| window_grid(view, &run, style)).collect();
    let height = space.height.map(|height| height.saturating_sub(lines.len()));
    lines.extend(grid_lines(&styles, space.width, height, view.group, paint));
    lines
}

/// The run's table: all groups, side by side if the height asks for it.
pub(super) fn totals(totals: &Totals, group: &str, space: Space, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.strong("Totals of the run")];
    lines.extend(figures(None, Some(totals), space.width, paint));
    if totals.groups.is_empty() {
        return lines;
    }
    lines.push(String::new());
    let styles: Vec<Grid> = [(2, false), (2, true), (1, true)]
        .into_iter()
        .map(|(decimals, short)| Grid {
            header: header(group, short, &[]),
            rows: totals.groups.iter().map(|group| group_cells(group, decimals)).collect(),
            dense: short,
        })
        .collect();
    let all =
        |height: &usize| !lay_out(&styles, space.width, Some(*height)).iter().any(|line| matches!(line, Line::More(_)));
    let room = space.height.map(|height| height.saturating_sub(lines.len() + 2));
    let height = room.and_then(|room| (room..=totals.groups.len()).find(all));
    lines.extend(grid_lines(&styles, space.width, height, group, paint));
    lines
}

/// One line: how reading goes.
pub(super) fn status(snapshot: &Snapshot, unit: Unit, windows: u64, paint: Paint) -> String {
    let partitions = match snapshot.partitions {
        1 => "1 partition".to_owned(),
        count => format!("{count} partitions"),
    };
    if snapshot.attached < snapshot.partitions {
        let lost = format!("{} of {partitions} connected", snapshot.attached);
        return paint.warn(&format!("connecting … {lost}"));
    }
    if !snapshot.caught_up || snapshot.restoring.is_some() {
        return catching_up(snapshot, unit);
    }
    let waiting = if windows == 0 { "waiting for readings" } else { "waiting for the next window" };
    let place = match snapshot.behind {
        0 => "caught up".to_owned(),
        behind => format!("{} behind", unit.counted(behind)),
    };
    let rate =
        if snapshot.rate >= 0.5 { format!(", {}/s", unit.short(snapshot.rate.round() as u64)) } else { String::new() };
    paint.faint(&format!("{waiting} … {partitions}, {place}{rate}"))
}

/// What offsets count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unit {
    #[default]
    Records,
    Bytes,
}

impl Unit {
    /// A number of them, with what they are.
    fn counted(self, number: u64) -> String {
        match self {
            Self::Records => format!("{} records", thousands(number)),
            Self::Bytes => bytes(number),
        }
    }

    /// The same, where what they are has just been said.
    fn short(self, number: u64) -> String {
        match self {
            Self::Records => thousands(number),
            Self::Bytes => bytes(number),
        }
    }
}

/// How catching up goes: as a part of all there is, once that is known.
pub(crate) fn catching_up(snapshot: &Snapshot, unit: Unit) -> String {
    let rate = unit.short(snapshot.rate.round() as u64);
    if let Some((read, of)) = snapshot.restoring {
        return format!("restoring open windows: {} of {}, {rate}/s", unit.short(read), unit.counted(of));
    }
    // The end of a pipe, or of a compressed file, is known when it comes.
    if snapshot.unknown > 0 && unit == Unit::Bytes {
        return format!("reading {}, {rate}/s", unit.counted(snapshot.read));
    }
    if snapshot.unknown > 0 {
        return format!(
            "catching up: the ends of {} of {} partitions are not known yet; {} of at least {}, {rate}/s",
            snapshot.unknown,
            snapshot.partitions,
            unit.short(snapshot.read),
            unit.counted(snapshot.of),
        );
    }
    let left = snapshot.left().map_or(String::new(), |left| format!(", {} s left", left.as_secs()));
    format!(
        "catching up {} {:>3.0} %  {} of {}, {rate}/s{left}",
        bar(snapshot.part(), 20),
        (snapshot.part() * 100.0).floor(),
        unit.short(snapshot.read),
        unit.counted(snapshot.of),
    )
}

fn heading(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let closed_by = format!("closed by {}", view.window.closed_by);
    let range = time_range(view.window.start, view.window.end);
    let mut lines = vec![format!("{}  {}", paint.strong(&range), paint.faint(&closed_by))];
    lines.extend(figures(Some(view.window), view.totals, width, paint));
    lines
}

/// The figures of the window and of the run, as far as they are given.
fn figures(window: Option<&WindowResult>, totals: Option<&Totals>, width: usize, paint: Paint) -> Vec<String> {
    let line = |name: &str, cells: [String; 6]| {
        let [messages, sensors, groups, average, late, rejected] = cells;
        format!("{name:<7}{messages:>15}{sensors:>12}{groups:>9}{average:>12}{late:>11}{rejected:>11}")
            .trim_end()
            .to_owned()
    };
    let [late, rejected_records] = if totals.is_some() { ["late", "rejected"] } else { ["", ""] };
    let names = ["messages", "sensors", "groups", "average", late, rejected_records].map(str::to_owned);
    let mut lines = vec![paint.faint(&line("", names))];
    if let Some(window) = window {
        let cells = [
            thousands(window.messages),
            thousands(window.sensors),
            thousands(window.groups.len() as u64),
            overall(&window.groups),
            String::new(),
            String::new(),
        ];
        lines.push(line("window", cells));
    }
    let Some(totals) = totals else {
        return lines;
    };
    let cells = [
        thousands(totals.messages),
        thousands(totals.sensors),
        thousands(totals.groups_omitted.max(totals.groups.len() as u64)),
        overall(&totals.groups),
        thousands(totals.late),
        thousands(totals.rejected.total()),
    ];
    lines.push(line("run", cells));
    lines.extend(rejected(totals, width).iter().map(|line| paint.warn(line)));
    lines
}

/// How many records were rejected for which reason, in as many lines as needed.
fn rejected(totals: &Totals, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (reason, count) in totals.rejected.iter() {
        let piece = format!("{reason} {}", thousands(count));
        match lines.last_mut() {
            None => lines.push(format!("rejected: {piece}")),
            Some(line) if line.len() + ", ".len() + piece.len() < width => {
                line.push_str(", ");
                line.push_str(&piece);
            }
            Some(line) => {
                line.push(',');
                lines.push(format!("{:10}{piece}", ""));
            }
        }
    }
    lines
}

fn overall(groups: &[GroupResult]) -> String {
    let sum = groups.iter().fold(0_i128, |sum, group| sum.saturating_add(group.sum));
    let count = groups.iter().fold(0_u64, |count, group| count.saturating_add(group.messages));
    fixed::average(sum, count).map_or(String::new(), |average| value(average, 2))
}

fn value(value: Fixed, decimals: u32) -> String {
    decimal(i128::from(value.micros()), decimals)
}

fn header(group: &str, short: bool, more: &[&str]) -> Vec<String> {
    let names: [&str; 5] = if short {
        ["sens", "msgs", "avg", "min", "max"]
    } else {
        ["sensors", "messages", "average", "minimum", "maximum"]
    };
    let group = if short { "" } else { group };
    std::iter::once(group).chain(names).chain(more.iter().copied()).map(|name| foreign(name, LONGEST_GROUP)).collect()
}

fn group_cells(group: &GroupResult, decimals: u32) -> Vec<String> {
    vec![
        foreign(&group.group, LONGEST_GROUP),
        thousands(group.sensors),
        thousands(group.messages),
        value(group.avg, decimals),
        value(group.min, decimals),
        value(group.max, decimals),
    ]
}

fn window_grid(view: &View<'_>, run: &BTreeMap<&str, &GroupResult>, style: &Style) -> Grid {
    let more: &[&str] = match (style.run, style.short) {
        (true, _) => &["change", "run sens", "run avg"],
        (false, false) => &["change"],
        (false, true) => &[""],
    };
    let rows = view.window.groups.iter().map(|group| {
        let mut cells = group_cells(group, style.decimals);
        let before = view.before.get(&group.group).map(|average| average.micros());
        cells.push(change(before, group.avg.micros(), style.decimals));
        if style.run {
            let run = run.get(group.group.as_str());
            cells.push(run.map_or(String::new(), |run| thousands(run.sensors)));
            cells.push(run.map_or(String::new(), |run| value(run.avg, style.decimals)));
        }
        cells
    });
    Grid { header: header(view.group, style.short, more), rows: rows.collect(), dense: style.short }
}

fn grid_lines(styles: &[Grid], width: usize, height: Option<usize>, group: &str, paint: Paint) -> Vec<String> {
    let lines = lay_out(styles, width, height).into_iter().map(|line| match line {
        Line::Header(text) => paint.faint(&text),
        Line::Rows(text) => paint.row(&text),
        Line::More(rows) => {
            let group = foreign(group, LONGEST_GROUP);
            paint.faint(&format!("… {rows} more; a taller or wider terminal shows every {group}"))
        }
    });
    lines.collect()
}
