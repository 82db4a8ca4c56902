//! What a source must never say, and what must be refused without any change: partials that repeat, overlap, skip, come
//! from other settings, another version or another log, or are damaged, and events out of place.

use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_model::codec;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Fingerprint;

use super::commit::commit;
use super::handle::refuse;
use super::reference::log::{Log, digest};
use super::run::{RunEnd, SimRun, SourcePartition};
use super::seed::Seed;
use super::sources::reconnect;
use super::topic::SimPartition;
use super::world::World;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hostile {
    Skips,
    SkipsWithinBatch,
    Repeats,
    Overlaps,
    OtherSettings,
    OtherVersion,
    Unsound,
    Crowded,
    OtherLog,
    AcrossPosition,
    Damaged,
    NotAttached,
    Elsewhere,
    TooShort,
}

const ALL: [Hostile; 14] = [
    Hostile::Skips,
    Hostile::SkipsWithinBatch,
    Hostile::Repeats,
    Hostile::Overlaps,
    Hostile::OtherSettings,
    Hostile::OtherVersion,
    Hostile::Unsound,
    Hostile::Crowded,
    Hostile::OtherLog,
    Hostile::AcrossPosition,
    Hostile::Damaged,
    Hostile::NotAttached,
    Hostile::Elsewhere,
    Hostile::TooShort,
];

/// Something wrong comes, if what was drawn can come now; then the source reads on from the last good boundary, or the
/// run ends with the fault, in good order.
pub(crate) fn hostile(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let World { seed, log, .. } = world;
    let (wrong, partition) = (seed.random.pick(&ALL), seed.random.below(run.sources.len()));
    let (place, source) = (&log.partitions[partition], &run.sources[partition]);
    if !source.found || source.left_alone {
        return Ok(());
    }
    let out_of_place = out_of_place(seed, source, place, partition as PartitionId, wrong);
    let Some(event) = out_of_place.or_else(|| bad_partial(seed, source, &log.whole, place, partition, wrong)) else {
        return Ok(());
    };
    if wrong == Hostile::Damaged {
        // It does not reach the materializer.
        return reconnect(world, run, partition);
    }
    let resumes = source.saved.is_some();
    let fault = refuse(world, run, event)?;
    world.seed.note(format!("p{partition}, {wrong:?}: {fault}"));
    world.seed.count("refused events", 1);
    let fits = match wrong {
        Hostile::Skips | Hostile::SkipsWithinBatch => matches!(fault, Fault::Missing { .. }),
        // In a run that resumes, no batch of the log that was read can overlap.
        Hostile::Overlaps if resumes => matches!(fault, Fault::Overlap { .. } | Fault::OtherLog { .. }),
        Hostile::Repeats | Hostile::Overlaps => matches!(fault, Fault::Overlap { .. }),
        Hostile::OtherSettings => matches!(fault, Fault::OtherSettings { .. }),
        Hostile::OtherVersion => matches!(fault, Fault::OtherVersion { .. }),
        Hostile::Unsound | Hostile::Crowded => matches!(fault, Fault::Unsound { .. }),
        Hostile::OtherLog | Hostile::AcrossPosition => matches!(fault, Fault::OtherLog { .. }),
        Hostile::NotAttached => matches!(fault, Fault::NotAttached { .. }),
        Hostile::Elsewhere => matches!(fault, Fault::Reattached { .. }),
        Hostile::TooShort => matches!(fault, Fault::EndsBefore { .. }),
        Hostile::Damaged => false,
    };
    assert!(fits, "{wrong:?} is refused with {fault:?}");
    if world.seed.random.in_thousand(300) {
        commit(world, run)?;
        return Err(RunEnd::Failed);
    }
    match run.sources[partition].attached {
        true => reconnect(world, run, partition),
        false => Ok(()),
    }
}

/// An event out of place.
fn out_of_place(
    seed: &mut Seed,
    source: &SourcePartition,
    log: &SimPartition,
    partition: PartitionId,
    wrong: Hostile,
) -> Option<Event> {
    let (position, known) = (source.position(log), source.next.is_some() || source.saved.is_some());
    match wrong {
        Hostile::NotAttached => (!source.attached).then_some(Event::End { partition, end: log.end() }),
        Hostile::Elsewhere if known && source.wants(position) => {
            // Where nothing has been read, the log may begin later.
            let lower = source.next.is_none() || source.is_untouched() || seed.random.in_thousand(500);
            let position = if lower { position - 1 } else { position + 1 };
            (position >= 0).then_some(Event::Attached { partition, position, end: Some(log.end().max(position)) })
        }
        Hostile::TooShort if known && source.wants(position) => {
            let needed = source.processed.max(position);
            (needed > 0).then_some(Event::Attached { partition, position, end: Some(needed - 1) })
        }
        _ => None,
    }
}

/// A partial in place of the one that comes next.
fn bad_partial(
    seed: &mut Seed,
    source: &SourcePartition,
    whole: &Log,
    log: &SimPartition,
    partition: usize,
    wrong: Hostile,
) -> Option<Event> {
    let next = source.next.filter(|next| source.attached && *next < log.written)?;
    let (position, batches) = (source.position(log), log.batches());
    let batch = &batches[next];
    let is_restoring = position < source.processed;
    let mut partial = whole.partial(batch);
    match wrong {
        Hostile::Skips => {
            partial = whole.partial(batches[next..log.written].iter().find(|batch| batch.first > position)?);
        }
        Hostile::SkipsWithinBatch if batch.next > batch.first => {
            partial.source.first += 1;
            partial.source.next += 1;
        }
        Hostile::Repeats => {
            partial = whole.partial(batches[..next].iter().rev().find(|batch| batch.first < position)?);
        }
        Hostile::Overlaps if position > 0 => partial.source.first -= 1,
        Hostile::OtherSettings => partial.fingerprint = Fingerprint(partial.fingerprint.0 ^ 1),
        Hostile::OtherVersion => partial.version.patch ^= 1,
        Hostile::Unsound => partial.aggregate.records += 1,
        Hostile::Crowded if !batch.readings.is_empty() => {
            partial.source.next = partial.source.first + partial.aggregate.records as i64 - 1;
        }
        Hostile::OtherLog if source.known.is_some_and(|known| known.first == batch.first) => {
            let cell = partial.aggregate.cells.values_mut().next()?;
            cell.stats.max = Fixed::from_micros(cell.stats.max.micros() / 2 + 1);
        }
        Hostile::AcrossPosition if is_restoring && batch.next > batch.first => {
            partial.source.next = source.processed + 1;
        }
        Hostile::Damaged => {
            let bytes = codec::encode(&partial).expect("a partial is well-formed");
            let cut = seed.random.below(bytes.len());
            codec::decode(&bytes[..cut]).expect_err("a part of a partial is none");
        }
        _ => return None,
    }
    // Beyond the end of a run everything is dropped unseen.
    if wrong != Hostile::Damaged && !source.wants(partial.source.first) {
        return None;
    }
    let digest = if wrong == Hostile::OtherLog { 0 } else { digest(&partial) };
    Some(Event::Partial { partition: partition as PartitionId, partial: Box::new(partial), digest })
}
