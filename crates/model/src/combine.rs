//! Combining: the records of one log batch become one partial.
//!
//! [`combine`] is the simple way. A [`Combiner`] reuses its memory from batch to batch; its result depends on the batch alone,
//! never on earlier ones.

mod cells;
mod names;

use cells::CellBuilder;

use crate::partial::{Aggregate, Cell, CellKey, CellView, ModuleVersion, Partial, SourceRange};
use crate::rejection::{RejectedHash, Rejection};
use crate::scan::Scanner;
use crate::settings::Settings;
use crate::stats::hash_sensor;
use crate::time::Millis;
use crate::window::{Window, WindowSize};

/// One record of a batch. Its offset is the batch's first one plus its position: brokers and clients ignore the offset delta that
/// the record itself carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its log timestamp, if it has one.
    pub timestamp: Option<Millis>,
    /// Its value; empty for none.
    pub value: &'a [u8],
}

/// The partial of a batch with this first offset and base timestamp, as a [`Combiner`] makes it.
pub fn combine<'a>(
    settings: &Settings,
    first_offset: i64,
    base_timestamp: Option<Millis>,
    records: impl IntoIterator<Item = Record<'a>>,
) -> Partial {
    let mut combiner = Combiner::new(settings);
    combiner.begin(first_offset, base_timestamp);
    for record in records {
        combiner.push(&record);
    }
    combiner.finish().to_partial()
}

/// Combines batches: [`Combiner::begin`], [`Combiner::push`] for each record in its order, [`Combiner::finish`].
///
/// The partial's source is `[first, first + records)`: a log numbers a batch's records from its first offset on. If a producer's
/// module or deduplication removed records before the batch was stored, only the batch's header knows where its offsets end: an
/// offset gap then begins where the source ends.
///
/// Memory grows with the largest batch and is reused; an ordinary reading allocates nothing. A record costs time linear in its
/// bytes; a batch costs sorting its groups, its cells, and the sensors of each cell.
#[derive(Debug, Clone)]
pub struct Combiner {
    scanner: Scanner,
    size: WindowSize,
    /// All of the partial but its cells.
    header: Partial,
    cells: CellBuilder,
    /// The window of the last reading and its start: the next reading is most often in the same window.
    window: Window,
    start: Millis,
}

impl Combiner {
    /// A combiner by these settings.
    pub fn new(settings: &Settings) -> Self {
        Self {
            scanner: Scanner::new(settings),
            size: settings.window,
            header: Partial {
                version: ModuleVersion::CURRENT,
                fingerprint: settings.fingerprint(),
                source: SourceRange { first: 0, next: 0 },
                base_timestamp: None,
                rejected_hash: RejectedHash::NONE,
                aggregate: Aggregate::default(),
            },
            cells: CellBuilder::default(),
            window: Window(0),
            start: 0,
        }
    }

    /// Begins a batch with this first offset and base timestamp (0 and below is none). Forgets what was pushed before.
    pub fn begin(&mut self, first_offset: i64, base_timestamp: Option<Millis>) {
        self.header.source = SourceRange { first: first_offset, next: first_offset };
        self.header.base_timestamp = base_timestamp.filter(|timestamp| *timestamp > 0);
        self.header.rejected_hash = RejectedHash::NONE;
        self.header.aggregate = Aggregate::default();
        self.cells.clear();
    }

    /// Counts a record.
    #[inline]
    pub fn push(&mut self, record: &Record<'_>) {
        self.header.aggregate.records += 1;
        self.header.source.next = self.header.source.next.saturating_add(1);
        let reading = match self.scanner.scan(record.value, record.timestamp) {
            Ok(reading) => reading,
            Err(rejection) => {
                self.header.aggregate.rejected.count(rejection);
                return self.header.rejected_hash.add(record.value);
            }
        };
        // As an unsigned number the distance from the window's start is below its size only within the window.
        if reading.time.wrapping_sub(self.start).cast_unsigned() >= self.size.millis().cast_unsigned() {
            self.window = self.size.window_of(reading.time);
            self.start = self.size.start(self.window);
        }
        let watermark_time = record.timestamp.map_or(reading.time, |timestamp| timestamp.min(reading.time));
        let newest = &mut self.header.aggregate.newest;
        *newest = Some(newest.map_or(watermark_time, |newest| newest.max(watermark_time)));
        let sensor = hash_sensor(reading.sensor);
        self.cells.count(self.window, reading.group_place, reading.group, reading.value, sensor);
    }

    /// Counts a record without a value.
    pub fn push_null(&mut self) {
        self.header.aggregate.records += 1;
        self.header.source.next = self.header.source.next.saturating_add(1);
        self.header.aggregate.rejected.count(Rejection::NoValue);
        self.header.rejected_hash.add(&[]);
    }

    /// Says that the batch's offsets go on up to `next`: in some logs they are no numbers of records.
    pub fn reach(&mut self, next: i64) {
        self.header.source.next = self.header.source.next.max(next);
    }

    /// The partial of the records pushed since [`Combiner::begin`].
    pub fn finish(&mut self) -> Combined<'_> {
        self.cells.sort(self.scanner.groups());
        Combined { combiner: self }
    }
}

/// A batch's partial in its [`Combiner`]'s memory.
#[derive(Debug, Clone, Copy)]
pub struct Combined<'a> {
    combiner: &'a Combiner,
}

impl<'a> Combined<'a> {
    /// All of the partial but its cells.
    pub(crate) fn header(&self) -> &'a Partial {
        &self.combiner.header
    }

    /// The names of the groups that have cells, ascending.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &'a str> + use<'a> {
        self.combiner.cells.groups(self.combiner.scanner.groups())
    }

    /// The cells, ascending by window and group.
    pub(crate) fn cells(&self) -> impl Iterator<Item = CellView<'a>> + Clone + use<'a> {
        self.combiner.cells.cells(self.combiner.scanner.groups())
    }

    pub(crate) fn window_size(&self) -> WindowSize {
        self.combiner.size
    }

    /// The partial as an owned value.
    pub fn to_partial(&self) -> Partial {
        let cells = self.cells().map(|cell| {
            let key = CellKey { window: cell.window, group: cell.group.into() };
            (key, Cell { stats: *cell.stats, sensors: cell.sensors.to_vec() })
        });
        let mut partial = self.header().clone();
        partial.aggregate.cells = cells.collect();
        partial
    }
}
