//! A deterministic simulation of whole histories of runs: one seed gives a log and a schedule, with everything that can go
//! wrong between two effects.
//!
//! The log (`topic`, `records`) has one to four partitions, disorder, late, future and rejected records, silences and empty batches,
//! and is written while runs go on. A run (`run`) is the real materializer, the real stepper and the real store; source,
//! clock and sink are the simulation's. Each run has its own options (`flags`). What happens next is drawn (`schedule`):
//! batches of any partition (`sources`), partials that repeat, skip, overlap or are damaged (`hostile`), reconnects, reports of ends,
//! jumps of the monotonic clock, new partitions, retention, ends of runs, deaths between any two effects, a second consumer that
//! takes over (`start`), and a process that reads the store (`reader`). Commits (`commit`) meet errors of the disk and torn
//! writes (`store`, `disk`).
//!
//! Beside the run, the real worker of dead letters empties the real outbox (`letters`). It is stopped, killed and overtaken wherever it
//! waits. Between two runs the store may go back to a backup (`history`).
//!
//! After each event (`handle`) the run is compared with the plain reference of the engine's tests, which models event time and
//! keeps what became of each reading. At each commit and publication, and after runs, the store is compared with it as
//! well (`check`, `check_letters`). No wall clock is asked.
//!
//! Files import one way: `random`, `seed`, `records`, `topic`, `disk`, `store`, `flags`, `letters`, `run`, `stored`, `world`, `commit`,
//! `handle`, `sources`, `hostile`, `schedule`, `start`, `check_letters`, `check`, `history`.
//!
//! `cargo xtask simulate --seeds N` runs N seeds; `ISOTHERM_SEED=N` in the environment of the test replays one.

#![cfg(test)]

mod boundaries;
mod check;
mod check_letters;
mod commit;
mod disk;
mod flags;
mod handle;
mod history;
mod hostile;
mod letters;
mod random;
mod reader;
mod records;
mod run;
mod schedule;
mod seed;
mod sources;
mod start;
mod store;
mod stored;
mod topic;
mod world;

/// The model of the dead letters' log and topic, shared with the unit tests of their worker. It names these modules as they do.
#[allow(dead_code, reason = "the worker's own tests use all of it")]
#[path = "../../../consumer/src/delivery/tests/model.rs"]
mod model;
use isotherm_consumer::delivery::{letter, seam};

#[path = "../../engine/tests/reference/mod.rs"]
mod reference;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use self::seed::{Script, Tally};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Runs a seed; `None`, with its schedule printed, if something is wrong.
fn run_seed(seed: u64, loud: bool) -> Option<Tally> {
    let script = Script::default();
    let done = catch_unwind(AssertUnwindSafe(|| history::run(seed, script.clone())));
    if loud || done.is_err() {
        script.print(seed);
    }
    if done.is_err() {
        eprintln!("seed {seed} failed; run it again with ISOTHERM_SEED={seed}");
    }
    done.ok()
}

#[test]
fn seeds() {
    let (first, seeds) = match (number("ISOTHERM_SEED"), number("ISOTHERM_SEEDS")) {
        (Some(seed), seeds) => (seed, seeds.unwrap_or(1)),
        (None, seeds) => (0, seeds.unwrap_or(2_000)),
    };
    let (next, failed, tally) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Tally::default()));
    let start = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= seeds {
                        break;
                    }
                    match run_seed(first.wrapping_add(place), seeds == 1) {
                        Some(seen) => tally.lock().expect("no thread panics with it").add(&seen),
                        None => failed.store(true, Ordering::Relaxed),
                    }
                }
            });
        }
    });
    let (seconds, tally) = (start.elapsed().as_secs_f64(), tally.into_inner().expect("no thread panics with it"));
    let done = next.load(Ordering::Relaxed).min(seeds);
    println!("{done} seeds from {first} in {seconds:.1} s on {threads} threads; {tally}");
    assert!(!failed.load(Ordering::Relaxed), "a seed failed: its number and schedule are printed above");
    if seeds >= 1_000 {
        assert_eq!(tally.never(), [""; 0], "this never happened");
    }
}
