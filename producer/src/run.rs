//! A run from its first message to its last acknowledgement.

use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Destination};
use crate::error::{Failed, ProduceError};
use crate::messages::Messages;
use crate::pace::Pacer;
use crate::progress::Progress;
use crate::sink::{FluvioSink, Sink, StdoutSink};
use crate::source::OpenSource;
use crate::summary::{Counters, Ending, Summary};

/// Runs until all is done, or until `shutdown` is cancelled. Then it still waits until what has been made is acknowledged, at most
/// [`Config::stop_timeout`].
///
/// # Errors
/// [`Failed`]: why, and how many messages were acknowledged.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<Summary, Failed> {
    let counters = Arc::new(Counters::default());
    let sink = async {
        let sink: Box<dyn Sink> = match &config.destination {
            Destination::Stdout => Box::new(StdoutSink::new(Arc::clone(&counters))),
            Destination::Fluvio(settings) => {
                Box::new(FluvioSink::connect(settings.as_ref().clone(), Arc::clone(&counters)).await?)
            }
        };
        Ok(sink)
    };
    run_with(&config, sink, &counters, shutdown).await
}

/// As [`run`], into the caller's sink, which counts in `counters`. The configuration's destination is ignored.
///
/// # Errors
/// As [`run`].
pub async fn run_into(
    config: &Config,
    sink: &mut dyn Sink,
    counters: &Arc<Counters>,
    shutdown: CancellationToken,
) -> Result<Summary, Failed> {
    run_with(config, async { Ok(sink) }, counters, shutdown).await
}

async fn run_with<'s, S: DerefMut<Target = dyn Sink + 's>>(
    config: &Config,
    sink: impl Future<Output = Result<S, ProduceError>>,
    counters: &Arc<Counters>,
    shutdown: CancellationToken,
) -> Result<Summary, Failed> {
    let started = Instant::now();
    // The input first: without one there is no reason to connect.
    let opening = async { Ok((OpenSource::open(config, counters).await?, sink.await?)) };
    let opened = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(summary(config, counters, started, Ending::Interrupted)),
        opened = opening => opened,
    };
    match opened {
        Ok((input, mut sink)) => flow(config, input, &mut *sink, counters, shutdown).await,
        Err(error) => Err(Failed { error, summary: summary(config, counters, started, Ending::Failed) }),
    }
}

/// Moves messages from the source into the sink, and waits until they are acknowledged.
async fn flow(
    config: &Config,
    (mut source, input_length): (OpenSource, Option<u64>),
    sink: &mut dyn Sink,
    counters: &Arc<Counters>,
    shutdown: CancellationToken,
) -> Result<Summary, Failed> {
    let started = Instant::now();
    let result = async {
        let progress = Progress::start(config, input_length, counters);
        // One timeout for everything that is waited for after a stop.
        let mut overdue = pin!(overdue(config, &shutdown));
        let result = pump(config, &mut source, sink, counters, &shutdown, overdue.as_mut()).await;
        // What was made before the input failed, or before the stop, must be acknowledged too.
        let flushed = match &result {
            Err(PumpError::Sink(_)) => Ok(()),
            _ => tokio::select! {
                biased;
                flushed = sink.flush() => flushed,
                error = overdue => Err(error),
            },
        };
        progress.finish().await;
        let ending = result.map_err(PumpError::into_inner)?;
        flushed.map(|()| ending)
    }
    .await;
    if result.is_err() {
        sink.stop().await;
    }
    match result {
        Ok(ending) => Ok(summary(config, counters, started, ending)),
        Err(ProduceError::StdoutClosed) => Ok(summary(config, counters, started, Ending::Closed)),
        Err(error) => Err(Failed { error, summary: summary(config, counters, started, Ending::Failed) }),
    }
}

/// Ends when the stop's timeout is over.
async fn overdue(config: &Config, shutdown: &CancellationToken) -> ProduceError {
    shutdown.cancelled().await;
    let timeout = config.stop_timeout;
    sleep(timeout).await;
    match config.destination {
        Destination::Stdout => ProduceError::NotWritten { timeout },
        Destination::Fluvio(_) => ProduceError::NotAcknowledged { timeout },
    }
}

fn summary(config: &Config, counters: &Counters, started: Instant, ending: Ending) -> Summary {
    let (acknowledged, sent) = (counters.acknowledged.get(), counters.sent.get());
    Summary {
        acknowledged,
        unacknowledged: sent.saturating_sub(acknowledged),
        unsent: counters.made.get().saturating_sub(sent),
        asked: config.count,
        elapsed: started.elapsed(),
        ending,
        to_stdout: matches!(config.destination, Destination::Stdout),
    }
}

enum PumpError {
    Source(ProduceError),
    Sink(ProduceError),
}

impl PumpError {
    fn into_inner(self) -> ProduceError {
        match self {
            Self::Source(error) | Self::Sink(error) => error,
        }
    }
}

/// Moves messages until the source, the sink, the count, or `shutdown` ends it. What has been made when `shutdown` comes still goes
/// into the sink, until that is `overdue`.
async fn pump(
    config: &Config,
    source: &mut OpenSource,
    sink: &mut dyn Sink,
    counters: &Counters,
    shutdown: &CancellationToken,
    mut overdue: Pin<&mut impl Future<Output = ProduceError>>,
) -> Result<Ending, PumpError> {
    let started = Instant::now();
    let mut pacer = config.pace.map(|rate| Pacer::new(rate, Duration::ZERO));
    let mut left = config.count.unwrap_or(u64::MAX);
    let mut messages = Messages::new();
    while left > 0 {
        let (mut portion, again_at) = match &mut pacer {
            None => (left, None),
            Some(pacer) => {
                let due = pacer.due(started.elapsed());
                (due.messages.min(left), Some(started + due.again_at))
            }
        };
        while portion > 0 {
            messages.clear();
            // A source waits only while it has made nothing.
            let more = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(Ending::Interrupted),
                more = source.fill(portion, &mut messages) => more.map_err(PumpError::Source)?,
            };
            if !more {
                return Ok(Ending::Complete);
            }
            let made = messages.len() as u64;
            counters.made.add(made);
            tokio::select! {
                biased;
                sent = sink.send(&messages) => sent.map_err(PumpError::Sink)?,
                error = overdue.as_mut() => return Err(PumpError::Sink(error)),
            }
            portion = portion.saturating_sub(made);
            left = left.saturating_sub(made);
        }
        if let Some(again_at) = again_at.filter(|_| left > 0) {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(Ending::Interrupted),
                () = sleep_until(again_at) => {}
            }
        }
    }
    Ok(Ending::Complete)
}
