//! The log that a simulated run reads: known whole from the start, shown bit by bit.

use std::collections::BTreeMap;

use isotherm_engine::event::Event;
use isotherm_model::codec;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{Aggregate, Cell, CellKey, ModuleVersion, Partial, SourceRange};
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::schema::ValueRange;
use isotherm_model::settings::{Fingerprint, Settings};
use isotherm_model::stats::Stats;
use isotherm_model::window::{Millis, WindowSize};

use super::random::Random;
use super::records::{self, SENSORS, sensor};

const GROUPS: [&str; 4] = ["AK", "AL", "WY", "Ω"];

/// An accepted reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) sensor: u64,
    pub(super) group: &'static str,
    pub(super) time: Millis,
    /// What it counts for in its partition's watermark: its time, or its record's earlier log timestamp.
    pub(super) heard: Millis,
    pub(super) micros: i64,
}

/// A batch of the log. Its last offsets may hold no record.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) first: i64,
    /// The offset after its last record: its records stand without gaps.
    pub(super) reach: i64,
    /// Where the next batch begins: its last offsets may hold no record.
    pub(super) next: i64,
    pub(super) readings: Vec<Reading>,
    pub(super) rejected: Vec<Rejection>,
}

/// A partition.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) batches: Vec<Batch>,
    /// How many of them have been written by now.
    pub(super) shown: usize,
    /// Whether the topic has it by now.
    pub(super) exists: bool,
    /// How many of its batches retention has removed.
    pub(super) cut: usize,
}

impl Partition {
    /// Where the log begins by now.
    pub(super) fn start(&self) -> i64 {
        self.batches.get(self.cut).filter(|_| self.cut < self.shown).map_or_else(|| self.end(), |batch| batch.first)
    }

    /// The offset after the last record by now.
    pub(super) fn end(&self) -> i64 {
        self.shown.checked_sub(1).map_or(0, |last| self.batches[last].next)
    }
}

/// A topic.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) partitions: Vec<Partition>,
    pub(super) window: WindowSize,
    pub(super) fingerprint: Fingerprint,
}

impl Log {
    /// One to four partitions. The last ones may be added to the topic later.
    pub(super) fn new(random: &mut Random, settings: &Settings) -> Self {
        let begin = 1_700_000_000_000 + random.between(0, 100_000);
        let count = random.pick(&[1, 1, 2, 2, 3, 4]);
        let there = 1 + random.below(count);
        let mut partitions = Vec::new();
        for partition in 0..count {
            let batches = batches(random, begin, settings.window);
            let shown = random.below(batches.len() + 1);
            let exists = partition < there;
            partitions.push(Partition {
                batches,
                shown: if exists { shown } else { 0 },
                exists,
                ..Partition::default()
            });
        }
        Self { partitions, window: settings.window, fingerprint: settings.fingerprint() }
    }

    /// What the module makes of a batch.
    pub(super) fn partial(&self, batch: &Batch) -> Partial {
        let mut cells = BTreeMap::<CellKey, Cell>::new();
        for reading in &batch.readings {
            let key = CellKey { window: self.window.window_of(reading.time), group: reading.group.into() };
            let cell = Cell { stats: Stats::of(Fixed::from_micros(reading.micros)), sensors: vec![reading.sensor] };
            cells.entry(key).and_modify(|old| old.merge(&cell)).or_insert(cell);
        }
        let mut rejected = RejectedCounts::default();
        batch.rejected.iter().for_each(|reason| rejected.count(*reason));
        Partial {
            version: ModuleVersion::CURRENT,
            fingerprint: self.fingerprint,
            source: SourceRange { first: batch.first, next: batch.reach },
            base_timestamp: Some(records::BASE_TIMESTAMP),
            rejected_hash: records::rejected_hash(batch),
            aggregate: Aggregate {
                records: (batch.readings.len() + batch.rejected.len()) as u64,
                newest: batch.readings.iter().map(|reading| reading.heard).max(),
                rejected,
                cells,
            },
        }
    }
}

impl Log {
    /// The number of the window that a reading is for.
    pub(super) fn number_of(&self, reading: &Reading) -> i64 {
        reading.time.div_euclid(self.window.millis())
    }

    /// When that window ends.
    pub(super) fn end_of(&self, reading: &Reading) -> Millis {
        (self.number_of(reading) + 1) * self.window.millis()
    }

    /// What a source tells of a batch.
    pub(super) fn events(&self, partition: u32, batch: &Batch) -> impl Iterator<Item = Event> + use<> {
        let partial = self.partial(batch);
        let digest = digest(&partial);
        let hole = (batch.next > batch.reach).then_some(Event::OffsetGap { partition, next: batch.next });
        [Event::Partial { partition, partial: Box::new(partial), digest }].into_iter().chain(hole)
    }
}

/// The digest of a partial's bytes, as a source takes it.
pub(super) fn digest(partial: &Partial) -> u64 {
    codec::digest(&codec::encode(partial).expect("a partial is well-formed"))
}

/// Up to a dozen batches: mostly in order, some readings late, some ahead, now and then a long silence, or a clock that is set
/// back.
fn batches(random: &mut Random, begin: Millis, window: WindowSize) -> Vec<Batch> {
    let (mut batches, mut first, mut clock) = (Vec::new(), 0, begin + random.between(0, 5_000));
    let step = window.millis() / random.pick(&[1, 2, 5]);
    for _ in 0..random.below(13) {
        if random.in_thousand(40) {
            clock += random.between(10_000, 60_000);
        }
        if random.in_thousand(40) {
            clock -= random.between(2_000, 60_000);
        }
        let mut batch = Batch { first, reach: first, next: first, readings: Vec::new(), rejected: Vec::new() };
        let records = random.pick(&[0, 1, 1, 2, 3, 5, 8]);
        for _ in 0..records {
            clock += random.between(0, step);
            if random.in_thousand(120) {
                batch.rejected.push(random.pick(&Rejection::ALL));
            } else {
                batch.readings.push(reading(random, clock));
            }
        }
        // Offsets that hold no record.
        let mut hole = || if records > 0 && random.in_thousand(60) { random.between(1, 3) } else { 0 };
        batch.reach = first + records;
        batch.next = batch.reach + hole() + hole();
        first = batch.next;
        batches.push(batch);
    }
    batches
}

fn reading(random: &mut Random, clock: Millis) -> Reading {
    let time = match random.below(100) {
        0..10 => clock - random.between(5_000, 60_000),
        10..15 => clock + random.between(1_000, 50_000),
        15..60 => clock - random.between(0, 1_500),
        _ => clock,
    };
    let micros = match random.below(50) {
        0 => random.pick(&[ValueRange::LIMIT.micros(), -ValueRange::LIMIT.micros(), 0]),
        _ => random.between(-60_000_000, 120_000_000),
    };
    Reading {
        sensor: sensor(random.between(1, SENSORS)),
        group: random.pick(&GROUPS),
        time,
        heard: time.min(clock),
        micros,
    }
}
