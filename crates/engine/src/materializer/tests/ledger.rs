//! Late readings and the account of all records.

use isotherm_model::window::Window;

use super::*;
use crate::ledger::KeyedRange;

#[test]
fn a_cell_is_judged_by_the_watermark_before_its_partial() {
    let mut run = Run::attached(options(), &[100]);
    let effects = run.batch(0, &[at(60_000), at(0)], &[]);
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark)], "not late, though the same batch closes its window");
    assert_eq!(run.totals().late, 0);
    run.batch(0, &[at(100), at(200), at(59_000)], &[]);
    assert_eq!((run.totals().late, run.totals().counted), (2, 3));
}

#[test]
fn a_window_that_never_held_a_reading_is_closed_all_the_same() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 60_000);
    assert_eq!(run.reading(0, 30_000), []);
    assert_eq!(run.totals().late, 1);
    run.reading(0, 56_999);
    assert_eq!(run.totals().late, 2, "the window up to 57,000 closes at 58,000");
    run.reading(0, 57_000);
    assert_eq!(run.totals().late, 2, "the window up to 60,000 closes at 61,000");
}

#[test]
fn late_readings_count_in_no_window_group_or_set_of_sensors() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 60_000);
    run.batch(0, &[Reading::new(9, "ZZ", 0, 0)], &[]);
    let totals = run.totals();
    assert_eq!((totals.messages, totals.sensors, totals.groups.len()), (2, 1, 1));
}

#[test]
fn ranges_of_late_and_rejected_records_are_kept_by_window_and_reason() {
    let mut run = Run::attached(options(), &[100]);
    run.batch(0, &[at(60_000)], &[Rejection::NotJson]);
    run.batch(0, &[at(0), at(1), at(3_000)], &[Rejection::NotJson]);
    run.batch(0, &[at(2), at(60_000)], &[Rejection::BadTime]);
    let account = run.materializer.ledger().account(0).expect("records came");
    let source = |first, next| SourceRange { first, next };
    let late = [
        KeyedRange { key: Window(0), range: source(2, 9), records: 3 },
        KeyedRange { key: Window(1), range: source(2, 6), records: 1 },
    ];
    assert_eq!(account.late_ranges.listed(), late);
    let rejected = [
        KeyedRange { key: Rejection::NotJson, range: source(0, 6), records: 2 },
        KeyedRange { key: Rejection::BadTime, range: source(6, 9), records: 1 },
    ];
    assert_eq!(account.rejected_ranges.listed(), rejected);
    assert_eq!((account.read, account.counted, account.late, account.rejected.total()), (9, 2, 4, 3));
}
