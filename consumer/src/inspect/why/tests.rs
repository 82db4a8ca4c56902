//! What is said of stores and clusters as values.

use isotherm_engine::state::LastBatch;

use super::*;

const START: Millis = 1_795_341_600_000;

struct Case {
    state: TopicState,
    partitions: BTreeMap<PartitionId, PartitionState>,
    consumer: Option<Consumer<'static>>,
    timing: Timing,
    given: Option<Timing>,
    log: Result<PartitionBounds, String>,
}

const TIMING: Timing = Timing { grace: Duration::from_secs(1), idle: Duration::from_secs(10) };

fn started(ago: u64) -> Option<Consumer<'static>> {
    let holder = "by process 4711 on tower since 2026-11-22T09:58:00Z";
    Some(Consumer { holder, age: Some(Duration::from_secs(ago)) })
}

fn log<const N: usize>(ends: [(PartitionId, i64); N]) -> Result<PartitionBounds, String> {
    Ok(ends.map(|(partition, end)| (partition, Ok(LogBounds { start: 0, end }))).into())
}

fn partition(merged: i64, watermark: Option<Millis>) -> PartitionState {
    let watermark = watermark.map(|after| START + after);
    PartitionState { position: merged, restore_from: merged, watermark, ..PartitionState::default() }
}

impl Case {
    /// Three partitions, all read: one is ahead, one is behind, one has never had a reading. One window is open.
    fn new() -> Self {
        Self {
            state: TopicState {
                watermark: Some(START + 2_500),
                newest: Some(START + 9_250),
                oldest_open: Some(START),
                open_windows: 4,
                ..TopicState::default()
            },
            partitions: [(0, partition(620, Some(9_250))), (1, partition(400, Some(2_500))), (2, partition(0, None))]
                .into(),
            consumer: started(120),
            timing: TIMING,
            given: Some(TIMING),
            log: log([(0, 620), (1, 400), (2, 0)]),
        }
    }

    fn end(self, partition: PartitionId, end: Result<i64, &str>) -> Self {
        self.bounds(partition, end.map(|end| LogBounds { start: 0, end }))
    }

    fn bounds(mut self, partition: PartitionId, extent: Result<LogBounds, &str>) -> Self {
        if let Ok(log) = &mut self.log {
            log.insert(partition, extent.map_err(str::to_owned));
        }
        self
    }

    fn consumer(mut self, consumer: Option<Consumer<'static>>) -> Self {
        self.consumer = consumer;
        self
    }

    fn report(&self) -> WhyReport {
        report(&WhyInput {
            topic: "sensors",
            window: WindowSize::default(),
            timing: self.timing,
            given: self.given,
            state: self.state,
            partitions: &self.partitions,
            consumer: self.consumer,
            cluster: "127.0.0.1:9003",
            log: &self.log,
        })
    }

    fn holders(&self) -> Vec<PartitionId> {
        self.report()
            .partitions
            .iter()
            .filter(|partition| partition.blocks_watermark)
            .map(|found| found.partition)
            .collect()
    }

    #[track_caller]
    fn says(&self, wanted: &[&str]) {
        let because = self.report().because;
        let whole = because.len() == wanted.len() && because.iter().zip(wanted).all(|(said, part)| said.contains(part));
        assert!(whole, "said {because:#?}\nwanted {wanted:#?}");
    }
}

fn states(case: &Case) -> Vec<ReadState> {
    case.report().partitions.iter().map(|partition| partition.state).collect()
}

#[test]
fn a_partition_that_was_read_is_waited_for_until_it_is_quiet() {
    let case = Case::new();
    assert_eq!(case.holders(), [1]);
    case.says(&[
        "partition 1 has read all of its log and is waited for until it is idle for 10s, or has a reading of 2026-11-22T10:00:04Z or later",
        "the newest reading is of 2026-11-22T10:00:09.250Z: the window closes when all partitions that block it are idle",
    ]);
    assert_eq!(case.report().window.map(|window| window.missing), Some(Some(1_500)));
}

#[test]
fn a_partition_that_the_watermark_has_passed_holds_nothing_back() {
    use ReadState::{CaughtUp, Idle};
    let mut case = Case::new();
    // One without a reading, and one of which none has come for long.
    case.partitions.insert(3, partition(70, Some(2_499)));
    let case = case.end(3, Ok(70));
    assert_eq!((states(&case), case.holders()), (vec![CaughtUp, CaughtUp, Idle, Idle], vec![1]));
    // What has more to read is no longer idle.
    let case = case.end(3, Ok(71)).end(2, Ok(5));
    assert_eq!(case.holders(), [1, 2, 3]);
    // Without a watermark none was passed.
    let mut case = Case::new();
    case.state.watermark = None;
    assert_eq!(case.holders(), [1, 2]);
}

