//! The materializer: partials become windows, totals and the ledger. Pure: events in, effects out.
//!
//! No clock, I/O, thread or async lives here, so that a whole run can be replayed from a list of events. What the
//! words mean stands in `docs/semantics.md`; each sentence there has a test in `tests/`.
//!
//! The way of an event, one module a step: what it says of a partition is noted (`partitions`), or its partial is checked
//! (`fault`) and merged (`merge`) into open windows (`open`, `tally`, `sensors`) or as late (`ledger`), its partition's clock moves
//! (`clock`) and the topic's watermark (`watermark`), windows close, and whoever is far ahead waits (`catch_up`). `changes` is what the next commit says.

mod alignment;
mod changes;
mod clock;
pub mod fault;
mod merge;
mod open;
mod partitions;
mod tally;
mod totals;
mod watermark;

#[cfg(test)]
mod tests;

use std::time::Duration;

use isotherm_model::partial::{ModuleVersion, PartitionId};
use isotherm_model::settings::Fingerprint;
use isotherm_model::window::{Millis, WindowSize};

use self::alignment::Alignment;
use self::changes::Changes;
use self::clock::Clock;
use self::fault::Fault;
use self::open::OpenWindows;
use self::tally::Tally;
use self::watermark::Clocks;
use crate::commit::{Commit, ResumeState};
use crate::event::{Effect, Event};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::results::{Totals, WindowResult};
use crate::sensors::HashSeed;
use crate::state::{RunStart, TopicState};
use crate::view::{PartitionView, View};

/// What a materializer must know before the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The length of windows.
    pub window: WindowSize,
    /// How long after its end a window stays open. Cut to milliseconds.
    pub grace: Duration,
    /// How long a caught-up partition must be quiet to hold nothing back.
    pub idle: Duration,
    /// Whether the run ends where each partition ended when it was first attached.
    pub until_end: bool,
    /// Whether windows that are open at that end stay open, for a run that goes on.
    pub leave_open: bool,
    /// Whether to go on where the log no longer holds what is to be read.
    pub accept_data_loss: bool,
    /// Whether commits are to name the batches that hold late or rejected records.
    pub dead_letters: bool,
    /// The module version that partials must be of.
    pub version: ModuleVersion,
    /// The settings that partials must be made with.
    pub fingerprint: Fingerprint,
}

/// Partials in, windows out. See the module's text.
#[derive(Debug, Clone)]
pub struct Materializer {
    options: Options,
    clocks: Clocks,
    alignment: Alignment,
    open: OpenWindows,
    ledger: Ledger,
    run: Tally,
    names: Names,
    seed: HashSeed,
    changes: Changes,
    /// Where the run began.
    start: RunStart,
    /// What a store said of open windows: it stays so until they are refilled.
    saved_open: (Option<Millis>, u64),
    finished: bool,
}

impl Materializer {
    /// A run that has not begun.
    pub fn new(options: Options) -> Self {
        Self::resume(options, ResumeState::default())
    }

    /// A run that goes on where a store says. Open windows are empty at first: the log is their journal. Each partition is
    /// to be attached at [`PartitionState::resume`](crate::store::PartitionState::resume); what comes below its merged offset
    /// refills the windows that are open and changes nothing else, and nothing closes until that is done.
    ///
    /// This is exact: a window that is open now was open whenever a batch was merged, so that none of its readings was late;
    /// all of them stand in batches from that offset on, and every one of these comes again, once.
    pub fn resume(options: Options, saved: ResumeState) -> Self {
        let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
        let seed = saved.sensors.seed();
        Self {
            clocks: Clocks::restored(options.idle, options.leave_open, &saved),
            alignment: Alignment::new(options.window.millis(), grace),
            open: OpenWindows::new(options.window, grace, saved.topic.closed_until),
            ledger: Ledger::from(saved.accounts),
            names: Names::restored(saved.groups.iter().map(|group| group.name.as_str())),
            run: Tally::restored(&saved.groups, saved.sensors),
            seed,
            changes: Changes::default(),
            start: saved.topic.start,
            saved_open: (saved.topic.oldest_open, saved.topic.open_windows),
            finished: false,
            options,
        }
    }

