//! One life of the consumer: from the opening of its store to whatever ends it.

use std::time::Duration;

use isotherm_engine::commit::Store;
use isotherm_engine::event::Event;
use isotherm_engine::materializer::Materializer;
use isotherm_engine::materializer::fault::Fault;
use isotherm_engine::state::{LastBatch, PartitionState};
use isotherm_engine::step::{Step, Stepper};
use isotherm_store::SqliteStore;
use isotherm_store::error::StoreFault;

use super::commit::Closing;
use super::flags::Flags;
use super::letters::Copying;
use super::log::Log;
use super::reference;
use super::store::Troubled;
use super::time::Time;
use super::world::{Kind, World};

/// So long what has closed waits for a commit at most.
const MOST: Duration = Duration::from_millis(100);

/// What a source knows of a partition.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) attached: bool,
    /// Which batch comes next; `None` before the first attachment.
    pub(super) index: Option<usize>,
    pub(super) paused: bool,
    /// What the store said of it.
    pub(super) saved: Option<PartitionState>,
    /// Everything below has been merged.
    pub(super) merged: i64,
    /// The batch that is to come again as it was.
    pub(super) known: Option<LastBatch>,
    /// Where the run ends for it.
    pub(super) target: Option<i64>,
    /// Whether the topic has it, as far as this life knows.
    pub(super) found: bool,
    /// Whether this run has nothing to do with it.
    pub(super) left_alone: bool,
    /// Whether anything of it has come in this run.
    pub(super) touched: bool,
}

impl Line {
    /// The offset that comes next.
    pub(super) fn position(&self, log: &Log, partition: usize) -> i64 {
        let before = |index: usize| index.checked_sub(1).map_or(0, |last| log.partitions[partition].batches[last].next);
        self.index.map_or(self.saved.map_or(0, |saved| saved.resume()), before)
    }

    /// Whether it stands at the beginning of the log, wherever that is by now.
    pub(super) fn is_untouched(&self) -> bool {
        self.saved.is_none() && !self.touched
    }
}

/// A running consumer.
pub(super) struct Life {
    pub(super) materializer: Materializer,
    pub(super) turns: Stepper,
    pub(super) store: Troubled,
    pub(super) lines: Vec<Line>,
    pub(super) kind: Kind,
    /// What it was started with.
    pub(super) flags: Flags,
    /// What must come of what it has seen.
    pub(super) time: Time,
    /// What has closed and is not committed.
    pub(super) closings: Vec<Closing>,
    /// When the first of it closed.
    pub(super) since: Option<Duration>,
    /// Whether it has been told all partitions that there were.
    pub(super) listed: bool,
    /// What copies its dead letters.
    pub(super) copying: Copying,
    /// The last tick.
    pub(super) now: Duration,
    /// What a clock would say at this moment: ticks come late.
    pub(super) elapsed: Duration,
}

/// What ends a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The process dies.
    Crash,
    /// The machine has died within a commit.
    Torn,
    /// The run ended with an error, in good order.
    Failed,
    /// The run is over.
    Finished,
    /// It hangs, and another consumer goes on in its place.
    Zombie,
}

