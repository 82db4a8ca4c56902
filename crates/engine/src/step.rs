//! One turn of a run: an event goes to the materializer, and what it decides comes back in the order in which it is to be
//! done. The decisions are here, without clock or I/O; who does what they say is [`drive`](super::drive), and the
//! simulation in tests, which stops between any two of them.

use std::time::Duration;

use isotherm_model::partial::PartitionId;

use crate::commit::{Store, StoreError};
use crate::event::{Effect, Event};
use crate::group::{Closed, PendingCommit};
use crate::materializer::Materializer;
use crate::materializer::fault::Fault;
use crate::progress::{Progress, Snapshot};
use crate::results::Totals;

/// What is to be done about an event, in the order of the fields.
#[derive(Debug, Default)]
pub struct Step {
    /// Which partitions are to wait (`true`), or to go on.
    pub flow: Vec<(PartitionId, bool)>,
    /// Whether to [commit](Stepper::commit) now.
    pub due: bool,
    /// The run is over: its totals are its last words.
    pub finished: Option<Box<Totals>>,
    /// Whether windows closed at this event, so that these totals come with them.
    pub closed: bool,
}

/// What a run keeps from one turn to the next, besides its materializer.
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

    /// Takes an event.
    ///
    /// # Errors
    ///
    /// A [`Fault`] if the materializer refuses it. What was merged before is as right as it was: a run that ends with the
    /// fault commits it, and publishes it, first.
    pub fn handle(&mut self, materializer: &mut Materializer, event: Event, now: Duration) -> Result<Step, Fault> {
        self.progress.observe(&event);
        let mut step = Step::default();
        for effect in materializer.handle(event)? {
            match effect {
                Effect::Pause { partition } => step.flow.push((partition, true)),
                Effect::Resume { partition } => step.flow.push((partition, false)),
                Effect::Close { windows, totals } => {
                    self.pending.add(windows, totals, now);
                    step.closed = true;
                }
                Effect::Finished { totals } => step.finished = Some(totals),
            }
        }
        let caught_up = self.pending.has_closes() && self.progress.behind() == 0;
        step.due = step.finished.is_some() || self.pending.is_due(caught_up, materializer.uncommitted(), now);
        Ok(step)
    }

    /// Makes everything so far lasting. Answers with what is to be published, now that it is.
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
    pub fn progress(&self) -> Snapshot {
        self.progress.snapshot()
    }
}
