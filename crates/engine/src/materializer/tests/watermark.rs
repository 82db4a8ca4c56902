//! Which partitions block the watermark, and how event time goes on.

use super::*;
use crate::results::ClosedBy::{Idle, Watermark};
use crate::view::PartitionPhase;

fn phase(run: &Run, partition: PartitionId) -> PartitionPhase {
    run.materializer.view().partitions[partition as usize].phase
}

#[test]
fn a_window_closes_when_the_watermark_reaches_its_end_plus_grace() {
    let mut run = Run::attached(options(), &[100]);
    assert_eq!(run.reading(0, 2_999), []);
    assert_eq!(run.reading(0, 3_999), []);
    assert_eq!(closed(&run.reading(0, 4_000)), [(0, Watermark)]);
}

#[test]
fn nothing_closes_before_all_partitions_are_listed() {
    let mut run = Run::found(Materializer::new(options()), 1);
    run.attach(0, 0, 100);
    run.reading(0, 0);
    assert_eq!(run.reading(0, 60_000), []);
    assert_eq!(closed(&run.event(Event::Listed)), [(0, Watermark)]);
}

#[test]
fn a_partition_whose_end_is_unknown_blocks_everything() {
    let mut run = Run::new(options(), 2);
    run.attach(0, 0, 2);
    run.reading(0, 0);
    run.reading(0, 60_000);
    assert_eq!(run.pass(3_600_000), []);
    assert_eq!(phase(&run, 1), PartitionPhase::Discovered);
    run.attach(1, 0, 0);
    assert_eq!(phase(&run, 1), PartitionPhase::CaughtUp, "an empty partition is caught up at once");
    assert_eq!(run.pass(9_999), []);
    assert_eq!(closed(&run.pass(1)), [(0, Idle), (60, Idle)], "and idle after `idle`");
}

#[test]
fn the_topics_watermark_is_the_least_of_those_that_block_it() {
    let mut run = Run::attached(options(), &[100, 100]);
    run.reading(0, 0);
    assert_eq!(closed(&run.reading(0, 60_000)), [], "partition 1 has a backlog and no watermark");
    assert_eq!(closed(&run.reading(1, 3_500)), []);
    assert_eq!(run.materializer.view().watermark, Some(3_500));
    assert_eq!(closed(&run.reading(1, 70_000)), [(0, Watermark), (3, Watermark)]);
    assert_eq!(run.materializer.view().watermark, Some(60_000));
}

#[test]
fn a_backlog_blocks_however_long_nothing_comes() {
    let mut run = Run::attached(options(), &[100, 1]);
    run.reading(1, 60_000);
    run.reading(0, 0);
    assert_eq!(run.pass(3_600_000), []);
    assert_eq!(phase(&run, 0), PartitionPhase::CatchingUp);
    assert_eq!(phase(&run, 1), PartitionPhase::Idle);
    assert_eq!(closed(&run.reading(0, 4_000)), [(0, Watermark)]);
}

#[test]
fn caught_up_and_idle_it_blocks_nothing() {
    let mut run = Run::attached(options(), &[1, 100]);
    run.reading(0, 0);
    run.reading(1, 60_000);
    assert_eq!(phase(&run, 0), PartitionPhase::CaughtUp);
    run.pass(9_000);
    assert_eq!(run.reading(1, 61_000), []);
    assert_eq!(closed(&run.pass(1_000)), [(0, Watermark)], "only partition 1 blocks it now");
    assert_eq!(phase(&run, 0), PartitionPhase::Idle);
}

#[test]
fn only_a_newer_reading_restarts_the_idle_time() {
    let mut run = Run::attached(options(), &[1, 100]);
    run.reading(0, 0);
    run.pass(9_999);
    run.reading(0, 1);
    run.pass(9_999);
    assert_eq!(phase(&run, 0), PartitionPhase::CaughtUp);
    run.batch(0, &[], &[Rejection::NotJson]);
    run.reading(0, 1);
    run.reading(0, 0);
    run.pass(1);
    assert_eq!(
        phase(&run, 0),
        PartitionPhase::Idle,
        "otherwise rejected records, or a clock that does not move, would block for ever"
    );
    run.reading(0, 2);
    assert_eq!(phase(&run, 0), PartitionPhase::CaughtUp);
}

