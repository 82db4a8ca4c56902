//! The materializer: partials become windows, totals and the ledger. Pure: events in, effects out.
//!
//! No clock, I/O, thread or async lives here, so that a whole run can be replayed from a list of events. What the
//! words mean stands in `docs/semantics.md`; each sentence there has a test in `tests/`.
//!
//! The way of an event, one module a step: the partial is checked (`fault`), its cells are merged into open windows
//! (`open`, `tally`, `sensors`) or counted as late (`ledger`), its partition's clock moves (`watermark`), windows
//! close, and whoever is far ahead waits (`catch_up`).

mod catch_up;
pub mod event;
pub mod fault;
pub mod ledger;
mod names;
mod open;
mod sensors;
pub mod status;
mod tally;
mod totals;
mod watermark;

#[cfg(test)]
mod tests;

use std::time::Duration;

use isotherm_model::partial::{Aggregate, ModuleVersion, Partial, SourceRange};
use isotherm_model::settings::Fingerprint;
use isotherm_model::window::{Millis, WindowSize};

use self::catch_up::CatchUp;
use self::event::{Effect, Event, PartitionId};
use self::fault::Fault;
use self::ledger::Ledger;
use self::names::Names;
use self::open::OpenWindows;
use self::sensors::Spread;
use self::status::{OldestWindow, PartitionStatus, Status};
use self::tally::Tally;
use self::watermark::{Clock, Clocks};
use crate::results::{ClosedBy, Totals, WindowResult};
use crate::store::Commit;
use crate::topology::Topology;

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
    /// The module version that partials must be of.
    pub version: ModuleVersion,
    /// The settings that partials must be made with.
    pub fingerprint: Fingerprint,
}

impl Options {
    /// What a run of this topology needs, with partials of this version of the code.
    pub fn new(topology: &Topology, until_end: bool) -> Self {
        Self {
            window: topology.settings.window,
            grace: topology.grace,
            idle: topology.idle,
            until_end,
            version: ModuleVersion::CURRENT,
            fingerprint: topology.settings.fingerprint(),
        }
    }
}

/// Partials in, windows out. See the module's text.
#[derive(Debug, Clone)]
pub struct Materializer {
    options: Options,
    clocks: Clocks,
    catch_up: CatchUp,
    open: OpenWindows,
    ledger: Ledger,
    run: Tally,
    names: Names,
    spread: Spread,
    finished: bool,
}

impl Materializer {
    /// A run that has not begun.
    pub fn new(options: Options) -> Self {
        let grace = i64::try_from(options.grace.as_millis()).unwrap_or(i64::MAX);
        let spread = Spread::new();
        Self {
            clocks: Clocks::new(options.idle),
            catch_up: CatchUp::new(options.window.millis(), grace),
            open: OpenWindows::new(options.window, grace),
            ledger: Ledger::default(),
            run: Tally::new(spread),
            names: Names::default(),
            spread,
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
            Event::Listed => self.clocks.list(),
            Event::Attached { partition, position, end } => self.attached(partition, position, end)?,
            Event::Detached { partition } => self.detached(partition)?,
            Event::End { partition, end } => self.end(partition, end)?,
            Event::Partial { partition, partial } => self.partial(partition, *partial)?,
            Event::Tick { now } => self.clocks.tick(now),
            Event::Stop => return Ok(vec![self.finish()]),
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
    pub fn merged(&self) -> Vec<(PartitionId, i64)> {
        let partitions = self.clocks.partitions.iter();
        partitions.filter_map(|(partition, clock)| Some((*partition, clock.position?))).collect()
    }

    /// What is to be committed with windows that have just closed. Borrowed, so that nothing can happen in between.
    pub fn commit<'a>(&'a self, windows: &'a [WindowResult], totals: &'a Totals) -> Commit<'a> {
        let partitions = self.partitions();
        Commit { partitions, watermark: self.clocks.watermark(), windows, totals, ledger: &self.ledger }
    }

    /// How the run stands. Cost: linear in the partitions.
    pub fn status(&self) -> Status {
        let partitions = self.partitions();
        let read = |status: &PartitionStatus| status.lag() == Some(0);
        Status {
            watermark: self.clocks.watermark(),
            open_windows: self.open.len(),
            oldest: self.open.oldest().map(|(start, closes_at)| OldestWindow { start, closes_at }),
            caught_up: self.clocks.listed() && partitions.iter().all(read),
            partitions,
        }
    }

    fn partitions(&self) -> Vec<PartitionStatus> {
        let status = |(&partition, clock): (&PartitionId, &Clock)| PartitionStatus {
            partition,
            standing: self.clocks.standing(clock),
            position: clock.position,
            end: clock.position.map(|_| clock.target.unwrap_or(clock.end)),
            watermark: clock.watermark,
            paused: self.catch_up.is_paused(partition),
        };
        self.clocks.partitions.iter().map(status).collect()
    }

    fn found(&mut self, partition: PartitionId) {
        // The end that such a run reads to is that of the partitions that were there when it began.
        if !(self.options.until_end && self.clocks.listed()) {
            self.clocks.partitions.entry(partition).or_default();
        }
    }

