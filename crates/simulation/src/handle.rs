//! An event goes to a run; what the run decides is compared with the model, and done.

use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_engine::step::Step;

use super::commit::commit;
use super::run::{Closing, RunEnd, SimRun};
use super::seed::Seed;
use super::world::World;

/// How long a closed window waits for its commit at most.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Takes an event that must be accepted.
pub(crate) fn accept(world: &mut World, run: &mut SimRun, event: Event) -> Result<(), RunEnd> {
    handle(world, run, event)?.unwrap_or_else(|fault| panic!("refused: {fault}"));
    Ok(())
}

/// Takes an event that must be refused, and change nothing.
pub(crate) fn refuse(world: &mut World, run: &mut SimRun, event: Event) -> Result<Fault, RunEnd> {
    let state = |run: &SimRun| format!("{:?}", run.materializer.commit(&[]));
    let before = state(run);
    let fault = handle(world, run, event)?.expect_err("what is wrong is refused");
    assert_eq!(before, state(run), "a refused event changes nothing");
    Ok(fault)
}

/// Takes an event, and does what the stepper decides, in the order of [`drive`](isotherm_consumer::run::drive).
fn handle(world: &mut World, run: &mut SimRun, event: Event) -> Result<Result<(), Fault>, RunEnd> {
    let step = match run.stepper.handle(&mut run.materializer, event.clone(), run.elapsed) {
        Ok(step) => step,
        Err(fault) => return Ok(Err(fault)),
    };
    compare(&world.seed, run, &event, &step);
    let waits = run.closed_since.map_or(Duration::ZERO, |since| run.elapsed - since);
    assert!(step.due || waits < LONGEST_WAIT, "closed windows have waited for a commit for {waits:?}");
    for (partition, pauses) in step.flow {
        world.seed.note(format!("p{partition} {}", if pauses { "pauses" } else { "resumes" }));
        run.sources[partition as usize].paused = pauses;
    }
    if step.due {
        commit(world, run)?;
    }
    if step.proceed {
        // Now and then the run is stopped here.
        let stops = !world.seed.calm && world.seed.random.in_thousand(30);
        let event = if stops { Event::Stop } else { Event::Proceed };
        return handle(world, run, event);
    }
    match step.finished {
        None => Ok(Ok(())),
        Some(totals) => {
            assert_eq!(*totals, run.model.expected.totals(), "the totals at the end of a run");
            world.stored.totals = Some(*totals);
            Err(RunEnd::Finished)
        }
    }
}

/// Holds what a run decided against the model.
fn compare(seed: &Seed, run: &mut SimRun, event: &Event, step: &Step) {
    let decision = run.model.handle(event);
    let (view, expected) = (run.materializer.view(), &run.model.expected);
    let closes = !decision.windows.is_empty();
    let decided = (step.proceed, &step.flow, step.finished.is_some());
    let wanted = (decision.proceed, &decision.flow, decision.finished);
    assert_eq!(
        decided, wanted,
        "more windows close, partitions pause, the run is over; after {event:?}\n{:#?}",
        run.model
    );
    let phases: Vec<_> = view.partitions.iter().map(|partition| (partition.partition, partition.phase)).collect();
    let decided = (view.watermark, phases);
    assert_eq!(
        decided,
        (expected.watermark, run.model.phases()),
        "watermark and phases after {event:?}\n{:#?}",
        run.model
    );
    // A window that has not been restored yet is not known to be open.
    let open = view.open_windows.iter().map(|window| window.end);
    let fits = match run.model.is_restoring() {
        true => open.clone().all(|end| expected.open.contains_key(&end)),
        false => open.clone().eq(expected.open.keys().copied()),
    };
    assert!(fits, "{:?} are open after {event:?}\n{:#?}", open.collect::<Vec<_>>(), run.model);
    if closes {
        let ends: Vec<_> = decision.windows.iter().map(|window| (window.end, window.closed_by)).collect();
        seed.note(format!("windows that end at {ends:?} close"));
        run.closed_since.get_or_insert(run.elapsed);
        let totals = (!decision.proceed && !decision.finished).then(|| expected.totals());
        run.closings.push(Closing { windows: decision.windows, totals });
    }
}
