//! A whole run into memory.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use isotherm_producer::config::{Config, Destination, Input, Key, KeyPointers, Report, Simulation, Source};
use isotherm_producer::messages::Messages;
use isotherm_producer::sink::Sink;
use isotherm_producer::summary::Counters;
use isotherm_producer::{Ending, Failed, ProduceError, Summary, run_into};
use tokio_util::sync::CancellationToken;

use crate::simulation::clock;

/// How long a stopped run waits here.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A key and a value.
type Collected = (Option<Vec<u8>>, Vec<u8>);

/// A sink whose messages can be looked at.
#[derive(Debug, Clone)]
struct MemorySink {
    messages: Arc<Mutex<Vec<Collected>>>,
    counters: Arc<Counters>,
}

impl MemorySink {
    /// An empty one.
    fn new(counters: Arc<Counters>) -> Self {
        Self { messages: Arc::default(), counters }
    }

    /// What it holds, leaving it empty.
    fn take(&self) -> Vec<Collected> {
        std::mem::take(&mut self.messages.lock().unwrap())
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        let mut held = self.messages.lock().unwrap();
        held.extend(messages.iter().map(|message| (message.key.map(<[u8]>::to_vec), message.value.to_vec())));
        self.counters.sent.add(messages.len() as u64);
        self.counters.acknowledged.add(messages.len() as u64);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        Ok(())
    }
}

fn simulated(count: Option<u64>, key: Key) -> Config {
    Config {
        source: Source::Simulate { simulation: Simulation { seed: 7, ..Simulation::default() }, clock: clock("1000") },
        key,
        count,
        pace: None,
        destination: Destination::Stdout,
        stop_timeout: STOP_TIMEOUT,
        report: Report::Quiet,
    }
}

fn replayed(path: &Path, count: Option<u64>) -> Config {
    let source = Source::Replay { input: Input::File(path.to_owned()), pointers: KeyPointers::default() };
    Config { source, ..simulated(count, Key::None) }
}

async fn run(config: &Config) -> (Result<Summary, Failed>, Vec<Collected>) {
    let counters = Arc::new(Counters::default());
    let mut sink = MemorySink::new(Arc::clone(&counters));
    let result = run_into(config, &mut sink, &counters, CancellationToken::new()).await;
    (result, sink.take())
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[tokio::test]
async fn so_many_messages_are_made_as_were_asked_for() {
    for count in [0, 1, 511, 512, 513, 5_000] {
        let (result, messages) = run(&simulated(Some(count), Key::None)).await;
        let summary = result.unwrap();
        assert_eq!((summary.acknowledged, summary.unacknowledged, summary.ending), (count, 0, Ending::Complete));
        assert_eq!(messages.len() as u64, count);
    }
}

#[tokio::test]
async fn a_paced_run_makes_the_same_messages() {
    let plain = simulated(Some(3_000), Key::None);
    let paced = Config { pace: Some("1000000".parse().unwrap()), ..plain.clone() };
    assert_eq!(run(&plain).await.1, run(&paced).await.1);
}

#[tokio::test]
async fn keys_change_nothing_but_the_key() {
    let (_, plain) = run(&simulated(Some(100), Key::None)).await;
    for (key, member) in [(Key::Group, "state"), (Key::Sensor, "guid")] {
        let (_, keyed) = run(&simulated(Some(100), key)).await;
        for ((no_key, value), (key, same_value)) in plain.iter().zip(keyed) {
            assert_eq!((no_key, value), (&None, &same_value));
            let document: serde_json::Value = serde_json::from_slice(value).unwrap();
            assert_eq!(key.as_deref(), document[member].as_str().map(str::as_bytes));
        }
    }
}

#[tokio::test]
async fn a_replay_sends_the_lines_and_ends_with_them() {
    let lines = file(b"one\n\ntwo\r\n\xff three\nlast");
    let (result, messages) = run(&replayed(lines.path(), None)).await;
    assert_eq!(result.unwrap().acknowledged, 4);
    let values: Vec<_> = messages.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [&b"one"[..], b"two", b"\xff three", b"last"]);

    let (result, messages) = run(&replayed(lines.path(), Some(2))).await;
    assert_eq!((result.unwrap().acknowledged, messages.len()), (2, 2));
}

