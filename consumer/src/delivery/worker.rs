//! The worker takes the oldest dead batches from the outbox, sends their letters, and marks them done.
//!
//! Everything that goes wrong leads back to the same place: what has not been marked done is taken again, and what is in
//! the topic already is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::scan::Scanner;
use isotherm_model::settings::Settings;
use isotherm_model::window::WindowSize;
use isotherm_store::{LostBatch, LostCause};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::chunk::{Bounds, Chunk, Unsettled};
use super::letter::{Letter, Origin, pick};
use super::seam::{BatchFetcher, Pending};
use super::writer::TopicWriter;
use super::{Error, Outcome};
use crate::log::target::TargetError;
use crate::log::{Backoff, BatchCombiner, LogError};
use crate::reminder::Reminder;

/// How long the outbox is left alone if nobody says that there is something in it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Pauses between attempts.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Why an attempt failed.
#[derive(Debug)]
pub enum Failure {
    /// Another one may go better.
    Passes(String),
    /// None will.
    Stays(Error),
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Unsure(reason) => Self::Passes(reason),
            TargetError::Refused(reason) => Self::Stays(Error::Refused { reason }),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Stays(error)
    }
}

impl From<isotherm_store::Error> for Failure {
    fn from(fault: isotherm_store::Error) -> Self {
        match fault {
            // Nothing of it was done.
            fault @ isotherm_store::Error::Busy { .. } => Self::Passes(fault.to_string()),
            fault => Self::Stays(Error::Store(fault)),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            // Cut is what was to be read over, then: the next attempt begins with the batch itself.
            error @ (LogError::Retry { .. } | LogError::NoAnswer { .. } | LogError::Evicted { .. }) => {
                Self::Passes(error.to_string())
            }
            error => Self::Stays(error.into()),
        }
    }
}

pub struct DeadLetterWorker<L, O> {
    outbox: O,
    log: L,
    writer: TopicWriter,
    topic: String,
    bounds: Bounds,
    window: WindowSize,
    scanner: Scanner,
    combiner: BatchCombiner,
    buffer: Vec<u8>,
    /// Where partitions begin now, as far as retention was found to have deleted something of them.
    starts: BTreeMap<PartitionId, i64>,
    /// What may have been sent before; `None` when the topic must be read back before more is sent.
    unsettled: Option<Unsettled>,
    outcome: Outcome,
}

impl<L: BatchFetcher, O: Pending> DeadLetterWorker<L, O> {
    /// A worker of the topic that is read, between these three.
    pub fn new(outbox: O, log: L, writer: TopicWriter, topic: String, settings: &Settings, bounds: Bounds) -> Self {
        Self {
            outbox,
            log,
            writer,
            topic,
            bounds,
            window: settings.window,
            scanner: Scanner::new(settings),
            combiner: BatchCombiner::new(settings),
            buffer: Vec::new(),
            starts: BTreeMap::new(),
            unsettled: None,
            outcome: Outcome::default(),
        }
    }