#[test]
fn a_start_makes_quiet_partitions_waited_for_again() {
    let case = Case::new().consumer(started(3));
    assert_eq!(case.holders(), [1, 2]);
    let since = "the consumer was started 3s ago, and counts from there";
    case.says(&[since, since, "the newest reading is of"]);
    assert_eq!(Case::new().consumer(started(10)).holders(), [1]);
    // It is not running: the next one counts from its start.
    assert_eq!(Case::new().consumer(None).holders(), [1, 2]);
}

#[test]
fn if_nobody_else_is_left_it_is_the_passed_ones_again() {
    let mut case = Case::new();
    case.partitions.insert(1, partition(400, Some(9_000)));
    case.partitions.insert(2, partition(70, Some(1_000)));
    let case = case.end(2, Ok(70));
    assert_eq!(case.holders(), [2], "something late has come of it");
    case.says(&[
        "partition 2 has read all of its log and is waited for until it is idle for 10s",
        "the newest reading",
    ]);
}

#[test]
fn a_partition_with_a_backlog_is_named_with_it() {
    let case = Case::new().end(1, Ok(12_745));
    case.says(&["partition 1 has 12,345 records to read"]);
    let of = &case.report().partitions[1];
    assert_eq!((of.state, of.lag, of.missing), (ReadState::CatchingUp, Some(12_345), Some(1_500)));
    // Whoever is ahead holds nothing back, whatever it has to read.
    let case = Case::new().end(0, Ok(621));
    assert_eq!(case.holders(), [1]);
    case.says(&["partition 1 has"]);
}

#[test]
fn event_time_that_goes_on_by_itself_is_said_with_when_it_gets_there() {
    let mut case = Case::new();
    case.partitions = [(1, partition(400, Some(2_500)))].into();
    case.log = log([(1, 400)]);
    case.state.newest = Some(START + 2_500);
    // 1.5 s are missing, but nobody is idle before 10 s.
    case.says(&["partition 1 has read all", "the window closes 10s after that reading came, at the earliest"]);
    case.state.oldest_open = Some(START + 57_000);
    case.says(&["partition 1 has read all", "the window closes 58.5s after that reading came, at the earliest"]);
    case.consumer = started(9);
    case.says(&["partition 1 has read all", "the window closes 58.5s after the consumer's start, at the earliest"]);
    case.consumer = None;
    case.says(&["no consumer", "partition 1 has read all", "closes 58.5s after the next start, at the earliest"]);
    // The watermark has gone on beyond the only reading: it is idle.
    case.consumer = started(120);
    case.state.watermark = Some(START + 20_000);
    assert!(case.holders().is_empty());
    case.says(&["all partitions are idle, and event time goes on by itself from the newest reading, of 2026-11-22T10:00:02.500Z"]);
}

#[test]
fn a_partition_that_the_store_does_not_know_holds_everything_back() {
    let case = Case::new().bounds(3, Ok(LogBounds { start: 13, end: 90 }));
    assert_eq!(case.holders(), [1, 3]);
    case.says(&[
        "partition 1",
        "partition 3 is not known to the store yet: nothing closes until its end is known; it has 77 records",
    ]);
}

#[test]
fn without_a_consumer_nothing_closes() {
    let mut case = Case::new().consumer(None);
    case.partitions.entry(1).or_default().restore_from = 350;
    case.says(&[
        "no consumer is running with this store, and nothing closes until one is; it first reads 50 records again",
        "partition 1 has read all",
        "partition 2 has read all",
        "the newest reading",
    ]);
}

#[test]
fn a_log_that_was_cut_is_said_as_a_run_says_it() {
    let cut = |consumer, start| {
        let mut case = Case::new().consumer(consumer);
        let last = Some(LastBatch { first: 390, digest: 7 });
        case.partitions.insert(1, PartitionState { restore_from: 350, last, ..partition(400, Some(2_500)) });
        case.bounds(1, Ok(LogBounds { start, end: 500 }))
    };
    let case = cut(None, 351);
    let of = &case.report().partitions[1];
    assert_eq!((of.state, of.blocks_watermark, of.first, of.lag), (ReadState::Cut, true, Some(351), Some(100)));
    case.says(&[
        "nothing closes until one is",
        "partition 1 of `sensors` begins at offset 351 now, but the store says to go on at 350: retention has \
         deleted what lies between. Go on without it with --accept-data-loss",
        "partition 2 has read all",
    ]);
    assert!(!case.report().because[0].contains("again"), "nothing is read of it: {:?}", case.report().because);
    let text = text(&case.report()).join("\n");
    assert!(text.contains("     351       400  500  100  cut"), "{text}");
    assert_eq!(cut(None, 350).report().partitions[1].state, ReadState::CatchingUp);
    // What is cut of what is to be read is not to be read.
    assert_eq!(cut(None, 410).report().partitions[1].lag, Some(90));
    // One that runs has read so far: it is the next start that is refused.
    cut(started(120), 351).says(&[
        "partition 1 has 100 records to read",
        "partition 1 begins at offset 351 now: a consumer that is started again with this store is to go on at 350",
    ]);
    let case = cut(started(120), 401);
    assert_eq!(case.report().partitions[1].state, ReadState::Cut);
    case.says(&["partition 1 of `sensors` begins at offset 401 now, but is read up to 400 only"]);
    // Where only the batch is cut that the log is known by, nothing is missing, and no run is refused.
    for consumer in [None, started(120)] {
        let mut case = cut(consumer, 400);
        case.partitions.entry(1).and_modify(|state| state.restore_from = 400);
        assert_eq!(case.report().partitions[1].state, ReadState::CatchingUp);
        let because = case.report().because.join("\n");
        assert!(!because.contains("accept-data-loss"), "{because}");
    }
    // Of which nothing has come, that is read from wherever it begins.
    let case = Case::new().bounds(2, Ok(LogBounds { start: 9, end: 9 }));
    assert_eq!(case.report().partitions[2].state, ReadState::Idle);
    // It holds back what is not there yet, too.
    let mut case = cut(None, 351);
    (case.state.oldest_open, case.state.open_windows) = (None, 0);
    case.says(&[
        "nothing is open",
        "partition 1 has 100 records",
        "no consumer is running",
        "begins at offset 351 now",
    ]);
}

