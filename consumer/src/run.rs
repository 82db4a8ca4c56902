//! A run: what a source tells goes to the materializer, and what that decides is done, in order.
//!
//! [`drive`] is the whole of it, over the seams of source, store and sink; [`run`] puts the real ones in. What is done, and
//! when, is decided in [`turn`].

mod speaker;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use isotherm_engine::commit::{Saved, Store, StoreError};
use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_engine::materializer::{Materializer, Options};
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::Totals;
use isotherm_engine::state::From;
use isotherm_engine::step::{Turn, Turns};
use isotherm_model::partial::ModuleVersion;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::speaker::Speaker;
pub use self::speaker::Unsaid;
use crate::sink::Sink;
use crate::log;
use crate::sources::{ReadPlan, Source, SourceError, module, native};
use crate::topology::{Combine, Topology};

/// How often the materializer is told the time, and displays are brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// How far the materializer's time goes on in one tick at most. A process that was stopped, or that waited for whoever
/// reads its results, first reads what came meanwhile; it must not find the partitions quiet before it has.
const MOST_PER_TICK: Duration = Duration::from_secs(1);

/// How often catching up is logged where no display shows it.
const LOG_PERIOD: Duration = Duration::from_secs(5);

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is read, and how.
    pub topology: Topology,
    /// The controller's address; `None` for the current Fluvio profile's, else the default one.
    pub cluster: Option<String>,
    /// Where to begin; `None` for where the store says, in an unused one the beginning.
    pub from: Option<From>,
    /// Whether the run ends at the end that the partitions have at its start.
    pub until_end: bool,
    /// Whether windows that are open at that end stay open, for a run that goes on with the store.
    pub leave_open: bool,
    /// Whether to go on where the log no longer holds what is to be read.
    pub accept_gap: bool,
    /// Whether commits are to name the batches that hold late or rejected records.
    pub dead_letters: bool,
    /// After how many records the run ends by itself, all windows closed. Batches are read whole: a few records more
    /// may be counted.
    pub stop_after: Option<u64>,
    /// Whether catching up is to be logged.
    pub log_progress: bool,
    /// For how long, after a stop, results are still said to a sink that takes nothing.
    pub stop_timeout: Duration,
}

impl Config {
    /// [`Config::stop_timeout`] unless something else is asked for.
    pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It read up to the end that it was to read to.
    Complete(Totals),
    /// It was asked to stop.
    Interrupted(Totals),
    /// Nobody reads its results any longer.
    Unread,
    /// It was asked to stop, and its sink did not take all results in time; they are stored.
    Unsaid(Unsaid),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What came would make a number wrong.
    #[error("stopped, lest a number be wrong: {0}")]
    Fault(#[from] Fault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has been used, and the run is told to begin somewhere else.
    #[error(
        "--from cannot be used with a store that has been used: a run goes on where it stopped; begin anew with --reset, or \
         with another --store PATH"
    )]
    Used,
    /// The sink.
    #[error("the results cannot be written: {0}")]
    Sink(#[source] io::Error),
}

/// What the materializer must know of a run of this topology, with partials of this version of the code.
pub fn options(topology: &Topology, until_end: bool) -> Options {
    Options {
        window: topology.settings.window,
        grace: topology.grace,
        idle: topology.idle,
        until_end,
        leave_open: false,
        accept_gap: false,
        dead_letters: false,
        version: ModuleVersion::CURRENT,
        fingerprint: topology.settings.fingerprint(),
    }
}

/// Reads a topic of a Fluvio cluster until `shutdown` is cancelled, or as `config` says.
///
/// # Errors
/// Whatever ends a run before its time; each error says what to do next.
pub async fn run(
    config: Config,
    store: &mut dyn Store,
    sink: &mut dyn Sink,
    shutdown: CancellationToken,
) -> Result<Outcome, Error> {
    let log = log::open(config.cluster.as_deref(), &config.topology.topic).map_err(SourceError::from)?;
    info!("reading `{}` of the cluster at {}", config.topology.topic, log.identity().address);
    let saved = match store.load()? {
        Some(_) if config.from.is_some() => return Err(Error::Used),
        Some(saved) => saved,
        None => Saved::beginning(config.from.unwrap_or_default()),
    };
    let plan = ReadPlan {
        began: saved.topic.began,
        fixed_partitions: config.until_end,
        resume: saved.partitions.clone(),
        accept_gap: config.accept_gap,
    };
    let options = Options {
        leave_open: config.leave_open,
        accept_gap: config.accept_gap,
        dead_letters: config.dead_letters,
        ..options(&config.topology, config.until_end)
    };
    let mut materializer = Materializer::resume(options, saved);
    if materializer.ledger().read() > 0 {
        let (read, partitions) = (materializer.ledger().read(), materializer.merged().len());
        info!("going on: {read} records of {partitions} partitions were read before");
    }
    let habits =
        Habits { stop_after: config.stop_after, log_progress: config.log_progress, stop_timeout: config.stop_timeout };
    let open = async {
        match config.topology.combine {
            Combine::Broker => module::open(config.cluster.as_deref(), &config.topology, plan).await,
            Combine::Consumer => native::open(log, &config.topology, plan).await,
        }
    };
    let mut source = tokio::select! {
        biased;
        () = shutdown.cancelled() => {
            let totals = materializer.totals();
            let mut speaker = Speaker::new(sink, habits.stop_timeout, shutdown);
            speaker.finish(&totals, false).await?;
            return Ok(speaker.unsaid().map_or(Outcome::Interrupted(totals), Outcome::Unsaid));
        }
        source = open => source?,
    };
    drive(&mut *source, &mut materializer, store, sink, habits, shutdown).await
}

