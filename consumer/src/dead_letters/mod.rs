//! Dead letters: each late reading and each rejected record is copied to a topic of its own, its value untouched.
//!
//! Which ones these are is committed first, with the windows and totals that lack them: the store is the outbox. The
//! copier then fetches each batch from the log again, picks them natively, sends them, waits for the acknowledgement, and
//! settles the batch in the outbox. It runs beside the consumer, on a connection to the store of its own.
//! `docs/dead-letters.md` says what is promised.

mod broker;
pub mod chunk;
pub mod copier;
pub mod letter;
mod log;
#[cfg(test)]
mod model;
pub mod post;
pub mod seam;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;
use isotherm_store::{Outbox, StoreReader};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::broker::Broker;
use self::chunk::Bounds;
use self::copier::Copier;
use self::letter::Envelope;
use self::log::SourceLog;
use self::post::Post;
use crate::render::hints;
use crate::source::SourceError;
use crate::source::fluvio::cluster::Cluster;
use crate::source::fluvio::raw::RawError;

/// What a run with dead letters wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The topic that they are copied to.
    pub letters: String,
    /// The topic that is read.
    pub topic: String,
    /// What readings are.
    pub settings: Settings,
    /// How long the end of a run waits for letters that have not been copied.
    pub drain: Duration,
}

/// Why letters cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster, or the topic of dead letters, is not there.
    #[error("dead letters: {0}")]
    Source(#[from] SourceError),
    /// It is the topic that is read.
    #[error(
        "dead letters cannot go to `{topic}`: it is the topic that is read, and they would be read, and die, again"
    )]
    Itself {
        /// The topic.
        topic: String,
    },
    /// The outbox.
    #[error("dead letters: {0}")]
    Store(#[source] isotherm_store::Error),
    /// The batches that they are in.
    #[error(
        "dead letters: {0}; if it stays so, no letter behind it can be copied: start without --dead-letters, which leaves \
         them in the store, or begin anew with --reset"
    )]
    Log(#[from] RawError),
    /// The broker does not take them.
    #[error("dead letters: {reason}; mend the topic, and start the consumer again: what is left in the store goes on")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The log is not the one that was read.
    #[error(
        "dead letters: partition {partition} of `{topic}`: at offset {offset} stands another batch than the one that was \
         counted: the topic was deleted and made again, restored, or is another cluster's; nothing of it is copied. Start without \
         --dead-letters, which leaves what is not copied in the store, or begin anew with --reset"
    )]
    OtherLog {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where the batch stands.
        offset: i64,
    },
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Letters that were sent.
    pub copied: u64,
    /// Letters that the log no longer held, or that were too large.
    pub lost: u64,
}

/// How a copier ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is copied, or what is left can be copied by the next run.
    Sound,
    /// Something is wrong that waiting does not mend.
    Failed,
    /// It was stopped while a run that had ended by itself waited for it.
    Interrupted,
}

/// How a run ended whose letters were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It had read what it was to read, or nobody reads its results.
    Itself,
    /// It was asked to stop.
    Stopped,
    /// With an error.
    Failed,
}

/// A copier that runs.
pub struct DeadLetters {
    bell: Arc<Notify>,
    drain: CancellationToken,
    patience: Duration,
    task: JoinHandle<Result<Outcome, Error>>,
    store: std::path::PathBuf,
    letters: String,
}

impl DeadLetters {
    /// Starts a copier.
    ///
    /// # Errors
    /// The cluster does not answer, or the topic of dead letters is none to send them to.
    pub async fn start(
        cluster: Cluster,
        config: Config,
        outbox: Outbox,
        store: &std::path::Path,
    ) -> Result<Self, Error> {
        let Config { letters, topic, settings, drain: patience } = config;
        if letters == topic {
            return Err(Error::Itself { topic });
        }
        let broker = Broker::open(&cluster, &letters).await?;
        let (bell, drain) = (Arc::new(Notify::new()), CancellationToken::new());
        let envelope = Envelope::new(&topic, &outbox.identity().run.to_string());
        let log = SourceLog::new(cluster, topic.clone());
        let copier = Copier::new(outbox, log, Post::new(broker, envelope), topic, &settings, Bounds::default());
        let running = copier.run(bell.clone(), drain.clone());
        let task = tokio::spawn(async move {
            let outcome = running.await;
            if let Err(error) = &outcome {
                error!("{}", hints::described(error));
            }
            outcome
        });
        Ok(Self { bell, drain, patience, task, store: store.to_owned(), letters })
    }

    /// A store whose commits tell the copier.
    pub fn tell<'a>(&self, store: &'a mut dyn Store) -> impl Store + use<'a> {
        Telling { store, bell: self.bell.clone() }
    }

    /// The run is over: waits until all letters are copied, within a bound, or not at all for a run that failed, and says
    /// what is left. If it has ended by itself, `shutdown` ends the waiting, also when it came while the last words were said.
    pub async fn finish(self, end: End, shutdown: &CancellationToken) -> Ended {
        self.drain.cancel();
        let Self { mut task, letters, patience, store, .. } = self;
        let (failed, was_stopped) = (end == End::Failed, end == End::Stopped);
        let left = || StoreReader::open(&store).and_then(|mut store| Ok(store.snapshot()?.overview().dead));
        if !failed
            && !task.is_finished()
            && let Ok(left @ 1..) = left()
        {
            let (seconds, again) = (patience.as_secs_f64(), if was_stopped { "once more " } else { "" });
            info!("waiting up to {seconds} s for the dead letters of {left} batches; Ctrl-C {again}to stop at once");
        }
        let waited = tokio::select! {
            waited = timeout(if failed { Duration::ZERO } else { patience }, &mut task) => Some(waited),
            () = shutdown.cancelled(), if !was_stopped => None,
        };
        let ended = match waited {
            Some(Ok(Ok(Ok(Outcome { copied, lost })))) => {
                if copied > 0 || lost > 0 {
                    info!("{copied} dead letters were copied to `{letters}`, {lost} are lost");
                }
                return Ended::Sound;
            }
            // It has said what is wrong.
            Some(Ok(Ok(Err(_)))) => Ended::Failed,
            Some(Ok(Err(panic))) => {
                error!("the copier of dead letters ended before its time: {panic}");
                Ended::Failed
            }
            Some(Err(_)) => {
                task.abort();
                if !failed {
                    warn!("dead letters are not all copied after {} s", patience.as_secs_f64());
                }
                Ended::Sound
            }
            None => {
                task.abort();
                Ended::Interrupted
            }
        };
        match left() {
            Ok(0) => {}
            Ok(left) => warn!(
                "the dead letters of {left} batches are left in the store; the next run with --dead-letters {letters} copies them"
            ),
            Err(fault) => warn!("how many dead letters are left in the store is not known: {fault}"),
        }
        ended
    }
}

/// A store that rings a bell after commits with something for the outbox.
struct Telling<'a> {
    store: &'a mut dyn Store,
    bell: Arc<Notify>,
}

impl Store for Telling<'_> {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.store.commit(commit)?;
        if !commit.dead.is_empty() {
            self.bell.notify_one();
        }
        Ok(())
    }
}
