//! Runs that end where the partitions ended when they began.

use super::resume::{again, apply, resumed};
use super::*;
use crate::commit::ResumeState;
use crate::view::PartitionPhase;

fn until_end() -> Options {
    Options { until_end: true, ..options() }
}

#[test]
fn when_all_are_at_their_targets_all_windows_close_with_end_and_the_run_is_over() {
    let mut run = Run::attached(until_end(), &[2, 1]);
    run.reading(0, 0);
    run.reading(1, 1);
    assert_eq!(run.materializer.view().partitions[1].phase, PartitionPhase::AtTarget);
    let effects = run.reading(0, 60_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::End), (60, ClosedBy::End)]);
    let totals = Box::new(run.totals());
    assert_eq!(effects[1..], [Effect::Finished { totals }], "once, last");
    assert_eq!(run.event(Event::Stop), []);
}

#[test]
fn a_partition_at_its_target_blocks_nothing_and_what_comes_beyond_is_dropped() {
    let mut run = Run::attached(until_end(), &[1, 100]);
    run.reading(0, 0);
    run.event(Event::End { partition: 0, end: 50 });
    assert_eq!(run.reading(0, 1), []);
    assert_eq!((run.totals().messages, run.materializer.positions()[0]), (1, (0, 1)));
    assert_eq!(run.reading(1, 60_000), [], "no window closes before all are at their targets");
    let beyond = Event::Partial { partition: 0, partial: Box::new(partial(30, &[at(0)], &[])), digest: 0 };
    assert_eq!(run.event(beyond), [], "nothing beyond the target is read");
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
fn idle_time_does_not_end_it_before_its_target() {
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
    let mut run = Run::found(Materializer::new(until_end()), 0);
    run.event(Event::Found { partition: 0 });
    assert_eq!(run.attach(0, 0, 0), [Effect::Pause { partition: 0 }]);
    run.event(Event::Found { partition: 1 });
    assert_eq!(run.event(Event::Listed), []);
    let totals = Box::default();
    assert_eq!(run.attach(1, 7, 7), [Effect::Finished { totals }], "no window, no Close");
}

#[test]
fn a_partition_beyond_its_target_may_be_attached_anywhere() {
    let mut run = Run::attached(until_end(), &[1, 5]);
    run.reading(0, 0);
    run.event(Event::Partial { partition: 0, partial: Box::new(partial(1, &[at(0)], &[])), digest: 0 });
    run.event(Event::Detached { partition: 0 });
    run.attach(0, 2, 9);
    assert_eq!(run.totals().messages, 1);
}

fn left_open() -> Options {
    Options { leave_open: true, ..until_end() }
}

#[test]
fn what_the_watermark_has_not_passed_can_be_left_open() {
    let mut run = Run::attached(left_open(), &[2, 1]);
    assert_eq!(run.reading(0, 0), []);
    assert_eq!(run.reading(0, 60_000), [Effect::Pause { partition: 0 }]);
    let effects = run.reading(1, 4_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark)], "the least watermark counts");
    let commit = run.materializer.commit(&[]);
    assert_eq!((commit.topic.open_windows, commit.topic.closed_until), (2, Some(3_000)));
}

#[test]
fn a_partition_counts_only_if_its_watermark_rose_in_the_run() {
    let mut run = Run::attached(left_open(), &[1, 1]);
    run.reading(0, 0);
    run.reading(1, 4_000);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    assert_eq!(saved.topic.watermark, Some(0));
    let mut run = resumed(left_open(), saved);
    run.attach(0, 0, 1);
    run.attach(1, 0, 2);
    run.event(again(0, 0, 0));
    let repeated =
        |offset, time| Event::Partial { partition: 1, partial: Box::new(partial(offset, &[at(time)], &[])), digest: 0 };
    run.event(repeated(0, 4_000));
    let effects = run.event(repeated(1, 60_000));
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark), (3, ClosedBy::Watermark)], "partition 0 has nothing new");
}

