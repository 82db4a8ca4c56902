//! What happens next.

use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_model::partial::PartitionId;

use super::flags::RunKind;
use super::handle::accept;
use super::hostile::hostile;
use super::reader::Reader;
use super::run::{RunEnd, SimRun};
use super::sources::{any, attach, cut, deliver, detach, find};
use super::start::wake;
use super::world::World;

/// One thing happens, or none, if what was drawn is not possible.
pub(crate) fn step(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    run.elapsed += Duration::from_millis(world.seed.random.below(80) as u64);
    deliver_letters(world, run)?;
    match world.seed.random.below(1_000) {
        0..8 => {
            read_store(world);
            Ok(())
        }
        8..400 => deliver_any(world, run),
        400..430 => follow(world, run),
        430..560 => {
            write(world);
            Ok(())
        }
        560..690 => tick(world, run),
        690..760 => report_end(world, run),
        760..785 => detach_any(world, run),
        785..900 => attach_any(world, run),
        900..950 => hostile(world, run),
        950..965 => add_partition(world, run),
        965..975 => {
            wake(world);
            Ok(())
        }
        975..980 => accept(world, run, Event::Stop),
        980..985 => accept(world, run, Event::Finish),
        985..991 => Err(RunEnd::Crash),
        991..994 => Err(RunEnd::Zombie),
        _ => {
            cut(world);
            Ok(())
        }
    }
}

/// The topic's partitions are listed, while one thing and another happens to those that are known.
pub(crate) fn list(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let mut left: Vec<usize> = (0..run.sources.len()).filter(|p| world.log.partitions[*p].exists).collect();
    let busy = !world.seed.calm && world.seed.random.in_thousand(300);
    while !left.is_empty() {
        let partition = left.swap_remove(world.seed.random.below(left.len()));
        find(world, run, partition)?;
        while busy && world.seed.random.in_thousand(600) {
            match world.seed.random.below(100) {
                0..35 => attach_any(world, run)?,
                35..70 => deliver_any(world, run)?,
                70..80 => tick(world, run)?,
                80..88 => report_end(world, run)?,
                88..92 => detach_any(world, run)?,
                92..95 => hostile(world, run)?,
                95..98 => add_partition(world, run)?,
                _ => write(world),
            }
        }
    }
    run.listed = true;
    accept(world, run, Event::Listed)
}

/// Reads everything, then lets time pass until everything has closed.
pub(crate) fn drain(world: &mut World, run: &mut SimRun) -> RunEnd {
    let mut drain = || {
        // The farthest reading is a minute ahead; a round passes half a second at least.
        for _ in 0..1_000 {
            while let Some(partition) = any(&mut world.seed, run, |source| !source.attached) {
                attach(world, run, partition)?;
            }
            let mut left: Vec<usize> = (0..run.sources.len()).collect();
            while !left.is_empty() {
                let place = world.seed.random.below(left.len());
                let partition = left[place];
                if run.sources[partition].paused || !deliver(world, run, partition)? {
                    left.swap_remove(place);
                }
            }
            pass(world, run, run.flags.run.idle / 2)?;
            report_ends(world, run)?;
            let view = run.materializer.view();
            if view.caught_up && view.open_windows.is_empty() {
                accept(world, run, Event::Stop)?;
            }
        }
        Ok(())
    };
    match drain() {
        Err(end) => end,
        Ok(()) => panic!("a run hangs: {:?}", run.materializer.view()),
    }
}

/// More of a partition is written.
fn write(world: &mut World) {
    let World { seed, log, .. } = world;
    let partition = seed.random.below(log.partitions.len());
    let more = 1 + seed.random.below(3);
    let place = &mut log.partitions[partition];
    if place.exists {
        place.written = place.batches().len().min(place.written + more);
        seed.note(format!("p{partition} is written up to {}", place.end()));
    }
}

fn add_partition(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let Some(partition) = world.log.partitions.iter().position(|partition| !partition.exists) else {
        return Ok(());
    };
    world.log.partitions[partition].exists = true;
    run.sources[partition].left_alone = run.kind != RunKind::Live && run.listed;
    find(world, run, partition)
}

