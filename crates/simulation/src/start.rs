//! How runs start and end, and what a consumer does that was taken for dead.

use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::commit::Store;
use isotherm_engine::event::Event;
use isotherm_engine::materializer::Materializer;
use isotherm_engine::step::Stepper;
use isotherm_store::{SqliteStore, StoreReader};

use super::flags::RunKind;
use super::letters::Worker;
use super::reference::model::Model;
use super::reference::scratch::memory_limit;
use super::run::{RunEnd, SimRun, SourcePartition};
use super::store::FaultyStore;
use super::world::World;

/// Opens the store, and resumes where it says, as a run does.
pub(crate) fn start(world: &mut World, kind: RunKind) -> SimRun {
    let take_over = world.zombie.is_some();
    world.flags.redraw(&mut world.seed, kind);
    let World { seed, log, flags, folder, subject, stored, .. } = world;
    if take_over && seed.random.in_thousand(200) {
        let refused = SqliteStore::open(&folder.path(), subject, flags.store(false, world.page_size));
        let held = matches!(refused, Err(isotherm_store::Error::Locked { .. }));
        assert!(held, "another consumer holds the store, and yet: {refused:?}");
    }
    let mut store = FaultyStore::open(folder, subject, flags.store(take_over, world.page_size));
    store.limit(flags.checkpoint_pages, flags.cache_pages);
    let saved = store.load().expect("what was committed can be read");
    let commits = match &stored.possible[..] {
        [committed] => committed.expected.commits,
        // The machine died within a commit; the store says whether it has that one.
        _ => {
            let mut reader = StoreReader::open(&folder.path()).expect("the store opens to be read");
            reader.snapshot().expect("the store can be read").overview().commits
        }
    };
    let expected: Rc<_> = stored.resume(commits, saved.as_ref());
    let saved = saved.unwrap_or_default();
    let partitions = (0..).take(log.partitions.len());
    let sources = partitions.map(|partition| SourcePartition::new(saved.partitions.get(&partition).copied())).collect();
    seed.note(format!("a run begins: {kind:?}, take over {take_over}, {flags:?}"));
    seed.count("runs", 1);
    SimRun {
        kind,
        model: Model::new(flags.run.clone(), &expected, flags.rows_at_once),
        materializer: Materializer::resume(flags.run.clone(), saved)
            .with_rows_at_once(flags.rows_at_once)
            .with_memory_limit(memory_limit(flags.memory, usize::MAX)),
        stepper: Stepper::new(Duration::ZERO),
        store,
        sources,
        closings: Vec::new(),
        closed_since: None,
        listed: false,
        worker: Worker::new(flags.run.dead_letters),
        now: Duration::ZERO,
        elapsed: Duration::ZERO,
        flags: flags.clone(),
    }
}

/// A run ends.
pub(crate) fn end(world: &mut World, run: SimRun, end: RunEnd) {
    world.seed.note(format!("the run ends: {end:?}"));
    let kind = match end {
        RunEnd::Crash => "crashes",
        RunEnd::Torn => "torn writes",
        RunEnd::Failed | RunEnd::Finished | RunEnd::Zombie => "runs that ended",
    };
    world.seed.count(kind, 1);
    match end {
        RunEnd::Torn => world.zombie = None,
        RunEnd::Crash | RunEnd::Failed | RunEnd::Finished | RunEnd::Zombie => wake(world),
    }
    match end {
        RunEnd::Crash => world.folder.die(),
        RunEnd::Torn => world.folder.died(),
        RunEnd::Failed | RunEnd::Finished => {}
        RunEnd::Zombie => {
            world.zombie = Some(run);
            return;
        }
    }
    drop(run);
    if matches!(end, RunEnd::Crash | RunEnd::Torn) {
        world.reader = None;
    }
    world.folder.tidy();
}

/// A consumer that was taken for dead wakes and tries to go on: it may store and publish nothing.
pub(crate) fn wake(world: &mut World) {
    let Some(mut zombie) = world.zombie.take() else {
        return;
    };
    world.letters.wake(&mut zombie.worker, &zombie.store, &mut world.seed);
    let _ = zombie.stepper.handle(&mut zombie.materializer, Event::Finish, zombie.elapsed);
    let done = zombie.stepper.commit(&mut zombie.materializer, &mut zombie.store, zombie.elapsed);
    let fenced =
        done.as_ref().is_err_and(|error| matches!(error.downcast_ref(), Some(isotherm_store::Error::Fenced { .. })));
    world.seed.note("the consumer that was taken for dead wakes".to_owned());
    assert!(fenced, "another consumer has taken over, and yet: {done:?}");
    world.seed.count("fenced zombies", 1);
}
