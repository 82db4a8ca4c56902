//! The log that simulated runs read: known whole from the start, written bit by bit, cut by retention.

use std::rc::Rc;

use isotherm_model::schema::ValueRange;
use isotherm_model::settings::Settings;
use isotherm_model::time::Millis;
use isotherm_model::window::WindowSize;

use super::random::Random;
use super::records::{self, SENSORS, sensor};
use super::reference::log::{Batch, Log, Reading};

const GROUPS: [&str; 4] = ["AK", "AL", "WY", "Ω"];

/// A partition.
pub(crate) struct SimPartition {
    whole: Rc<Log>,
    number: usize,
    /// How many of its batches have been written.
    pub(crate) written: usize,
    /// Whether the topic has it.
    pub(crate) exists: bool,
    /// How many of its batches retention has removed.
    pub(crate) cut: usize,
}

impl SimPartition {
    /// All batches, written or not, removed or not.
    pub(crate) fn batches(&self) -> &[Batch] {
        &self.whole.partitions[self.number]
    }

    /// The first offset that the log holds.
    pub(crate) fn start(&self) -> i64 {
        self.batches().get(self.cut).filter(|_| self.cut < self.written).map_or_else(|| self.end(), |batch| batch.first)
    }

    /// The offset after the last record.
    pub(crate) fn end(&self) -> i64 {
        self.end_of(self.written)
    }

    /// Where this many batches end.
    pub(crate) fn end_of(&self, batches: usize) -> i64 {
        batches.checked_sub(1).map_or(0, |last| self.batches()[last].next)
    }
}

/// A topic.
pub(crate) struct SimLog {
    pub(crate) whole: Rc<Log>,
    pub(crate) partitions: Vec<SimPartition>,
}

impl SimLog {
    /// One to four partitions. The last ones may be added to the topic later.
    pub(crate) fn new(random: &mut Random, settings: &Settings) -> Self {
        let start = 1_700_000_000_000 + random.between(0, 100_000);
        let count = random.pick(&[1, 1, 2, 2, 3, 4]);
        let existing = 1 + random.below(count);
        let partitions = (0..count).map(|_| batches(random, start, settings.window)).collect();
        let whole = Rc::new(Log { partitions, window: settings.window, fingerprint: settings.fingerprint() });
        let partition = |number: usize| {
            let (exists, written) = (number < existing, random.below(whole.partitions[number].len() + 1));
            SimPartition { whole: Rc::clone(&whole), number, written: if exists { written } else { 0 }, exists, cut: 0 }
        };
        let partitions = (0..count).map(partition).collect();
        Self { whole, partitions }
    }
}

/// Up to a dozen batches: mostly in order, some readings late, some ahead, now and then a long silence, or a clock that is set
/// back.
fn batches(random: &mut Random, start: Millis, window: WindowSize) -> Vec<Batch> {
    let (mut batches, mut first, mut clock) = (Vec::new(), 0, start + random.between(0, 5_000));
    let step = window.millis() / random.pick(&[1, 2, 5]);
    for _ in 0..random.below(13) {
        if random.in_thousand(40) {
            clock += random.between(10_000, 60_000);
        }
        if random.in_thousand(40) {
            clock -= random.between(2_000, 60_000);
        }
        let (mut readings, mut rejected) = (Vec::new(), Vec::new());
        let records = random.pick(&[0, 1, 1, 2, 3, 5, 8]);
        for _ in 0..records {
            clock += random.between(0, step);
            if random.in_thousand(120) {
                rejected.push(random.pick(&records::REJECTED));
            } else {
                readings.push(reading(random, clock));
            }
        }
        let mut batch = Batch::new(first, readings, rejected);
        batch.rejected_hash = records::rejected_hash(&batch);
        let mut gap = || if records > 0 && random.in_thousand(60) { random.between(1, 3) } else { 0 };
        batch.next += gap() + gap();
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
    let watermark_time = time.min(clock);
    Reading { sensor: sensor(random.between(1, SENSORS)), group: random.pick(&GROUPS), time, watermark_time, micros }
}

#[test]
fn records_and_partials_of_a_batch_agree() {
    let settings = records::settings(std::time::Duration::from_secs(3));
    let mut combiner = isotherm_consumer::log::BatchCombiner::new(&settings);
    let mut records = 0;
    for seed in 0..300 {
        let log = SimLog::new(&mut Random::new(seed), &settings);
        for batch in log.partitions.iter().flat_map(SimPartition::batches) {
            let raw = records::raw(batch);
            records += raw.records.len();
            let partial = combiner.combine(&raw.batch()).expect("a sound batch").to_partial();
            assert_eq!(partial, log.whole.partial(batch), "{raw:#?}");
        }
    }
    assert!(records > 5_000, "{records} records");
}
