//! The memory limit: what goes to the scratch file, and what a run leaves behind whose scratch file fails.

use proptest::prelude::*;
use proptest::sample::Index;

use super::properties::batch;
use super::reference::scratch::memory_limit;
use super::resume::{apply, resumed};
use super::*;
use crate::commit::ResumeState;
use crate::scratch::{MemoryLimit, Scratch, ScratchError, Stretch};

/// A scratch file in memory that works for some calls, fails for some, and then works again.
#[derive(Debug)]
struct FailingScratch {
    bytes: Vec<u8>,
    sound: usize,
    failing: usize,
}

impl FailingScratch {
    fn call(&mut self) -> Result<(), ScratchError> {
        if let Some(left) = self.sound.checked_sub(1) {
            self.sound = left;
        } else if let Some(left) = self.failing.checked_sub(1) {
            self.failing = left;
            return Err(ScratchError::new(std::io::Error::from(std::io::ErrorKind::StorageFull)));
        }
        Ok(())
    }
}

impl Scratch for FailingScratch {
    fn append(&mut self, bytes: &[u8]) -> Result<Stretch, ScratchError> {
        self.call()?;
        let stretch = Stretch { offset: self.bytes.len() as u64, length: bytes.len() };
        self.bytes.extend(bytes);
        Ok(stretch)
    }

    fn read(&mut self, stretch: Stretch) -> Result<Vec<u8>, ScratchError> {
        self.call()?;
        Ok(self.bytes[stretch.offset as usize..][..stretch.length].to_vec())
    }
}

fn failing(bytes: usize, sound: usize, failing: usize) -> MemoryLimit {
    MemoryLimit { bytes, scratch: Box::new(FailingScratch { bytes: Vec::new(), sound, failing }) }
}

/// Reads the log to its end in the order of `picks`, in as many runs as it takes, the first ones with these limits. A run whose scratch file
/// fails commits, as any run does that ends with a fault; so does one that closes windows. Windows as they were published, and the totals.
fn read(
    options: &Options,
    log: &Log,
    picks: &[Index],
    rows: usize,
    limits: Vec<MemoryLimit>,
) -> (Vec<WindowResult>, Totals) {
    let (mut saved, mut published, mut limits) = (ResumeState::default(), vec![], limits.into_iter());
    'runs: loop {
        let mut run = resumed(options.clone(), saved.clone());
        run.materializer = std::mem::replace(&mut run.materializer, Materializer::new(options.clone()))
            .with_rows_at_once(rows)
            .with_memory_limit(limits.next().unwrap_or_else(|| memory_limit(usize::MAX, 0)));
        let mut left = Vec::new();
        let mut events = std::collections::VecDeque::new();
        for (partition, batches) in (0..).zip(&log.partitions) {
            let position = saved.partitions.get(&partition).map_or(0, |state| state.resume());
            let end = batches.last().map_or(0, |batch| batch.next);
            events.push_back(Event::Found { partition });
            events.push_back(Event::Attached { partition, position, end: Some(end) });
            left.push(
                batches.iter().filter(|batch| batch.first >= position).collect::<std::collections::VecDeque<_>>(),
            );
        }
        for turn in 0.. {
            let ready: Vec<usize> = (0..left.len()).filter(|partition| !left[*partition].is_empty()).collect();
            if ready.is_empty() {
                break;
            }
            let partition = ready[picks[turn % picks.len()].index(ready.len())];
            let batch = left[partition].pop_front().expect("it is ready");
            events.extend(log.events(partition as u32, batch));
        }
        while let Some(event) = events.pop_front() {
            let done = run.try_event(event);
            let mut closed = Vec::new();
            for effect in done.iter().flatten() {
                match effect {
                    Effect::Close { windows, .. } => closed.extend(windows.iter().cloned()),
                    Effect::Proceed => events.push_front(Event::Proceed),
                    _ => {}
                }
            }
            if done.is_err() || !closed.is_empty() || run.materializer.is_over() {
                saved = apply(&saved, &run.materializer, &closed.iter().collect::<Vec<_>>());
                run.materializer.committed();
                published.extend(closed);
            }
            match done {
                Err(Fault::Scratch(_)) => continue 'runs,
                Err(fault) => panic!("{fault}"),
                Ok(_) if run.materializer.is_over() => return (published, run.totals()),
                Ok(_) => {}
            }
        }
        panic!("a bounded run ends");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_scratch_file_that_fails_ends_a_run_and_takes_nothing_from_the_next(
        logs in proptest::collection::vec(proptest::collection::vec(batch(), 1..8), 1..4),
        picks in proptest::collection::vec(any::<Index>(), 1..20),
        leave_open: bool,
        rows in prop_oneof![Just(usize::MAX), 1_usize..9],
        fails in proptest::collection::vec((0_usize..2_000, 0_usize..40, prop_oneof![Just(1), Just(2), Just(usize::MAX)]), 1..4),
    ) {
        let (log, options) = (log(logs), Options { until_end: true, leave_open, ..options() });
        let whole = read(&options, &log, &picks, usize::MAX, vec![]);
        let limits = fails.into_iter().map(|(bytes, sound, fails)| failing(bytes, sound, fails)).collect();
        prop_assert_eq!(read(&options, &log, &picks, rows, limits), whole);
    }
}