#[tokio::test]
async fn an_input_that_is_not_there_is_named() {
    let (result, _) = run(&replayed(Path::new("/nowhere/readings.jsonl"), None)).await;
    let failed = result.unwrap_err();
    assert!(failed.to_string().starts_with("cannot read `/nowhere/readings.jsonl`: "), "{failed}");
}

#[tokio::test]
async fn lines_before_one_that_is_too_long_are_sent() {
    let mut bytes = b"one\ntwo\n".to_vec();
    bytes.resize(33 * 1024 * 1024, b'x');
    let lines = file(&bytes);
    let (result, messages) = run(&replayed(lines.path(), None)).await;
    let failed = result.unwrap_err();
    assert!(matches!(failed.error, ProduceError::LineTooLong { line: 3, .. }), "{failed}");
    assert_eq!((failed.summary.acknowledged, messages.len()), (2, 2));
}

#[tokio::test]
async fn a_run_that_fails_says_how_far_it_came() {
    let counters = Arc::new(Counters::default());
    let mut sink = FailAfter { rest: 3, counters: Arc::clone(&counters) };
    let config = simulated(Some(100_000), Key::None);
    let failed = run_into(&config, &mut sink, &counters, CancellationToken::new()).await.unwrap_err();
    assert_eq!((failed.summary.acknowledged, failed.summary.unacknowledged), (300, 12));
    assert_eq!(failed.summary.asked, Some(100_000));
}

/// Acknowledges 100 messages of each of the first chunks, then fails.
struct FailAfter {
    rest: usize,
    counters: Arc<Counters>,
}

#[async_trait]
impl Sink for FailAfter {
    async fn send(&mut self, _: &Messages) -> Result<(), ProduceError> {
        if self.rest == 0 {
            return Err(ProduceError::Ended);
        }
        self.rest -= 1;
        self.counters.sent.add(104);
        self.counters.acknowledged.add(100);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        Err(ProduceError::Ended)
    }
}

/// Asks the run to stop while the second chunk is on its way in, and takes it after that, or never.
struct StopMidway {
    chunks: usize,
    takes_it: bool,
    shutdown: CancellationToken,
    memory: MemorySink,
}

#[async_trait]
impl Sink for StopMidway {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        self.chunks += 1;
        if self.chunks == 2 {
            self.shutdown.cancel();
            tokio::time::sleep(Duration::from_secs(if self.takes_it { 20 } else { 3_600 })).await;
        }
        self.memory.send(messages).await
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        tokio::time::sleep(Duration::from_secs(if self.takes_it { 9 } else { 0 })).await;
        self.memory.flush().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_when_the_stop_came_is_sent_or_counted_as_not_sent() {
    for takes_it in [true, false] {
        let (counters, shutdown) = (Arc::new(Counters::default()), CancellationToken::new());
        let memory = MemorySink::new(Arc::clone(&counters));
        let mut sink = StopMidway { chunks: 0, takes_it, shutdown: shutdown.clone(), memory };
        let began = tokio::time::Instant::now();
        let result = run_into(&simulated(Some(5_000), Key::None), &mut sink, &counters, shutdown).await;
        let taken = sink.memory.take().len() as u64;
        if takes_it {
            let summary = result.unwrap();
            let Summary { ending, acknowledged, unacknowledged, unsent, .. } = summary;
            assert_eq!((ending, acknowledged, unacknowledged, unsent), (Ending::Interrupted, 1_024, 0, 0));
            assert_eq!(taken, 1_024);
        } else {
            let failed = result.unwrap_err();
            assert!(matches!(failed.error, ProduceError::NotWritten { .. }), "{failed}");
            assert_eq!((failed.summary.acknowledged, failed.summary.unsent, taken), (512, 512, 512), "{failed}");
            assert_eq!(began.elapsed(), STOP_TIMEOUT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_a_stop_waits_for_has_one_bound() {
    let (counters, shutdown) = (Arc::new(Counters::default()), CancellationToken::new());
    let memory = MemorySink::new(Arc::clone(&counters));
    let mut sink = StopMidway { chunks: 0, takes_it: true, shutdown: shutdown.clone(), memory };
    let config = Config { stop_timeout: Duration::from_secs(25), ..simulated(None, Key::None) };
    let began = tokio::time::Instant::now();
    let failed = run_into(&config, &mut sink, &counters, shutdown).await.unwrap_err();
    assert!(matches!(failed.error, ProduceError::NotWritten { .. }), "{failed}");
    assert_eq!(began.elapsed(), config.stop_timeout);
}
