//! A log as the reference sees it: whole from the start, batch by batch, and what a source says of a batch.

use std::collections::BTreeMap;

use isotherm_engine::event::Event;
use isotherm_model::codec;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{Aggregate, Cell, CellKey, ModuleVersion, Partial, PartitionId, SourceRange};
use isotherm_model::rejection::{RejectedCounts, RejectedHash, Rejection};
use isotherm_model::settings::Fingerprint;
use isotherm_model::stats::Stats;
use isotherm_model::time::Millis;
use isotherm_model::window::WindowSize;

/// The base timestamp of every batch.
pub(crate) const BASE_TIMESTAMP: i64 = 1_690_000_000_000;

/// An accepted reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) sensor: u64,
    pub(crate) group: &'static str,
    pub(crate) time: Millis,
    /// What it counts for in its partition's watermark: its time, or its record's log timestamp if that is earlier.
    pub(crate) watermark_time: Millis,
    pub(crate) micros: i64,
}

impl Reading {
    pub(crate) fn new(sensor: u64, group: &'static str, time: Millis, micros: i64) -> Self {
        Self { sensor, group, time, watermark_time: time, micros }
    }
}

/// A batch. Its last offsets may hold no record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(crate) first: i64,
    /// The offset after its last record.
    pub(crate) records_end: i64,
    /// Where the next batch begins.
    pub(crate) next: i64,
    pub(crate) readings: Vec<Reading>,
    pub(crate) rejected: Vec<Rejection>,
    pub(crate) rejected_hash: RejectedHash,
}

impl Batch {
    /// A batch without an offset gap.
    pub(crate) fn new(first: i64, readings: Vec<Reading>, rejected: Vec<Rejection>) -> Self {
        let next = first + (readings.len() + rejected.len()) as i64;
        Self { first, records_end: next, next, readings, rejected, ..Self::default() }
    }

    /// The same batch with all event times `by` later.
    pub(crate) fn later(mut self, by: Millis) -> Self {
        for reading in &mut self.readings {
            (reading.time, reading.watermark_time) = (reading.time + by, reading.watermark_time + by);
        }
        self
    }

    pub(crate) fn records(&self) -> u64 {
        (self.readings.len() + self.rejected.len()) as u64
    }

    /// Where it is read from and to.
    pub(crate) fn range(&self) -> SourceRange {
        SourceRange { first: self.first, next: self.records_end }
    }

    /// The newest time that counts for the watermark.
    pub(crate) fn newest(&self) -> Option<Millis> {
        self.readings.iter().map(|reading| reading.watermark_time).max()
    }
}

/// A topic's log, by partition.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) partitions: Vec<Vec<Batch>>,
    pub(crate) window: WindowSize,
    pub(crate) fingerprint: Fingerprint,
}

impl Log {
    /// The number of the window that a reading is for.
    pub(crate) fn number_of(&self, reading: &Reading) -> i64 {
        reading.time.div_euclid(self.window.millis())
    }

    /// When that window ends.
    pub(crate) fn end_of(&self, reading: &Reading) -> Millis {
        (self.number_of(reading) + 1) * self.window.millis()
    }

    /// The place of the batch with these records in its partition.
    pub(crate) fn place(&self, partition: PartitionId, source: SourceRange) -> Option<usize> {
        self.partitions[partition as usize].iter().position(|batch| batch.range() == source)
    }

    /// What a batch is combined to.
    pub(crate) fn partial(&self, batch: &Batch) -> Partial {
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
            source: batch.range(),
            base_timestamp: Some(BASE_TIMESTAMP),
            rejected_hash: batch.rejected_hash,
            aggregate: Aggregate { records: batch.records(), newest: batch.newest(), rejected, cells },
        }
    }

    /// What a source says of a batch.
    pub(crate) fn events(&self, partition: PartitionId, batch: &Batch) -> impl Iterator<Item = Event> + use<> {
        let partial = self.partial(batch);
        let digest = digest(&partial);
        let gap = (batch.next > batch.records_end).then_some(Event::OffsetGap { partition, next: batch.next });
        [Event::Partial { partition, partial: Box::new(partial), digest }].into_iter().chain(gap)
    }
}

/// The digest of a partial's bytes, as a source takes it; of one that has no bytes, its first offset stands for it.
pub(crate) fn digest(partial: &Partial) -> u64 {
    codec::encode(partial).map_or(partial.source.first.cast_unsigned(), |bytes| codec::digest(&bytes))
}