#[test]
fn a_cluster_that_does_not_answer_is_said_and_the_store_told_all_the_same() {
    let mut case = Case::new();
    case.log = Err("connection refused".to_owned());
    assert_eq!(case.holders(), [1, 2]);
    case.says(&["partition 1 blocks it; whether there is more to read of it is not known", "partition 2 blocks it"]);
    let text = text(&case.report()).join("\n");
    assert!(
        text.contains("The cluster at 127.0.0.1:9003 does not say how much there is to read: connection refused"),
        "{text}"
    );
    // One leader alone.
    let case = Case::new().end(1, Err("nobody leads it"));
    case.says(&["partition 1 blocks it; whether there is more to read of it is not known (nobody leads it)"]);
}

#[test]
fn another_log_than_the_one_that_was_read_is_noticed() {
    let case = Case::new().end(1, Ok(399));
    case.says(&["it ends at offset 399, but was read up to 400. A consumer stops there; start again with --reset"]);
    let mut case = Case::new();
    case.log = log([(0, 620), (1, 400)]);
    case.says(&["partition 1", "partition 2 is gone: the topic has no such partition any longer"]);
    // A consumer stops there even if the partition is ahead.
    let case = Case::new().end(0, Ok(1));
    assert_eq!(case.holders(), [0, 1]);
}

#[test]
fn nothing_open_is_said_with_what_there_is_to_read() {
    let mut case = Case::new().end(1, Ok(401));
    (case.state.oldest_open, case.state.open_windows) = (None, 0);
    case.says(&["nothing is open: every window that holds readings has closed", "partition 1 has 1 record to read"]);
    case.consumer = None;
    case.says(&["nothing is open", "partition 1 has 1 record to read", "no consumer is running"]);
    assert!(case.holders().is_empty());
}

#[test]
fn a_window_that_nobody_holds_back_closes_when_the_consumer_goes_on() {
    let mut case = Case::new();
    case.partitions = [(0, partition(620, Some(9_250)))].into();
    case.log = log([(0, 620)]);
    case.says(&["no partition blocks it any longer"]);
}

#[test]
fn a_window_that_should_have_closed_shows_another_grace() {
    let mut case = Case::new();
    case.state.watermark = Some(START + 9_250);
    let words =
        "with a grace of 1s it would have closed: the run has a longer one than 6.25s; give the run's with --grace";
    for given in [None, Some(Timing { grace: Duration::from_secs(30), ..TIMING })] {
        case.given = given;
        case.consumer = None;
        case.says(&["nothing closes until one is", words]);
    }
    case.consumer = started(120);
    case.says(&[
        "the consumer runs with --grace 30s, not 1s: what is said here is not of it; leave --grace away",
        words,
    ]);
    // By its own grace it is to close: it first restores what is open.
    case.given = Some(TIMING);
    case.says(&["the watermark has passed what closes it: it closes as soon as the consumer goes on"]);
}

#[test]
fn another_idle_than_the_runs_is_said() {
    let mut case = Case::new();
    case.given = Some(Timing { idle: Duration::from_secs(60), ..TIMING });
    case.says(&["the consumer runs with --idle 1m, not 10s", "partition 1 has read all", "the newest reading"]);
    // The one before may have been given anything.
    case.consumer = None;
    assert!(!case.report().because.iter().any(|words| words.contains("--idle")));
}

#[test]
fn the_text_says_all_of_it() {
    let text: String = text(&Case::new().end(1, Ok(12_745)).report()).iter().map(|line| format!("{line}\n")).collect();
    let golden = include_str!("text.txt");
    assert!(text == golden, "now:\n{text}\nbefore:\n{golden}");
}

#[test]
fn lengths_of_time_can_be_read() {
    for (millis, text) in [(0, "0s"), (250, "0.25s"), (60_001, "1m 0.001s"), (3_603_000, "1h 0m 3s"), (i64::MIN, "0s")]
    {
        assert_eq!(seconds(millis), text);
    }
}