#[test]
fn a_bounded_run_that_was_killed_is_gone_on_with() {
    let mut run = Run::attached(left_open(), &[2, 2]);
    run.reading(0, 0);
    run.reading(0, 60_000);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    assert!(saved.topic.bounded);
    // Partition 0 rose before the kill, and counts.
    let mut run = resumed(left_open(), saved);
    run.attach(0, 0, 2);
    run.attach(1, 0, 1);
    run.event(again(0, 0, 0));
    run.event(again(1, 60_000, 0));
    let effects = run.reading(1, 90_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark)]);
    assert_eq!(run.materializer.commit(&[]).topic.closed_until, Some(59_000));
    assert!(!run.materializer.commit(&[]).topic.bounded, "it has come to its end");
}

#[test]
fn only_what_was_published_and_what_the_watermark_has_passed_is_closed_for_later_runs() {
    let mut run = Run::attached(until_end(), &[3, 1]);
    run.reading(0, 0);
    run.reading(0, 9_000);
    run.reading(0, 60_000);
    let windows = windows(&run.reading(1, 8_000));
    assert_eq!(windows.iter().map(|window| window.start).collect::<Vec<_>>(), [0, 6_000, 9_000, 60_000]);
    let saved = apply(&ResumeState::default(), &run.materializer, &windows.iter().collect::<Vec<_>>());
    assert_eq!((saved.topic.closed_until, &saved.closed_beyond[..]), (Some(7_000), &[6_000, 9_000, 60_000][..]));
    let mut run = resumed(options(), saved);
    run.attach(0, 2, 9);
    run.attach(1, 0, 9);
    run.event(again(2, 60_000, 0));
    run.event(Event::Partial { partition: 1, partial: Box::new(partial(0, &[at(8_000)], &[])), digest: 0 });
    for (time, late) in [(1_000, 1), (4_000, 2), (9_500, 3), (12_000, 3), (61_000, 4), (63_000, 4), (57_000, 4)] {
        run.reading(1, time);
        assert_eq!(run.totals().late, late, "{time}");
    }
}

#[test]
fn an_end_that_nobody_knows_is_known_when_it_is_reached() {
    let mut run = Run::new(until_end(), 1);
    run.event(Event::Attached { partition: 0, position: 0, end: None });
    run.reading(0, 0);
    assert_eq!(run.materializer.view().partitions[0].phase, PartitionPhase::CatchingUp);
    run.reading(0, 60_000);
    let effects = run.event(Event::End { partition: 0, end: 2 });
    assert_eq!(closed(&effects), [(0, ClosedBy::End), (60, ClosedBy::End)]);
}

#[test]
fn many_windows_close_in_several_commits_and_none_is_closed_before_its_turn() {
    let mut run = Run::attached(until_end(), &[3]);
    run.materializer = std::mem::replace(&mut run.materializer, Materializer::new(options())).with_rows_at_once(3);
    run.reading(0, 0);
    run.reading(0, 9_000);
    let effects = run.reading(0, 90_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::End), (9, ClosedBy::End)]);
    assert_eq!(effects[1..], [Effect::Proceed]);
    let topic = run.materializer.commit(&[]).topic;
    assert_eq!((topic.closed_until, topic.open_windows, topic.bounded), (Some(89_000), 1, true));
    let effects = run.event(Event::Proceed);
    assert_eq!(closed(&effects), [(90, ClosedBy::End)]);
    assert!(matches!(effects[1..], [Effect::Finished { .. }]), "{effects:?}");
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

#[test]
fn very_many_groups_are_named_by_the_last_totals_alone() {
    for groups in [Totals::MOST_GROUPS, Totals::MOST_GROUPS + 1] {
        let mut run = Run::attached(options(), &[groups as i64 + 1]);
        let group = |number: usize| -> &'static str { Box::leak(format!("g{number}").into_boxed_str()) };
        let readings: Vec<_> = (0..groups).map(|number| Reading::new(1, group(number), 0, 1)).collect();
        run.batch(0, &readings, &[]);
        // Of a group that is known.
        let effects = run.batch(0, &[Reading::new(1, group(7), 60_000, 1)], &[]);
        let [Effect::Close { totals: Some(totals), .. }] = &effects[..] else { panic!("{effects:?}") };
        let last = run.totals();
        assert_eq!((last.groups.len(), last.groups_omitted), (groups, 0));
        let brief = if groups > Totals::MOST_GROUPS { (0, groups as u64) } else { (groups, 0) };
        assert_eq!((totals.groups.len(), totals.groups_omitted), brief);
        assert_eq!((totals.counted, totals.sensors), (groups as u64 + 1, 1));
    }
}
