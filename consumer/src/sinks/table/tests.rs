//! Pictures of the table, kept as files in `golden/`. `UPDATE_GOLDEN=1 cargo test` writes them again; look at the change before
//! you commit it.

use std::fs;
use std::path::Path;

use isotherm_engine::results::{ClosedBy, GroupResult};
use isotherm_model::rejection::{RejectedCounts, Rejection};

use super::*;

const STATES: [&str; 51] = [
    "AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS", "KY", "LA",
    "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR",
    "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA", "WI", "WV", "WY",
];

fn check(name: &str, lines: &[String]) {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sinks/table/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == golden,
        "{} differs; UPDATE_GOLDEN=1 writes it anew. Now:\n{text}\nBefore:\n{golden}",
        path.display()
    );
}

fn group(name: &str, seed: i64, scale: u64) -> GroupResult {
    let messages = scale * (20 + seed.unsigned_abs() * 7 % 90);
    let average = 26_600_000 + seed * 937_519 % 44_000_000;
    GroupResult {
        group: name.to_owned(),
        messages,
        sensors: messages.min(18 + seed.unsigned_abs() * 5 % 40),
        sum: i128::from(average) * i128::from(messages),
        avg: Fixed::from_micros(average),
        min: Fixed::from_micros(average - 6_412_345),
        max: Fixed::from_micros(average + 9_300_000),
    }
}

fn groups(scale: u64) -> Vec<GroupResult> {
    STATES.iter().zip(0..).map(|(name, seed)| group(name, seed, scale)).collect()
}

fn window(groups: Vec<GroupResult>) -> WindowResult {
    let start = 1_795_341_600_000;
    WindowResult {
        start,
        end: start + 3_000,
        closed_by: ClosedBy::Watermark,
        messages: groups.iter().map(|group| group.messages).sum(),
        sensors: groups.iter().map(|group| group.sensors).sum(),
        groups,
        positions: Vec::new(),
    }
}

fn run_totals() -> Totals {
    let mut rejected = RejectedCounts::default();
    for (reason, count) in Rejection::ALL.into_iter().zip([8, 4, 311, 20, 6, 11, 1_204]) {
        rejected.add(reason, count);
    }
    let groups = groups(1_000);
    let counted = groups.iter().map(|group| group.messages).sum();
    Totals {
        messages: counted + 31 + rejected.total(),
        counted,
        late: 31,
        rejected,
        sensors: 2_000,
        groups,
        groups_omitted: 0,
    }
}

fn before(groups: &[GroupResult]) -> BTreeMap<String, Fixed> {
    let moved = |(group, by): (&GroupResult, i64)| {
        (group.group.clone(), Fixed::from_micros(group.avg.micros() + (by % 5 - 2) * 310_000))
    };
    // The first state was not there before.
    groups.iter().zip(0..).skip(1).map(moved).collect()
}

fn picture(width: usize, height: Option<usize>) -> Vec<String> {
    let window = window(groups(1));
    let (before, totals) = (before(&window.groups), run_totals());
    let view = View { window: &window, before: &before, totals: Some(&totals), group: "state" };
    let lines = render::window(&view, Space { width, height }, Paint { on: false });
    for line in &lines {
        assert!(console::measure_text_width(line) <= width, "wider than {width}: {line}");
    }
    assert!(height.is_none_or(|height| lines.len() <= height), "taller than {height:?}");
    lines
}

#[test]
fn a_window_in_spaces_of_many_sizes() {
    for (name, width, height) in [
        ("window-80x40.txt", 80, Some(40)),
        ("window-80x24.txt", 80, Some(24)),
        ("window-120x40.txt", 120, Some(40)),
        ("window-200x30.txt", 200, Some(30)),
        ("window-piped.txt", PLAIN_WIDTH, None),
    ] {
        check(name, &picture(width, height));
    }
}

#[test]
fn a_stored_window_shows_no_figures_of_another_moment() {
    let window = window(groups(1));
    let stored = Stored::new("state", PLAIN_WIDTH, None, false).window(&window);
    check("window-stored.txt", &stored);
    assert!(stored.iter().all(|line| !line.contains("run") && !line.contains("late")), "{stored:#?}");
}

