//! The copier: takes the oldest dead batches from the outbox, sends their letters, and settles them.
//!
//! Everything that goes wrong leads back to the same place: what has not been settled is taken again, and what stands in
//! the topic already is left out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use isotherm_model::codec;
use isotherm_model::combine::Combiner;
use isotherm_model::partial::SourceRange;
use isotherm_model::scan::Scanner;
use isotherm_model::settings::Settings;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::letter::{Envelope, Letter, Origin, pick};
use super::post::{Post, PostError};
use super::{Error, Outcome};
use crate::materializer::event::PartitionId;
use crate::source::fluvio::batches::RawBatch;
use crate::source::fluvio::cluster::Cluster;
use crate::source::fluvio::raw::{RawError, RawReader};
use crate::store::DeadBatch;
use crate::store::sqlite::{LostBatch, LostCause, Outbox};

/// How many batches are taken from the outbox at once.
const BATCHES: u64 = 256;
/// How many letters, or bytes of values, are sent and settled together, unless a single batch holds more.
const LETTERS: usize = 10_000;
const BYTES: usize = 8 << 20;

/// So many offsets are rather read over than jumped over: a jump takes another stream.
const READ_OVER: i64 = 20_000;

/// How long the outbox is left alone if nobody says that there is something in it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why an attempt failed.
enum Failure {
    /// Another one may go better.
    Passes(String),
    /// None will.
    Stays(Error),
}

impl From<PostError> for Failure {
    fn from(error: PostError) -> Self {
        match error {
            PostError::Unsure(reason) => Self::Passes(reason),
            PostError::Refused(reason) => Self::Stays(Error::Refused { reason }),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Stays(error)
    }
}

/// What the letters of some batches come to.
#[derive(Default)]
struct Chunk {
    /// The number of the last of these batches.
    last: u64,
    letters: Vec<Letter>,
    bytes: usize,
    lost: Vec<LostBatch>,
}

/// Where dead batches lie.
struct Batches(BTreeMap<PartitionId, BTreeMap<i64, i64>>);

impl Batches {
    fn of(dead: &[(u64, DeadBatch)]) -> Self {
        let mut batches = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (_, DeadBatch { partition, range, .. }) in dead {
            batches.entry(*partition).or_default().insert(range.first, range.next);
        }
        Self(batches)
    }

