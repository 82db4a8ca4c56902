//! Runs that end where the partitions ended when they began.

use super::super::status::Standing;
use super::*;

fn until_end() -> Options {
    Options { until_end: true, ..options() }
}

#[test]
fn when_all_are_at_their_targets_all_windows_close_with_end_and_the_run_is_over() {
    let mut run = Run::attached(until_end(), &[2, 1]);
    run.reading(0, 0);
    run.reading(1, 1);
    assert_eq!(run.materializer.status().partitions[1].standing, Standing::AtTarget);
    let effects = run.reading(0, 60_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::End), (60, ClosedBy::End)]);
    let totals = Box::new(run.totals());
    assert_eq!(effects[1..], [Effect::Finished { totals }], "once, last");
    assert_eq!(run.event(Event::Stop), []);
}

#[test]
fn a_partition_at_its_target_holds_nothing_back_and_what_comes_beyond_is_dropped() {
    let mut run = Run::attached(until_end(), &[1, 100]);
    run.reading(0, 0);
    run.event(Event::End { partition: 0, end: 50 });
    assert_eq!(run.reading(0, 1), []);
    assert_eq!((run.totals().messages, run.materializer.merged()[0]), (1, (0, 1)));
    assert_eq!(closed(&run.reading(1, 60_000)), [(0, ClosedBy::Watermark)]);
    let gap = Event::Partial { partition: 0, partial: Box::new(partial(30, &[at(0)], &[])), digest: 0 };
    assert_eq!(run.event(gap), [], "beyond, nothing is looked at");
}

#[test]
fn a_batch_across_the_target_counts_whole() {
    let mut run = Run::attached(until_end(), &[2]);
    let effects = run.batch(0, &[at(0), at(1), at(2)], &[]);
    assert_eq!(windows(&effects)[0].messages, 3);
}

#[test]
fn the_target_stays_through_a_reconnect() {
    let mut run = Run::attached(until_end(), &[2]);
    run.reading(0, 0);
    run.event(Event::Detached { partition: 0 });
    run.attach(0, 1, 100);
    assert!(matches!(run.reading(0, 1)[..], [Effect::Close { .. }, Effect::Finished { .. }]));
}

#[test]
fn quiet_does_not_end_it_short_of_its_target() {
    let mut run = Run::attached(until_end(), &[2]);
    run.reading(0, 0);
    assert_eq!(run.pass(3_600_000), []);
}

#[test]
fn partitions_that_come_later_are_left_alone() {
    let mut run = Run::attached(until_end(), &[2]);
    run.event(Event::Found { partition: 1 });
    run.event(Event::Listed);
    run.attach(1, 0, 5);
    run.event(Event::End { partition: 1, end: 9 });
    run.event(Event::Partial { partition: 1, partial: Box::new(partial(0, &[at(0)], &[])), digest: 0 });
    run.event(Event::Detached { partition: 1 });
    assert_eq!(run.totals().messages, 0);
    assert!(matches!(run.batch(0, &[at(0), at(1)], &[])[..], [Effect::Close { .. }, Effect::Finished { .. }]));
}

#[test]
fn empty_partitions_end_at_once_and_not_before_the_list_is_complete() {
    let mut run = Run { materializer: Materializer::new(until_end()), now: Duration::ZERO };
    run.event(Event::Found { partition: 0 });
    assert_eq!(run.attach(0, 0, 0), [Effect::Pause { partition: 0 }]);
    run.event(Event::Found { partition: 1 });
    assert_eq!(run.event(Event::Listed), []);
    let totals = Box::default();
    assert_eq!(run.attach(1, 7, 7), [Effect::Finished { totals }], "no window, no Close");
}

#[test]
fn who_has_passed_its_target_may_come_back_anywhere() {
    let mut run = Run::attached(until_end(), &[1, 5]);
    run.reading(0, 0);
    run.event(Event::Partial { partition: 0, partial: Box::new(partial(1, &[at(0)], &[])), digest: 0 });
    run.event(Event::Detached { partition: 0 });
    run.attach(0, 2, 9);
    assert_eq!(run.totals().messages, 1);
}

#[test]
fn windows_can_be_left_open_at_the_end() {
    let mut run = Run::attached(Options { leave_open: true, ..until_end() }, &[1]);
    let effects = run.reading(0, 0);
    assert!(matches!(effects[..], [Effect::Finished { .. }]), "{effects:?}");
    assert_eq!(run.materializer.commit(&[]).topic.open_windows, 1);
}

#[test]
fn a_run_that_is_told_to_finish_closes_every_window_with_end() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 0);
    run.reading(0, 3_000);
    let effects = run.event(Event::Finish);
    assert_eq!(closed(&effects), [(0, ClosedBy::End), (3, ClosedBy::End)]);
    assert_eq!(effects[1..], [Effect::Finished { totals: Box::new(run.totals()) }]);
    assert_eq!(run.event(Event::Finish), [], "only once");
}
