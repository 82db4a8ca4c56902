//! Tests of the materializer: each sentence of `docs/semantics.md`, and laws against the plain reference.

mod alignment;
mod audit;
mod faults;
mod ledger;
mod offset_gaps;
mod properties;
#[path = "../../../tests/reference/mod.rs"]
mod reference;
mod resume;
mod scratch;
mod until_end;
mod watermark;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{CellKey, ModuleVersion, Partial, PartitionId, SourceRange};
use isotherm_model::rejection::Rejection;
use isotherm_model::settings::Fingerprint;
use isotherm_model::time::Millis;
use isotherm_model::window::WindowSize;

use self::reference::log::{Batch, Log, Reading};
use super::fault::Fault;
use super::{Materializer, Options};
use crate::event::{Effect, Event};
use crate::results::{ClosedBy, Totals, WindowResult};

/// The settings that test partials are made with.
pub(super) const FINGERPRINT: Fingerprint = Fingerprint(0x1507);

/// Windows of 3 s, grace 1 s, idle 10 s.
pub(super) fn options() -> Options {
    Options {
        window: WindowSize::default(),
        grace: Duration::from_secs(1),
        idle: Duration::from_secs(10),
        until_end: false,
        leave_open: false,
        accept_data_loss: false,
        dead_letters: false,
        version: ModuleVersion::CURRENT,
        fingerprint: FINGERPRINT,
    }
}

/// A reading of sensor 1 in AK, of one degree.
pub(super) fn at(time: Millis) -> Reading {
    Reading::new(1, "AK", time, 1_000_000)
}

/// A log of these batches, in which each begins where the one before it ends. Batches without records are left out.
pub(super) fn log(partitions: Vec<Vec<Batch>>) -> Log {
    let place = |batches: Vec<Batch>| {
        let mut next = 0;
        let place = |batch: Batch| {
            let batch = Batch::new(next, batch.readings, batch.rejected);
            next = batch.next;
            batch
        };
        batches.into_iter().filter(|batch| batch.records() > 0).map(place).collect()
    };
    let partitions = partitions.into_iter().map(place).collect();
    Log { partitions, window: WindowSize::default(), fingerprint: FINGERPRINT }
}

/// What a batch with these records, from offset `first` on, becomes.
pub(super) fn partial(first: i64, readings: &[Reading], rejected: &[Rejection]) -> Partial {
    log(Vec::new()).partial(&Batch::new(first, readings.to_vec(), rejected.to_vec()))
}

/// A run under test: keeps what was published, and checks the invariants after each event.
pub(super) struct Run {
    pub(super) materializer: Materializer,
    pub(super) now: Duration,
}

impl Run {
    /// A run of one topic with `partitions` partitions, listed, none attached.
    pub(super) fn new(options: Options, partitions: u32) -> Self {
        let mut run = Self::found(Materializer::new(options), partitions);
        run.event(Event::Listed);
        run
    }

    /// A run that has found partitions, and not heard that these are all.
    pub(super) fn found(materializer: Materializer, partitions: u32) -> Self {
        let mut run = Self { materializer, now: Duration::ZERO };
        for partition in 0..partitions {
            assert_eq!(run.event(Event::Found { partition }), []);
        }
        run
    }

    /// A run with partitions attached at 0, each with its end.
    pub(super) fn attached(options: Options, ends: &[i64]) -> Self {
        let mut run = Self::new(options, ends.len() as u32);
        for (partition, end) in (0..).zip(ends) {
            run.attach(partition, 0, *end);
        }
        run
    }

    /// Takes an event that is none to refuse.
    pub(super) fn event(&mut self, event: Event) -> Vec<Effect> {
        self.try_event(event).expect("a sound event")
    }

    pub(super) fn try_event(&mut self, event: Event) -> Result<Vec<Effect>, Fault> {
        let watermark = self.materializer.view().watermark;
        let effects = self.materializer.handle(event);
        assert!(self.materializer.view().watermark >= watermark, "the watermark went back");
        check_accounts(&self.materializer);
        effects
    }

    pub(super) fn attach(&mut self, partition: PartitionId, position: i64, end: i64) -> Vec<Effect> {
        self.event(Event::Attached { partition, position, end: Some(end) })
    }

    /// The partition's next batch.
    pub(super) fn batch(&mut self, partition: PartitionId, readings: &[Reading], bad: &[Rejection]) -> Vec<Effect> {
        let first = self.materializer.positions().iter().find(|(p, _)| *p == partition).expect("attached").1;
        self.event(Event::Partial { partition, partial: Box::new(partial(first, readings, bad)), digest: 0 })
    }

    /// The partition's next batch, of one reading.
    pub(super) fn reading(&mut self, partition: PartitionId, time: Millis) -> Vec<Effect> {
        self.batch(partition, &[at(time)], &[])
    }

    /// Monotonic time goes on, and the ends of attached partitions are asked for as often as a source has to.
    pub(super) fn pass(&mut self, millis: u64) -> Vec<Effect> {
        let (until, step) = (self.now + Duration::from_millis(millis), self.materializer.options.idle / 2);
        let mut effects = Vec::new();
        while self.now < until {
            self.now = until.min(self.now + step);
            effects.extend(self.event(Event::Tick { now: self.now }));
            let attached = self.materializer.clocks.partitions.iter().filter(|(_, clock)| clock.is_attached());
            let ends: Vec<_> = attached.map(|(partition, clock)| (*partition, clock.end)).collect();
            for (partition, end) in ends {
                effects.extend(self.event(Event::End { partition, end }));
            }
        }
        effects
    }

    pub(super) fn totals(&self) -> Totals {
        self.materializer.totals()
    }
}

/// `read = counted + late + rejected`, in each account and in the totals.
pub(super) fn check_accounts(materializer: &Materializer) {
    let (totals, mut read) = (materializer.totals(), 0);
    for (partition, account) in materializer.ledger().accounts() {
        let parts = account.counted + account.late + account.rejected.total();
        assert_eq!(account.read, parts, "partition {partition}");
        let late = account.late_ranges.listed().iter().map(|r| r.records).sum::<u64>();
        assert_eq!(account.late, late + account.late_ranges.unlisted(), "partition {partition}");
        let bad = account.rejected_ranges.listed().iter().map(|r| r.records).sum::<u64>();
        assert_eq!(account.rejected.total(), bad + account.rejected_ranges.unlisted(), "partition {partition}");
        read += account.read;
    }
    assert_eq!(totals.messages, read);
    assert_eq!(totals.messages, totals.counted + totals.late + totals.rejected.total());
    assert_eq!(totals.counted, totals.groups.iter().map(|g| g.messages).sum::<u64>());
}

/// The windows that closed, with their starts in whole seconds.
pub(super) fn closed(effects: &[Effect]) -> Vec<(i64, ClosedBy)> {
    windows(effects).iter().map(|window| (window.start / 1000, window.closed_by)).collect()
}

/// The windows of the one `Close` among the effects, if there is one.
pub(super) fn windows(effects: &[Effect]) -> Vec<WindowResult> {
    let mut closes = effects.iter().filter_map(|effect| match effect {
        Effect::Close { windows, .. } => Some(windows.clone()),
        _ => None,
    });
    let windows = closes.next().unwrap_or_default();
    assert!(closes.next().is_none(), "two Close effects of one event");
    windows
}
