//! A run: what a source tells goes to the materializer, and what that decides is done, in order.
//!
//! [`drive`] is the whole of it, over the seams of source, store and sink; [`run`] puts the real ones in. What is done, and
//! when, is decided in [`turn`].

mod publisher;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::commit::{ResumeState, Store, StoreError};
use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;
use isotherm_engine::materializer::{Materializer, Options};
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::Totals;
use isotherm_engine::scratch::MemoryLimit;
use isotherm_engine::state::StartOffset;
use isotherm_engine::step::{Step, Stepper};
use isotherm_engine::view::View;
use isotherm_model::partial::ModuleVersion;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use self::publisher::Publisher;

pub use self::publisher::Undelivered;
use crate::log::{self, FILES, Log};
use crate::scratch::ScratchFile;
use crate::sinks::table::render::{Unit, catching_up};
use crate::sinks::{Sink, SinkError};
use crate::sources::{ReadPlan, Source, SourceError, module, native};
use crate::topology::{Combine, Topology};

/// How often the materializer is told the time, and displays are brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// How far the materializer's time goes on in one tick at most. A process that was stopped, or that waited for the
/// reader of its results, first reads what came meanwhile; it must not find the partitions quiet before it has.
const MOST_PER_TICK: Duration = Duration::from_secs(1);

/// How often catching up is logged where no display shows it.
const LOG_PERIOD: Duration = Duration::from_secs(5);

/// Hands views of a run to others, such as a server, which never hold it up. A run makes a view at its next tick (they come every
/// 100 ms) if somebody waits for one, and none otherwise.
#[derive(Debug, Clone, Default)]
pub struct Views(watch::Sender<Option<Arc<View>>>);

impl Views {
    /// Waits for a view that is made from now on. While the run connects, or waits for its sink, it makes none.
    pub async fn next(&self) -> Option<Arc<View>> {
        let mut made = self.0.subscribe();
        made.changed().await.ok()?;
        made.borrow().clone()
    }

    fn update(&self, view: impl FnOnce() -> View) {
        if self.0.receiver_count() > 0 {
            self.0.send_replace(Some(Arc::new(view())));
        }
    }
}

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is read, and how.
    pub topology: Topology,
    /// The controller's address; `None` for the current Fluvio profile's, else the default one.
    pub cluster: Option<String>,
    /// Where to begin; `None` for where the store says, in an unused one the beginning.
    pub from: Option<StartOffset>,
    /// Whether the run ends at the end that the partitions have at its start.
    pub until_end: bool,
    /// Whether windows that are open at that end stay open, for a run that goes on with the store.
    pub leave_open: bool,
    /// Whether the run goes on where retention has deleted records that it needs.
    pub accept_data_loss: bool,
    /// Whether commits are to name the batches that hold late or rejected records.
    pub dead_letters: bool,
    /// How many bytes open windows may take in memory.
    pub memory_limit: usize,
    /// The folder of the scratch file, which takes what is beyond.
    pub scratch: PathBuf,
    pub options: RunOptions,
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
    Undelivered(Undelivered),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What came would make a number wrong.
    #[error("stopped, lest a number be wrong: {0}")]
    Fault(#[from] Fault),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error(
        "--from cannot be used with a store that has been used: a run goes on where it stopped; start over with --reset, or \
         with another --store PATH"
    )]
    Used,
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// What the materializer must know of a run of this topology, with partials of this version of the code.
pub fn options(topology: &Topology, until_end: bool) -> Options {
    Options {
        window: topology.settings.window,
        grace: topology.grace,
        idle: topology.idle,
        until_end,
        leave_open: false,
        accept_data_loss: false,
        dead_letters: false,
        version: ModuleVersion::CURRENT,
        fingerprint: topology.settings.fingerprint(),
    }
}

/// Reads a topic of a Fluvio cluster until `shutdown` is cancelled, or as `config` says.
pub async fn run(
    config: Config,
    store: &mut dyn Store,
    sink: &mut dyn Sink,
    shutdown: CancellationToken,
) -> Result<Outcome, Error> {
    let log = log::open(config.cluster.as_deref(), &config.topology.topic).map_err(SourceError::from)?;
    let read = log.clone();
    info!("reading {}", log.identity());
    let saved = match store.load()? {
        Some(_) if config.from.is_some() => return Err(Error::Used),
        Some(saved) => saved,
        None => ResumeState::beginning(config.from.unwrap_or_default()),
    };
    let plan = ReadPlan {
        start: saved.topic.start,
        fixed_partitions: config.until_end,
        resume: saved.partitions.clone(),
        parts: saved.parts.clone(),
        accept_data_loss: config.accept_data_loss,
    };
    let materializing = Options {
        leave_open: config.leave_open,
        accept_data_loss: config.accept_data_loss,
        dead_letters: config.dead_letters,
        ..options(&config.topology, config.until_end)
    };
    let scratch = Box::new(ScratchFile::new(config.scratch));
    let limit = MemoryLimit { bytes: config.memory_limit, scratch };
    let mut materializer = Materializer::resume(materializing, saved).with_memory_limit(limit);
    if materializer.ledger().read() > 0 {
        let (read, partitions) = (materializer.ledger().read(), materializer.positions().len());
        info!("going on: {read} records of {partitions} partitions were read before");
    }
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
            let mut publisher = Publisher::new(sink, config.options.stop_timeout, shutdown);
            publisher.finish(&totals).await?;
            return Ok(publisher.undelivered().map_or(Outcome::Interrupted(totals), Outcome::Undelivered));
        }
        source = open => source?,
    };
    let done = drive(&mut *source, &mut materializer, store, sink, config.options, shutdown).await;
    done.map_err(|error| if read.identity().kind == FILES { of_files(error, &*read) } else { error })
}