    /// The partition's clock; `None` for one that this run leaves alone.
    fn clock(&mut self, partition: PartitionId) -> Result<Option<&mut Clock>, Fault> {
        let left_alone = self.options.until_end && self.clocks.listed();
        match self.clocks.partitions.get_mut(&partition) {
            None if !left_alone => Err(Fault::Unknown { partition }),
            clock => Ok(clock),
        }
    }

    fn attached(&mut self, partition: PartitionId, position: i64, end: i64) -> Result<(), Fault> {
        let (now, until_end) = (self.clocks.now(), self.options.until_end);
        let Some(clock) = self.clock(partition)? else {
            return Ok(());
        };
        if let Some(merged) = clock.position.filter(|merged| *merged != position) {
            return Err(Fault::Reattached { partition, merged, position });
        }
        if end < position {
            return Err(Fault::EndsBefore { partition, position, end });
        }
        clock.attach(position, end, until_end, now);
        Ok(())
    }

    fn detached(&mut self, partition: PartitionId) -> Result<(), Fault> {
        if let Some(clock) = self.clock(partition)? {
            clock.detach();
        }
        Ok(())
    }

    fn end(&mut self, partition: PartitionId, end: i64) -> Result<(), Fault> {
        let now = self.clocks.now();
        match self.clock(partition)? {
            None => Ok(()),
            Some(clock) if !clock.is_attached() => Err(Fault::NotAttached { partition }),
            Some(clock) => {
                clock.set_end(end, now);
                Ok(())
            }
        }
    }

    fn partial(&mut self, partition: PartitionId, partial: Partial) -> Result<(), Fault> {
        let Some(clock) = self.clock(partition)? else {
            return Ok(());
        };
        let Some(expected) = clock.position.filter(|_| clock.is_attached()) else {
            return Err(Fault::NotAttached { partition });
        };
        let found = partial.source.first;
        if clock.target.is_some_and(|target| found >= target) {
            return Ok(());
        }
        self.check(partition, expected, &partial)?;
        let Partial { source, aggregate, .. } = partial;
        let newest = aggregate.newest;
        self.merge(partition, source, aggregate);
        self.clocks.merged(partition, source.next, newest);
        Ok(())
    }

    fn check(&self, partition: PartitionId, expected: i64, partial: &Partial) -> Result<(), Fault> {
        let Partial { version, fingerprint, source, aggregate } = partial;
        let offset = source.first;
        if *version != self.options.version {
            return Err(Fault::OtherVersion { partition, offset, found: *version, ours: self.options.version });
        }
        if *fingerprint != self.options.fingerprint {
            return Err(Fault::OtherSettings {
                partition,
                offset,
                found: *fingerprint,
                ours: self.options.fingerprint,
            });
        }
        if offset > expected {
            return Err(Fault::Gap { partition, expected, found: offset });
        }
        if offset < expected {
            return Err(Fault::Overlap { partition, expected, found: offset });
        }
        let (records, counted, rejected) = (aggregate.records, aggregate.counted(), aggregate.rejected.total());
        let offsets = u64::try_from(i128::from(source.next) - i128::from(source.first));
        let fits = offsets.is_ok_and(|offsets| records <= offsets);
        if !fits || Some(records) != counted.checked_add(rejected) {
            let SourceRange { first, next } = *source;
            return Err(Fault::Unsound { partition, first, next, records, counted, rejected });
        }
        Ok(())
    }

    /// Merges a checked partial. A cell is late if its window was closed before this partial came.
    fn merge(&mut self, partition: PartitionId, source: SourceRange, aggregate: Aggregate) {
        let watermark = self.clocks.watermark();
        let account = self.ledger.accounts.entry(partition).or_default();
        account.read = account.read.saturating_add(aggregate.records);
        account.rejected.merge(&aggregate.rejected);
        for (reason, records) in aggregate.rejected.iter() {
            account.rejected_ranges.add(reason, source, records);
        }
        for (key, cell) in aggregate.cells {
            let count = cell.stats.count;
            if self.open.is_closed(key.window, watermark) {
                account.late = account.late.saturating_add(count);
                account.late_ranges.add(key.window, source, count);
            } else {
                account.counted = account.counted.saturating_add(count);
                let group = self.names.id(&key.group);
                // Whoever is not new to the window and group is not new to the run and group either.
                let new = self.open.tally(key.window, self.spread).add(group, cell);
                self.run.add(group, new);
            }
        }
    }

    /// After each event: the run ends, or windows close; then whoever is far ahead waits.
    fn settle(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.options.until_end && self.clocks.all_at_target() {
            return self.end_run();
        }
        if let Some(by) = self.clocks.advance() {
            self.close(self.clocks.watermark(), by, &mut effects);
        }
        self.catch_up.review(&self.clocks, &mut effects);
        effects
    }

    /// Closes every window, and finishes.
    fn end_run(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let windows = self.open.close_all(&self.names, &self.merged());
        self.publish(windows, &mut effects);
        effects.push(self.finish());
        effects
    }

    fn close(&mut self, watermark: Option<Millis>, by: ClosedBy, effects: &mut Vec<Effect>) {
        let due = self.open.oldest().is_some_and(|(_, closes_at)| watermark >= Some(closes_at));
        if due {
            let windows = self.open.close(watermark, by, &self.names, &self.merged());
            self.publish(windows, effects);
        }
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
