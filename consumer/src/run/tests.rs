//! The run's loop over a scripted source, and what reaches store and sink, in which order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use isotherm_engine::commit::Commit;
use isotherm_engine::results::WindowResult;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{Aggregate, Cell, CellKey, ModuleVersion, Partial, PartitionId, SourceRange};
use isotherm_model::rejection::RejectedHash;
use isotherm_model::settings::Settings;
use isotherm_model::stats::Stats;
use isotherm_model::window::Window;

use super::*;

/// What happened, in order.
type Record = Arc<Mutex<Vec<String>>>;

fn note(record: &Record, what: String) {
    record.lock().expect("no test panics while it writes").push(what);
}

/// Tells its events, then waits forever.
struct Script {
    events: VecDeque<Result<Event, SourceError>>,
    record: Record,
}

#[async_trait]
impl Source for Script {
    async fn next(&mut self) -> Result<Event, SourceError> {
        match self.events.pop_front() {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    fn pause(&mut self, partition: PartitionId) {
        note(&self.record, format!("pause {partition}"));
    }

    fn resume(&mut self, partition: PartitionId) {
        note(&self.record, format!("resume {partition}"));
    }
}

struct RecordingStore {
    record: Record,
    fails: bool,
}

impl Store for RecordingStore {
    fn load(&mut self) -> Result<Option<isotherm_engine::commit::ResumeState>, StoreError> {
        Ok(None)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        if self.fails {
            return Err(StoreError::new("the disk is full"));
        }
        note(&self.record, format!("commit {}", commit.windows.len()));
        Ok(())
    }
}

struct RecordingSink {
    record: Record,
    /// How many times it can be written to.
    room: usize,
}

impl RecordingSink {
    fn write(&mut self, what: String) -> Result<(), SinkError> {
        if self.room == 0 {
            return Err(SinkError::Closed);
        }
        self.room -= 1;
        note(&self.record, what);
        Ok(())
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn publish(&mut self, windows: &[WindowResult], totals: Option<&Totals>) -> Result<(), SinkError> {
        let starts: Vec<_> = windows.iter().map(|window| window.start).collect();
        let totals = totals.map_or(String::new(), |totals| format!(" {}", totals.messages));
        self.write(format!("publish {starts:?}{totals}"))
    }

    async fn finish(&mut self, totals: &Totals) -> Result<(), SinkError> {
        self.write(format!("finish {}", totals.messages))
    }
}

/// A partial of one reading in window `window` of three seconds.
fn partial(offset: i64, window: i64) -> Event {
    let mut aggregate = Aggregate { records: 1, newest: Some(window * 3_000), ..Aggregate::default() };
    let key = CellKey { window: Window(window), group: "AK".into() };
    aggregate.cells.insert(key, Cell { stats: Stats::of(Fixed::from_micros(1)), sensors: vec![7] });
    let partial = Partial {
        version: ModuleVersion::CURRENT,
        fingerprint: Settings::default().fingerprint(),
        source: SourceRange { first: offset, next: offset + 1 },
        base_timestamp: None,
        rejected_hash: RejectedHash::NONE,
        aggregate,
    };
    Event::Partial { partition: 0, partial: Box::new(partial), digest: 0 }
}

struct Setting {
    events: Vec<Result<Event, SourceError>>,
    until_end: bool,
    store_fails: bool,
    room: usize,
    options: RunOptions,
    shutdown: CancellationToken,
}

impl Setting {
    fn new(until_end: bool, events: impl IntoIterator<Item = Event>) -> Self {
        let end = 3;
        let start = [
            Event::Found { partition: 0 },
            Event::Listed,
            Event::Attached { partition: 0, position: 0, end: Some(if until_end { end } else { 1_000 }) },
        ];
        let events = start.into_iter().chain(events).map(Ok).collect();
        let (options, shutdown) = (RunOptions::default(), CancellationToken::new());
        Self { events, until_end, store_fails: false, room: usize::MAX, options, shutdown }
    }

    async fn drive(self) -> (Result<Outcome, Error>, Vec<String>) {
        let record = Record::default();
        let mut sink = RecordingSink { record: record.clone(), room: self.room };
        (self.drive_into(&mut sink, &record).await, records(&record))
    }

    async fn drive_into(self, sink: &mut dyn Sink, record: &Record) -> Result<Outcome, Error> {
        let mut source = Script { events: self.events.into(), record: record.clone() };
        let mut materializer = Materializer::new(options(&Topology::default(), self.until_end));
        let mut store = RecordingStore { record: record.clone(), fails: self.store_fails };
        drive(&mut source, &mut materializer, &mut store, sink, self.options, self.shutdown).await
    }
}

/// What happened so far.
fn records(record: &Record) -> Vec<String> {
    record.lock().expect("no test panics while it writes").clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_published_has_been_committed() {
    let (outcome, record) = Setting::new(true, [partial(0, 0), partial(1, 2), partial(2, 2)]).drive().await;
    assert!(matches!(outcome, Ok(Outcome::Complete(ref totals)) if totals.messages == 3), "{outcome:?}");
    let expected = ["commit 2", "publish [0, 6000]", "finish 3"].map(str::to_owned);
    assert_eq!(record, expected);
}

#[tokio::test]
async fn an_interrupted_run_says_its_totals_and_closes_nothing() {
    let setting = Setting::new(false, [partial(0, 0), partial(1, 0)]);
    let shutdown = setting.shutdown.clone();
    let stop = async {
        // By then the script, which never waits, has been read.
        tokio::time::sleep(Duration::from_millis(1)).await;
        shutdown.cancel();
    };
    tokio::time::pause();
    let ((outcome, record), ()) = tokio::join!(setting.drive(), stop);
    assert!(matches!(outcome, Ok(Outcome::Interrupted(ref totals)) if totals.messages == 2), "{outcome:?}");
    assert_eq!(record, ["commit 0", "finish 2"].map(str::to_owned));
}

#[tokio::test]
async fn a_run_with_a_bound_closes_everything_when_it_has_read_so_much() {
    let mut setting = Setting::new(false, [partial(0, 0), partial(1, 1), partial(2, 2)]);
    setting.options.stop_after = Some(2);
    let (outcome, record) = setting.drive().await;
    assert!(matches!(outcome, Ok(Outcome::Complete(ref totals)) if totals.messages == 2), "{outcome:?}");
    assert_eq!(record, ["commit 2", "publish [0, 3000]", "finish 2"].map(str::to_owned));
}

#[tokio::test]
async fn a_bounded_run_over_no_partitions_is_complete_and_has_totals() {
    let mut setting = Setting::new(true, []);
    setting.events = vec![Ok(Event::Listed)];
    let (outcome, record) = setting.drive().await;
    assert!(matches!(outcome, Ok(Outcome::Complete(ref totals)) if totals.messages == 0), "{outcome:?}");
    assert_eq!(record.last().map(String::as_str), Some("finish 0"), "{record:?}");
}

#[tokio::test]
async fn nothing_is_published_that_could_not_be_committed() {
    // The third one ends the run, and closes windows.
    let mut setting = Setting::new(true, [partial(0, 0), partial(1, 2), partial(2, 2)]);
    setting.store_fails = true;
    let (outcome, record) = setting.drive().await;
    assert!(matches!(outcome, Err(Error::Store(_))), "{outcome:?}");
    assert!(record.is_empty(), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn a_closed_pipe_ends_the_run_quietly() {
    let mut setting = Setting::new(false, [partial(0, 0), partial(1, 2), partial(2, 4)]);
    setting.room = 1;
    let (outcome, record) = setting.drive().await;
    assert!(matches!(outcome, Ok(Outcome::Unread)), "{outcome:?}");
    assert_eq!(record, ["commit 2", "publish [0] 2"].map(str::to_owned));
}

#[tokio::test]
async fn a_gap_ends_the_run_with_an_error_that_names_it() {
    let (outcome, record) = Setting::new(false, [partial(0, 0), partial(5, 2)]).drive().await;
    let error = outcome.expect_err("offsets 1 to 4 are missing").to_string();
    assert!(error.contains("partition 0") && error.contains('1') && error.contains('5'), "{error}");
    assert_eq!(record, ["commit 0"].map(str::to_owned), "what had been merged before is as right as it was");
}

#[tokio::test(start_paused = true)]
async fn what_closed_before_an_error_is_published_once_it_is_committed() {
    // The log goes on: the window that the second one closes waits for a commit.
    let drive = async |store_fails| {
        let mut setting = Setting::new(false, [partial(0, 0), partial(1, 2), partial(5, 2)]);
        setting.store_fails = store_fails;
        setting.drive().await
    };
    let (outcome, record) = drive(false).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(record, ["commit 1", "publish [0] 2"].map(str::to_owned));
    let (outcome, record) = drive(true).await;
    assert!(matches!(outcome, Err(Error::Store(_))), "{outcome:?}");
    assert!(record.is_empty(), "{record:?}");
}

#[tokio::test]
async fn an_error_of_the_source_ends_the_run() {
    let mut setting = Setting::new(false, [partial(0, 0)]);
    setting.events.push(Err(SourceError::TopicDeleted { topic: "sensors".to_owned() }));
    let (outcome, _) = setting.drive().await;
    assert!(matches!(outcome, Err(Error::Source(SourceError::TopicDeleted { .. }))), "{outcome:?}");
}

/// Notes what it is told, and does not come back from it.
struct StuckSink {
    record: Record,
}

impl StuckSink {
    async fn stuck(&self, what: &str) -> Result<(), SinkError> {
        note(&self.record, what.to_owned());
        std::future::pending().await
    }
}

#[async_trait]
impl Sink for StuckSink {
    async fn publish(&mut self, _: &[WindowResult], _: Option<&Totals>) -> Result<(), SinkError> {
        self.stuck("publish").await
    }

    async fn finish(&mut self, _: &Totals) -> Result<(), SinkError> {
        self.stuck("finish").await
    }
}

/// Runs into a sink that takes nothing, and stops it after so long; what happened, and how long after the stop it ended.
async fn stop_stuck(setting: Setting, after: Duration) -> (Result<Outcome, Error>, Vec<String>, Duration) {
    let (record, shutdown) = (Record::default(), setting.shutdown.clone());
    let mut sink = StuckSink { record: record.clone() };
    let began = Instant::now();
    let stop = async {
        tokio::time::sleep(after).await;
        shutdown.cancel();
    };
    let (outcome, ()) = tokio::join!(setting.drive_into(&mut sink, &record), stop);
    (outcome, records(&record), began.elapsed() - after)
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_holds_up_a_run_until_it_is_stopped_and_then_within_a_bound() {
    let an_hour = Duration::from_secs(3_600);
    for seconds in [0, 5, 30] {
        let stop_timeout = Duration::from_secs(seconds);
        let undelivered = |windows| Outcome::Undelivered(Undelivered { windows, timeout: stop_timeout });

        // Windows 0 and 2 close together, and are committed before anything is said.
        let mut setting = Setting::new(false, [partial(0, 0), partial(1, 2), partial(2, 4)]);
        setting.options.stop_timeout = stop_timeout;
        let (outcome, record, took) = stop_stuck(setting, an_hour).await;
        assert!(matches!(&outcome, Ok(seen) if *seen == undelivered(2)), "{outcome:?}");
        assert_eq!(record, ["commit 2", "publish", "commit 0"].map(str::to_owned), "nothing is said after that");
        assert_eq!(took, stop_timeout);

        // Nothing closes: the totals are all that is to be said.
        let mut setting = Setting::new(false, [partial(0, 0)]);
        setting.options.stop_timeout = stop_timeout;
        let (outcome, record, took) = stop_stuck(setting, Duration::from_millis(1)).await;
        assert!(matches!(&outcome, Ok(seen) if *seen == undelivered(0)), "{outcome:?}");
        assert_eq!(record, ["commit 0", "finish"].map(str::to_owned));
        assert_eq!(took, stop_timeout);

        // A run that ends by itself is held up as well, and can be stopped then.
        let mut setting = Setting::new(true, [partial(0, 0), partial(1, 0), partial(2, 0)]);
        setting.options.stop_timeout = stop_timeout;
        let (outcome, record, took) = stop_stuck(setting, an_hour).await;
        assert!(matches!(&outcome, Ok(seen) if *seen == undelivered(1)), "{outcome:?}");
        assert_eq!(record, ["commit 1", "publish"].map(str::to_owned));
        assert_eq!(took, stop_timeout);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_takes_views_of_a_run_without_holding_it_up() {
    let setting = Setting::new(false, [partial(0, 0), partial(1, 0)]);
    let (views, shutdown) = (setting.options.views.clone(), setting.shutdown.clone());
    let stop = async {
        loop {
            let view = views.next().await.expect("the run goes on");
            if view.open_windows.len() == 1 {
                shutdown.cancel();
                break view;
            }
        }
    };
    let record = Record::default();
    let mut sink = StuckSink { record: record.clone() };
    let (outcome, view) = tokio::join!(setting.drive_into(&mut sink, &record), stop);
    assert!(outcome.is_ok(), "{outcome:?}");
    let open = &view.open_windows[0];
    assert_eq!((open.start, open.end, open.closes_at, open.messages, open.sensors), (0, 3_000, 4_000, 2, 1));
    assert_eq!((view.watermark, view.totals.messages, view.partitions.len()), (Some(0), 2, 1));
}

#[test]
fn what_could_not_be_said_is_named_with_the_query_that_says_it() {
    for (windows, parts) in [
        (0, ["the totals", "query totals"]),
        (1, ["the last window", "query latest"]),
        (12, ["the last 12 windows", "query windows"]),
    ] {
        let said = Undelivered { windows, timeout: Duration::from_millis(200) }.to_string();
        for part in ["within 200ms of the stop", "--stop-timeout"].iter().chain(&parts) {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