#[test]
fn a_clock_that_does_not_move_does_not_block_the_other_partitions() {
    let mut run = Run::attached(options(), &[1, 1]);
    let mut closes = vec![];
    for second in 0..30 {
        closes.extend(closed(&run.reading(0, 50_000)));
        closes.extend(closed(&run.reading(1, 50_000 + second * 1_000)));
        closes.extend(closed(&run.pass(1_000)));
    }
    let all = (48..=75).step_by(3).map(|start| (start, Watermark));
    assert_eq!(closes, all.collect::<Vec<_>>(), "as if partition 1 were alone, after `idle`");
}

#[test]
fn a_clock_that_jumps_back_hangs_nothing_and_makes_nothing_late_for_longer_than_it_must() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 100_000);
    let mut closes = vec![];
    for second in 1..=75 {
        closes.extend(closed(&run.pass(1_000)));
        closes.extend(closed(&run.reading(0, 40_000 + second * 1_000)));
        if second < 10 {
            assert_eq!(closes, [], "after {second} s");
        } else if second < 60 {
            assert_eq!(closes, [(99, Idle)], "after {second} s");
            let watermark = run.materializer.view().watermark;
            assert_eq!(watermark, Some(103_000), "event time goes on only as long as there is something to close");
        }
    }
    assert_eq!(closes, [(99, Idle), (102, Watermark), (105, Watermark), (108, Watermark), (111, Watermark)]);
    assert_eq!(run.totals().late, 61, "until the clock is where the last window closed");
}

#[test]
fn new_records_seen_at_the_end_are_a_backlog_again() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    run.pass(9_000);
    run.event(Event::End { partition: 0, end: 2 });
    assert_eq!(run.pass(9_000), []);
    assert_eq!(phase(&run, 0), PartitionPhase::CatchingUp);
    run.event(Event::End { partition: 0, end: 1 });
    assert_eq!(phase(&run, 0), PartitionPhase::CatchingUp, "an old answer that comes late lowers nothing");
    run.reading(0, 100);
    assert_eq!(phase(&run, 0), PartitionPhase::CaughtUp);
}

#[test]
fn when_all_are_idle_event_time_goes_on_from_the_newest_reading() {
    let mut run = Run::attached(options(), &[1, 0]);
    run.reading(0, 20_000);
    run.pass(500);
    run.reading(0, 19_000);
    assert_eq!(run.pass(9_499), []);
    assert_eq!(closed(&run.pass(1)), [(18, Idle)], "the newest reading came 10 s ago");
    let watermark = run.materializer.view().watermark;
    assert_eq!(watermark, Some(22_000), "the last reading came 9.5 s ago: only what is open closes");
    assert_eq!(run.pass(499), []);
    assert_eq!(run.materializer.view().watermark, Some(22_000));
    assert_eq!(run.pass(1), []);
    let watermark = run.materializer.view().watermark;
    assert_eq!(watermark, Some(30_500), "the newest reading came 10.5 s ago");
    assert_eq!(run.pass(1_000), []);
    assert_eq!(run.materializer.view().watermark, Some(31_500));
}

#[test]
fn a_long_window_is_not_cut_short_by_idle_time() {
    let hour = WindowSize::new(Duration::from_secs(3_600)).expect("an hour");
    let mut run = Run::attached(Options { window: hour, ..options() }, &[1]);
    let mut only = partial(0, &[], &[]);
    only.source.next = 1;
    only.aggregate = partial(0, &[at(600_000)], &[]).aggregate;
    only.aggregate.cells = only.aggregate.cells.into_values().map(|cell| (key(hour, 600_000), cell)).collect();
    run.event(Event::Partial { partition: 0, partial: Box::new(only), digest: 0 });
    assert_eq!(run.pass(3_000_999), [], "ten minutes and fifty minutes are an hour, and a second of grace");
    assert_eq!(closed(&run.pass(1)), [(0, Idle)]);
}

fn key(size: WindowSize, time: Millis) -> CellKey {
    CellKey { window: size.window_of(time), group: "AK".into() }
}

#[test]
fn without_any_reading_event_time_does_not_begin() {
    let mut run = Run::attached(options(), &[0, 0]);
    assert_eq!(run.pass(3_600_000), []);
    assert_eq!(run.materializer.view().watermark, None);
}