/// What [`drive`] does of its own accord.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// See [`Config::stop_after`].
    pub stop_after: Option<u64>,
    /// See [`Config::log_progress`].
    pub log_progress: bool,
    /// See [`Config::stop_timeout`].
    pub stop_timeout: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self { stop_after: None, log_progress: false, stop_timeout: Config::STOP_TIMEOUT }
    }
}

/// Runs until the materializer says that it is finished, a seam fails, or `shutdown` is cancelled.
///
/// # Errors
/// The first error of the source, the materializer, the store or the sink.
pub async fn drive(
    source: &mut dyn Source,
    materializer: &mut Materializer,
    store: &mut dyn Store,
    sink: &mut dyn Sink,
    habits: Habits,
    shutdown: CancellationToken,
) -> Result<Outcome, Error> {
    let began = Instant::now();
    let mut last = began;
    let mut now = Duration::ZERO;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut log = Log { next: LOG_PERIOD, wanted: habits.log_progress, done: false };
    let mut turns = Turns::new(began.elapsed());
    let mut speaker = Speaker::new(sink, habits.stop_timeout, shutdown.clone());
    let read_before = materializer.ledger().read();
    loop {
        let read = materializer.ledger().read() - read_before;
        let enough = habits.stop_after.is_some_and(|records| read >= records) && !materializer.is_refilling();
        let event = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(Event::Stop),
            () = std::future::ready(()), if enough => Ok(Event::Finish),
            _ = ticks.tick() => {
                now += last.elapsed().min(MOST_PER_TICK);
                last = Instant::now();
                Ok(Event::Tick { now })
            }
            event = source.next() => event.map_err(Error::from),
        };
        let (stopped, ticked) = (matches!(event, Ok(Event::Stop)), matches!(event, Ok(Event::Tick { .. })));
        let turn = event.and_then(|event| Ok(turns.handle(materializer, event, began.elapsed())?));
        let Turn { flow, due, finished, closed } = match turn {
            Ok(turn) => turn,
            Err(error) => {
                // What has been merged so far is as right as it was.
                let closed = turns.commit(materializer, store, began.elapsed())?;
                speaker.publish(closed).await?;
                if let Some(unsaid) = speaker.unsaid() {
                    error!("{unsaid}");
                }
                return Err(error);
            }
        };
        for (partition, waits) in flow {
            if waits { source.pause(partition) } else { source.resume(partition) }
        }
        if due {
            let closed = turns.commit(materializer, store, began.elapsed())?;
            if !speaker.publish(closed).await? {
                return Ok(Outcome::Unread);
            }
        }
        if let Some(totals) = finished {
            if !speaker.finish(&totals, closed).await? {
                return Ok(Outcome::Unread);
            }
            if let Some(unsaid) = speaker.unsaid() {
                return Ok(Outcome::Unsaid(unsaid));
            }
            return Ok(if stopped { Outcome::Interrupted(*totals) } else { Outcome::Complete(*totals) });
        }
        if ticked {
            let snapshot = turns.progress();
            log.tell(&snapshot);
            if !speaker.progress(&snapshot).await? {
                return Ok(Outcome::Unread);
            }
        }
    }
}

/// Says in the log how catching up goes.
struct Log {
    next: Duration,
    wanted: bool,
    done: bool,
}

impl Log {
    fn tell(&mut self, snapshot: &Snapshot) {
        if self.done {
            return;
        }
        if snapshot.caught_up {
            self.done = true;
            if snapshot.of > 0 {
                info!("caught up: {} records in {:.1} s", snapshot.of, snapshot.now.as_secs_f64());
            }
        } else if self.wanted && snapshot.now >= self.next {
            self.next = snapshot.now + LOG_PERIOD;
            info!("{}", crate::sink::table::render::catching_up(snapshot));
        }
    }
}
