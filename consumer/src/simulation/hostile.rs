//! What a source must never say, and what has to be refused without any change: partials that repeat, overlap, skip, come
//! from other settings, another version or another log, or are damaged, and events out of place.

use std::sync::atomic::Ordering;

use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_model::codec;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::Partial;
use isotherm_model::settings::Fingerprint;

use super::life::{End, Life};
use super::log::digest;
use super::world::World;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Skips,
    SkipsWithinBatch,
    Repeats,
    Overlaps,
    OtherSettings,
    OtherVersion,
    Unsound,
    Crowded,
    OtherLog,
    AcrossMerged,
    Damaged,
    NotAttached,
    Elsewhere,
    TooShort,
}

const ALL: [Wrong; 14] = [
    Wrong::Skips,
    Wrong::SkipsWithinBatch,
    Wrong::Repeats,
    Wrong::Overlaps,
    Wrong::OtherSettings,
    Wrong::OtherVersion,
    Wrong::Unsound,
    Wrong::Crowded,
    Wrong::OtherLog,
    Wrong::AcrossMerged,
    Wrong::Damaged,
    Wrong::NotAttached,
    Wrong::Elsewhere,
    Wrong::TooShort,
];

impl World<'_> {
    /// Something wrong comes, if what was drawn can come now; then the source reads on from the last good boundary, or the
    /// run ends with the fault, in good order.
    pub(super) fn hostile(&mut self, life: &mut Life) -> Result<(), End> {
        let (wrong, partition) = (self.random.pick(&ALL), self.random.below(life.lines.len()));
        let Some(event) = self.invent(life, partition, wrong) else {
            return Ok(());
        };
        if wrong == Wrong::Damaged {
            // It does not get as far as the materializer.
            return self.reconnect(life, partition);
        }
        let before = format!("{:?}", life.materializer.commit(&[]));
        let goes_on = life.lines[partition].saved.is_some();
        let fault = self.take(life, event)?.expect_err("what is wrong is refused");
        self.note(format!("p{partition}, {wrong:?}: {fault}"));
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        let fits = match wrong {
            Wrong::Skips | Wrong::SkipsWithinBatch => matches!(fault, Fault::Missing { .. }),
            // Where a run goes on no batch of the log that was read can overlap.
            Wrong::Overlaps if goes_on => matches!(fault, Fault::Overlap { .. } | Fault::OtherLog { .. }),
            Wrong::Repeats | Wrong::Overlaps => matches!(fault, Fault::Overlap { .. }),
            Wrong::OtherSettings => matches!(fault, Fault::OtherSettings { .. }),
            Wrong::OtherVersion => matches!(fault, Fault::OtherVersion { .. }),
            Wrong::Unsound | Wrong::Crowded => matches!(fault, Fault::Unsound { .. }),
            Wrong::OtherLog | Wrong::AcrossMerged => matches!(fault, Fault::OtherLog { .. }),
            Wrong::NotAttached => matches!(fault, Fault::NotAttached { .. }),
            Wrong::Elsewhere => matches!(fault, Fault::Reattached { .. }),
            Wrong::TooShort => matches!(fault, Fault::EndsBefore { .. }),
            Wrong::Damaged => false,
        };
        assert!(fits, "{wrong:?} is refused with {fault:?}");
        let after = format!("{:?}", life.materializer.commit(&[]));
        assert_eq!(before, after, "a refused event changes nothing");
        if self.random.in_thousand(300) {
            self.commit(life)?;
            return Err(End::Failed);
        }
        match life.lines[partition].attached {
            true => self.reconnect(life, partition),
            false => Ok(()),
        }
    }

    fn invent(&mut self, life: &Life, partition: usize, wrong: Wrong) -> Option<Event> {
        let (line, log) = (&life.lines[partition], &self.log.partitions[partition]);
        if !line.found || line.left_alone {
            return None;
        }
        let (number, position) = (partition as u32, line.position(&self.log, partition));
        match wrong {
            Wrong::NotAttached => return (!line.attached).then_some(Event::End { partition: number, end: log.end() }),
            Wrong::Elsewhere if line.target.is_none_or(|target| position < target) => {
                let known = line.index.is_some() || line.saved.is_some();
                // Where nothing has been read, the log may begin later by now.
                let untouched = line.is_untouched();
                let lower = line.index.is_none() || untouched || self.random.in_thousand(500);
                let position = if lower { position - 1 } else { position + 1 };
                let end = log.end().max(position);
                return (known && position >= 0).then_some(Event::Attached { partition: number, position, end });
            }
            Wrong::TooShort if line.target.is_none_or(|target| position < target) => {
                let needed = line.merged.max(position);
                let end = needed - 1;
                let known = line.index.is_some() || line.saved.is_some();
                return (known && needed > 0).then_some(Event::Attached { partition: number, position, end });
            }
            Wrong::Elsewhere | Wrong::TooShort => return None,
            _ => {}
        }
        let index = line.index.filter(|index| line.attached && *index < log.shown)?;
        let batch = &log.batches[index];
        // Beyond the end of a run everything is dropped unseen.
        let wanted = |partial: &Partial| line.target.is_none_or(|target| partial.source.first < target);
        let refilling = position < line.merged;
        let mut partial = self.log.partial(batch);
        match wrong {
            Wrong::Skips => {
                let later = log.batches[index..log.shown].iter().find(|batch| batch.first > position)?;
                partial = self.log.partial(later);
            }
            Wrong::SkipsWithinBatch if batch.next > batch.first => {
                partial.source.first += 1;
                partial.source.next += 1;
            }
            Wrong::Repeats => {
                let earlier = log.batches[..index].iter().rev().find(|batch| batch.first < position)?;
                partial = self.log.partial(earlier);
            }
            Wrong::Overlaps if position > 0 => partial.source.first -= 1,
            Wrong::OtherSettings => partial.fingerprint = Fingerprint(partial.fingerprint.0 ^ 1),
            Wrong::OtherVersion => partial.version.patch ^= 1,
            Wrong::Unsound => partial.aggregate.records += 1,
            Wrong::Crowded if !batch.readings.is_empty() => {
                partial.source.next = partial.source.first + partial.aggregate.records as i64 - 1;
            }
            Wrong::OtherLog if line.known.is_some_and(|known| known.first == batch.first) => {
                let cell = partial.aggregate.cells.values_mut().next()?;
                cell.stats.max = Fixed::from_micros(cell.stats.max.micros() / 2 + 1);
                return Some(Event::Partial { partition: number, partial: Box::new(partial), digest: 0 });
            }
            Wrong::AcrossMerged if refilling && batch.next > batch.first => {
                partial.source.next = line.merged + 1;
            }
            Wrong::Damaged => {
                let bytes = codec::encode(&partial).expect("a partial is well-formed");
                let cut = self.random.below(bytes.len());
                codec::decode(&bytes[..cut]).expect_err("a part of a partial is none");
                return Some(Event::Listed);
            }
            _ => return None,
        }
        if !wanted(&partial) {
            return None;
        }
        let sound = codec::encode(&partial).is_ok();
        let digest = if sound { digest(&partial) } else { 0 };
        Some(Event::Partial { partition: number, partial: Box::new(partial), digest })
    }
}
