//! What is said of stores and clusters as values.

use super::*;

const START: Millis = 1_795_341_600_000;

struct Case {
    state: TopicState,
    partitions: BTreeMap<PartitionId, PartitionState>,
    consumer: Option<&'static str>,
    ends: Result<BTreeMap<PartitionId, Result<i64, String>>, String>,
}

fn partition(merged: i64, watermark: Option<Millis>) -> PartitionState {
    let watermark = watermark.map(|after| START + after);
    PartitionState { merged, refill: merged, watermark, ..PartitionState::default() }
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
            consumer: Some("by process 4711 on tower since 2026-11-22T09:58:00Z"),
            ends: Ok([(0, Ok(620)), (1, Ok(400)), (2, Ok(0))].into()),
        }
    }

    fn end(mut self, partition: PartitionId, end: Result<i64, &str>) -> Self {
        if let Ok(ends) = &mut self.ends {
            ends.insert(partition, end.map_err(str::to_owned));
        }
        self
    }

    fn report(&self) -> WhyReport {
        report(&Known {
            topic: "sensors",
            window: WindowSize::default(),
            grace: Duration::from_secs(1),
            idle: Duration::from_secs(10),
            state: self.state,
            partitions: &self.partitions,
            consumer: self.consumer,
            cluster: "127.0.0.1:9003",
            ends: &self.ends,
        })
    }

    fn holders(&self) -> Vec<PartitionId> {
        self.report().partitions.iter().filter(|partition| partition.holds_back).map(|found| found.partition).collect()
    }

    #[track_caller]
    fn says(&self, wanted: &[&str]) {
        let because = self.report().because;
        let whole = because.len() == wanted.len() && because.iter().zip(wanted).all(|(said, part)| said.contains(part));
        assert!(whole, "said {because:#?}\nwanted {wanted:#?}");
    }
}

#[test]
fn a_partition_that_was_read_is_waited_for_until_it_is_quiet() {
    let case = Case::new();
    assert_eq!(case.holders(), [1, 2]);
    case.says(&[
        "partition 1 has read all of its log and is waited for until it is quiet for 10s, or has a reading of 2026-11-22T10:00:04Z or later",
        "partition 2 has read all of its log",
        "the newest reading is of 2026-11-22T10:00:09.250Z: the window closes when all who hold it back are quiet",
    ]);
    assert_eq!(case.report().window.map(|window| window.missing), Some(Some(1_500)));
}

#[test]
fn a_partition_with_a_backlog_is_named_with_it() {
    let case = Case::new().end(1, Ok(12_745));
    case.says(&["partition 1 has 12,345 records to read", "partition 2 has read all of its log"]);
    let of = &case.report().partitions[1];
    assert_eq!((of.state, of.lag, of.missing), (ReadState::Backlog, Some(12_345), Some(1_500)));
    // Whoever is ahead holds nothing back, whatever it has to read.
    let case = Case::new().end(0, Ok(621));
    assert_eq!(case.holders(), [1, 2]);
    case.says(&["partition 1 has", "partition 2 has"]);
}

#[test]
fn event_time_that_goes_on_by_itself_is_said_with_what_it_lacks() {
    let mut case = Case::new();
    case.partitions = [(1, partition(400, Some(2_500)))].into();
    case.ends = Ok([(1, Ok(400))].into());
    case.state.newest = Some(START + 2_500);
    case.says(&["partition 1 has read all", "the window closes 1.5s after that reading came"]);
}

#[test]
fn a_partition_that_the_store_does_not_know_holds_everything_back() {
    let case = Case::new().end(3, Ok(77));
    assert_eq!(case.holders(), [1, 2, 3]);
    case.says(&[
        "partition 1",
        "partition 2",
        "partition 3 is not known to the store yet: nothing closes until its end is known; it has 77 records",
    ]);
}

#[test]
fn without_a_consumer_nothing_closes() {
    let mut case = Case::new();
    case.consumer = None;
    case.partitions.entry(1).or_default().refill = 350;
    case.says(&[
        "no consumer is running with this store, and nothing closes until one is; it first reads 50 records again",
        "partition 1 has read all",
        "partition 2 has read all",
        "the newest reading",
    ]);
}

#[test]
fn a_cluster_that_does_not_answer_is_said_and_the_store_told_all_the_same() {
    let mut case = Case::new();
    case.ends = Err("connection refused".to_owned());
    assert_eq!(case.holders(), [1, 2]);
    case.says(&[
        "partition 1 holds it back; whether there is more to read of it is not known",
        "partition 2 holds it back",
    ]);
    let text = text(&case.report()).join("\n");
    assert!(
        text.contains("The cluster at 127.0.0.1:9003 does not say how much there is to read: connection refused"),
        "{text}"
    );
    // One leader alone.
    let case = Case::new().end(1, Err("nobody leads it"));
    case.says(&[
        "partition 1 holds it back; whether there is more to read of it is not known (nobody leads it)",
        "partition 2",
    ]);
}

#[test]
fn another_log_than_the_one_that_was_read_is_noticed() {
    let case = Case::new().end(1, Ok(399));
    case.says(&[
        "it ends at offset 399, but was read up to 400. A consumer stops there; start again with --reset",
        "partition 2",
    ]);
    let mut case = Case::new();
    case.ends = Ok([(0, Ok(620)), (1, Ok(400))].into());
    case.says(&["partition 1", "partition 2 is gone: the topic has no such partition any longer"]);
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
    case.ends = Ok([(0, Ok(620))].into());
    case.says(&["no partition holds it back any longer"]);
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