impl World<'_> {
    /// Opens the store and goes on where it says, as a run does.
    pub(super) fn start(&mut self, kind: Kind) -> (Life, Result<(), End>) {
        let take_over = self.zombie.is_some();
        let flags = self.draw(kind);
        if take_over && self.random.in_thousand(200) {
            let refused = SqliteStore::open(&self.folder.path(), &self.subject, flags.store(false, self.page_size));
            let held = matches!(refused, Err(StoreFault::Locked { .. }));
            assert!(held, "another one holds the store, and yet: {refused:?}");
        }
        let mut store = Troubled::open(&self.folder, &self.subject, flags.store(take_over, self.page_size));
        store.strain(flags.log, flags.memory);
        let saved = store.load().expect("what was committed can be read");
        let book = self.identify(saved.as_ref());
        let saved = saved.unwrap_or_default();
        let line = |partition: u32| {
            let saved = saved.partitions.get(&partition).copied();
            let merged = saved.map_or(0, |saved| saved.position);
            Line { saved, merged, known: saved.and_then(|saved| saved.last), ..Line::default() }
        };
        let lines = (0..).take(self.log.partitions.len()).map(line).collect();
        let (now, turns) = (Duration::ZERO, Stepper::new(Duration::ZERO));
        let time = Time::new(flags.run.clone(), &book);
        let materializer = Materializer::resume(flags.run.clone(), saved);
        self.note(format!("a run begins: {kind:?}, take over {take_over}, {flags:?}"));
        let copying = Copying::new(flags.run.dead_letters);
        let (closings, since, listed, elapsed) = (Vec::new(), None, false, now);
        let mut life = Life {
            materializer,
            turns,
            store,
            lines,
            kind,
            flags,
            time,
            closings,
            since,
            listed,
            copying,
            now,
            elapsed,
        };
        self.tally.lives.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let begun = self.begin(&mut life);
        (life, begun)
    }

    /// The topic's partitions are listed, while this and that happens to those that are known by then.
    fn begin(&mut self, life: &mut Life) -> Result<(), End> {
        let mut left: Vec<usize> = (0..life.lines.len()).filter(|p| self.log.partitions[*p].exists).collect();
        let busy = !self.calm && self.random.in_thousand(300);
        while !left.is_empty() {
            let partition = left.swap_remove(self.random.below(left.len()));
            self.find(life, partition)?;
            while busy && self.random.in_thousand(600) {
                self.step_unlisted(life)?;
            }
        }
        life.listed = true;
        self.sound(life, Event::Listed)
    }

    /// The topic has this partition.
    pub(super) fn find(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        self.note(format!("p{partition} is found"));
        life.lines[partition].found = true;
        self.sound(life, Event::Found { partition: partition as u32 })
    }

    /// Takes an event that is none to refuse.
    pub(super) fn sound(&mut self, life: &mut Life, event: Event) -> Result<(), End> {
        let done = self.take(life, event)?;
        done.unwrap_or_else(|fault| panic!("refused: {fault}"));
        Ok(())
    }

    /// Takes an event, and does what is decided, in the order of [`drive`](crate::run::drive).
    pub(super) fn take(&mut self, life: &mut Life, event: Event) -> Result<Result<(), Fault>, End> {
        let seen = event.clone();
        let Step { flow, due, finished, closed } = match life.turns.handle(&mut life.materializer, event, life.elapsed)
        {
            Ok(step) => step,
            Err(fault) => return Ok(Err(fault)),
        };
        assert_eq!(
            (closed, finished.is_some()),
            self.see(life, &seen),
            "windows close, the run is over; after {seen:?}"
        );
        let waits = life.since.map_or(Duration::ZERO, |since| life.elapsed - since);
        assert!(due || waits < MOST, "what has closed waits for a commit since {waits:?}");
        for (partition, waits) in flow {
            self.note(format!("p{partition} is to {}", if waits { "wait" } else { "go on" }));
            life.lines[partition as usize].paused = waits;
        }
        if due {
            self.commit(life)?;
        }
        match finished {
            None => Ok(Ok(())),
            Some(totals) => {
                assert_eq!(*totals, reference::totals(&self.log, &life.time.book), "the last words");
                self.said = Some(*totals);
                Err(End::Finished)
            }
        }
    }

    /// Holds the materializer against the model of time: whether windows close now, and whether the run is over.
    fn see(&mut self, life: &mut Life, event: &Event) -> (bool, bool) {
        let windows = life.time.see(&self.log, event);
        let (status, book) = (life.materializer.view(), &life.time.book);
        assert_eq!(status.watermark, book.watermark, "the watermark after {event:?}\n{:#?}", life.time);
        let open = status.open_windows.len();
        // What has not been read again yet is not known to be open.
        let fits = if life.time.is_restoring() { open <= book.open.len() } else { open == book.open.len() };
        assert!(fits, "{open} windows are open after {event:?}\n{:#?}", life.time);
        let closes = !windows.is_empty();
        if closes {
            let ends: Vec<_> = windows.iter().map(|window| (window.end, window.closed_by)).collect();
            self.note(format!("windows that end at {ends:?} close"));
            life.since.get_or_insert(life.elapsed);
            life.closings.push(Closing { windows, totals: reference::totals(&self.log, &life.time.book) });
        }
        (closes, life.time.over)
    }
}
