//! What a window says, and in which order windows close.

use super::*;
use crate::results::GroupResult;
use crate::state::{LastBatch, PartitionState, RunStart, StartOffset, TopicState};

fn group(group: &str, messages: u64, sensors: u64, sum: i128, [avg, min, max]: [i64; 3]) -> GroupResult {
    let fixed = Fixed::from_micros;
    GroupResult { group: group.to_owned(), messages, sensors, sum, avg: fixed(avg), min: fixed(min), max: fixed(max) }
}

#[test]
fn a_window_has_its_statistics_by_group_ascending_and_the_positions() {
    let mut run = Run::attached(options(), &[100, 100]);
    run.batch(1, &[Reading::new(7, "WY", 100, 5), Reading::new(8, "WY", 200, 8), Reading::new(7, "AL", 300, -2)], &[]);
    run.batch(0, &[Reading::new(7, "WY", 2_999, 6), Reading::new(7, "WY", 3_000, 1)], &[Rejection::BadTime]);
    run.reading(1, 9_000);
    let effects = run.reading(0, 4_000);
    let [Effect::Close { windows, totals: Some(totals) }] = effects.as_slice() else { panic!("{effects:?}") };
    let groups = vec![group("AL", 1, 1, -2, [-2, -2, -2]), group("WY", 3, 2, 19, [6, 5, 8])];
    let expected = WindowResult {
        start: 0,
        end: 3_000,
        closed_by: ClosedBy::Watermark,
        messages: 4,
        sensors: 2,
        groups,
        positions: vec![(0, 4), (1, 4)],
    };
    assert_eq!(*windows, [expected]);
    assert_eq!((totals.messages, totals.counted, totals.late, totals.rejected.total()), (8, 7, 0, 1));
    assert_eq!(totals.sensors, 3);
    let run_groups = [
        group("AK", 2, 1, 2_000_000, [1_000_000; 3]),
        group("AL", 1, 1, -2, [-2, -2, -2]),
        group("WY", 4, 2, 20, [5, 1, 8]),
    ];
    assert_eq!(totals.groups, run_groups, "totals include open windows");
}

#[test]
fn windows_that_close_together_come_in_one_close_ascending() {
    let mut run = Run::attached(options(), &[100]);
    let effects = run.batch(0, &[at(7_000), at(1_000), at(60_000), at(-1_000)], &[]);
    let starts: Vec<_> = windows(&effects).iter().map(|window| window.start).collect();
    assert_eq!(starts, [-3_000, 0, 6_000]);
}

#[test]
fn a_batch_without_records_is_fine_and_closes_nothing() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 0);
    assert_eq!(run.batch(0, &[], &[]), []);
    assert_eq!(run.materializer.positions(), [(0, 1)]);
}

#[test]
fn a_batch_whose_last_records_are_gone_still_ends_where_it_ends() {
    let mut run = Run::attached(options(), &[100]);
    let mut filtered = partial(0, &[at(0)], &[]);
    filtered.source.next = 10;
    run.event(Event::Partial { partition: 0, partial: Box::new(filtered), digest: 0 });
    assert_eq!((run.materializer.positions(), run.totals().messages), (vec![(0, 10)], 1));
}

#[test]
fn stop_gives_the_totals_and_closes_no_window() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 0);
    let totals = Box::new(run.totals());
    assert_eq!(totals.counted, 1);
    assert_eq!(run.event(Event::Stop), [Effect::Finished { totals }]);
    assert_eq!(run.event(Event::Stop), [], "only once");
    assert_eq!(run.event(Event::Tick { now: Duration::from_secs(3_600) }), []);
}

#[test]
fn the_commit_holds_what_belongs_together() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 0);
    let effects = run.reading(0, 60_000);
    let [Effect::Close { windows, totals: Some(totals) }] = effects.as_slice() else { panic!("{effects:?}") };
    let windows: Vec<_> = windows.iter().collect();
    let commit = run.materializer.commit(&windows);
    let topic = TopicState {
        start: RunStart { from: StartOffset::Beginning, partitions: Some(1) },
        watermark: Some(60_000),
        closed_until: Some(59_000),
        closed_beyond: 0,
        newest: Some(60_000),
        oldest_open: Some(60_000),
        open_windows: 1,
        sensors: 1,
        bounded: false,
    };
    assert_eq!(commit.topic, topic);
    let last = Some(LastBatch { first: 1, digest: 0 });
    let partition =
        PartitionState { start: 0, position: 2, restore_from: 1, watermark: Some(60_000), bounded_from: None, last };
    assert_eq!(commit.partitions, [(0, partition)]);
    assert_eq!(commit.ledger.account(0).map(|account| account.read), Some(totals.messages));
    assert_eq!(commit.windows[0].positions, [(0, 2)]);
    assert_eq!(commit.groups.iter().map(|group| (group.id, group.stats.count)).collect::<Vec<_>>(), [(0, 2)]);
    assert_eq!(commit.sensors.len(), 1);
    assert!(run.materializer.uncommitted() > 0);
    run.materializer.committed();
    assert_eq!(run.materializer.uncommitted(), 0);
    assert_eq!(run.materializer.commit(&[]).sensors, []);
}

#[test]
fn the_status_says_what_the_oldest_window_waits_for() {
    let mut run = Run::attached(options(), &[5, 1]);
    run.reading(0, 1_000);
    let status = run.materializer.view();
    assert_eq!(status.open_windows.first().map(|oldest| (oldest.start, oldest.closes_at)), Some((0, 4_000)));
    assert_eq!((status.open_windows.len(), status.caught_up), (1, false));
    assert_eq!(status.partitions.iter().map(|p| p.lag()).collect::<Vec<_>>(), [Some(4), Some(1)]);
}