    /// Runs until the run is over (`drain`) and the outbox is empty, or until nothing helps any more. The wakeup is rung after
    /// a commit that has something for the outbox.
    pub(super) async fn run(mut self, wakeup: Arc<Notify>, drain: CancellationToken) -> Result<Outcome, Error> {
        let (mut failures, mut reminder) = (0, Reminder::default());
        loop {
            let last_look = drain.is_cancelled();
            match self.step().await {
                Ok(true) => {
                    if reminder.clear() {
                        info!("dead letters are copied again");
                    }
                    failures = 0;
                }
                Ok(false) if last_look => return Ok(self.outcome),
                Ok(false) => {
                    tokio::select! {
                        () = wakeup.notified() => {}
                        () = drain.cancelled() => {}
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
                Err(Failure::Stays(error)) => return Err(error),
                Err(Failure::Passes(reason)) => {
                    if reminder.is_due() {
                        warn!("dead letters cannot be copied: {reason}; they wait in the store, and are tried again");
                    } else {
                        debug!("dead letters cannot be copied yet: {reason}");
                    }
                    sleep(BACKOFF.pause(failures, 0.0)).await;
                    failures += 1;
                }
            }
        }
    }

    /// What it has copied so far.
    #[cfg(test)]
    pub(super) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Copies the oldest batches. False if there are none.
    pub async fn step(&mut self) -> Result<bool, Failure> {
        let dead = self.outbox.oldest(self.bounds.batches)?;
        if dead.is_empty() {
            return Ok(false);
        }
        // After an attempt to send, only a success puts it back: after anything else what has arrived is not known.
        let mut unsettled = match self.unsettled.take() {
            Some(unsettled) => unsettled,
            None => {
                let mut unsettled = Unsettled::of(&dead, &self.bounds);
                self.writer.there(unsettled.records, |known| unsettled.note(known)).await?;
                unsettled
            }
        };
        let mut chunk = match self.chunk(&dead, &unsettled).await {
            Ok(chunk) => chunk,
            Err(failure) => {
                // Nothing has been sent since.
                self.unsettled = Some(unsettled);
                return Err(failure);
            }
        };
        let Some(last) = chunk.last else {
            return Ok(false);
        };
        let letters = std::mem::take(&mut chunk.letters);
        let (known, new): (Vec<Letter>, Vec<Letter>) =
            letters.into_iter().partition(|letter| unsettled.holds(letter.origin));
        let known = chunk.known.saturating_add(known.len() as u64);
        if known > 0 {
            info!("{known} dead letters had been copied before, and are left out");
        }
        let refused = self.writer.send(&new).await?;
        let mut lost = chunk.lost.clone();
        lost.extend(too_large(&dead, last, &refused));
        self.outbox.mark_done(last, &lost)?;
        unsettled.settled(&dead, last);
        self.unsettled = Some(unsettled);
        self.outcome.copied = self.outcome.copied.saturating_add((new.len() - refused.len()) as u64);
        self.outcome.lost = lost.iter().fold(self.outcome.lost, |sum, lost| sum.saturating_add(lost.records));
        for Origin { partition, offset } in refused {
            warn!(
                "the dead letter of partition {partition}, offset {offset}, is lost: it is larger than the broker of the \
                 topic of dead letters takes"
            );
        }
        for LostBatch { partition, range: SourceRange { first, next }, records, .. } in chunk.losses() {
            warn!(
                "{records} dead letters of partition {partition}, between offsets {first} and {next}, are lost: the log's \
                 retention had cut them before they were copied"
            );
        }
        Ok(true)
    }

    /// The first of these batches, as many as are sent together. Those that have been cut go by themselves while they come
    /// first: there is nothing to send, and no bound.
    async fn chunk(&mut self, dead: &[(u64, DeadBatch)], unsettled: &Unsettled) -> Result<Chunk, Failure> {
        let mut chunk = Chunk::default();
        let mut all_lost = true;
        for (number, batch) in dead {
            let is_known = self.is_cut(batch);
            if !is_known && all_lost && chunk.last.is_some() {
                break;
            }
            let letters = match is_known {
                true => None,
                false => match self.letters(batch).await {
                    Ok(letters) => letters,
                    Err(failure) if chunk.last.is_none() => return Err(failure),
                    // What has been fetched so far is sent first.
                    Err(failure) => {
                        debug!("{failure:?}");
                        break;
                    }
                },
            };
            match letters {
                Some(letters) => {
                    chunk.add(*number, batch, letters);
                    all_lost = false;
                }
                None => chunk.lose(*number, batch, unsettled.copied(batch, self.window)),
            }
            if !all_lost && chunk.is_full(&self.bounds) {
                break;
            }
        }
        Ok(chunk)
    }

    /// Whether the log is known to begin behind it.
    fn is_cut(&self, batch: &DeadBatch) -> bool {
        self.starts.get(&batch.partition).is_some_and(|start| *start > batch.range.first)
    }

    /// The letters of a batch; `None` if it has been cut.
    async fn letters(&mut self, batch: &DeadBatch) -> Result<Option<Vec<Letter>>, Failure> {
        let found = match self.log.fetch(batch).await {
            Ok(found) => found,
            Err(LogError::Evicted { start, .. }) if start > batch.range.first => {
                self.starts.insert(batch.partition, start);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if found.first != batch.range.first {
            return Err(self.other_log(batch).into());
        }
        let damaged = |what| {
            let (topic, partition, offset) = (self.topic.clone(), batch.partition, found.first);
            Failure::from(LogError::Unreadable { topic, partition, offset, what })
        };
        let letters = pick(&found, batch, &mut self.scanner, self.window, &mut self.buffer).map_err(damaged)?;
        // It is the batch that was counted if it has the same digest, and as many dead records.
        let same = match batch.digest {
            None => true,
            Some(digest) => self.combiner.digest(&found).map_err(damaged)? == digest,
        };
        if !same || letters.len() as u64 != batch.records {
            return Err(self.other_log(batch).into());
        }
        Ok(Some(letters))
    }

    fn other_log(&self, batch: &DeadBatch) -> Error {
        Error::OtherLog { topic: self.topic.clone(), partition: batch.partition, offset: batch.range.first }
    }
}

/// Of each of these batches up to number `last`, how many of its letters are too large.
fn too_large(dead: &[(u64, DeadBatch)], last: u64, refused: &[Origin]) -> Vec<LostBatch> {
    let refused: BTreeSet<Origin> = refused.iter().copied().collect();
    let of = |(_, batch): &(u64, DeadBatch)| {
        let (partition, SourceRange { first, next }) = (batch.partition, batch.range);
        let at = |offset| Origin { partition, offset };
        let records = if first < next { refused.range(at(first)..at(next)).count() as u64 } else { 0 };
        (records > 0).then_some(LostBatch { partition, cause: LostCause::TooLarge, range: batch.range, records })
    };
    dead.iter().take_while(|(number, _)| *number <= last).filter_map(of).collect()
}
