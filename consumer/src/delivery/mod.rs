//! Dead letters: each late reading and each rejected record is copied to a topic of its own, its value untouched.
//!
//! Which ones these are is committed first, with the windows and totals that lack them: the store is the outbox. The
//! worker then fetches each batch from the log again, picks them natively, sends them, waits for the acknowledgement, and
//! settles the batch in the outbox. It runs beside the consumer, on a connection to the store of its own.
//! `docs/dead-letters.md` says what is promised.

pub mod chunk;
pub mod letter;
mod log;
pub mod seam;
#[cfg(test)]
mod tests;
pub mod worker;
pub mod writer;

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

use self::chunk::Bounds;
use self::letter::Envelope;
use self::log::SourceLog;
use self::worker::DeadLetterWorker;
use self::writer::TopicWriter;
use crate::log::{Log, LogError};
use crate::render::hints;

/// What a run with dead letters wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The topic that they are copied to.
    pub letters: String,
    pub settings: Settings,
    /// How long the end of a run waits for letters that have not been copied.
    pub drain: Duration,
}

/// Why letters cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster, or the topic of dead letters, is not there.
    #[error("dead letters: {0}")]
    Target(#[source] LogError),
    #[error(
        "dead letters cannot go to `{topic}`: it is the topic that is read, and they would be read, and die, again"
    )]
    Itself { topic: String },
    /// The outbox.
    #[error("dead letters: {0}")]
    Store(#[source] isotherm_store::Error),
    /// The batches that they are in.
    #[error(
        "dead letters: {0}; if it stays so, no letter behind it can be copied: start without --dead-letters, which leaves \
         them in the store, or start over with --reset"
    )]
    Log(#[from] LogError),
    #[error("dead letters: {reason}; mend the topic, and start the consumer again: what is left in the store goes on")]
    Refused { reason: String },
    #[error(
        "dead letters: partition {partition} of `{topic}`: at offset {offset} stands another batch than the one that was \
         counted: the topic was deleted and made again, restored, or is another cluster's; nothing of it is copied. Start without \
         --dead-letters, which leaves what is not copied in the store, or start over with --reset"
    )]
    OtherLog { topic: String, partition: PartitionId, offset: i64 },
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Letters that were sent.
    pub copied: u64,
    /// Letters that the log no longer held, or that were too large.
    pub lost: u64,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is copied, or what is left can be copied by the next run.
    Sound,
    /// Something is wrong that waiting does not change.
    Failed,
    /// It was stopped while a run that had ended by itself waited for it.
    Interrupted,
}

/// How a run ended whose letters were copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It had read up to its end, or the reader of its results has gone.
    Itself,
    Stopped,
    Failed,
}

/// A worker that runs.
pub struct DeadLetters {
    wakeup: Arc<Notify>,
    drain: CancellationToken,
    deadline: Duration,
    task: JoinHandle<Result<Outcome, Error>>,
    store: std::path::PathBuf,
    letters: String,
}

impl DeadLetters {
    /// Starts a worker that copies from `log` to the topic at `address`.
    pub async fn start(
        log: Arc<dyn Log>,
        address: Option<&str>,
        config: Config,
        outbox: Outbox,
        store: &std::path::Path,
    ) -> Result<Self, Error> {
        let Config { letters, settings, drain: deadline } = config;
        let topic = log.identity().topic.clone();
        if letters == topic {
            return Err(Error::Itself { topic });
        }
        let target = crate::log::open_target(address, &letters).await.map_err(Error::Target)?;
        let (wakeup, drain) = (Arc::new(Notify::new()), CancellationToken::new());
        let envelope = Envelope::new(&topic, &outbox.identity().run.to_string());
        let (log, writer) = (SourceLog::new(log), TopicWriter::new(target, envelope));
        let worker = DeadLetterWorker::new(outbox, log, writer, topic, &settings, Bounds::default());
        let running = worker.run(wakeup.clone(), drain.clone());
        let task = tokio::spawn(async move {
            let outcome = running.await;
            if let Err(error) = &outcome {
                error!("{}", hints::described(error));
            }
            outcome
        });
        Ok(Self { wakeup, drain, deadline, task, store: store.to_owned(), letters })
    }

    /// A store whose commits wake the worker.
    pub fn notify<'a>(&self, store: &'a mut dyn Store) -> impl Store + use<'a> {
        NotifyingStore { store, wakeup: self.wakeup.clone() }
    }

    /// The run is over: waits until all letters are copied, within a bound, or not at all for a run that failed, and says
    /// what is left. If it has ended by itself, `shutdown` ends the waiting, also when it came while the last words were said.
    pub async fn finish(self, end: End, shutdown: &CancellationToken) -> Ended {
        self.drain.cancel();
        let Self { mut task, letters, deadline, store, .. } = self;
        let (failed, was_stopped) = (end == End::Failed, end == End::Stopped);
        let left = || StoreReader::open(&store).and_then(|mut store| Ok(store.snapshot()?.overview().dead));
        if !failed
            && !task.is_finished()
            && let Ok(left @ 1..) = left()
        {
            let (seconds, again) = (deadline.as_secs_f64(), if was_stopped { "once more " } else { "" });
            info!("waiting up to {seconds} s for the dead letters of {left} batches; Ctrl-C {again}to stop at once");
        }
        let waited = tokio::select! {
            waited = timeout(if failed { Duration::ZERO } else { deadline }, &mut task) => Some(waited),
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
                error!("the worker of dead letters ended before its time: {panic}");
                Ended::Failed
            }
            Some(Err(_)) => {
                task.abort();
                if !failed {
                    warn!("dead letters are not all copied after {} s", deadline.as_secs_f64());
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

/// A store that wakes the worker after commits with something for the outbox.
struct NotifyingStore<'a> {
    store: &'a mut dyn Store,
    wakeup: Arc<Notify>,
}

impl Store for NotifyingStore<'_> {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.store.commit(commit)?;
        if !commit.dead.is_empty() {
            self.wakeup.notify_one();
        }
        Ok(())
    }
}