    /// Takes an event, and answers with what is to be done, in this order. After `Finished` every event is ignored.
    ///
    /// Cost: linear in the partitions; for a partial also in its cells and their sensors; for a close also in the
    /// groups of the run and of the windows that close.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if the event would make a number wrong. It has then changed nothing.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        if self.finished {
            return Ok(Vec::new());
        }
        match event {
            Event::Found { partition } => self.found(partition),
            Event::Listed => self.listed()?,
            Event::Attached { partition, position, end } => self.attached(partition, position, end)?,
            Event::Detached { partition } => self.detached(partition)?,
            Event::End { partition, end } => self.end(partition, end)?,
            Event::Partial { partition, partial, digest } => self.partial(partition, *partial, digest)?,
            Event::OffsetGap { partition, next } => self.offset_gap(partition, next)?,
            Event::Tick { now } => self.clocks.tick(now),
            Event::Stop => return Ok(vec![self.finish()]),
            // Windows that are not refilled cannot be closed.
            Event::Finish if self.is_restoring() => {}
            Event::Finish => return Ok(self.end_run()),
        }
        Ok(self.settle())
    }

    /// The run so far. Cost: linear in partitions and groups.
    pub fn totals(&self) -> Totals {
        totals::totals(&self.ledger, &self.run, &self.names)
    }

    /// The account of all records so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// By partition, ascending, the offset that comes next: everything below has been merged.
    pub fn positions(&self) -> Vec<(PartitionId, i64)> {
        let partitions = self.clocks.partitions.iter();
        partitions.filter_map(|(partition, clock)| Some((*partition, clock.position()?))).collect()
    }

    /// Whether open windows still lack what has to be read again after a restart.
    pub fn is_restoring(&self) -> bool {
        self.clocks.is_restoring()
    }

    /// How much there is to commit: new sensors, changed ranges and the like, in rows.
    pub fn uncommitted(&self) -> usize {
        self.changes.rows()
    }

    /// Everything that has changed since the last commit, with the windows that have closed since then. Borrowed, so that
    /// nothing can happen in between. Cost: linear in partitions, open windows and what has changed.
    pub fn commit<'a>(&'a self, windows: &'a [&'a WindowResult]) -> Commit<'a> {
        let firsts = self.open.firsts();
        let state = |(partition, clock): (&PartitionId, &Clock)| {
            Some((*partition, clock.state(firsts.get(partition).copied())?))
        };
        let (mut oldest_open, mut open_windows) = (self.open.oldest(), self.open.len() as u64);
        if self.is_restoring() {
            let (oldest, windows) = self.saved_open;
            oldest_open = oldest_open.into_iter().chain(oldest).min();
            open_windows = open_windows.max(windows);
        }
        Commit {
            topic: TopicState {
                start: self.start,
                watermark: self.clocks.watermark(),
                closed_until: self.open.closed_until(),
                newest: self.clocks.newest(),
                oldest_open,
                open_windows,
                sensors: self.run.sensors(),
            },
            partitions: self.clocks.partitions.iter().filter_map(state).collect(),
            ledger: &self.ledger,
            ranges: self.ledger.changed(),
            groups: self.changes.groups(&self.run, &self.names),
            sensors: self.changes.sensors(),
            windows,
            dead: self.changes.dead(),
        }
    }

    /// The last [`Materializer::commit`] has become lasting.
    pub fn committed(&mut self) {
        self.changes.clear();
        self.ledger.committed();
    }

    /// The run at this moment. Cost: linear in the partitions, and in the groups of the run and of the open windows.
    pub fn view(&self) -> View {
        let partitions = self.partitions();
        View {
            watermark: self.clocks.watermark(),
            newest: self.clocks.newest(),
            caught_up: self.clocks.listed() && partitions.iter().all(|partition| partition.lag() == Some(0)),
            partitions,
            open_windows: self.open.view(&self.names),
            totals: self.totals(),
        }
    }

    fn partitions(&self) -> Vec<PartitionView> {
        let view = |(&partition, clock): (&PartitionId, &Clock)| PartitionView {
            partition,
            phase: self.clocks.phase(clock),
            position: clock.position(),
            end: clock.next.map(|_| clock.target.unwrap_or(clock.end)),
            watermark: clock.watermark,
            paused: self.alignment.is_paused(partition),
        };
        self.clocks.partitions.iter().map(view).collect()
    }

    /// After each event: the run ends, or windows close; then whoever is far ahead waits.
    fn settle(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.options.until_end && self.clocks.all_at_target() {
            return self.end_run();
        }
        if let Some(by) = self.clocks.advance(self.open.last_close())
            && self.open.advance(self.clocks.watermark())
        {
            let windows = self.open.close(by, &self.names, &self.positions());
            self.publish(windows, &mut effects);
        }
        self.alignment.review(&self.clocks, &mut effects);
        effects
    }

    /// Closes every window (unless they are to stay open), and finishes.
    fn end_run(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if !self.options.leave_open {
            let windows = self.open.close_all(&self.names, &self.positions());
            self.publish(windows, &mut effects);
        }
        effects.push(self.finish());
        effects
    }

    fn publish(&self, windows: Vec<WindowResult>, effects: &mut Vec<Effect>) {
        if !windows.is_empty() {
            effects.push(Effect::Close { windows, totals: Box::new(self.totals()) });
        }
    }

    fn finish(&mut self) -> Effect {
        self.finished = true;
        Effect::Finished { totals: Box::new(self.totals()) }
    }
}
