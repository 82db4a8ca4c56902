//! Partials: which are refused, which are counted, and which only restore open windows.

use isotherm_model::partial::{Aggregate, Partial, PartitionId, SourceRange};

use super::Materializer;
use super::fault::Fault;
use crate::state::{DeadBatch, LastBatch};

impl Materializer {
    pub(super) fn partial(&mut self, partition: PartitionId, partial: Partial, digest: u64) -> Result<(), Fault> {
        let now = self.clocks.now();
        let Some(clock) = self.clock(partition)? else {
            return Ok(());
        };
        let Some(expected) = clock.next.filter(|_| clock.is_attached()) else {
            return Err(Fault::NotAttached { partition });
        };
        let found = partial.source.first;
        if clock.target.is_some_and(|target| found >= target) {
            return Ok(());
        }
        let (position, known) = (clock.position().unwrap_or(expected), clock.known);
        // A batch began at this offset when the log was read before. If none begins there now, it is another log.
        let within = found < expected && partial.source.next > expected;
        if within && (known.is_some() || clock.is_restoring()) && self.is_ours(&partial) {
            return Err(Fault::OtherLog { partition, offset: expected });
        }
        self.check(partition, expected, &partial)?;
        let Partial { source, aggregate, .. } = partial;
        // A batch without records may precede the batch at the same offset, and may not come again.
        let empty = source.next == source.first;
        let other = |known: LastBatch| match source.first == known.first {
            true => digest != known.digest && !empty,
            false => source.next > known.first,
        };
        // A batch ended at the position. If none ends there now, it is another log.
        let across = source.first < position && source.next > position;
        if across || known.is_some_and(other) {
            return Err(Fault::OtherLog { partition, offset: source.first });
        }
        if let Some(clock) = self.clock(partition)? {
            clock.known = known.filter(|known| known.first != source.first || empty);
            if source.first < position {
                clock.mark_restored(source.next, now);
            }
        }
        if source.first < position {
            self.restore(partition, source, aggregate);
        } else {
            let newest = aggregate.newest;
            self.merge(partition, source, digest, aggregate);
            self.clocks.merged(partition, source.next, LastBatch { first: source.first, digest }, newest);
        }
        // If this fails, the partial counts all the same, and the run ends.
        Ok(self.open.spill()?)
    }

    /// Skips an offset gap. It changes neither the counts nor the batch by which the log is recognized.
    pub(super) fn offset_gap(&mut self, partition: PartitionId, next: i64) -> Result<(), Fault> {
        let now = self.clocks.now();
        let Some(clock) = self.clock(partition)? else {
            return Ok(());
        };
        let Some(comes) = clock.next.filter(|_| clock.is_attached()) else {
            return Err(Fault::NotAttached { partition });
        };
        if clock.is_at_target() || next <= comes {
            return Ok(());
        }
        // The position is the end of a batch, and so is the start of the batch that must come again. Neither lies within an offset gap.
        let across = clock.is_restoring() && clock.position().is_some_and(|position| next > position);
        if across || clock.known.is_some_and(|known| known.first < next) {
            return Err(Fault::OtherLog { partition, offset: comes });
        }
        clock.skip(next, now);
        self.changes.note();
        Ok(())
    }

    /// Counts a batch below the position into the windows that are still open, and into nothing else.
    pub(super) fn restore(&mut self, partition: PartitionId, source: SourceRange, aggregate: Aggregate) {
        let account = self.ledger.accounts.entry(partition).or_default();
        account.restored = account.restored.saturating_add(aggregate.records);
        self.changes.note();
        for (key, cell) in aggregate.cells {
            if !self.open.is_closed(key.window) {
                let group = self.names.id(&key.group);
                self.open.add(key.window, (partition, source.first), group, cell);
            }
        }
    }

    /// Whether this version made the partial, with the settings of this run.
    fn is_ours(&self, partial: &Partial) -> bool {
        partial.version == self.options.version && partial.fingerprint == self.options.fingerprint
    }

    pub(super) fn check(&self, partition: PartitionId, expected: i64, partial: &Partial) -> Result<(), Fault> {
        let Partial { version, fingerprint, source, aggregate, .. } = partial;
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
            return Err(Fault::Missing { partition, expected, found: offset });
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

    /// Merges a checked partial. A cell is late if its window closed before this partial came.
    pub(super) fn merge(&mut self, partition: PartitionId, source: SourceRange, digest: u64, aggregate: Aggregate) {
        self.changes.note();
        let (digest, records) = (Some(digest), aggregate.rejected.total());
        let mut dead = DeadBatch { partition, range: source, digest, late: Vec::new(), records };
        let account = self.ledger.accounts.entry(partition).or_default();
        account.read = account.read.saturating_add(aggregate.records);
        account.rejected.merge(&aggregate.rejected);
        for (reason, records) in aggregate.rejected.iter() {
            account.rejected_ranges.add(reason, source, records);
        }
        for (key, cell) in aggregate.cells {
            let count = cell.stats.count;
            if self.open.is_closed(key.window) {
                account.late = account.late.saturating_add(count);
                account.late_ranges.add(key.window, source, count);
                dead.records = dead.records.saturating_add(count);
                // Cells ascend by window.
                if dead.late.last() != Some(&key.window) {
                    dead.late.push(key.window);
                }
            } else {
                account.counted = account.counted.saturating_add(count);
                let group = self.names.id(&key.group);
                // A sensor that is not new to the group in the window is not new to the group in the run.
                let new = self.open.add(key.window, (partition, source.first), group, cell);
                let new = self.run.add(group, new);
                self.changes.count(group, &new.sensors);
            }
        }
        if self.options.dead_letters && dead.records > 0 {
            self.changes.enqueue(dead);
        }
    }
}
