//! Everything that outlives a run: the log, the files of the store, and what was published.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isotherm_engine::materializer::Options;
use isotherm_engine::results::Totals;
use isotherm_model::partial::ModuleVersion;
use isotherm_model::window::{Millis, WindowSize};
use isotherm_store::Subject;

use super::book::Dead;
use super::commit::Committed;
use super::flags::Flags;
use super::letters::Letters;
use super::life::{End, Life};
use super::log::Log;
use super::past::Past;
use super::random::Random;
use super::store::Folder;
use super::watcher::Watcher;
use super::{Script, Tally, records};

/// What kind of run a life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It follows the log.
    Live,
    /// It reads to the end, and closes everything.
    UntilEnd,
    /// It reads to the end, and leaves open what is open.
    LeaveOpen,
}

/// See the module's text.
pub(super) struct World<'a> {
    pub(super) random: Random,
    pub(super) log: Log,
    pub(super) letters: Letters,
    /// What the last life was started with.
    pub(super) flags: Flags,
    pub(super) subject: Subject,
    pub(super) page_size: u32,
    pub(super) folder: Folder,
    /// Which commits the store may be at.
    pub(super) allowed: Vec<Committed>,
    /// The starts of the windows that were published.
    pub(super) published: BTreeSet<Millis>,
    /// Windows that may be closed although they were never published.
    pub(super) unspoken: BTreeSet<Millis>,
    /// The last words of the last run.
    pub(super) said: Option<Totals>,
    /// A consumer that hangs, while another one has taken its place.
    pub(super) zombie: Option<Life>,
    /// Who looks into the store.
    pub(super) watcher: Option<Watcher>,
    /// A copy of the store.
    pub(super) past: Option<Past>,
    /// What was in the outbox of states that the store has gone back from.
    pub(super) forgotten: Vec<Dead>,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    pub(super) tally: &'a Tally,
    script: Script,
}

impl<'a> World<'a> {
    pub(super) fn new(seed: u64, script: Script, tally: &'a Tally) -> Self {
        let mut random = Random::new(seed);
        let window = WindowSize::new(Duration::from_secs(random.pick(&[1, 3, 3]))).expect("a window's length");
        let settings = records::settings(window.duration());
        let log = Log::new(&mut random, &settings);
        let plain = Options {
            window,
            grace: Duration::ZERO,
            idle: Duration::ZERO,
            until_end: false,
            leave_open: false,
            accept_data_loss: false,
            dead_letters: false,
            version: ModuleVersion::CURRENT,
            fingerprint: settings.fingerprint(),
        };
        let flags = Flags::new(&mut random, plain);
        let subject = Subject::new("sensors", "simulation", &settings);
        let page_size = random.pick(&[512, 4_096]);
        let letters = Letters::new(seed, &log, &settings);
        let world = Self {
            random,
            log,
            letters,
            flags,
            subject,
            page_size,
            folder: Folder::new(),
            allowed: vec![Committed::default()],
            published: BTreeSet::new(),
            unspoken: BTreeSet::new(),
            said: None,
            zombie: None,
            watcher: None,
            past: None,
            forgotten: Vec::new(),
            calm: false,
            tally,
            script,
        };
        for (number, partition) in world.log.partitions.iter().enumerate() {
            let batches: Vec<_> = partition.batches.iter().map(|batch| batch.first).collect();
            world.note(format!("p{number}: batches at {batches:?}, {} of them there", partition.shown));
        }
        world
    }

    pub(super) fn note(&self, line: String) {
        self.script.note(line);
    }

    /// The whole history.
    pub(super) fn run(mut self) {
        let mut steps = 30 + self.random.below(130);
        while steps > 0 {
            let kind = match self.random.below(100) {
                0..12 => Kind::UntilEnd,
                12..24 => Kind::LeaveOpen,
                _ => Kind::Live,
            };
            let (mut life, begun) = self.start(kind);
            let mut done = begun;
            let end = loop {
                match done {
                    Err(end) => break end,
                    Ok(()) if steps == 0 => break self.random.pick(&[End::Crash, End::Failed]),
                    Ok(()) => {}
                }
                steps = steps.saturating_sub(1);
                done = self.step(&mut life);
            };
            self.end(life, end);
            if self.random.in_thousand(500) {
                self.check(false);
            }
            self.go_back();
        }
        self.finish();
    }

    /// What is left of a life.
    pub(super) fn end(&mut self, life: Life, end: End) {
        self.note(format!("the run ends: {end:?}"));
        let count = match end {
            End::Crash => &self.tally.crashes,
            End::Torn => &self.tally.torn,
            _ => &self.tally.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        match end {
            End::Crash => {
                self.wake();
                self.folder.die();
            }
            End::Torn => {
                self.zombie = None;
                self.folder.died();
            }
            End::Failed | End::Finished => self.wake(),
            End::Zombie => {
                self.wake();
                self.zombie = Some(life);
                return;
            }
        }
        drop(life);
        if matches!(end, End::Crash | End::Torn) {
            self.watcher = None;
        }
        self.folder.tidy();
    }

    /// Reads everything that is left, lets all windows close, and looks at what has come of it.
    fn finish(&mut self) {
        self.calm = true;
        for partition in &mut self.log.partitions {
            (partition.exists, partition.shown) = (true, partition.batches.len());
        }
        let kind = self.random.pick(&[Kind::Live, Kind::UntilEnd]);
        let (mut life, begun) = self.start(kind);
        self.wake();
        let end = match begun {
            Ok(()) => self.drain(&mut life),
            Err(end) => end,
        };
        assert_eq!(end, End::Finished, "the last run");
        self.copy_all(&mut life);
        self.end(life, end);
        self.check(true);
        self.tally.windows.fetch_add(self.published.len() as u64, Ordering::Relaxed);
    }
}
