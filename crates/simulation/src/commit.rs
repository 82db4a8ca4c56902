//! A commit of a simulated run, what can go wrong with it, and what may be published after it.

use std::rc::Rc;

use isotherm_engine::group::Closed;

use super::run::{RunEnd, SimRun};
use super::seed::Seed;
use super::store::DiskFault;
use super::stored::{Committed, Stored, check_state};
use super::world::World;

/// Commits, then publishes, if nothing comes between.
pub(crate) fn commit(world: &mut World, run: &mut SimRun) -> Result<(), RunEnd> {
    let World { seed, stored, .. } = world;
    let draw = if seed.calm { 999 } else { seed.random.below(1_000) };
    // After how many windows of the commit the process dies, if at all.
    let (fault, dies_after) = match draw {
        0..25 => {
            seed.note("dies before a commit".to_owned());
            return Err(RunEnd::Crash);
        }
        25..38 => (Some(DiskFault::Full), None),
        38..41 => (Some(DiskFault::Refused), None),
        41..61 => (Some(DiskFault::Statement), None),
        61..70 => (Some(DiskFault::Log), None),
        70..80 => (Some(DiskFault::Answer), None),
        80..110 => (Some(DiskFault::Torn), None),
        110..120 => (Some(DiskFault::Checkpoint), None),
        120..135 => (Some(DiskFault::Database), None),
        135..155 => (None, Some(0)),
        155..180 => (None, Some(seed.random.below(5))),
        _ => (None, None),
    };
    if let Some(fault) = fault {
        run.store.expect(fault, &mut seed.random);
    }
    let done = run.stepper.commit(&mut run.materializer, &mut run.store, run.elapsed);
    seed.note(format!("commit of {:?}: {fault:?}, {}", run.store.windows, done.is_ok()));
    let is_restoring = run.model.is_restoring();
    run.model.commit(run.flags.keep);
    check_state(&run.store.state, &run.model.expected, is_restoring);
    let committed = Committed { expected: Rc::new(run.model.expected.clone()), state: run.store.state.clone() };
    let windows = run.closings.iter().flat_map(|closing| &closing.windows).map(|window| window.start);
    match (done, fault) {
        // A statement that fails may not be among those of the commit.
        (Ok(closed), None | Some(DiskFault::Database | DiskFault::Statement)) => {
            stored.possible = vec![committed];
            seed.count("commits", 1);
            run.closed_since = None;
            publish(seed, stored, run, closed, dies_after)
        }
        (Ok(_), Some(fault)) => panic!("a commit succeeded in spite of {fault:?}"),
        (Err(_), Some(DiskFault::Full)) => {
            seed.count("full disks", 1);
            Err(RunEnd::Failed)
        }
        (Err(_), Some(DiskFault::Refused | DiskFault::Statement | DiskFault::Log)) => {
            seed.count("other failed writes", 1);
            Err(RunEnd::Failed)
        }
        (Err(_), Some(fault @ (DiskFault::Answer | DiskFault::Torn | DiskFault::Checkpoint))) => {
            stored.unpublished.extend(windows);
            // Only within a commit is it uncertain which one the store is at.
            if fault != DiskFault::Torn {
                stored.possible.clear();
            }
            stored.possible.push(committed);
            Err(if fault == DiskFault::Answer { RunEnd::Failed } else { RunEnd::Torn })
        }
        (Err(error), None | Some(DiskFault::Database)) => panic!("a commit failed: {error}"),
    }
}

/// Publishes what has been committed: the first `dies_after` windows of it if the process then dies.
fn publish(
    seed: &mut Seed,
    stored: &mut Stored,
    run: &mut SimRun,
    closed: Vec<Closed>,
    dies_after: Option<usize>,
) -> Result<(), RunEnd> {
    let due = std::mem::take(&mut run.closings);
    assert_eq!(closed.len(), due.len(), "published is what has closed: {closed:?}, {due:?}");
    let mut left = dies_after;
    for (closed, due) in closed.into_iter().zip(due) {
        assert!(closed.windows.iter().eq(due.windows.iter().map(Rc::as_ref)), "{closed:?}\nmust be {due:?}");
        assert_eq!(closed.totals.map(|totals| *totals), due.totals, "published totals");
        for window in due.windows {
            if left == Some(0) {
                stored.unpublished.insert(window.start);
                continue;
            }
            left = left.map(|left| left - 1);
            seed.note(format!("publishes {}", window.start));
            assert!(stored.published.insert(window.start), "published twice: {window:?}");
        }
    }
    match dies_after {
        None => Ok(()),
        Some(_) => {
            seed.note("dies after a commit".to_owned());
            Err(RunEnd::Crash)
        }
    }
}
