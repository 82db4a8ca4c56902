//! What a run is started with. A user may start a run again with other options: each run may differ from the one before in how
//! long windows stay open, when a partition is idle, whether data loss is accepted, whether dead batches go to the outbox, and how
//! long closed windows are kept.

use std::time::Duration;

use isotherm_engine::materializer::Options;
use isotherm_model::partial::ModuleVersion;
use isotherm_model::settings::Settings;
use isotherm_store as sqlite;

use super::random::Random;
use super::seed::Seed;

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// It follows the log.
    Live,
    /// It reads to the end, and closes every window.
    UntilEnd,
    /// It reads to the end, and leaves open windows open.
    LeaveOpen,
}

#[derive(Debug, Clone)]
pub(crate) struct Flags {
    pub(crate) run: Options,
    /// The most rows of windows that close at once.
    pub(crate) rows_at_once: usize,
    /// How much memory open windows may take.
    pub(crate) memory: usize,
    /// How long closed windows are kept.
    pub(crate) keep: Option<Duration>,
    /// After how many pages of the write-ahead log a commit makes a checkpoint.
    pub(crate) checkpoint_pages: u32,
    /// How many pages SQLite keeps in memory.
    pub(crate) cache_pages: u32,
}

impl Flags {
    /// The first run's.
    pub(crate) fn new(random: &mut Random, settings: &Settings) -> Self {
        let run = Options {
            window: settings.window,
            grace: grace(random),
            idle: idle(random),
            until_end: false,
            leave_open: false,
            accept_data_loss: false,
            dead_letters: random.in_thousand(500),
            version: ModuleVersion::CURRENT,
            fingerprint: settings.fingerprint(),
        };
        Self {
            run,
            rows_at_once: rows_at_once(random),
            memory: memory(random),
            keep: keep(random),
            checkpoint_pages: 1_000,
            cache_pages: 2_000,
        }
    }

    /// Changes to what the next run is started with: mostly what the one before was.
    pub(crate) fn redraw(&mut self, seed: &mut Seed, kind: RunKind) {
        let random = &mut seed.random;
        if random.in_thousand(250) {
            self.run.grace = grace(random);
        }
        if random.in_thousand(250) {
            self.run.idle = idle(random);
        }
        if random.in_thousand(250) {
            self.run.dead_letters = !self.run.dead_letters;
        }
        if random.in_thousand(250) {
            self.keep = keep(random);
        }
        if random.in_thousand(250) {
            self.checkpoint_pages = random.pick(&[1_000, 1, 1, 20]);
            self.cache_pages = random.pick(&[2_000, 2_000, 2, 10]);
        }
        if random.in_thousand(250) {
            self.rows_at_once = rows_at_once(random);
            self.memory = memory(random);
        }
        self.run.accept_data_loss = seed.calm || random.in_thousand(600);
        self.run.until_end = kind != RunKind::Live;
        self.run.leave_open = kind == RunKind::LeaveOpen;
    }

    /// The store's.
    pub(crate) fn store(&self, take_over: bool, page_size: u32) -> sqlite::Options {
        sqlite::Options { take_over, page_size, keep: self.keep, ..sqlite::Options::default() }
    }
}

fn grace(random: &mut Random) -> Duration {
    // A fraction of a millisecond is cut off.
    Duration::from_micros(random.pick(&[0, 1_000_000, 1_000_000, 1_500_900, 5_000_000, 20_000_000]))
}

fn idle(random: &mut Random) -> Duration {
    Duration::from_millis(random.pick(&[200, 1_000, 10_000, 10_000, 25_000]))
}

fn rows_at_once(random: &mut Random) -> usize {
    random.pick(&[1 << 16, 1 << 16, 1, 5, 20])
}

fn memory(random: &mut Random) -> usize {
    random.pick(&[usize::MAX, usize::MAX, 0, 1_000, 4_000])
}

fn keep(random: &mut Random) -> Option<Duration> {
    let millis = random.pick(&[None, None, Some(0), Some(1), Some(3_000), Some(10_000), Some(60_000)]);
    millis.map(Duration::from_millis)
}
