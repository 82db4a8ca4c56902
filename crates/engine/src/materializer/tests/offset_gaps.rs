//! Offset gaps: batches that end further on than their records.

use super::resume::resumed;
use super::*;
use crate::commit::ResumeState;
use crate::state::{LastBatch, PartitionState};

fn offset_gap(partition: PartitionId, next: i64) -> Event {
    Event::OffsetGap { partition, next }
}

fn batch_at(first: i64, readings: &[Reading], digest: u64) -> Event {
    Event::Partial { partition: 0, partial: Box::new(partial(first, readings, &[])), digest }
}

/// What a commit says of the one partition.
fn state(run: &Run) -> PartitionState {
    let commit = run.materializer.commit(&[]);
    commit.partitions.first().expect("it has been attached").1
}

/// A run that resumes: at position `merged`, its last batch at `last` with digest 7, open windows from `restore_from` on.
fn restored(restore_from: i64, last: i64, merged: i64, end: i64) -> Run {
    let last = Some(LastBatch { first: last, digest: 7 });
    let partition =
        PartitionState { start: 0, position: merged, restore_from, watermark: Some(5_000), bounded_from: None, last };
    let saved = ResumeState { partitions: [(0, partition)].into(), ..ResumeState::default() };
    let mut run = resumed(options(), saved);
    run.attach(0, partition.resume(), end);
    run
}

#[test]
fn an_offset_gap_moves_the_position_and_no_count() {
    let mut run = Run::attached(options(), &[12]);
    run.event(batch_at(0, &[at(0), at(1)], 7));
    let before = (run.totals(), run.materializer.ledger().clone(), state(&run));
    run.materializer.committed();
    assert_eq!(run.materializer.uncommitted(), 0);
    run.event(offset_gap(0, 10));
    assert_eq!((run.totals(), run.materializer.ledger().clone()), (before.0, before.1));
    assert_eq!(run.materializer.positions(), [(0, 10)]);
    assert!(run.materializer.uncommitted() > 0, "a commit is due for it");
    let after = state(&run);
    assert_eq!(after, PartitionState { position: 10, ..before.2 });
    assert_eq!(after.resume(), 0, "the log is still known by the batch before the offset gap");
    let fault = run.try_event(batch_at(2, &[at(2)], 8)).expect_err("there is no record");
    assert_eq!(fault, Fault::Overlap { partition: 0, expected: 10, found: 2 });
    run.event(batch_at(10, &[at(2), at(3)], 8));
    assert_eq!((run.totals().messages, run.materializer.positions()), (4, vec![(0, 12)]));
}

#[test]
fn an_offset_gap_goes_forward_only_and_needs_an_attached_partition() {
    let mut run = Run::new(options(), 1);
    assert_eq!(run.try_event(offset_gap(0, 5)), Err(Fault::NotAttached { partition: 0 }));
    assert_eq!(run.try_event(offset_gap(7, 5)), Err(Fault::Unknown { partition: 7 }));
    run.attach(0, 0, 12);
    run.event(batch_at(0, &[at(0), at(1)], 7));
    for next in [i64::MIN, 0, 2] {
        run.event(offset_gap(0, next));
        assert_eq!(run.materializer.positions(), [(0, 2)]);
    }
    run.event(Event::Detached { partition: 0 });
    assert_eq!(run.try_event(offset_gap(0, 5)), Err(Fault::NotAttached { partition: 0 }));
    assert_eq!(run.materializer.positions(), [(0, 2)]);
}

#[test]
fn an_offset_gap_at_the_end_of_the_log_ends_the_backlog() {
    let mut run = Run::attached(options(), &[10]);
    run.event(batch_at(0, &[at(0), at(1)], 7));
    assert!(!run.materializer.view().caught_up);
    run.event(offset_gap(0, 10));
    assert!(run.materializer.view().caught_up);
    run.event(Event::End { partition: 0, end: 10 });
    run.pass(9_000);
    run.event(Event::End { partition: 0, end: 10 });
    let effects = run.pass(1_000);
    assert_eq!(closed(&effects), [(0, ClosedBy::Idle)]);
    assert_eq!(windows(&effects)[0].positions, [(0, 10)]);
}

#[test]
fn an_offset_gap_at_the_end_of_the_run_finishes_it() {
    let mut run = Run::attached(Options { until_end: true, ..options() }, &[10]);
    run.event(batch_at(0, &[at(0)], 7));
    let effects = run.event(offset_gap(0, 10));
    assert_eq!(closed(&effects), [(0, ClosedBy::End)]);
    assert!(matches!(effects.last(), Some(Effect::Finished { .. })), "{effects:?}");
}

#[test]
fn while_windows_are_restored_an_offset_gap_moves_the_position_alone() {
    // 0 to 2, an offset gap to 10, 10 to 12, an offset gap to 20.
    let mut run = restored(0, 10, 20, 20);
    run.event(batch_at(0, &[at(6_000), at(6_001)], 6));
    run.event(offset_gap(0, 10));
    assert!(run.materializer.is_restoring());
    assert_eq!(run.materializer.positions(), [(0, 20)]);
    run.event(batch_at(10, &[at(6_002), at(6_003)], 7));
    assert!(run.materializer.is_restoring(), "12 to 20 is not known to be empty yet");
    run.event(offset_gap(0, 20));
    assert!(!run.materializer.is_restoring());
    assert_eq!(state(&run).last, Some(LastBatch { first: 10, digest: 7 }));
    assert_eq!(run.totals().messages, 0, "all of it had been counted before");
    run.event(batch_at(20, &[at(6_004)], 8));
    assert_eq!((run.totals().messages, state(&run).resume()), (1, 0));
}

#[test]
fn an_offset_gap_that_was_found_after_the_last_commit_is_found_again() {
    // Committed when the batch was merged, before the offset gap behind it was found.
    let mut run = restored(0, 0, 2, 12);
    run.event(batch_at(0, &[at(6_000), at(6_001)], 7));
    assert!(!run.materializer.is_restoring());
    run.event(offset_gap(0, 10));
    assert_eq!(run.materializer.positions(), [(0, 10)]);
    run.event(batch_at(10, &[at(6_002), at(6_003)], 8));
    assert_eq!(run.materializer.positions(), [(0, 12)]);
}

#[test]
fn an_offset_gap_across_the_position_is_of_another_log() {
    let mut run = restored(0, 10, 20, 40);
    run.event(batch_at(0, &[at(6_000), at(6_001)], 6));
    // Across the position; across the batch that must come again.
    for next in [21, 11] {
        assert_eq!(run.try_event(offset_gap(0, next)), Err(Fault::OtherLog { partition: 0, offset: 2 }), "to {next}");
    }
    run.event(offset_gap(0, 10));
}

#[test]
fn what_crosses_the_position_behind_the_last_batch_is_of_another_log_as_well() {
    // The last batch, 10 to 12, has come again. 12 to 20 was an offset gap.
    let mut run = restored(10, 10, 20, 40);
    run.event(batch_at(10, &[at(6_002), at(6_003)], 7));
    let other = Err(Fault::OtherLog { partition: 0, offset: 12 });
    assert_eq!(run.try_event(offset_gap(0, 21)), other);
    let readings: Vec<_> = (0..9).map(|more| at(6_004 + more)).collect();
    assert_eq!(run.try_event(batch_at(12, &readings, 8)), other, "its last record would count nowhere");
    run.event(offset_gap(0, 20));
    run.event(batch_at(20, &readings, 8));
    assert_eq!(run.totals().messages, 9);
}
