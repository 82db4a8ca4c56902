//! One step of a run: an event goes to the materializer, and the decisions come back in the order in which the caller must carry
//! them out. There is no clock and no I/O here. The consumer's `drive` carries the decisions out, and so does the simulation, which
//! stops a run between any two of them.

use std::time::Duration;

use isotherm_model::partial::PartitionId;

use crate::commit::{Store, StoreError};
use crate::event::{Effect, Event};
use crate::group::{Closed, PendingCommit};
use crate::materializer::Materializer;
use crate::materializer::fault::Fault;
use crate::progress::{Progress, Snapshot};
use crate::results::Totals;

/// What the caller must do after an event, in the order of the fields.
#[derive(Debug, Default)]
pub struct Step {
    /// Partitions to pause (`true`) or to resume.
    pub flow: Vec<(PartitionId, bool)>,
    /// Whether to [commit](Stepper::commit) now.
    pub due: bool,
    /// The run is over, with these totals.
    pub finished: Option<Box<Totals>>,
    /// Whether more windows are to close: after the commit the next event is [`Event::Proceed`] or [`Event::Stop`].
    pub proceed: bool,
}

/// What a run keeps from one step to the next, besides its materializer.
#[derive(Debug)]
pub struct Stepper {
    progress: Progress,
    pending: PendingCommit,
}

impl Stepper {
    /// A run that begins now. Here, and below, `now` is any monotonic time.
    pub fn new(now: Duration) -> Self {
        Self { progress: Progress::default(), pending: PendingCommit::new(now) }
    }

    /// Handles an event.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if the materializer refuses the event. What was merged before is still right: a run that ends with the fault first
    /// commits and publishes it.
    pub fn handle(&mut self, materializer: &mut Materializer, event: Event, now: Duration) -> Result<Step, Fault> {
        self.progress.observe(&event);
        let mut step = Step::default();
        for effect in materializer.handle(event)? {
            match effect {
                Effect::Pause { partition } => step.flow.push((partition, true)),
                Effect::Resume { partition } => step.flow.push((partition, false)),
                Effect::Close { windows, totals } => self.pending.add(windows, totals, now),
                Effect::Proceed => step.proceed = true,
                Effect::Finished { totals } => step.finished = Some(totals),
            }
        }
        let caught_up = self.pending.has_closes() && self.progress.behind() == 0;
        step.due =
            step.proceed || step.finished.is_some() || self.pending.is_due(caught_up, materializer.uncommitted(), now);
        Ok(step)
    }

    /// Stores everything so far. Returns what may be published now.
    ///
    /// # Errors
    ///
    /// What the store says; nothing may be published then.
    pub fn commit(
        &mut self,
        materializer: &mut Materializer,
        store: &mut dyn Store,
        now: Duration,
    ) -> Result<Vec<Closed>, StoreError> {
        store.commit(&materializer.commit(&self.pending.windows()))?;
        materializer.committed();
        Ok(self.pending.take(now))
    }

    /// How far reading has come.
    pub fn progress(&self, materializer: &Materializer) -> Snapshot {
        self.progress.snapshot(materializer.restoring())
    }
}
