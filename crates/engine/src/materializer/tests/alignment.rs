//! Watermark alignment: which partitions pause, that memory stays bounded, and that no pause lasts for ever.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const PAUSE_0: [Effect; 1] = [Effect::Pause { partition: 0 }];
const RESUME_0: [Effect; 1] = [Effect::Resume { partition: 0 }];

#[test]
fn more_than_ten_windows_and_grace_ahead_with_a_backlog_it_pauses() {
    let mut run = Run::attached(options(), &[100, 100]);
    run.reading(1, 0);
    assert_eq!(run.reading(0, 31_000), []);
    assert_eq!(run.reading(0, 31_001), PAUSE_0);
    assert!(run.materializer.view().partitions[0].paused);
    assert_eq!(run.reading(0, 31_002), [], "what was under way still counts");
    assert_eq!(run.reading(1, 1), []);
    assert_eq!(run.reading(1, 2), RESUME_0);
}

#[test]
fn a_partition_without_a_watermark_counts_as_if_it_were_where_the_first_one_began() {
    let mut run = Run::attached(options(), &[100, 100]);
    assert_eq!(run.reading(0, 1_000_000), []);
    assert_eq!(run.reading(0, 1_031_000), []);
    assert_eq!(run.reading(0, 1_031_001), PAUSE_0);
    let effects = run.reading(1, 1_031_001);
    assert_eq!(effects.last(), Some(&Effect::Resume { partition: 0 }));
}

#[test]
fn without_a_backlog_it_does_not_pause() {
    let mut run = Run::attached(options(), &[2, 100]);
    run.reading(1, 0);
    run.reading(0, 0);
    assert_eq!(run.reading(0, 100_000), []);
    assert_eq!(run.event(Event::End { partition: 0, end: 3 }), PAUSE_0);
}

#[test]
fn it_resumes_when_the_slowest_becomes_idle() {
    let mut run = Run::attached(options(), &[100, 1]);
    run.reading(1, 0);
    assert_eq!(run.reading(0, 100_000), PAUSE_0);
    assert_eq!(run.pass(9_999), []);
    let effects = run.pass(1);
    assert_eq!(closed(&effects), [(0, ClosedBy::Watermark)]);
    assert_eq!(effects[1..], RESUME_0);
}

#[test]
fn in_a_bounded_run_only_what_is_read_to_its_target_pauses() {
    let mut run = Run::attached(Options { until_end: true, ..options() }, &[100, 2]);
    run.reading(1, 0);
    assert_eq!(run.reading(0, 100_000), []);
    assert_eq!(run.reading(1, 1), [Effect::Pause { partition: 1 }], "nothing more is wanted of it");
}

#[test]
fn while_one_is_detached_those_far_ahead_pause_with_or_without_a_backlog() {
    let mut run = Run::attached(options(), &[1, 1]);
    run.reading(1, 0);
    run.event(Event::Detached { partition: 1 });
    assert_eq!(run.reading(0, 100_000), PAUSE_0, "it is read to its end, but its stream would go on for ever");
    assert_eq!(run.attach(1, 1, 1), [Effect::Resume { partition: 0 }]);
}

#[test]
fn it_pauses_for_one_whose_connection_is_lost() {
    let mut run = Run::attached(options(), &[100, 100]);
    run.reading(1, 0);
    run.event(Event::Detached { partition: 1 });
    assert_eq!(run.reading(0, 100_000), PAUSE_0, "nothing can close: to read on would only fill memory");
    assert_eq!(run.attach(1, 1, 100), []);
    assert_eq!(run.reading(1, 100_000).last(), Some(&Effect::Resume { partition: 0 }));
}

#[test]
fn a_lost_connection_ends_the_pause_and_a_new_one_may_be_paused_again() {
    let mut run = Run::attached(options(), &[100, 100]);
    run.reading(1, 0);
    assert_eq!(run.reading(0, 100_000), PAUSE_0);
    assert_eq!(run.event(Event::Detached { partition: 0 }), RESUME_0);
    assert_eq!(run.attach(0, 1, 100), PAUSE_0);
}

/// A backlog: per partition the times of its batches (one reading each, ascending).
fn backlogs() -> impl Strategy<Value = Vec<Vec<i64>>> {
    let times = (0_i64..200_000, proptest::collection::vec(0_i64..5_000, 0..120)).prop_map(|(start, steps)| {
        let ascend = |time: &mut i64, step: i64| {
            *time += step;
            Some(*time)
        };
        steps.into_iter().scan(start, ascend).collect::<Vec<_>>()
    });
    proptest::collection::vec(times, 1..5)
}

/// How many more windows may be open because a partition was read before another one that begins earlier: each may read as far from
/// its own beginning as from that of the earliest.
fn apart(logs: &[Vec<i64>]) -> usize {
    let from = |first: &i64| first.div_euclid(3_000)..=(first + 36_000).div_euclid(3_000);
    let windows: BTreeSet<i64> = logs.iter().filter_map(|log| log.first()).flat_map(from).collect();
    let of_one = 36_000 / 3_000 + 1;
    windows.len().saturating_sub(of_one)
}

proptest! {
    /// In whichever order partitions are read, as long as pauses are respected: every record is read, and the number of open windows
    /// stays bounded by the span of the alignment.
    #[test]
    fn catching_up_ends_with_bounded_windows(logs in backlogs(), picks in proptest::collection::vec(any::<u16>(), 64)) {
        let ends: Vec<i64> = logs.iter().map(|log| log.len() as i64).collect();
        let mut run = Run::attached(options(), &ends);
        let (mut paused, mut read, mut turn) = (BTreeSet::new(), vec![0; logs.len()], 0);
        loop {
            let can = |p: &usize| !paused.contains(&(*p as u32)) && read[*p] < logs[*p].len();
            let ready: Vec<usize> = (0..logs.len()).filter(can).collect();
            turn += 1;
            let effects = if ready.is_empty() {
                if read.iter().zip(&logs).all(|(read, log)| *read == log.len()) {
                    break;
                }
                let effects = run.pass(10_000);
                prop_assert!(effects.iter().any(|effect| matches!(effect, Effect::Resume { .. })), "all are paused, for ever");
                effects
            } else {
                let p = ready[picks[turn % picks.len()] as usize % ready.len()];
                read[p] += 1;
                run.reading(p as u32, logs[p][read[p] - 1])
            };
            for effect in effects {
                match effect {
                    Effect::Pause { partition } => prop_assert!(paused.insert(partition)),
                    Effect::Resume { partition } => prop_assert!(paused.remove(&partition)),
                    _ => {}
                }
            }
            // Ten windows, the grace, one step beyond, and the windows at both edges; partitions begin up to 200 s
            // apart, where the first ones read may open one more each.
            prop_assert!(run.materializer.view().open_windows.len() <= 10 + 1 + 2 + 2 + logs.len() + apart(&logs));
        }
        prop_assert_eq!(run.totals().messages, ends.iter().sum::<i64>() as u64);
        run.pass(20_000);
        prop_assert!(run.materializer.view().partitions.iter().all(|partition| !partition.paused));
    }
}
