//! What a run that is stopped waits for, when the broker does not do its part: to the second, on a clock that is paused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use isotherm_fluvio::FluvioClusterConfig;
use isotherm_fluvio::produce::{Attempt, SealedBatch, SendError};
use tokio::time::{Instant, sleep};

use super::*;
use crate::clock::EventClock;
use crate::config::{Config, Destination, Key, Report, Simulation, Source};
use crate::summary::{Ending, Summary};
use crate::{Failed, run_into};

const AN_HOUR: Duration = Duration::from_secs(3_600);
/// As a broker's own: after so long another connection is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a broker does after it has answered its first batches at once.
#[derive(Clone, Copy)]
enum Then {
    /// It stores, and never answers.
    Silent,
    /// It answers after so long.
    Slow(Duration),
    /// Nobody listens there any longer.
    Gone,
}

struct Scripted {
    first: u64,
    then: Then,
    stored: Arc<AtomicU64>,
}

#[async_trait]
impl Broker for Scripted {
    async fn attempt(&mut self, batch: &SealedBatch) -> Result<(), Attempt> {
        let answers = self.first > 0;
        if answers || !matches!(self.then, Then::Gone) {
            self.stored.fetch_add(batch.messages, Ordering::Relaxed);
        }
        match self.then {
            _ if answers => self.first -= 1,
            Then::Silent => std::future::pending().await,
            Then::Slow(pause) => sleep(pause).await,
            Then::Gone => return Err(Attempt::Again("connection refused".to_owned())),
        }
        Ok(())
    }

    async fn recover(&mut self) {}

    fn timeout(&self, _: &SealedBatch) -> Duration {
        PATIENCE
    }
}

/// A run that is stopped after five seconds.
struct Case {
    then: Then,
    count: Option<u64>,
    retry_timeout: Duration,
    stop_timeout: Duration,
}

/// How it ended, how long after the stop, and how many messages the brokers stored by an hour after that.
struct Seen {
    result: Result<Summary, Failed>,
    took: Duration,
    stored: u64,
}

impl Case {
    async fn run(self) -> Seen {
        let (counters, stored, shutdown) = (Arc::new(Counters::default()), Arc::default(), CancellationToken::new());
        let settings = FluvioSettings {
            cluster: FluvioClusterConfig::new("nowhere:9003"),
            topic: "sensors".to_owned(),
            batch_size: 4_096,
            linger: Duration::from_millis(50),
            compression: None,
            retry_timeout: self.retry_timeout,
        };
        let senders = (0..2).map(|partition| Sender {
            broker: Scripted { first: 3, then: self.then, stored: Arc::clone(&stored) },
            topic: settings.topic.clone(),
            partition,
            retry_timeout: settings.retry_timeout,
        });
        let queue = || PartitionQueue::new(settings.batch_size, settings.linger);
        let mut sink = FluvioSink::over(senders, Vec::new(), queue, Compression::None, Arc::clone(&counters));
        let config = Config {
            source: Source::Simulate { simulation: Simulation::default(), clock: EventClock::Real },
            key: Key::None,
            count: self.count,
            pace: None,
            destination: Destination::Fluvio(Box::new(settings)),
            stop_timeout: self.stop_timeout,
            report: Report::Quiet,
        };
        let stop = async {
            sleep(Duration::from_secs(5)).await;
            shutdown.cancel();
            Instant::now()
        };
        let (result, stopped) = tokio::join!(run_into(&config, &mut sink, &counters, shutdown.clone()), stop);
        let took = stopped.elapsed();
        sleep(AN_HOUR).await;
        Seen { result, took, stored: stored.load(Ordering::Relaxed) }
    }
}

impl Seen {
    /// It gave up, with this error, so many seconds after the stop; what it says of its messages is true.
    #[track_caller]
    fn gave_up(self, after: u64, is_right: impl Fn(&ProduceError) -> bool) -> Summary {
        let Failed { error, summary } = self.result.expect_err("not all was acknowledged");
        assert!(is_right(&error), "{error}");
        assert_eq!(self.took, Duration::from_secs(after), "{error}");
        let Summary { acknowledged, unacknowledged, unsent, .. } = summary;
        assert!(acknowledged > 0 && unacknowledged > 0 && unsent > 0, "{summary:?}");
        // Retries store a batch again; a batch that was never sent is not stored.
        assert!(self.stored >= acknowledged, "{} stored, but {summary:?}", self.stored);
        summary
    }
}

fn not_acknowledged(error: &ProduceError) -> bool {
    matches!(error, ProduceError::NotAcknowledged { .. })
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_falls_silent_is_waited_for_as_long_as_a_stop_may_take() {
    for seconds in [0, 1, 30] {
        let stop_timeout = Duration::from_secs(seconds);
        let seen = Case { then: Then::Silent, count: None, retry_timeout: AN_HOUR, stop_timeout }.run().await;
        let stored = seen.stored;
        let summary = seen.gave_up(seconds, not_acknowledged);
        if seconds == 0 {
            // Each batch was tried once: the brokers have what may be stored, and nothing of what was not sent.
            assert_eq!(stored, summary.acknowledged + summary.unacknowledged, "{summary:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_slow_is_waited_for_no_longer() {
    // Each batch is acknowledged within its own bound, all that wait are not within that of a stop.
    let then = Then::Slow(Duration::from_secs(9));
    let (retry_timeout, stop_timeout) = (Duration::from_secs(30), Duration::from_secs(30));
    let case = Case { then, count: None, retry_timeout, stop_timeout };
    case.run().await.gave_up(30, not_acknowledged);

    let seen = Case { then, count: None, retry_timeout, stop_timeout: AN_HOUR }.run().await;
    let summary = seen.result.expect("all is acknowledged in the end");
    assert_eq!((summary.ending, summary.unacknowledged, summary.unsent), (Ending::Interrupted, 0, 0));
    assert_eq!(seen.stored, summary.acknowledged);
    assert!(seen.took > stop_timeout, "{:?}", seen.took);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_gone_ends_a_stop_by_whichever_bound_comes_first() {
    let case = Case { then: Then::Gone, count: None, retry_timeout: AN_HOUR, stop_timeout: Duration::from_secs(7) };
    case.run().await.gave_up(7, not_acknowledged);

    // Tried since the beginning, five seconds before the stop.
    let retry_timeout = Duration::from_secs(8);
    let case = Case { then: Then::Gone, count: None, retry_timeout, stop_timeout: AN_HOUR };
    case.run().await.gave_up(3, |error| matches!(error, ProduceError::Send(SendError::GaveUp { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_comes_when_all_has_been_made_is_bounded_too() {
    // More than the first batches of both partitions hold.
    let case = Case { then: Then::Silent, count: Some(150), retry_timeout: AN_HOUR, stop_timeout: PATIENCE };
    let seen = case.run().await;
    let failed = seen.result.expect_err("the last are not acknowledged");
    assert!(not_acknowledged(&failed.error), "{failed}");
    assert_eq!(seen.took, PATIENCE);
    let Summary { acknowledged, unacknowledged, unsent, .. } = failed.summary;
    assert_eq!(acknowledged + unacknowledged + unsent, 150, "{failed}");
}