#[test]
fn the_watermark_never_goes_back() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 60_000);
    run.reading(0, 10_000);
    assert_eq!(run.materializer.view().watermark, Some(60_000));
    run.event(Event::Found { partition: 1 });
    run.attach(1, 0, 5);
    run.reading(1, 5);
    assert_eq!(run.materializer.view().watermark, Some(60_000));
    run.reading(0, 70_000);
    assert_eq!(run.materializer.view().watermark, Some(60_000), "but partition 1 blocks it");
}

#[test]
fn a_detached_partition_is_not_idle() {
    let mut run = Run::attached(options(), &[1, 1]);
    run.reading(0, 0);
    run.reading(1, 0);
    run.event(Event::Detached { partition: 0 });
    assert_eq!(run.pass(3_600_000), [], "what is written to it meanwhile is not seen");
    assert_eq!(phase(&run, 0), PartitionPhase::Detached);
    run.attach(0, 1, 2);
    assert_eq!(phase(&run, 0), PartitionPhase::CatchingUp);
    assert_eq!(run.reading(0, 1), []);
    assert_eq!(closed(&run.pass(10_000)), [(0, Idle)]);
}

#[test]
fn attached_again_with_nothing_new_it_becomes_idle() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    assert_eq!(closed(&run.pass(20_000)), [(0, Idle)]);
    assert_eq!(phase(&run, 0), PartitionPhase::Idle);
    run.event(Event::Detached { partition: 0 });
    run.pass(60_000);
    run.attach(0, 1, 1);
    assert_eq!(phase(&run, 0), PartitionPhase::CaughtUp, "its producers were cut off as well");
    let watermark = run.materializer.view().watermark;
    run.pass(9_999);
    assert_eq!(run.materializer.view().watermark, watermark, "event time has not gone on meanwhile");
    assert_eq!(run.reading(0, 20_000), [], "what they deliver now is not late");
    assert_eq!(run.totals().late, 0);
    assert_eq!(run.pass(9_999), []);
    assert_eq!(closed(&run.pass(1)), [(18, Idle)]);
}

#[test]
fn a_broker_that_answers_again_after_a_while_makes_no_partition_idle() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    let tick = |millis| Event::Tick { now: Duration::from_millis(millis) };
    run.event(tick(20_000));
    assert_eq!(run.event(Event::End { partition: 0, end: 1 }), [], "its producers had no answer either");
    run.now = Duration::from_millis(20_000);
    assert_eq!(run.pass(9_999), []);
    assert_eq!(closed(&run.pass(1)), [(0, Idle)]);
}

#[test]
fn a_broker_that_is_always_slow_keeps_no_partition_from_becoming_idle() {
    let mut run = Run::attached(Options { idle: Duration::from_secs(1), ..options() }, &[1]);
    run.reading(0, 0);
    let mut closes = vec![];
    for millis in (1_900..=7_600).step_by(1_900) {
        run.event(Event::Tick { now: Duration::from_millis(millis) });
        closes.extend(closed(&run.event(Event::End { partition: 0, end: 1 })));
    }
    assert_eq!(closes, [(0, Idle)], "though it answers less often than every `idle`");
}

#[test]
fn a_tick_that_goes_back_is_ignored() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    run.pass(4_000);
    run.event(Event::Tick { now: Duration::from_secs(9) });
    run.event(Event::Tick { now: Duration::from_secs(2) });
    run.event(Event::End { partition: 0, end: 1 });
    assert_eq!(closed(&run.event(Event::Tick { now: Duration::from_secs(10) })), [(0, Idle)]);
}

#[test]
fn a_partition_that_is_not_asked_for_its_end_is_not_idle() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    let tick = |seconds| Event::Tick { now: Duration::from_secs(seconds) };
    assert_eq!(run.event(tick(3_600)), [], "a broker that does not answer may have had readings since");
    assert_eq!(run.event(Event::End { partition: 0, end: 2 }), [], "indeed");
    run.event(tick(3_601));
    assert_eq!(run.reading(0, 1), [], "and none of them is late");
    assert_eq!(run.totals().late, 0);
    assert_eq!(closed(&run.pass(3_700_000)), [(0, Idle)]);
}
