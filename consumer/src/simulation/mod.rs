//! A deterministic simulation of whole histories of runs: one seed gives a log and a schedule, with everything that can go
//! wrong between two effects.
//!
//! The log (`log`) has one to four partitions, disorder, late, future and rejected records, silences and empty batches, and
//! is written while runs go on. A life of the consumer (`life`) is the real materializer, the real turns of a run and the
//! real store; source, clock and sink are the simulation's. Each life has flags of its own (`flags`). What happens next is drawn
//! (`schedule`): batches of any partition, repeated, skipped, overlapping, foreign and unsound partials (`hostile`), reconnects,
//! news of ends, jumps of the monotonic clock, new partitions, retention that cuts what was or was not read (`retention`), ends of
//! runs, deaths between any two effects, a second consumer that takes over, and somebody who looks on (`watcher`). Commits
//! (`commit`) meet errors of the disk and torn writes (`store`, `disk`).
//!
//! Beside the run the real copier of dead letters works on the real outbox (`letters`, `records`), and is stopped, killed and overtaken
//! wherever it waits. Between two lives the store may go back to a copy of an earlier state (`past`).
//!
//! After each event the run is held against a model of time (`time`) that says who holds windows back, and when each closes, for what
//! reason; it keeps a book (`book`) of what has become of each reading. At each commit and publication, and after lives, commits,
//! windows and the store (`check`) are held against that book and a plain reference (`reference`) that recomputes them from the
//! log; at the end what was copied is held against it as well (`outcome`). No wall clock is ever asked.
//!
//! `cargo xtask simulate --seeds N` runs any number of seeds; `ISOTHERM_SEED=N` in the environment of the test replays one.

mod book;
mod boundaries;
mod check;
mod commit;
mod disk;
mod flags;
mod hostile;
mod letters;
mod life;
mod log;
mod outcome;
mod past;
mod random;
mod records;
mod reference;
mod retention;
mod schedule;
mod store;
mod time;
mod watcher;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use self::world::World;

/// What has happened so far, a line for each event, for whoever looks at a seed that fails.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Vec<String>>>);

impl Script {
    fn note(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn print(&self, seed: u64) {
        eprintln!("seed {seed}: its schedule");
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            eprintln!("  {line}");
        }
    }
}

/// What the seeds of a test have been through, to see that nothing is left out.
#[derive(Debug, Default)]
struct Tally {
    lives: AtomicU64,
    commits: AtomicU64,
    windows: AtomicU64,
    crashes: AtomicU64,
    torn: AtomicU64,
    /// Commits that found the disk full.
    full: AtomicU64,
    /// Those that failed otherwise, with nothing written.
    unwritten: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    fenced: AtomicU64,
    late: AtomicU64,
    /// Runs that needed what retention had cut.
    cut: AtomicU64,
    /// Gaps that were accepted and committed.
    gaps: AtomicU64,
    /// Closed windows that were dropped in the end.
    dropped: AtomicU64,
    /// Partitions of which retention had cut nothing but the batch to know the log by.
    unneeded: AtomicU64,
    /// Dead letters that were copied.
    letters: AtomicU64,
    /// Of these, what a copier had sent and not settled when it died.
    again: AtomicU64,
    /// Stores that went back to an earlier state.
    back: AtomicU64,
    /// Letters of states that the store went back from, and that would not be sent any more.
    forgotten: AtomicU64,
    /// Those that stand twice: the other one was sent by a copier whose store had been taken over.
    doubled: AtomicU64,
    /// Those that were cut before they were copied, or that the broker did not take.
    lost: AtomicU64,
    /// Copiers that found that their store had been taken over.
    fenced_copiers: AtomicU64,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Runs a seed; false, with its schedule printed, if something is wrong.
fn run(seed: u64, tally: &Tally, loud: bool) -> bool {
    let script = Script::default();
    let done = catch_unwind(AssertUnwindSafe(|| World::new(seed, script.clone(), tally).run()));
    if loud || done.is_err() {
        script.print(seed);
    }
    if done.is_err() {
        eprintln!("seed {seed} failed; run it again with ISOTHERM_SEED={seed}");
    }
    done.is_ok()
}

#[test]
fn seeds() {
    let (first, seeds) = match (number("ISOTHERM_SEED"), number("ISOTHERM_SEEDS")) {
        (Some(seed), seeds) => (seed, seeds.unwrap_or(1)),
        (None, seeds) => (0, seeds.unwrap_or(2_000)),
    };
    let (next, failed, tally) = (AtomicU64::new(0), AtomicBool::new(false), Tally::default());
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= seeds {
                        break;
                    }
                    if !run(first.wrapping_add(place), &tally, seeds == 1) {
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let done = next.load(Ordering::Relaxed).min(seeds);
    let rate = done as f64 / seconds;
    println!("{done} seeds from {first} in {seconds:.1} s on {threads} threads: {rate:.0} seeds/s; {tally:?}");
    assert!(!failed.load(Ordering::Relaxed), "a seed failed: its number and schedule stand above");
    if seeds >= 1_000 {
        let Tally { lives, commits, windows, crashes, torn, full, unwritten, failed, refused, fenced, .. } = &tally;
        let Tally { late, cut, gaps, dropped, unneeded, .. } = &tally;
        let Tally { letters, again, back, forgotten, doubled, lost, fenced_copiers, .. } = &tally;
        let first = [lives, commits, windows, crashes, torn, full, unwritten, failed, refused, fenced];
        let copied = [letters, again, back, forgotten, doubled, lost, fenced_copiers];
        for count in first.into_iter().chain([late, cut, gaps, dropped, unneeded]).chain(copied) {
            assert!(count.load(Ordering::Relaxed) > 0, "something never happened: {tally:?}");
        }
    }
}
