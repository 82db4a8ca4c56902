//! Kafka as a source, against a broker of the tests' own: the group `kafka` of `cargo xtask test`.

use std::time::Duration;

use rdkafka::producer::Producer;
use serde_json::Value;

use crate::util::kafka::{Broker, flush, send_one};
use crate::util::program::{Ended, Running, command, consumer};
use crate::util::{
    as_reference, assert_same_lines, count, golden_text, json, last_totals, lines, list, reading, text, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A run over a topic, with a store.
struct Kafka<'a> {
    broker: &'a Broker,
    topic: String,
    folder: tempfile::TempDir,
}

impl<'a> Kafka<'a> {
    fn new(broker: &'a Broker, topic: String) -> Self {
        Self { broker, topic, folder: tempfile::tempdir().expect("a folder") }
    }

    fn store(&self) -> String {
        text(&self.folder.path().join("a.db"))
    }

    fn start(&self, args: &[&str]) -> Running {
        let mut run = command("isotherm-consumer");
        run.args(["--source", &self.broker.address(), "--topic", &self.topic, "--store", &self.store()]);
        Running::start(run.args(["--format", "jsonl", "--consumer-group", &self.topic]).args(args))
    }

    fn to_end(&self) -> Ended {
        self.start(&["--until-end"]).wait()
    }

    fn send(&self, partitions: &[i32], lines: &[impl AsRef<str>]) {
        self.broker.send(&self.topic, partitions, lines, &[]);
    }

    /// Waits until the store has counted this many readings.
    fn wait_for(&self, counted: u64) {
        self.wait_until(&format!("{counted} readings are counted"), |totals| count(totals, "counted") == counted);
    }

    /// Waits until the store's totals are so.
    fn wait_until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        wait_until(what, || {
            let seen = consumer(["query", "totals", "--store", &self.store(), "--format", "jsonl"]);
            let totals = lines(&seen.stdout, "totals").last().map(|totals| json(totals));
            if totals.as_ref().is_some_and(&is) { Ok(()) } else { Err(format!("{totals:?}: {}", seen.stderr)) }
        });
    }

    #[track_caller]
    fn verify(&self) {
        let report = consumer(["verify", "--store", &self.store(), "--format", "json"]).code(0);
        assert_eq!(json(&report.stdout)["result"], "same", "{}", report.stdout);
    }
}

/// Readings of these seconds.
fn readings(seconds: std::ops::Range<u32>) -> Vec<String> {
    seconds.map(|second| reading(&(second % 7).to_string(), "AK", second)).collect()
}

#[test]
fn kafka_gives_the_same_answer_however_it_is_compressed() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, broker.topic(3, &[]));
    let all: Vec<String> = golden_text("clean.jsonl").lines().map(str::to_owned).collect();
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (part, codec) in all.chunks(all.len().div_ceil(codecs.len())).zip(codecs) {
        broker.send(&kafka.topic, &[0, 1, 2], part, &[("compression.type", codec)]);
    }
    let ended = kafka.to_end().code(0);
    assert_same_lines(&as_reference(&ended.stdout), &golden_text("clean.expected"), "kafka");
    kafka.verify();
    let ledger = json(&consumer(["ledger", "--store", &kafka.store(), "--format", "json"]).code(0).stdout);
    for (partition, ledger) in (0..).zip(list(&ledger, "partitions")) {
        let committed = broker.committed(&kafka.topic, &kafka.topic, partition);
        assert_eq!(committed.and_then(|offset| u64::try_from(offset).ok()), Some(count(ledger, "next")), "{ledger}");
    }
    // Nothing more has come.
    assert_eq!(lines(&kafka.to_end().code(0).stdout, "window").len(), 0);
    let why = consumer(["why", "--store", &kafka.store()]).code(0);
    assert!(why.stdout.contains("nothing is open"), "{}", why.stdout);
}

