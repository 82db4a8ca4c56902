//! A run that resumes from a commit equals one that never stopped.

use proptest::prelude::*;
use proptest::sample::Index;

use super::properties::batch;
use super::*;
use crate::commit::ResumeState;
use crate::ledger::DataLoss;
use crate::state::LastBatch;

/// What a store holds after this commit, if it held `before`.
pub(super) fn apply(before: &ResumeState, materializer: &Materializer, windows: &[&WindowResult]) -> ResumeState {
    let commit = materializer.commit(windows);
    let mut saved = before.clone();
    saved.topic = commit.topic;
    saved.partitions = commit.partitions.into_iter().collect();
    saved.accounts = commit.ledger.accounts().map(|(partition, account)| (partition, account.clone())).collect();
    for group in commit.groups {
        match saved.groups.get_mut(group.id as usize) {
            Some(place) => *place = group,
            None => saved.groups.push(group),
        }
    }
    for entry in commit.sensors {
        saved.sensors.insert(entry.sensor, entry.group);
    }
    saved.closed_beyond.extend(windows.iter().map(|window| window.start));
    saved.closed_beyond.retain(|start| Some(start + 3_000) > saved.topic.closed_until);
    saved.closed_beyond.sort_unstable();
    saved
}

/// What a whole history of runs has published.
#[derive(Default)]
pub(super) struct Published {
    pub(super) windows: Vec<WindowResult>,
    pub(super) totals: Totals,
}

/// Reads the log to its end in the order of `picks`, stopping and going on after each of `stops` partials: what had not
/// been committed is forgotten. A commit follows every `every`-th partial, and `look` sees what it left.
pub(super) fn read(
    options: &Options,
    log: &Log,
    picks: &[Index],
    stops: &[usize],
    every: usize,
    look: &mut dyn FnMut(&ResumeState, &Published),
) -> Published {
    let mut saved = ResumeState::default();
    let mut published = Published::default();
    let mut stops = stops.iter().copied();
    loop {
        let mut left = stops.next();
        let last = left.is_none();
        let options = Options { leave_open: !last, ..options.clone() };
        let mut run = Run::found(Materializer::resume(options, saved.clone()), log.partitions.len() as u32);
        let ends = log.partitions.iter().map(|batches| batches.last().map_or(0, |batch| batch.next));
        let ends: Vec<i64> = ends.collect();
        let mut effects = run.event(Event::Listed);
        let mut at = vec![0; ends.len()];
        for (partition, end) in (0..).zip(&ends) {
            let position = saved.partitions.get(&partition).map_or(0, |state| state.resume());
            at[partition as usize] = position;
            effects.extend(run.attach(partition, position, *end));
        }
        let (mut closed, mut handled, mut turn) = (vec![], 0, 0);
        loop {
            for effect in effects.drain(..) {
                if let Effect::Close { windows, .. } = effect {
                    closed.extend(windows);
                }
            }
            let over = run.materializer.is_over();
            if handled % every == 0 || over {
                let windows: Vec<_> = closed.iter().collect();
                saved = apply(&saved, &run.materializer, &windows);
                run.materializer.committed();
                published.windows.append(&mut closed);
                published.totals = run.totals();
                look(&saved, &published);
            }
            if over && last {
                return published;
            }
            if over || left.as_mut().is_some_and(|left| *left == 0) {
                break;
            }
            if let Some(left) = &mut left {
                *left -= 1;
            }
            let ready: Vec<usize> = (0..ends.len()).filter(|p| at[*p] < ends[*p]).collect();
            let partition = ready[picks[turn % picks.len()].index(ready.len())];
            turn += 1;
            let batch = log.partitions[partition].iter().find(|batch| batch.first == at[partition]);
            let batch = batch.expect("resumed at a batch boundary");
            at[partition] = batch.next;
            effects = log.events(partition as u32, batch).flat_map(|event| run.event(event)).collect();
            handled += 1;
        }
    }
}

