//! The materializer: partials become windows, totals and the ledger. Events in, effects out.
//!
//! `docs/semantics.md` says what the words mean; each sentence there has a test in `tests/`.
//!
//! One module handles each step of an event. `partitions` records what a source says of a partition. `merge` checks a partial
//! (`fault` says why one is refused) and adds it to open windows (`open`, `tally`) or to the ledger as late. `clock` moves the
//! partition's time, `watermark` the topic's. Then windows close, and `alignment` pauses partitions that are far ahead.
//! `changes` collects what the next commit writes. Beyond a memory limit open windows go to a scratch file.

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
use isotherm_model::time::Millis;
use isotherm_model::window::WindowSize;

use self::alignment::Alignment;
use self::changes::Changes;
use self::clock::Clock;
use self::fault::Fault;
use self::open::{Closed, Closing, OpenWindows};
use self::tally::Tally;
use self::watermark::Clocks;
use crate::commit::{Commit, ResumeState};
use crate::event::{Effect, Event};
use crate::ledger::Ledger;
use crate::names::Names;
use crate::results::{ClosedBy, Totals, WindowResult};
use crate::scratch::MemoryLimit;
use crate::state::{RunStart, TopicState};
use crate::view::{PartitionView, View};

/// What a materializer must know before the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The length of windows.
    pub window: WindowSize,
    /// How long after its end a window stays open. Cut to milliseconds.
    pub grace: Duration,
    /// How long the watermark of a caught-up partition must not rise before the partition is idle and blocks nothing.
    pub idle: Duration,
    /// Whether the run is bounded: it ends where each partition ended when it was first attached, and no window closes before.
    pub until_end: bool,
    /// Whether a bounded run closes at its end only what the watermark has passed, and leaves the other windows open for a later run
    /// with the same store.
    pub leave_open: bool,
    /// Whether the run goes on where retention has deleted records that it needs.
    pub accept_data_loss: bool,
    /// Whether commits name the batches that hold late or rejected records.
    pub dead_letters: bool,
    /// The module version that partials must be of.
    pub version: ModuleVersion,
    /// The settings that partials must be made with.
    pub fingerprint: Fingerprint,
}

/// Turns partials into windows. See the module's text.
#[derive(Debug)]
pub struct Materializer {
    options: Options,
    clocks: Clocks,
    alignment: Alignment,
    open: OpenWindows,
    ledger: Ledger,
    run: Tally,
    names: Names,
    changes: Changes,
    /// Where the run began.
    start: RunStart,
    /// The oldest open window and the number of open windows, by the store; they hold until the run has restored them.
    saved_open: (Option<Millis>, u64),
    /// What is closing, if that takes more than one commit.
    closing: Option<Closing>,
    phase: Phase,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// It has read enough. Its last windows close.
    Ending,
    /// It came to its end, or was stopped.
    Over {
        stopped: bool,
    },
}

impl Materializer {
    /// A run that begins at the start of its topic.
    pub fn new(options: Options) -> Self {
        Self::resume(options, ResumeState::default())
    }

    /// A run that goes on from a store. The store does not hold open windows: the log is their journal. The source attaches
    /// each partition at [`PartitionState::resume`](crate::state::PartitionState::resume). Batches below the position restore open
    /// windows and change nothing else, and no window closes until all of them are restored.
    ///
    /// This is exact. A window that is open now was open whenever a batch was merged, so none of its readings was late. All of
    /// them are in batches from that offset on, and each of these batches comes again, once.
    pub fn resume(options: Options, saved: ResumeState) -> Self {
        let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
        let seed = saved.sensors.seed();
        let mut open = OpenWindows::new(options.window, grace, seed);
        open.restore(saved.topic.closed_until, saved.closed_beyond.iter().copied());
        Self {
            clocks: Clocks::restored(options.idle, saved.topic.bounded, &saved),
            alignment: Alignment::new(options.window.millis(), grace),
            open,
            ledger: Ledger::from(saved.accounts),
            names: Names::restored(saved.groups.iter().map(|group| group.name.as_str())),
            run: Tally::restored(&saved.groups, saved.sensors),
            changes: Changes::default(),
            start: saved.topic.start,
            saved_open: (saved.topic.oldest_open, saved.topic.open_windows),
            closing: None,
            phase: Phase::Running,
            options,
        }
    }

    /// Keeps the memory of open windows below a limit: what has not been used for longest goes to a scratch file, and is read when
    /// its window closes.
    pub fn with_memory_limit(mut self, limit: MemoryLimit) -> Self {
        self.open.set_limit(limit);
        self
    }

    /// Closes no more windows at once than take this many rows of a store (and at least one), for tests.
    #[doc(hidden)]
    pub fn with_rows_at_once(mut self, rows: usize) -> Self {
        self.open.set_rows_at_once(rows);
        self
    }