#[test]
fn kafka_counts_what_is_committed_and_ends_behind_what_is_not() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, broker.topic(1, &[("message.timestamp.type", "LogAppendTime")]));
    let producer = broker.producer(&[("transactional.id", &kafka.topic)]);
    producer.init_transactions(PATIENCE).expect("it begins");
    let transaction = |seconds: std::ops::Range<u32>, commit: bool| {
        producer.begin_transaction().expect("it begins");
        for reading in readings(seconds) {
            send_one(&producer, &kafka.topic, 0, Some(&reading));
        }
        send_one(&producer, &kafka.topic, 0, None);
        flush(&producer);
        let ended = if commit { producer.commit_transaction(PATIENCE) } else { producer.abort_transaction(PATIENCE) };
        ended.expect("it ends");
    };
    // The last offsets hold control records and what was aborted: no record ever comes there.
    transaction(0..3, true);
    transaction(3..9, false);
    let totals = last_totals(&kafka.to_end().code(0).stdout);
    assert_eq!((count(&totals, "counted"), count(&totals["rejected"], "no-value")), (3, 1), "{totals}");
    kafka.verify();
    // What is under way is not read, and no run waits for it.
    producer.begin_transaction().expect("it begins");
    for reading in readings(20..24) {
        send_one(&producer, &kafka.topic, 0, Some(&reading));
    }
    flush(&producer);
    assert_eq!(count(&last_totals(&kafka.to_end().code(0).stdout), "counted"), 3);
    producer.commit_transaction(PATIENCE).expect("it ends");
    transaction(24..30, false);
    assert_eq!(count(&last_totals(&kafka.to_end().code(0).stdout), "counted"), 7);
    kafka.verify();
}

#[test]
fn kafka_topics_that_were_made_again_are_refused() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, broker.topic(1, &[]));
    kafka.send(&[0], &readings(0..10));
    let run = kafka.start(&[]);
    kafka.wait_for(10);
    broker.delete(&kafka.topic);
    broker.create(&kafka.topic, 1, &[]);
    kafka.send(&[0], &readings(0..30));
    let refused = run.wait().code(1);
    let says = ["deleted and made again", "was deleted"].iter().any(|says| refused.stderr.contains(says));
    assert!(says, "{}", refused.stderr);
    // Neither does a later run take it for what was read.
    let refused = kafka.to_end().code(1);
    assert!(refused.stderr.contains("deleted and made again"), "{}", refused.stderr);
    let totals = consumer(["query", "totals", "--store", &kafka.store(), "--format", "jsonl"]).code(0);
    assert_eq!(count(&last_totals(&totals.stdout), "counted"), 10);
}

#[test]
fn kafka_retention_that_deleted_what_was_needed_is_data_loss() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, broker.topic(1, &[]));
    kafka.send(&[0], &readings(0..10));
    kafka.start(&["--until-end", "--leave-open"]).wait().code(0);
    kafka.send(&[0], &readings(10..40));
    broker.delete_before(&kafka.topic, 0, 20);
    let refused = kafka.to_end().code(1);
    assert!(refused.stderr.contains("retention has deleted"), "{}", refused.stderr);
    let ended = kafka.start(&["--until-end", "--accept-data-loss"]).wait().code(0);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 30);
    let ledger = json(&consumer(["ledger", "--store", &kafka.store(), "--format", "json"]).code(0).stdout);
    assert_eq!(count(&ledger, "lost"), 10, "{ledger}");
}

#[test]
fn kafka_topics_are_waited_for_and_grow() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, format!("{}-later", broker.topic(1, &[])));
    let missing = kafka.to_end().code(1);
    assert!(missing.stderr.contains("there is no topic"), "{}", missing.stderr);
    let mut run = kafka.start(&[]);
    run.wait_for_error("waiting for it");
    broker.create(&kafka.topic, 1, &[]);
    kafka.send(&[0], &readings(0..10));
    kafka.wait_for(10);
    broker.add_partitions(&kafka.topic, 3);
    kafka.send(&[0, 1, 2], &readings(10..40));
    // What comes before the new partitions are found may close windows that their readings belong to.
    kafka.wait_until("40 readings are read", |totals| count(totals, "messages") == 40);
    run.interrupt().code(130);
    kafka.verify();
}