    /// Whether a record stands in one of them.
    fn hold(&self, Origin { partition, offset }: Origin) -> bool {
        let before = self.0.get(&partition).and_then(|batches| batches.range(..=offset).next_back());
        before.is_some_and(|(_, next)| offset < *next)
    }
}

/// See the module's text.
pub(super) struct Copier {
    pub(super) outbox: Outbox,
    pub(super) cluster: Cluster,
    /// The topic that is read.
    pub(super) topic: String,
    pub(super) settings: Settings,
    pub(super) combiner: Combiner,
    pub(super) scanner: Scanner,
    pub(super) post: Post,
    pub(super) envelope: Envelope,
    pub(super) readers: BTreeMap<PartitionId, RawReader>,
    /// Letters that were in the topic when that was last looked at; `None` when it is to be looked at before more is sent.
    pub(super) there: Option<HashSet<Origin>>,
    /// Rung after a commit that has something for the outbox.
    pub(super) bell: Arc<Notify>,
    /// The run is over: what is there now is the rest.
    pub(super) drain: CancellationToken,
    pub(super) outcome: Outcome,
}

impl Copier {
    /// Runs until the run is over and the outbox is empty, or until nothing helps any more.
    pub(super) async fn run(mut self) -> Result<Outcome, Error> {
        let (mut pause, mut said) = (FIRST_PAUSE, false);
        loop {
            let last_look = self.drain.is_cancelled();
            match self.step().await {
                Ok(true) => {
                    if said {
                        info!("dead letters are copied again");
                    }
                    (pause, said) = (FIRST_PAUSE, false);
                }
                Ok(false) if last_look => return Ok(self.outcome),
                Ok(false) => {
                    tokio::select! {
                        () = self.bell.notified() => {}
                        () = self.drain.cancelled() => {}
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
                Err(Failure::Stays(error)) => return Err(error),
                Err(Failure::Passes(reason)) => {
                    self.there = None;
                    if said {
                        debug!("dead letters cannot be copied yet: {reason}");
                    } else {
                        warn!("dead letters cannot be copied: {reason}; they wait in the store, and are tried again");
                        said = true;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Copies the oldest batches. False if there are none.
    async fn step(&mut self) -> Result<bool, Failure> {
        let dead = self.outbox.oldest(BATCHES).map_err(Error::Store)?;
        if dead.is_empty() {
            return Ok(false);
        }
        if self.there.is_none() {
            // No more than the letters of these batches can have been sent and not settled.
            let letters = dead.iter().fold(0_u64, |sum, (_, batch)| sum.saturating_add(batch.records));
            let ours = Batches::of(&dead);
            self.there = Some(self.post.there(&self.envelope, letters, |origin| ours.hold(origin)).await?);
        }
        let chunk = self.chunk(&dead).await?;
        let there = self.there.take().unwrap_or_default();
        let (known, new): (Vec<_>, Vec<_>) =
            chunk.letters.into_iter().partition(|letter| there.contains(&letter.origin));
        if !known.is_empty() {
            info!("{} dead letters had been copied before, and are left out", known.len());
        }
        let refused = self.post.send(&self.envelope, &new).await?;
        let mut lost = chunk.lost.clone();
        lost.extend(refused.iter().map(|Origin { partition, offset }| LostBatch {
            partition: *partition,
            cause: LostCause::TooLarge,
            range: SourceRange { first: *offset, next: offset.saturating_add(1) },
            records: 1,
        }));
        self.outbox.settle(chunk.last, &lost).map_err(Error::Store)?;
        // What was looked back for has been dealt with, then.
        let done = dead.last().is_none_or(|(number, _)| chunk.last >= *number);
        self.there = Some(if done { HashSet::new() } else { there });
        self.outcome.copied = self.outcome.copied.saturating_add((new.len() - refused.len()) as u64);
        self.outcome.lost = self.outcome.lost.saturating_add(refused.len() as u64);
        for Origin { partition, offset } in refused {
            warn!(
                "the dead letter of partition {partition}, offset {offset}, is lost: it is larger than the broker of the \
                 topic of dead letters takes"
            );
        }
        for LostBatch { partition, range: SourceRange { first, next }, records, .. } in chunk.lost {
            self.outcome.lost = self.outcome.lost.saturating_add(records);
            warn!(
                "{records} dead letters of partition {partition}, offsets {first} to {next}, are lost: the log's retention \
                 had cut them before they were copied"
            );
        }
        Ok(true)
    }

    /// The letters of the first of these batches, as many as are sent together.
    async fn chunk(&mut self, dead: &[(u64, DeadBatch)]) -> Result<Chunk, Failure> {
        let mut chunk = Chunk::default();
        for (number, batch) in dead {
            match self.fetch(batch).await {
                Ok(raw) => {
                    let letters = pick(&raw, batch, &mut self.scanner, self.settings.window);
                    if !self.is_known(&raw, batch, letters.len()) {
                        return Err(self.another_log(batch).into());
                    }
                    chunk.bytes =
                        letters.iter().fold(chunk.bytes, |sum, letter| sum.saturating_add(letter.value.len()));
                    chunk.letters.extend(letters);
                }
                Err(RawError::Evicted { start, .. }) if start > batch.range.first => {
                    let (partition, range, records) = (batch.partition, batch.range, batch.records);
                    chunk.lost.push(LostBatch { partition, cause: LostCause::Cut, range, records });
                }
                Err(error) => {
                    self.readers.remove(&batch.partition);
                    // Cut is what was to be read over, then: the next attempt begins with the batch itself.
                    let passes =
                        matches!(error, RawError::Unavailable { .. } | RawError::Cluster(_) | RawError::Evicted { .. });
                    // What has been fetched so far is sent first.
                    if !(chunk.letters.is_empty() && chunk.lost.is_empty()) {
                        debug!("{error}");
                        return Ok(chunk);
                    }
                    let failure =
                        if passes { Failure::Passes(error.to_string()) } else { Failure::Stays(error.into()) };
                    return Err(failure);
                }
            }
            chunk.last = *number;
            if chunk.letters.len() >= LETTERS || chunk.bytes >= BYTES {
                break;
            }
        }
        Ok(chunk)
    }

    /// Whether it is the batch that was counted.
    fn is_known(&mut self, raw: &RawBatch, batch: &DeadBatch, letters: usize) -> bool {
        let same = |digest| codec::digest(&raw.encoded(&mut self.combiner)) == digest;
        letters as u64 == batch.records && batch.digest.is_none_or(same)
    }

    /// A batch of the topic that is read.
    async fn fetch(&mut self, batch: &DeadBatch) -> Result<RawBatch, RawError> {
        let (partition, SourceRange { first, next }) = (batch.partition, batch.range);
        let mut reader = match self.readers.remove(&partition) {
            Some(reader) => reader,
            None => RawReader::open(&self.cluster, &self.topic, partition, first).await?,
        };
        let ahead = first.saturating_sub(reader.position());
        let from = if (0..=READ_OVER).contains(&ahead) { reader.position() } else { first };
        reader.seek(from, next);
        let mut found = None;
        while let Some(batch) = reader.next().await? {
            if batch.base_offset == first {
                found = Some(batch);
            }
        }
        self.readers.insert(partition, reader);
        let topic = self.topic.clone();
        found.ok_or(RawError::Misfit { topic, partition, expected: first, found: next })
    }

    fn another_log(&self, DeadBatch { partition, range, .. }: &DeadBatch) -> Error {
        Error::OtherLog { topic: self.topic.clone(), partition: *partition, offset: range.first }
    }
}
