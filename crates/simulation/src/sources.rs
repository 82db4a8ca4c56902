//! What a run's source does: it finds partitions, attaches them, reads batch by batch, and meets what retention has cut.

use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_model::partial::PartitionId;

use super::commit::commit;
use super::handle::{accept, refuse};
use super::run::{RunEnd, SimRun, SourcePartition};
use super::seed::Seed;
use super::world::World;

/// One of the partitions that the run has found and that fit.
pub(crate) fn any(seed: &mut Seed, run: &SimRun, fits: impl Fn(&SourcePartition) -> bool) -> Option<usize> {
    let sources = run.sources.iter().enumerate();
    let fit: Vec<usize> = sources.filter(|(_, source)| source.found && fits(source)).map(|(place, _)| place).collect();
    (!fit.is_empty()).then(|| seed.random.pick(&fit))
}

/// The topic has this partition.
pub(crate) fn find(world: &mut World, run: &mut SimRun, partition: usize) -> Result<(), RunEnd> {
    world.seed.note(format!("p{partition} is found"));
    run.sources[partition].found = true;
    accept(world, run, Event::Found { partition: partition as PartitionId })
}

pub(crate) fn detach(world: &mut World, run: &mut SimRun, partition: usize) -> Result<(), RunEnd> {
    world.seed.note(format!("p{partition} is detached"));
    run.sources[partition].attached = false;
    accept(world, run, Event::Detached { partition: partition as PartitionId })
}

/// Connects at the last good boundary.
pub(crate) fn attach(world: &mut World, run: &mut SimRun, partition: usize) -> Result<(), RunEnd> {
    let (log, source) = (&world.log.partitions[partition], &mut run.sources[partition]);
    let (mut position, start) = (source.position(log), log.start());
    if source.is_untouched() {
        position = start;
        source.next = source.next.filter(|next| log.end_of(*next) == start);
    } else if position < start && source.next.is_some() {
        return evicted(world, run, partition);
    } else if position < start {
        position = behind(world, run, partition)?;
    }
    let (log, source) = (&world.log.partitions[partition], &mut run.sources[partition]);
    if source.next.is_none() {
        let batches = log.batches();
        let place = batches.iter().position(|batch| batch.first >= position);
        let mut place = place.unwrap_or(batches.len()).max(log.cut);
        // A batch without records may not come again.
        while batches.get(place).is_some_and(|b| b.next == position) && world.seed.random.in_thousand(500) {
            place += 1;
        }
        source.next = Some(place);
        source.target = source.target.or(run.flags.run.until_end.then_some(log.end()));
    }
    source.attached = true;
    let end = log.end();
    world.seed.note(format!("p{partition} is attached at {position}, ends at {end}"));
    accept(world, run, Event::Attached { partition: partition as PartitionId, position, end: Some(end) })
}

/// Reads on from the last good boundary, over a new connection.
pub(crate) fn reconnect(world: &mut World, run: &mut SimRun, partition: usize) -> Result<(), RunEnd> {
    detach(world, run, partition)?;
    attach(world, run, partition)
}

/// Delivers the partition's next batch; false if none has been written.
pub(crate) fn deliver(world: &mut World, run: &mut SimRun, partition: usize) -> Result<bool, RunEnd> {
    let (log, source) = (&world.log.partitions[partition], &mut run.sources[partition]);
    let Some(next) = source.next.filter(|next| *next < log.written) else {
        return Ok(false);
    };
    if next < log.cut {
        // A reader to which nothing has come yet begins where the log does.
        let untouched = source.is_untouched();
        let done = if untouched { reconnect(world, run, partition) } else { evicted(world, run, partition) };
        return done.map(|()| false);
    }
    let batch = &log.batches()[next];
    source.next = Some(next + 1);
    source.touched |= batch.next > batch.first;
    if !source.left_alone && source.wants(batch.first) {
        source.processed = source.processed.max(batch.next);
        if batch.records_end > batch.first {
            source.known = source.known.filter(|known| known.first != batch.first);
        }
    }
    world.seed.note(format!("p{partition} {}..{}, next {}", batch.first, batch.records_end, batch.next));
    for event in world.log.whole.events(partition as PartitionId, batch) {
        accept(world, run, event)?;
    }
    Ok(true)
}

/// Retention removes the oldest batches of a partition.
pub(crate) fn cut(world: &mut World) {
    let World { seed, log, .. } = world;
    let partition = seed.random.below(log.partitions.len());
    let more = 1 + seed.random.below(3);
    let place = &mut log.partitions[partition];
    place.cut = place.written.min(place.cut + more);
    seed.note(format!("p{partition} is cut, and begins at {}", place.start()));
}

/// A reader finds that what comes next has been cut: its run ends, in good order.
fn evicted(world: &mut World, run: &mut SimRun, partition: usize) -> Result<(), RunEnd> {
    world.seed.note(format!("p{partition} was cut before it was read"));
    world.seed.count("runs that needed what was evicted", 1);
    if world.seed.random.in_thousand(500) {
        commit(world, run)?;
    }
    Err(RunEnd::Failed)
}

/// The log begins behind the place where the run resumes: the run is refused, or goes on without what is lost. Where, then.
fn behind(world: &mut World, run: &mut SimRun, partition: usize) -> Result<i64, RunEnd> {
    let (start, end) = (world.log.partitions[partition].start(), world.log.partitions[partition].end());
    if run.sources[partition].saved.is_some_and(|saved| start <= saved.restore_from) {
        world.seed.note(format!("p{partition} lacks only the batch to know it by"));
        world.seed.count("evictions that took nothing needed", 1);
        return Ok(start);
    }
    if run.flags.run.accept_data_loss {
        world.seed.note(format!("p{partition} goes on at {start}, with data loss"));
        return Ok(start);
    }
    // The source refuses; and if it does not, the materializer.
    if world.seed.random.in_thousand(500) {
        let attached = Event::Attached { partition: partition as PartitionId, position: start, end: Some(end) };
        let fault = refuse(world, run, attached)?;
        assert!(matches!(fault, Fault::Behind { .. }), "data loss is refused with {fault:?}");
    }
    evicted(world, run, partition).map(|()| start)
}