#[test]
fn kafka_brokers_may_be_killed() {
    let mut broker = Broker::own();
    let topic = broker.topic(2, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let store = text(&folder.path().join("a.db"));
    let mut run = command("isotherm-consumer");
    run.args(["--source", &broker.address(), "--topic", &topic, "--store", &store, "--format", "jsonl"]);
    let run = Running::start(&mut run);
    let wait_for = |counted: u64| {
        wait_until(&format!("{counted} readings are counted"), || {
            let seen = consumer(["query", "totals", "--store", &store, "--format", "jsonl"]);
            let totals = lines(&seen.stdout, "totals").last().map(|totals| count(&json(totals), "counted"));
            if totals == Some(counted) { Ok(()) } else { Err(format!("{totals:?}: {}", seen.stderr)) }
        });
    };
    broker.send(&topic, &[0, 1], &readings(0..20), &[]);
    wait_for(20);
    broker.kill();
    broker.start();
    broker.send(&topic, &[0, 1], &readings(20..50), &[]);
    wait_for(50);
    let ended = run.interrupt().code(130);
    assert_eq!(count(&last_totals(&ended.stdout), "messages"), 50, "{}", ended.stderr);
    let report = consumer(["verify", "--store", &store, "--format", "json"]).code(0);
    assert_eq!(json(&report.stdout)["result"], "same", "{}", report.stdout);
}

#[test]
fn kafka_consumers_may_be_killed() {
    let broker = Broker::shared();
    let kafka = Kafka::new(broker, broker.topic(3, &[]));
    let (mut seen, mut sent) = (String::new(), 0);
    for round in 0..20_u64 {
        let mut run = kafka.start(&[]);
        let of: Vec<String> = (sent..sent + 40).map(at).collect();
        kafka.send(&[0, 1, 2], &of);
        sent += 40;
        if round % 4 == 3 {
            kafka.wait_for(sent);
        } else {
            run.next_line_with("\"type\"");
        }
        seen += run.seen();
        run.kill();
    }
    let ended = kafka.to_end().code(0);
    seen += &ended.stdout;
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), sent);
    kafka.verify();
    let mut starts: Vec<String> =
        lines(&seen, "window").into_iter().map(|window| json(window)["start"].to_string()).collect();
    let all = starts.len();
    starts.sort();
    starts.dedup();
    assert_eq!(starts.len(), all, "a window came twice");
}

/// A reading of this second of a day.
fn at(second: u64) -> String {
    let time = format!("2026-03-14T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let mut of: Value = json(&reading(&(second % 11).to_string(), "AK", 0));
    of["eventTime"] = time.into();
    of.to_string()
}

#[test]
fn kafka_sources_that_cannot_be_right_are_refused() {
    let broker = Broker::shared();
    let compacted = broker.topic(1, &[("cleanup.policy", "compact")]);
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = |text: &str| crate::util::write(folder.path(), "my.yaml", text);
    let address = broker.address();
    for (code, says, args) in [
        (1, "is compacted", vec!["--topic", &compacted]),
        (1, "`no.such.setting`", vec!["--kafka-setting", "no.such.setting=1"]),
        (2, "the store keeps offsets", vec!["--kafka-setting", "enable.auto.commit=true"]),
        (2, "is a secret", vec!["--kafka-setting", "sasl.password=x"]),
        (1, "is a secret", vec!["--config", &yaml("kafka:\n  sasl.password: x\n")]),
        (2, "combine: broker", vec!["--combine", "broker"]),
        (2, "--follow is of files", vec!["--follow"]),
        (1, "create it with Kafka's own tools", vec!["--topic", "no-such-topic"]),
    ] {
        let base = ["--source", &address, "--until-end", "--store", "memory", "--format", "jsonl"];
        let base: Vec<&str> = base.into_iter().filter(|flag| *flag != "--until-end" || args[0] != "--follow").collect();
        let ended = consumer(base.into_iter().chain(args.iter().copied())).code(code);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    let deploy = consumer(["deploy", "--source", &address, "--topic", "a"]).code(1);
    assert!(deploy.stderr.contains("Fluvio clusters only"), "{}", deploy.stderr);
    for (says, args) in [
        ("is no HOST:PORT", vec!["--source", "kafka://nowhere"]),
        ("is of a source in Kafka", vec!["--source", "fluvio://127.0.0.1:1", "--consumer-group", "x"]),
    ] {
        let ended = consumer(args.iter().copied().chain(["--store", "memory", "--format", "jsonl"])).code(2);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
}