    /// Handles an event, and returns what the caller must do, in this order. After `Finished` it ignores every event.
    ///
    /// Cost: linear in the partitions; for a partial also in its cells and their sensors; for a close also in the
    /// groups of the run and of the windows that close.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if the event would make a number wrong. It has then changed nothing.
    pub fn handle(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        if self.is_over() {
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
            Event::Part { partition, place, part } => self.changes.part(partition, place, part),
            Event::Tick { now } => self.clocks.tick(now),
            Event::Stop => return Ok(vec![self.finish(true)]),
            // A window that is not restored cannot close.
            Event::Finish if self.is_restoring() => {}
            Event::Finish => self.end_run(),
            Event::Proceed => {}
        }
        self.settle()
    }

    /// The run so far. Cost: linear in partitions and groups.
    pub fn totals(&self) -> Totals {
        totals::totals(&self.ledger, &self.run, &self.names)
    }

    /// The run so far, without its groups where there are very many.
    fn brief_totals(&self) -> Totals {
        totals::brief(&self.ledger, &self.run, &self.names)
    }

    /// The account of all records so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// By partition, ascending, the next offset to process.
    pub fn positions(&self) -> Vec<(PartitionId, i64)> {
        let partitions = self.clocks.partitions.iter();
        partitions.filter_map(|(partition, clock)| Some((*partition, clock.position()?))).collect()
    }

    /// Whether open windows still lack batches that must be read again after a restart.
    pub fn is_restoring(&self) -> bool {
        self.clocks.is_restoring()
    }

    /// While open windows are restored: offsets read again, and how many must be.
    pub fn restoring(&self) -> Option<(u64, u64)> {
        let add =
            |(done, of): (u64, u64), (more, left): (u64, u64)| (done.saturating_add(more), of.saturating_add(left));
        let all = self.clocks.partitions.values().map(Clock::restored_of);
        self.is_restoring().then(|| all.fold((0, 0), add))
    }

    /// Whether the run has ended, or was stopped: it ignores every event.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    /// How many rows the next commit writes: new sensors, changed ranges and so on.
    pub fn uncommitted(&self) -> usize {
        self.changes.rows()
    }

    /// Everything that has changed since the last commit, with the windows that have closed since. The commit borrows the
    /// materializer, so that no event can come in between. Cost: linear in partitions, open windows and what has changed.
    pub fn commit<'a>(&'a self, windows: &'a [&'a WindowResult]) -> Commit<'a> {
        let firsts = self.open.firsts();
        let bounded = self.options.until_end && self.phase != Phase::Over { stopped: false };
        let state = |(partition, clock): (&PartitionId, &Clock)| {
            Some((*partition, clock.state(firsts.get(partition).copied(), bounded)?))
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
                closed_beyond: self.open.closed_beyond(),
                newest: self.clocks.newest(),
                oldest_open,
                open_windows,
                sensors: self.run.sensors(),
                bounded,
            },
            partitions: self.clocks.partitions.iter().filter_map(state).collect(),
            ledger: &self.ledger,
            ranges: self.ledger.changed(),
            groups: self.changes.groups(&self.run, &self.names),
            sensors: self.changes.sensors(),
            windows,
            dead: self.changes.dead(),
            parts: self.changes.parts(),
        }
    }

    /// Marks the last [`Materializer::commit`] as stored.
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

    /// After each event: windows close, partitions far ahead are paused, or the run ends.
    fn settle(&mut self) -> Result<Vec<Effect>, Fault> {
        let mut effects = Vec::new();
        let bounded = self.options.until_end;
        if bounded && self.phase == Phase::Running && self.clocks.all_at_target() {
            self.end_run();
        }
        if self.closing.is_none() && !bounded {
            let by = self.clocks.advance(self.open.last_close());
            let until = self.open.until(self.clocks.watermark());
            self.closing = by.map(|by| Closing { by, until, all: false });
        }
        if let Some(closing) = self.closing {
            // Most events close nothing, and need no positions.
            let positions = if self.open.is_due(&closing) { self.positions() } else { Vec::new() };
            let Closed { windows, more } = self.open.close(closing, &self.names, &positions)?;
            if !windows.is_empty() {
                let is_last = !more && self.phase == Phase::Running;
                effects.push(Effect::Close { windows, totals: is_last.then(|| Box::new(self.brief_totals())) });
            }
            if more {
                effects.push(Effect::Proceed);
                return Ok(effects);
            }
            self.closing = None;
        }
        match self.phase {
            Phase::Running => self.alignment.review(&self.clocks, bounded, &mut effects),
            Phase::Ending | Phase::Over { .. } => effects.push(self.finish(false)),
        }
        Ok(effects)
    }

    /// Nothing more is read. Every window closes, unless windows are to stay open.
    fn end_run(&mut self) {
        let Options { until_end, leave_open, .. } = self.options;
        if until_end {
            self.clocks.end_bounded();
        }
        let by = if leave_open { ClosedBy::Watermark } else { ClosedBy::End };
        let until = self.open.until(self.clocks.watermark());
        self.closing = Some(Closing { by, until, all: !leave_open });
        self.phase = Phase::Ending;
    }

    fn finish(&mut self, stopped: bool) -> Effect {
        self.phase = Phase::Over { stopped };
        Effect::Finished { totals: Box::new(self.totals()) }
    }
}
