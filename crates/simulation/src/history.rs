//! A whole history: runs one after the other, until one reads and closes everything.

use super::check::check;
use super::disk::Files;
use super::flags::RunKind;
use super::run::RunEnd;
use super::schedule::{drain, list, step};
use super::seed::{Script, Tally};
use super::start::{end, start, wake};
use super::stored::Backup;
use super::world::World;

/// Runs the history of a seed. Panics if anything is wrong.
pub(crate) fn run(number: u64, script: Script) -> Tally {
    let mut world = World::new(number, script);
    let mut steps = 30 + world.seed.random.below(130);
    while steps > 0 {
        let kind = match world.seed.random.below(100) {
            0..12 => RunKind::UntilEnd,
            12..24 => RunKind::LeaveOpen,
            _ => RunKind::Live,
        };
        let mut run = start(&mut world, kind);
        let mut done = list(&mut world, &mut run);
        let how = loop {
            match done {
                Err(end) => break end,
                Ok(()) if steps == 0 => break world.seed.random.pick(&[RunEnd::Crash, RunEnd::Failed]),
                Ok(()) => {}
            }
            steps = steps.saturating_sub(1);
            done = step(&mut world, &mut run);
        };
        end(&mut world, run, how);
        if world.seed.random.in_thousand(500) {
            check(&mut world, false);
        }
        back_up_or_restore(&mut world);
    }
    finish(&mut world);
    world.seed.tally
}

/// Reads everything that is left, lets all windows close, and checks the result.
fn finish(world: &mut World) {
    world.seed.calm = true;
    for partition in &mut world.log.partitions {
        (partition.exists, partition.written) = (true, partition.batches().len());
    }
    let kind = world.seed.random.pick(&[RunKind::Live, RunKind::UntilEnd]);
    let mut run = start(world, kind);
    let listed = list(world, &mut run);
    wake(world);
    let how = match listed {
        Ok(()) => drain(world, &mut run),
        Err(end) => end,
    };
    assert_eq!(how, RunEnd::Finished, "the last run");
    world.letters.deliver_all(&world.log, &mut run.worker, &run.store, &mut world.seed);
    end(world, run, how);
    check(world, true);
    world.seed.count("windows", world.stored.published.len() as u64);
}

/// Between two runs: a backup of the store is made, or put back, by someone, or by a machine that died with more than it had
/// written to its disk. The next run then closes and buries what it would have if nothing had been in between; letters that were
/// sent meanwhile stay in their topic.
fn back_up_or_restore(world: &mut World) {
    let World { seed, letters, stored, folder, backup, .. } = world;
    let [committed] = &stored.possible[..] else { return };
    if world.zombie.is_some() || !letters.goes_back || !letters.draw(400) {
        return;
    }
    match backup.take() {
        None => {
            let files = Files::read(&folder.path());
            *backup = Some(Backup { files, stored: stored.clone(), delivered: letters.delivered() });
            seed.note("a backup of the store is made".to_owned());
        }
        Some(backup) => {
            world.forgotten.extend(committed.expected.dead.iter().cloned());
            world.reader = None;
            folder.replace(&backup.files);
            *stored = backup.stored;
            letters.go_back(backup.delivered);
            seed.count("backups put back", 1);
            seed.note("the backup of the store is put back".to_owned());
        }
    }
}
