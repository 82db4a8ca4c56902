//! One life of the consumer: from the opening of its store to whatever ends it.

use std::time::Duration;

use super::letters::Copying;
use super::store::Troubled;
use super::time::Time;
use super::world::{Kind, World};
use crate::materializer::Materializer;
use crate::materializer::event::Event;
use crate::materializer::fault::Fault;
use crate::run::turn::{Turn, Turns};
use crate::store::sqlite::Options;
use crate::store::{LastBatch, PartitionState, Store};

use super::log::Log;
use super::store::Trouble;

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
    pub(super) turns: Turns,
    pub(super) store: Troubled,
    pub(super) lines: Vec<Line>,
    pub(super) kind: Kind,
    /// What must come of what it has seen.
    pub(super) time: Time,
    /// Whether it goes on over what retention has cut.
    pub(super) accepts_gaps: bool,
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
        let options = Options { take_over, page_size: self.page_size, ..Options::default() };
        let mut store = Troubled::open(&self.folder, &self.subject, options);
        let saved = store.load().expect("what was committed can be read");
        let stand = saved.as_ref().map(|saved| (saved.topic, saved.partitions.iter().map(|(p, s)| (*p, *s)).collect()));
        assert!(self.allowed.contains(&stand), "the store holds {stand:?}\ncommitted was {:?}", self.allowed);
        self.allowed = vec![stand];
        let saved = saved.unwrap_or_default();
        self.settle(&saved.accounts);
        self.assert_behind_gaps(&saved.partitions);
        let accepts_gaps = self.calm || self.random.in_thousand(600);
        let line = |partition: u32| {
            let saved = saved.partitions.get(&partition).copied();
            let merged = saved.map_or(0, |saved| saved.merged);
            Line { saved, merged, known: saved.and_then(|saved| saved.last), ..Line::default() }
        };
        let lines = (0..).take(self.log.partitions.len()).map(line).collect();
        let options = crate::materializer::Options {
            until_end: kind != Kind::Live,
            leave_open: kind == Kind::LeaveOpen,
            accept_gap: accepts_gaps,
            ..self.options.clone()
        };
        let copying = Copying::new(options.dead_letters);
        let (now, turns) = (Duration::ZERO, Turns::new(Duration::ZERO));
        let time = Time::new(&self.log, options.clone(), &saved);
        let materializer = Materializer::resume(options, saved);
        let mut life = Life { materializer, turns, store, lines, kind, time, accepts_gaps, copying, now, elapsed: now };
        self.note(format!("a run begins: {kind:?}, take over {take_over}"));
        self.tally.lives.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut begin = || {
            for partition in 0..self.log.partitions.len() {
                if self.log.partitions[partition].exists {
                    self.find(&mut life, partition)?;
                }
            }
            self.sound(&mut life, Event::Listed)
        };
        let begun = begin();
        (life, begun)
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
        let Turn { flow, due, finished, closed } = match life.turns.handle(&mut life.materializer, event, life.elapsed)
        {
            Ok(turn) => turn,
            Err(fault) => return Ok(Err(fault)),
        };
        assert_eq!(
            (closed, finished.is_some()),
            self.see(life, &seen),
            "windows close, the run is over; after {seen:?}"
        );
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
                self.said = Some(*totals);
                Err(End::Finished)
            }
        }
    }

    /// Commits, then publishes, if nothing comes between.
    pub(super) fn commit(&mut self, life: &mut Life) -> Result<(), End> {
        let draw = if self.calm { 999 } else { self.random.below(1_000) };
        let (trouble, spoken) = match draw {
            0..25 => {
                self.note("dies before a commit".to_owned());
                return Err(End::Crash);
            }
            25..45 => (Some(Trouble::Full), None),
            45..55 => (Some(Trouble::Refused), None),
            55..70 => (Some(Trouble::Answer), None),
            70..110 => (Some(Trouble::Torn), None),
            110..135 => (None, Some(0)),
            135..170 => (None, Some(self.random.below(5))),
            _ => (None, None),
        };
        if let Some(trouble) = trouble {
            life.store.expect(trouble, &mut self.random);
        }
        let done = life.turns.commit(&mut life.materializer, &mut life.store, life.elapsed);
        self.note(format!("commit of {:?}: {trouble:?}, {}", life.store.windows, done.is_ok()));
        let (stand, windows) = (Some(life.store.stand.clone()), life.store.windows.iter().copied());
        match (&done, trouble) {
            (Ok(_), Some(Trouble::Full)) => panic!("a commit found room on a full disk"),
            (Ok(_), _) => self.allowed = vec![stand],
            (Err(_), Some(Trouble::Full)) => {
                self.tally.full.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                return Err(End::Failed);
            }
            (Err(_), Some(Trouble::Refused)) => return Err(End::Failed),
            (Err(_), Some(Trouble::Answer)) => {
                self.allowed = vec![stand];
                self.unspoken.extend(windows);
                return Err(End::Failed);
            }
            (Err(_), Some(Trouble::Torn)) => {
                self.allowed.push(stand);
                self.unspoken.extend(windows);
                return Err(End::Torn);
            }
            (Err(error), None) => panic!("a commit failed: {error}"),
        }
        self.tally.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(life.store.stand.0.closed_until >= self.closed_until, "what was closed is open again");
        self.closed_until = life.store.stand.0.closed_until;
        let mut left = spoken;
        for closed in done.unwrap_or_default() {
            for window in closed.windows {
                if left == Some(0) {
                    self.unspoken.insert(window.start);
                    self.silent.insert(window.start, window);
                    continue;
                }
                left = left.map(|left| left - 1);
                self.publish(window);
            }
            let totals = closed.totals;
            let parts = totals.counted + totals.late + totals.rejected.total();
            assert_eq!(totals.messages, parts, "published totals add up");
        }
        if spoken.is_some() {
            self.note("dies after a commit".to_owned());
            return Err(End::Crash);
        }
        Ok(())
    }

    /// Holds the materializer against the model of time: whether windows close now, and whether the run is over.
    fn see(&mut self, life: &mut Life, event: &Event) -> (bool, bool) {
        let closed = life.time.see(event);
        let status = life.materializer.status();
        assert_eq!(status.watermark, life.time.watermark, "the watermark after {event:?}\n{:#?}", life.time);
        if !life.time.over {
            assert_eq!(status.open_windows, life.time.open.len(), "open windows after {event:?}\n{:#?}", life.time);
        }
        let closes = closed.is_some();
        if let Some((ends, by)) = closed {
            self.note(format!("windows that end at {ends:?} close: {by:?}"));
            for end in ends {
                self.closings.entry(end).or_default().push((by, life.time.merged()));
            }
        }
        (closes, life.time.over)
    }

    fn publish(&mut self, window: crate::results::WindowResult) {
        self.note(format!("publishes {}", window.start));
        let before = self.published.insert(window.start, window);
        assert!(before.is_none(), "published twice: {before:?}");
    }
}