/// Readings of this many sensors at each of these times, each time in a batch of partition 0. No window closes.
fn limited(options: Options, bytes: usize, sensors: u64, times: &[Millis]) -> Run {
    let mut run = Run::attached(options, &[i64::MAX]);
    run.materializer = std::mem::replace(&mut run.materializer, Materializer::new(super::options()))
        .with_memory_limit(memory_limit(bytes, usize::MAX));
    for time in times {
        let readings: Vec<_> = (0..sensors).map(|sensor| Reading::new(sensor, "AK", *time, 1_000_000)).collect();
        assert_eq!(run.batch(0, &readings, &[]), []);
    }
    run
}

fn whole(run: &Run) -> Vec<bool> {
    run.materializer.view().open_windows.iter().map(|window| window.is_whole).collect()
}

#[test]
fn windows_above_the_limit_go_to_the_scratch_file_and_others_do_not() {
    let options = Options { until_end: true, ..options() };
    assert_eq!(whole(&limited(options.clone(), 0, 1, &[0, 60_000])), [false, false]);
    assert_eq!(whole(&limited(options.clone(), usize::MAX, 1, &[0, 60_000])), [true, true]);
    // What has not been used for longest goes first.
    let times: Vec<_> = (0..9).map(|window| window * 3_000).collect();
    let seen = (0..40).map(|limit| whole(&limited(options.clone(), limit * 500, 60, &times)));
    let (mut some, seen) = (false, seen.collect::<Vec<_>>());
    for is_whole in &seen {
        assert!(is_whole.is_sorted(), "{seen:?}");
        some |= (3..7).contains(&is_whole.iter().filter(|whole| **whole).count());
    }
    assert!(some, "{seen:?}");
}

#[test]
fn windows_that_are_restored_go_to_the_scratch_file_as_well() {
    let options = Options { until_end: true, ..options() };
    let run = limited(options.clone(), 0, 1, &[0, 60_000]);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    let mut run = resumed(options, saved);
    run.materializer = std::mem::replace(&mut run.materializer, Materializer::new(super::options()))
        .with_memory_limit(memory_limit(0, usize::MAX));
    run.attach(0, 0, 3);
    run.event(super::resume::again(0, 0, 0));
    run.event(super::resume::again(1, 60_000, 0));
    assert_eq!(whole(&run), [false, false]);
}

#[test]
fn the_memory_of_a_window_that_closed_is_free_again() {
    let mut run = Run::attached(options(), &[1_000]);
    // Room for a few windows, and a scratch file that always fails.
    run.materializer = std::mem::replace(&mut run.materializer, Materializer::new(options()))
        .with_memory_limit(failing(20_000, 0, usize::MAX));
    let closed: usize = (0..1_000).map(|window| windows(&run.reading(0, window * 3_000)).len()).sum();
    assert_eq!(closed, 998, "all but the last, and the one that grace keeps open");
}
