//! Runs that end where the partitions ended when they began.

use super::resume::apply;
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
    assert_eq!(closed(&run.reading(1, 60_000)), [(0, ClosedBy::Watermark)]);
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
    let mut run = Run { materializer: Materializer::new(until_end()), now: Duration::ZERO };
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

#[test]
fn windows_can_be_left_open_at_the_end() {
    let mut run = Run::attached(Options { leave_open: true, ..until_end() }, &[1]);
    let effects = run.reading(0, 0);
    assert!(matches!(effects[..], [Effect::Finished { .. }]), "{effects:?}");
    assert_eq!(run.materializer.commit(&[]).topic.open_windows, 1);
}

fn left_open() -> Options {
    Options { leave_open: true, ..until_end() }
}

/// Reads partitions, in this order, to these ends; each batch holds one reading, of the event time in seconds that its offset
/// says. What is read again comes in the order of partitions.
fn read(saved: &ResumeState, ends: &[i64], order: &[PartitionId]) -> (ResumeState, Run) {
    let mut run = Run { materializer: Materializer::resume(left_open(), saved.clone()), now: Duration::ZERO };
    for partition in 0..ends.len() as u32 {
        run.event(Event::Found { partition });
    }
    run.event(Event::Listed);
    let place = |partition: u32| saved.partitions.get(&partition).map_or(0, |state| state.resume());
    let merged = |partition: u32| saved.partitions.get(&partition).map_or(0, |state| state.position);
    for (partition, end) in (0..).zip(ends) {
        run.attach(partition, place(partition), *end);
    }
    let again = (0..ends.len() as u32).map(|partition| (partition, place(partition)..merged(partition)));
    let new = order.iter().map(|partition| (*partition, merged(*partition)..ends[*partition as usize]));
    for (partition, offsets) in again.chain(new) {
        for offset in offsets {
            let partial = Box::new(partial(offset, &[at(offset * 1_000)], &[]));
            run.event(Event::Partial { partition, partial, digest: 0 });
        }
    }
    (apply(saved, &run.materializer, &[]), run)
}

#[test]
fn in_whichever_order_partitions_are_read_nothing_is_late_in_the_next_run() {
    for order in [[0, 1], [1, 0]] {
        let (saved, run) = read(&ResumeState::default(), &[5, 30], &order);
        assert!(run.materializer.finished, "{order:?}");
        assert!(saved.topic.closed_until <= Some(3_000), "{:?}", saved.topic);
        for next in [[0, 1], [1, 0]] {
            let (saved, run) = read(&saved, &[31, 60], &next);
            assert_eq!((run.totals().counted, run.totals().late), (91, 0), "{order:?}, then {next:?}");
            // Read on, with partition 0 silent: the windows of the others close all the same.
            let (saved, _) = read(&saved, &[31, 90], &next);
            let (_, run) = read(&saved, &[31, 91], &next);
            assert_eq!(run.materializer.commit(&[]).topic.watermark, Some(89_000), "{order:?}, then {next:?}");
        }
    }
}

#[test]
fn a_partition_that_holds_windows_open_becomes_idle_and_no_pause_lasts_for_ever() {
    let mut run = Run::attached(left_open(), &[1, 3]);
    run.reading(1, 0);
    assert_eq!(run.reading(0, 0), [Effect::Pause { partition: 0 }], "nothing more is wanted of it");
    assert_eq!(run.materializer.view().partitions[0].phase, PartitionPhase::HoldingOpen);
    assert_eq!(
        run.reading(1, 100_000),
        [Effect::Pause { partition: 1 }],
        "partition 0 may become idle, and open windows take memory"
    );
    assert_eq!(run.pass(9_999), []);
    let effects = run.pass(1);
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark)]);
    assert_eq!(effects[1..], [Effect::Resume { partition: 1 }]);
    assert!(matches!(run.reading(1, 100_001)[..], [Effect::Finished { .. }]));
}

#[test]
fn a_partition_that_cannot_become_idle_blocks_to_the_end_but_pauses_no_other() {
    let more = Event::End { partition: 0, end: 2 };
    for what in [more, Event::Detached { partition: 0 }] {
        let mut run = Run::attached(left_open(), &[1, 3]);
        run.reading(1, 0);
        run.reading(0, 0);
        assert_eq!(run.reading(1, 100_000), [Effect::Pause { partition: 1 }]);
        assert_eq!(run.event(what.clone()), [Effect::Resume { partition: 1 }], "{what:?}");
        assert_eq!(run.pass(60_000), [], "{what:?}");
        assert!(matches!(run.reading(1, 100_001)[..], [Effect::Finished { .. }]), "{what:?}");
    }
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
        let mut run = Run::attached(until_end(), &[groups as i64 + 1]);
        let group = |number: usize| -> &'static str { Box::leak(format!("g{number}").into_boxed_str()) };
        let readings: Vec<_> = (0..groups).map(|number| Reading::new(1, group(number), 0, 1)).collect();
        run.batch(0, &readings, &[]);
        // Of a group that is known.
        let effects = run.batch(0, &[Reading::new(1, group(7), 60_000, 1)], &[]);
        let [Effect::Close { totals, .. }, .., Effect::Finished { totals: last }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((last.groups.len(), last.groups_omitted), (groups, 0));
        let brief = if groups > Totals::MOST_GROUPS { (0, groups as u64) } else { (groups, 0) };
        assert_eq!((totals.groups.len(), totals.groups_omitted), brief);
        assert_eq!((totals.counted, totals.sensors), (groups as u64 + 1, 1));
    }
}