fn tick(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    if world.seed.random.in_thousand(60) {
        // A clock that goes back changes nothing.
        let now = run.now.mul_f64(world.seed.random.below(1_000) as f64 / 1_000.0);
        world.seed.note(format!("tick {now:?}, back from {:?}", run.now));
        return accept(world, run, Event::Tick { now });
    }
    let step = match world.seed.random.below(20) {
        0 => 30_000,
        1..4 => 5_000,
        4..8 => 1_000,
        _ => world.seed.random.below(300) as u64,
    };
    pass(world, run, Duration::from_millis(step))
}

fn pass(world: &mut World, run: &mut SimRun, step: Duration) -> Result<(), RunEnd> {
    run.now += step;
    run.elapsed = run.now.max(run.elapsed + step);
    world.seed.note(format!("tick {:?}", run.now));
    accept(world, run, Event::Tick { now: run.now })
}

/// A partition's end is reported; now and then an old one.
fn report_end(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let Some(partition) = any(&mut world.seed, run, |source| source.attached) else {
        return Ok(());
    };
    let (end, random) = (world.log.partitions[partition].end(), &mut world.seed.random);
    let end = if random.in_thousand(50) { random.between(0, end) } else { end };
    world.seed.note(format!("p{partition} ends at {end}"));
    accept(world, run, Event::End { partition: partition as PartitionId, end })
}

fn report_ends(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    for partition in 0..run.sources.len() {
        if run.sources[partition].attached {
            let end = world.log.partitions[partition].end();
            accept(world, run, Event::End { partition: partition as PartitionId, end })?;
        }
    }
    Ok(())
}

/// A source that follows the log: it reports all ends again and again while time passes, and now and then a batch comes.
fn follow(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    for _ in 0..1 + world.seed.random.below(8) {
        pass(world, run, run.flags.run.idle / 3)?;
        report_ends(world, run)?;
        if world.seed.random.in_thousand(600) {
            deliver_any(world, run)?;
        }
    }
    Ok(())
}

fn detach_any(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let partition = any(&mut world.seed, run, |source| source.attached);
    partition.map_or(Ok(()), |partition| detach(world, run, partition))
}

fn attach_any(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let partition = any(&mut world.seed, run, |source| !source.attached);
    partition.map_or(Ok(()), |partition| attach(world, run, partition))
}

fn deliver_any(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    // What is on its way arrives although the partition is paused.
    let on_its_way = world.seed.random.in_thousand(50);
    let partition = any(&mut world.seed, run, |source| source.attached && (!source.paused || on_its_way));
    partition.map_or(Ok(()), |partition| deliver(world, run, partition).map(drop))
}

/// The worker of dead letters goes on, if it is its turn; where it is stopped, its process may die or hang.
fn deliver_letters(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let World { seed, log, letters, .. } = world;
    if !run.worker.works() || !letters.draw(250) {
        return Ok(());
    }
    let (dies, hangs) = match letters.step(log, &mut run.worker, &run.store, seed) {
        None => (300, 250),
        Some(Ok(delivered)) => (40 * usize::from(delivered), 0),
        Some(Err(_)) => (30, 0),
    };
    if letters.draw(dies) {
        return Err(RunEnd::Crash);
    }
    if letters.draw(hangs) {
        return Err(RunEnd::Zombie);
    }
    Ok(())
}

/// Another process begins to read the store, or ends.
fn read_store(world: &mut World) {
    let World { seed, stored, letters, folder, reader, .. } = world;
    match reader.take() {
        Some(reader) => {
            reader.end();
            seed.note("the reader of the store is done".to_owned());
        }
        None => {
            let expected = &stored.possible[0].expected;
            let messages = expected.windows.values().map(|window| window.messages.cast_signed()).sum();
            let counts = [expected.dropped.len(), expected.windows.len(), letters.outbox(expected).count()];
            let [dropped, windows, dead] = counts.map(|count| count as i64);
            let answer = [expected.commits.cast_signed(), dropped, windows, messages, dead];
            seed.note("a reader opens the store".to_owned());
            *reader = Some(Reader::begin(&folder.path(), answer));
        }
    }
}
