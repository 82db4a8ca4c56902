//! What a life is started with. A user may start a run again with other flags: each life may differ from the one before in
//! how long windows stay open, when a partition is quiet, whether gaps are accepted, whether dead batches go to the outbox,
//! and how long closed windows are kept.

use std::time::Duration;

use isotherm_engine::materializer::Options;
use isotherm_store as sqlite;

use super::random::Random;
use super::world::{Kind, World};

/// See the module's text.
#[derive(Debug, Clone)]
pub(super) struct Flags {
    /// The run's.
    pub(super) run: Options,
    /// How long closed windows are kept.
    pub(super) keep: Option<Duration>,
    /// After how many pages the database is brought up to date from its log.
    pub(super) log: u32,
    /// How many pages are kept in memory.
    pub(super) memory: u32,
}

impl Flags {
    /// The first life's.
    pub(super) fn new(random: &mut Random, plain: Options) -> Self {
        let mut flags = Self { run: plain, keep: None, log: 1_000, memory: 2_000 };
        (flags.run.grace, flags.run.idle) = (grace(random), idle(random));
        flags.run.dead_letters = random.in_thousand(500);
        flags.keep = keep(random);
        flags
    }

    /// The store's.
    pub(super) fn store(&self, take_over: bool, page_size: u32) -> sqlite::Options {
        sqlite::Options { take_over, page_size, keep: self.keep, ..sqlite::Options::default() }
    }
}

fn grace(random: &mut Random) -> Duration {
    // With one of less than a millisecond it is cut to milliseconds.
    Duration::from_micros(random.pick(&[0, 1_000_000, 1_000_000, 1_500_900, 5_000_000, 20_000_000]))
}

fn idle(random: &mut Random) -> Duration {
    Duration::from_millis(random.pick(&[200, 1_000, 10_000, 10_000, 25_000]))
}

fn keep(random: &mut Random) -> Option<Duration> {
    let millis = random.pick(&[None, None, Some(0), Some(1), Some(3_000), Some(10_000), Some(60_000)]);
    millis.map(Duration::from_millis)
}

impl World<'_> {
    /// What a life of this kind is started with: mostly what the one before was.
    pub(super) fn draw(&mut self, kind: Kind) -> Flags {
        let (random, flags) = (&mut self.random, &mut self.flags);
        if random.in_thousand(250) {
            flags.run.grace = grace(random);
        }
        if random.in_thousand(250) {
            flags.run.idle = idle(random);
        }
        if random.in_thousand(250) {
            flags.run.dead_letters = !flags.run.dead_letters;
        }
        if random.in_thousand(250) {
            flags.keep = keep(random);
        }
        if random.in_thousand(250) {
            (flags.log, flags.memory) = (random.pick(&[1_000, 1, 1, 20]), random.pick(&[2_000, 2_000, 2, 10]));
        }
        flags.run.accept_data_loss = self.calm || random.in_thousand(600);
        flags.run.until_end = kind != Kind::Live;
        flags.run.leave_open = kind == Kind::LeaveOpen;
        flags.clone()
    }
}