#[test]
fn stored_windows_show_what_has_changed_from_one_to_the_next() {
    let mut stored = Stored::new("state", PLAIN_WIDTH, None, false);
    let (mut window, changed) = (window(groups(1)), |line: &String| line.contains('▲'));
    assert!(!stored.window(&window).iter().any(changed), "nothing was before the first one");
    for group in &mut window.groups {
        group.avg = Fixed::from_micros(group.avg.micros() + 500_000);
    }
    assert_eq!(stored.window(&window).iter().filter(|line| changed(line)).count(), window.groups.len());
}

#[test]
fn the_totals_of_a_run() {
    let totals = run_totals();
    check("totals-80.txt", &render::totals(&totals, "state", Space { width: 80, height: None }, Paint { on: false }));
    let tall = Space { width: 120, height: Some(50) };
    check("totals-120x50.txt", &render::totals(&totals, "state", tall, Paint { on: false }));
    let empty = render::totals(&Totals::default(), "state", tall, Paint { on: false });
    check("totals-empty.txt", &empty);
}

#[test]
fn a_stranger_s_groups_cannot_break_the_table() {
    let hostile = ["\u{1b}[2J", "a very long name of a group that goes on and on", "", "x\ny"];
    let window = window(hostile.iter().zip(0..).map(|(name, seed)| group(name, seed, 1)).collect());
    let (before, totals) = (BTreeMap::new(), Totals::default());
    let view = View { window: &window, before: &before, totals: Some(&totals), group: "\u{7}room" };
    let lines = render::window(&view, Space { width: 80, height: Some(24) }, Paint { on: false });
    assert!(lines.iter().all(|line| line.chars().all(|c| !c.is_control())), "{lines:?}");
}

#[test]
fn colours_change_nothing_but_colours() {
    let window = window(groups(1));
    let (before, totals) = (before(&window.groups), run_totals());
    let view = View { window: &window, before: &before, totals: Some(&totals), group: "state" };
    let space = Space { width: 80, height: Some(40) };
    let plain = render::window(&view, space, Paint { on: false });
    let painted = render::window(&view, space, Paint { on: true });
    let bare: Vec<_> = painted.iter().map(|line| console::strip_ansi_codes(line).into_owned()).collect();
    assert_eq!(bare, plain);
    assert_ne!(painted, plain);
}

#[test]
fn the_status_says_how_reading_goes() {
    let snapshot = Snapshot {
        partitions: 5,
        attached: 5,
        unknown: 0,
        caught_up: true,
        read: 100,
        of: 100,
        behind: 0,
        restoring: None,
        rate: 0.0,
        now: std::time::Duration::from_secs(1),
    };
    let live = Snapshot { rate: 1_000.4, behind: 1_200, partitions: 1, attached: 1, ..snapshot };
    let lost = Snapshot { attached: 3, ..snapshot };
    let behind = Snapshot { caught_up: false, read: 1_200_000, of: 2_000_000, rate: 400_000.0, ..snapshot };
    let restoring = Snapshot { restoring: Some((1_200, 5_000)), ..behind };
    for (snapshot, windows, said) in [
        (snapshot, 0, "waiting for readings … 5 partitions, caught up"),
        (live, 3, "waiting for the next window … 1 partition, 1,200 records behind, 1,000/s"),
        (lost, 3, "connecting … 3 of 5 partitions connected"),
        (behind, 3, "catching up ████████████░░░░░░░░  60 %  1,200,000 of 2,000,000 records, 400,000/s, 2 s left"),
        (restoring, 3, "restoring open windows: 1,200 of 5,000 records, 400,000/s"),
    ] {
        assert_eq!(render::status(&snapshot, render::Unit::Records, windows, Paint { on: false }), said);
    }
    // What is known has been read, but of one partition nothing is known.
    let unknown = Snapshot { read: 2_000_000, unknown: 1, ..behind };
    assert_eq!(
        render::catching_up(&unknown, render::Unit::Records),
        "catching up: the ends of 1 of 5 partitions are not known yet; 2,000,000 of at least 2,000,000 records, 400,000/s"
    );
}

#[tokio::test]
async fn where_output_is_piped_every_window_is_printed_once_and_then_the_totals() {
    let mut out = Vec::new();
    let mut table = Table::new("state", &mut out, None, true, Unit::Records);
    let totals = run_totals();
    table.publish(&[window(groups(1)), window(groups(2))], Some(&totals)).await.expect("written");
    table.finish(&totals).await.expect("written");
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text.matches("closed by watermark").count(), 2);
    assert_eq!(text.matches("Totals of the run").count(), 1);
    assert!(!text.contains('\u{1b}'), "no escapes in a pipe");
}
