//! What a source says of partitions: which there are, where each is read from, and where it ends.

use isotherm_model::partial::{PartitionId, SourceRange};

use super::clock::Clock;
use super::fault::Fault;
use super::{Materializer, Options};
use crate::ledger::DataLoss;

impl Materializer {
    pub(super) fn found(&mut self, partition: PartitionId) {
        // A bounded run reads the partitions that existed when it began, to the ends they had then.
        if !(self.options.until_end && self.clocks.listed()) {
            self.clocks.partitions.entry(partition).or_default().found = true;
        }
    }

    pub(super) fn listed(&mut self) -> Result<(), Fault> {
        if let Some((partition, _)) = self.clocks.partitions.iter().find(|(_, clock)| !clock.found) {
            return Err(Fault::Vanished { partition: *partition });
        }
        if let Ok(there) = u32::try_from(self.clocks.partitions.len())
            && self.start.partitions.is_some_and(|began| there < began)
        {
            return Err(Fault::Vanished { partition: there });
        }
        self.clocks.list();
        // These partitions existed when the run began; later lists do not change that.
        self.start.partitions = self.start.partitions.or(u32::try_from(self.clocks.partitions.len()).ok());
        Ok(())
    }

    /// The partition's clock; `None` for a partition that this run ignores.
    pub(super) fn clock(&mut self, partition: PartitionId) -> Result<Option<&mut Clock>, Fault> {
        let left_alone = self.options.until_end && self.clocks.listed();
        match self.clocks.partitions.get_mut(&partition) {
            None if !left_alone => Err(Fault::Unknown { partition }),
            clock => Ok(clock),
        }
    }

    pub(super) fn attached(&mut self, partition: PartitionId, position: i64, end: Option<i64>) -> Result<(), Fault> {
        let (now, Options { until_end, accept_data_loss, .. }) = (self.clocks.now(), self.options.clone());
        let Some(clock) = self.clock(partition)? else {
            return Ok(());
        };
        // The run needs nothing beyond its target, so the position does not matter.
        if clock.is_at_target() {
            clock.reattach(end, now);
            return Ok(());
        }
        // Nothing has been read of it, so nothing is missed if its log begins later now.
        let moved = clock.is_untouched() && clock.next.is_some_and(|before| before < position);
        if let Some(merged) = clock.next.filter(|merged| *merged != position && !moved) {
            return Err(Fault::Reattached { partition, merged, position });
        }
        let needed = clock.position().map_or(position, |merged| merged.max(position));
        let mut gap = None;
        if let (None, Some(saved)) = (clock.next, clock.saved) {
            let (resume, merged) = (saved.resume(), saved.position);
            if position < resume {
                return Err(Fault::Reattached { partition, merged: resume, position });
            }
            if saved.lacks(position) {
                if !accept_data_loss {
                    return Err(Fault::Behind { partition, resume, position });
                }
                let lost = u64::try_from(position.saturating_sub(merged)).unwrap_or(0);
                gap = Some(DataLoss { range: SourceRange { first: resume, next: position }, lost });
            }
        }
        if let Some(end) = end.filter(|end| *end < needed) {
            return Err(Fault::EndsBefore { partition, position: needed, end });
        }
        clock.attach(position, end, until_end, now);
        self.changes.note();
        if let Some(gap) = gap {
            self.ledger.accounts.entry(partition).or_default().data_losses.push(gap);
        }
        Ok(())
    }

    pub(super) fn detached(&mut self, partition: PartitionId) -> Result<(), Fault> {
        if let Some(clock) = self.clock(partition)? {
            clock.detach();
        }
        Ok(())
    }

    pub(super) fn end(&mut self, partition: PartitionId, end: i64) -> Result<(), Fault> {
        let (now, Options { idle, until_end, .. }) = (self.clocks.now(), self.options.clone());
        match self.clock(partition)? {
            None => Ok(()),
            Some(clock) if !clock.is_attached() => Err(Fault::NotAttached { partition }),
            Some(clock) => {
                if let Some(position) = clock.position().filter(|position| clock.is_endless() && end < *position) {
                    return Err(Fault::EndsBefore { partition, position, end });
                }
                clock.set_end(end, until_end, now, idle);
                Ok(())
            }
        }
    }
}