/// What an error means of files, whose offsets are bytes.
fn of_files(error: Error, log: &dyn Log) -> Error {
    match error {
        Error::Fault(Fault::OtherLog { partition, offset }) => {
            SourceError::OtherFile { name: log.name(partition), offset }.into()
        }
        Error::Fault(Fault::EndsBefore { partition, position, end }) => {
            SourceError::CutFile { name: log.name(partition), position, end }.into()
        }
        other => other,
    }
}

/// What [`drive`] does of its own accord.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// After how many records the run ends by itself, all windows closed. Batches are read whole: a few records more
    /// may be counted.
    pub stop_after: Option<u64>,
    /// Whether catching up is to be logged.
    pub log_progress: bool,
    /// How long a stopped run still waits for a sink that takes nothing.
    pub stop_timeout: Duration,
    /// What offsets of the log count.
    pub(crate) unit: Unit,
    /// Where others take views of the run from.
    pub views: Views,
}

impl Default for RunOptions {
    fn default() -> Self {
        let stop_timeout = Duration::from_secs(30);
        Self { stop_after: None, log_progress: false, stop_timeout, unit: Unit::default(), views: Views::default() }
    }
}

/// Runs until the materializer says that it is finished, a seam fails, or `shutdown` is cancelled.
pub async fn drive(
    source: &mut dyn Source,
    materializer: &mut Materializer,
    store: &mut dyn Store,
    sink: &mut dyn Sink,
    options: RunOptions,
    shutdown: CancellationToken,
) -> Result<Outcome, Error> {
    let began = Instant::now();
    let mut last = began;
    let mut now = Duration::ZERO;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut log = ProgressLog { next: LOG_PERIOD, wanted: options.log_progress, unit: options.unit, done: false };
    let mut stepper = Stepper::new(began.elapsed());
    let mut publisher = Publisher::new(sink, options.stop_timeout, shutdown.clone());
    let read_before = materializer.ledger().read();
    let mut more = false;
    loop {
        let read = materializer.ledger().read() - read_before;
        let enough = options.stop_after.is_some_and(|records| read >= records) && !materializer.is_restoring();
        let event = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(Event::Stop),
            () = std::future::ready(()), if more => Ok(Event::Proceed),
            () = std::future::ready(()), if enough => Ok(Event::Finish),
            _ = ticks.tick() => {
                now += last.elapsed().min(MOST_PER_TICK);
                last = Instant::now();
                Ok(Event::Tick { now })
            }
            event = source.next() => event.map_err(Error::from),
        };
        let (stopped, ticked) = (matches!(event, Ok(Event::Stop)), matches!(event, Ok(Event::Tick { .. })));
        let step = event.and_then(|event| Ok(stepper.handle(materializer, event, began.elapsed())?));
        let Step { flow, due, finished, proceed } = match step {
            Ok(step) => step,
            Err(error) => {
                // What has been merged so far is as right as it was.
                let closed = stepper.commit(materializer, store, began.elapsed())?;
                publisher.publish(closed).await?;
                if let Some(undelivered) = publisher.undelivered() {
                    error!("{undelivered}");
                }
                return Err(error);
            }
        };
        more = proceed;
        for (partition, waits) in flow {
            if waits { source.pause(partition) } else { source.resume(partition) }
        }
        if due {
            let closed = stepper.commit(materializer, store, began.elapsed())?;
            source.committed(materializer.positions());
            if !publisher.publish(closed).await? {
                return Ok(Outcome::Unread);
            }
        }
        if let Some(totals) = finished {
            if !publisher.finish(&totals).await? {
                return Ok(Outcome::Unread);
            }
            if let Some(undelivered) = publisher.undelivered() {
                return Ok(Outcome::Undelivered(undelivered));
            }
            return Ok(if stopped { Outcome::Interrupted(*totals) } else { Outcome::Complete(*totals) });
        }
        if ticked {
            options.views.update(|| materializer.view());
            let snapshot = stepper.progress(materializer);
            log.tell(&snapshot);
            if !publisher.progress(&snapshot).await? {
                return Ok(Outcome::Unread);
            }
        }
    }
}

/// Says in the log how catching up goes.
struct ProgressLog {
    next: Duration,
    wanted: bool,
    unit: Unit,
    done: bool,
}

impl ProgressLog {
    fn tell(&mut self, snapshot: &Snapshot) {
        if self.done {
            return;
        }
        if snapshot.caught_up {
            self.done = true;
            if snapshot.of > 0 {
                let what = if self.unit == Unit::Bytes { "bytes" } else { "records" };
                info!("caught up: {} {what} in {:.1} s", snapshot.of, snapshot.now.as_secs_f64());
            }
        } else if self.wanted && snapshot.now >= self.next {
            self.next = snapshot.now + LOG_PERIOD;
            info!("{}", catching_up(snapshot, self.unit));
        }
    }
}