fn until_end() -> Options {
    // Nothing is late then: who is late may depend on the order of partitions.
    Options { until_end: true, grace: Duration::from_secs(3_600), ..options() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_run_that_stops_and_goes_on_equals_one_that_does_not(
        logs in proptest::collection::vec(proptest::collection::vec(batch(), 0..8), 1..4),
        picks in proptest::collection::vec(any::<Index>(), 1..20),
        stops in proptest::collection::vec(0_usize..12, 0..6),
        every in 1_usize..4,
    ) {
        let log = log(logs);
        let read = |stops: &[usize], every| read(&until_end(), &log, &picks, stops, every, &mut |_, _| {});
        let (whole, parts) = (read(&[], 1), read(&stops, every));
        prop_assert_eq!(&parts.totals, &whole.totals);
        let plain = |window: &WindowResult| (window.start, window.messages, window.sensors, window.groups.clone());
        let of = |published: &Published| published.windows.iter().map(plain).collect::<Vec<_>>();
        prop_assert_eq!(of(&parts), of(&whole));
    }
}

/// A run that was committed after these readings of partition 0, all in batches of one.
fn committed(options: &Options, times: &[Millis]) -> ResumeState {
    let mut run = Run::attached(options.clone(), &[times.len() as i64]);
    for time in times {
        run.reading(0, *time);
    }
    apply(&ResumeState::default(), &run.materializer, &[])
}

pub(super) fn resumed(options: Options, saved: ResumeState) -> Run {
    let partitions = saved.partitions.len().max(1) as u32;
    let mut run = Run::found(Materializer::resume(options, saved), partitions);
    run.event(Event::Listed);
    run
}

pub(super) fn again(offset: i64, time: Millis, digest: u64) -> Event {
    Event::Partial { partition: 0, partial: Box::new(partial(offset, &[at(time)], &[])), digest }
}

#[test]
fn what_is_read_again_restores_open_windows_and_counts_nowhere_else() {
    let saved = committed(&options(), &[0, 3_000, 9_000, 9_500]);
    let state = saved.partitions[&0];
    assert_eq!((state.position, state.restore_from, state.resume()), (4, 2, 2), "only the window from 9 s is open");
    let mut run = resumed(options(), saved);
    let before = run.totals();
    run.attach(0, 2, 4);
    assert!(run.materializer.is_restoring());
    run.event(again(2, 9_000, 0));
    assert_eq!(run.event(Event::Finish), [], "a window that is not restored is not closed");
    run.event(again(3, 9_500, 0));
    assert!(!run.materializer.is_restoring());
    assert_eq!(run.totals(), before);
    assert_eq!(run.materializer.ledger().account(0).map(|account| account.restored), Some(2));
    let windows = windows(&run.pass(30_000));
    assert_eq!(windows.iter().map(|window| (window.start, window.messages)).collect::<Vec<_>>(), [(9_000, 2)]);
}

#[test]
fn nothing_closes_while_any_partition_is_read_again() {
    let mut run = Run::attached(options(), &[2, 2]);
    run.reading(0, 0);
    run.reading(1, 10_000);
    run.reading(1, 10_001);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    assert_eq!(saved.topic.watermark, Some(0));
    let mut run = resumed(options(), saved);
    run.attach(0, 0, 2);
    run.attach(1, 0, 3);
    run.event(again(0, 0, 0));
    // Partition 0 moves on past the window that partition 1 has not restored.
    assert_eq!(closed(&run.event(again(1, 20_000, 0))), []);
}

#[test]
fn another_log_is_known_by_its_last_batch() {
    let saved = committed(&options(), &[0, 1]);
    let mut run = resumed(options(), saved.clone());
    run.attach(0, 0, 2);
    run.event(again(0, 0, 0));
    assert_eq!(run.try_event(again(1, 1, 99)), Err(Fault::OtherLog { partition: 0, offset: 1 }));
    // The same offsets in other batches.
    let mut run = resumed(options(), saved.clone());
    run.attach(0, 0, 2);
    let both = || Event::Partial { partition: 0, partial: Box::new(partial(0, &[at(0), at(1)], &[])), digest: 0 };
    assert_eq!(run.try_event(both()), Err(Fault::OtherLog { partition: 0, offset: 0 }));
    // No batch begins where one was read last.
    let mut moved = saved.clone();
    moved.partitions.get_mut(&0).expect("a partition").restore_from = 1;
    let mut run = resumed(options(), moved);
    run.attach(0, 1, 2);
    assert_eq!(run.try_event(both()), Err(Fault::OtherLog { partition: 0, offset: 1 }));
    // It has become shorter, or has lost a partition.
    let mut run = resumed(options(), saved.clone());
    let shorter = run.try_event(Event::Attached { partition: 0, position: 0, end: Some(1) });
    assert_eq!(shorter, Err(Fault::EndsBefore { partition: 0, position: 2, end: 1 }));
    let mut run = Run::found(Materializer::resume(options(), saved), 0);
    assert_eq!(run.try_event(Event::Listed), Err(Fault::Vanished { partition: 0 }));
    // Also one that it has not come to yet.
    let mut three = saved_of(3);
    let mut run = Run::found(Materializer::resume(options(), three.clone()), 2);
    assert_eq!(run.try_event(Event::Listed), Err(Fault::Vanished { partition: 2 }));
    three.topic.start.partitions = Some(2);
    let mut run = Run::found(Materializer::resume(options(), three), 2);
    assert_eq!(run.try_event(Event::Listed), Ok(Vec::new()));
}

/// What is stored of a run over `partitions` partitions that has attached the first one.
fn saved_of(partitions: u32) -> ResumeState {
    let mut run = Run::new(options(), partitions);
    run.attach(0, 0, 1);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    assert_eq!(saved.topic.start.partitions, Some(partitions));
    saved
}

#[test]
fn a_batch_without_records_before_the_last_one_is_not_taken_for_it() {
    let saved = committed(&options(), &[0, 1]);
    let mut run = resumed(options(), saved);
    run.attach(0, 0, 2);
    run.event(again(0, 0, 0));
    let empty = |digest| Event::Partial { partition: 0, partial: Box::new(partial(1, &[], &[])), digest };
    run.event(empty(99));
    assert_eq!(run.try_event(again(1, 1, 99)), Err(Fault::OtherLog { partition: 0, offset: 1 }));
    run.event(again(1, 1, 0));
    assert!(!run.materializer.is_restoring());
}

#[test]
fn what_the_log_no_longer_holds_is_data_loss_that_must_be_accepted() {
    let saved = committed(&options(), &[0, 1, 2]);
    let mut run = resumed(options(), saved.clone());
    let behind = run.try_event(Event::Attached { partition: 0, position: 5, end: Some(9) });
    assert_eq!(behind, Err(Fault::Behind { partition: 0, resume: 0, position: 5 }));
    let mut run = resumed(Options { accept_data_loss: true, ..options() }, saved);
    run.attach(0, 5, 9);
    run.event(again(5, 3_000, 7));
    let account = run.materializer.ledger().account(0).expect("read before").clone();
    assert_eq!(account.data_losses, [DataLoss { range: SourceRange { first: 0, next: 5 }, lost: 2 }]);
    assert_eq!((account.read, account.counted), (4, 4), "what is gone is in no other count");
    let state = apply(&ResumeState::default(), &run.materializer, &[]).partitions[&0];
    assert_eq!((state.position, state.last), (6, Some(LastBatch { first: 5, digest: 7 })));
}

#[test]
fn data_loss_is_accepted_once() {
    // All of them are in windows that are open.
    let saved = committed(&Options { grace: Duration::from_secs(60), ..options() }, &[0, 1, 2]);
    for (start, position, restore_from) in [(1, 3, 1), (3, 3, 3), (5, 5, 5)] {
        let options = Options { grace: Duration::from_secs(60), ..options() };
        let mut run = resumed(Options { accept_data_loss: true, ..options.clone() }, saved.clone());
        run.attach(0, start, 9);
        // It stops before it has read all of it again.
        let saved = apply(&saved, &run.materializer, &[]);
        let state = saved.partitions[&0];
        assert_eq!(
            (state.position, state.restore_from, state.resume()),
            (position, restore_from, start),
            "the log begins at {start}"
        );
        let mut run = resumed(options, saved);
        run.attach(0, start, 9);
        let losses = &run.materializer.ledger().account(0).expect("read before").data_losses;
        let loss =
            DataLoss { range: SourceRange { first: 0, next: start }, lost: start.saturating_sub(3).max(0) as u64 };
        assert_eq!(losses[..], [loss], "the log begins at {start}");
    }
}

#[test]
fn a_log_that_was_cut_to_where_nothing_is_missing_is_no_data_loss() {
    let mut run = Run::attached(options(), &[3]);
    for time in [0, 3_000, 6_000] {
        run.reading(0, time);
    }
    run.pass(30_000);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    let state = saved.partitions[&0];
    assert_eq!((state.position, state.restore_from, state.resume()), (3, 3, 2), "only the last batch would come again");
    let mut run = resumed(options(), saved.clone());
    run.attach(0, 3, 3);
    assert!(!run.materializer.is_restoring());
    let saved = apply(&saved, &run.materializer, &[]);
    assert_eq!((saved.partitions[&0].resume(), saved.accounts[&0].data_losses.len()), (3, 0));
    // Nor is it the next time, though nothing has come.
    let mut run = resumed(options(), saved);
    run.attach(0, 3, 4);
    run.event(again(3, 60_000, 7));
    assert_eq!((run.totals().counted, run.totals().late), (4, 0));
}

#[test]
fn whatever_is_stored_of_a_partition_nothing_closes_before_it_is_attached() {
    let mut run = Run::attached(options(), &[1, 1]);
    run.reading(1, 60_000);
    run.reading(0, 10_000);
    let mut saved = apply(&ResumeState::default(), &run.materializer, &[]);
    for state in saved.partitions.values_mut() {
        // As after data loss: nothing is read again.
        (state.restore_from, state.last) = (state.position, None);
    }
    let mut run = resumed(options(), saved);
    run.attach(0, 1, 2);
    assert_eq!(run.reading(0, 50_000), [], "partition 1 is not attached");
    assert_eq!(run.materializer.view().watermark, Some(10_000));
    run.attach(1, 1, 1);
    assert_eq!(run.materializer.view().watermark, Some(50_000));
}

#[test]
fn a_partition_that_is_not_attached_yet_keeps_what_was_saved_of_it() {
    let saved = committed(&options(), &[0, 1]);
    let run = resumed(options(), saved.clone());
    let again = apply(&saved, &run.materializer, &[]);
    assert_eq!((again.partitions, again.topic), (saved.partitions, saved.topic));
}

#[test]
fn windows_closed_at_an_end_stay_closed_in_the_next_run() {
    let mut run = Run::attached(Options { until_end: true, ..options() }, &[1]);
    let windows = windows(&run.reading(0, 4_000));
    let saved = apply(&ResumeState::default(), &run.materializer, &[&windows[0]]);
    assert_eq!((saved.topic.closed_until, &saved.closed_beyond[..]), (Some(3_000), &[3_000][..]));
    let mut run = resumed(options(), saved);
    run.attach(0, 0, 3);
    run.event(again(0, 4_000, 0));
    run.event(again(1, 5_000, 0));
    run.event(again(2, 6_000, 0));
    assert_eq!((run.totals().counted, run.totals().late), (2, 1), "a closed window never changes");
}

#[test]
fn a_run_that_goes_on_with_a_shorter_grace_closes_what_is_over_by_it_and_one_with_a_longer_grace_opens_nothing() {
    let grace = |seconds| Options { grace: Duration::from_secs(seconds), ..options() };
    let saved = committed(&grace(60), &[1_000, 30_000]);
    assert_eq!((saved.topic.watermark, saved.topic.closed_until), (Some(30_000), Some(-30_000)));
    let mut run = resumed(grace(1), saved.clone());
    run.attach(0, 0, 3);
    assert_eq!(closed(&run.event(again(0, 1_000, 0))), [], "not before everything has been read again");
    assert_eq!(closed(&run.event(again(1, 30_000, 0))), [(0, ClosedBy::Watermark)], "the watermark need not rise");
    let saved = apply(&saved, &run.materializer, &[]);
    assert_eq!(saved.topic.closed_until, Some(29_000));
    let mut run = resumed(grace(60), saved);
    run.attach(0, 1, 4);
    run.event(again(1, 30_000, 0));
    run.event(again(2, 2_000, 2));
    assert_eq!((run.totals().counted, run.totals().late), (2, 1), "what is closed stays closed");
}
