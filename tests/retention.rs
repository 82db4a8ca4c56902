//! A log whose retention has cut what is needed: resuming, verifying, and letters that were not yet copied.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::dead_letters::letters;
use crate::util::cluster::Cluster;
use crate::util::program::{self, Ended, Running, STUCK, command};

/// A store, of a topic that keeps about 300 kB.
struct Short {
    cluster: Cluster,
    topic: String,
    folder: TempDir,
}

impl Short {
    #[track_caller]
    fn new(name: &str) -> Self {
        let cluster = Cluster::start();
        let topic = cluster.kept_short(name, 300_000);
        Self { cluster, topic, folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    fn store(&self) -> String {
        self.folder.path().join("run.db").to_str().expect("the path is UTF-8").to_owned()
    }

    /// Produces readings from a minute on, a hundred a second, in batches that are small against a segment. A thousand
    /// are about 220 kB.
    #[track_caller]
    fn produce(&self, count: u32, minute: u32, more: &[&str]) {
        let (count, start) = (count.to_string(), format!("2026-03-14T09:{minute:02}:00Z"));
        let args = [&count, "--seed", "7", "--start", &start, "--rate", "100", "--quiet", "--batch-size", "4000"];
        self.cluster.produce(&self.topic, &[&args[..], more].concat());
    }

    /// A run to the end that the topic has now, with the store.
    #[track_caller]
    fn run(&self, more: &[&str]) -> Ended {
        Running::start(command("isotherm-consumer").args(self.reading(&["--until-end"])).args(more)).wait()
    }

    /// A run that goes on over gaps: again, if more was cut while it read.
    #[track_caller]
    fn run_over_gaps(&self, more: &[&str]) -> Ended {
        loop {
            let ended = self.run(&[&["--accept-gap"], more].concat());
            if !ended.stderr.contains("is read up to") {
                return ended;
            }
        }
    }

    fn reading(&self, more: &[&str]) -> Vec<String> {
        let store = self.store();
        let args =
            ["--cluster", self.cluster.address(), "--topic", &self.topic, "--store", &store, "--format", "jsonl"];
        args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    #[track_caller]
    fn json(&self, words: &[&str], code: i32) -> Value {
        let store = self.store();
        let args = words.iter().copied().chain(["--store", &store, "--format", "json"]);
        let said = program::run("isotherm-consumer", args).code(code).stdout;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Waits until a consumer has merged so many readings into the store.
    #[track_caller]
    fn wait_for_read(&self, readings: u64) {
        let until = Instant::now() + STUCK;
        let store = self.store();
        loop {
            // A store that is just being made is none yet.
            let said = program::run("isotherm-consumer", ["ledger", "--store", &store, "--format", "json"]);
            if said.stdout.contains(&format!(r#""read":{readings},"#)) {
                return;
            }
            assert!(Instant::now() < until, "no {readings} readings:\n{}\n{}", said.stdout, said.stderr);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn windows(&self) -> String {
        program::run("isotherm-consumer", ["query", "windows", "--store", &self.store(), "--format", "jsonl"])
            .code(0)
            .stdout
    }

    #[track_caller]
    fn ledger(&self) -> Value {
        self.json(&["ledger"], 0)
    }

    #[track_caller]
    fn verify(&self, code: i32) -> Value {
        self.json(&["verify", "--cluster", self.cluster.address()], code)
    }
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_log_that_no_longer_reaches_back_is_refused_unless_the_gap_is_accepted() {
    let short = Short::new("gap");
    short.produce(1_000, 0, &[]);
    short.run(&["--leave-open"]).code(0);
    let before = short.windows();
    assert_eq!(short.verify(0)["unverifiable"], Value::Array(Vec::new()));
    let resume = number(&short.ledger()["partitions"][0]["next"]);
    assert_eq!(resume, 1_000);
    short.produce(5_000, 10, &[]);
    short.cluster.wait_for_start(&short.topic, 1_001);

    let refused = short.run(&[]).code(1).stderr;
    for said in ["partition 0", "--accept-gap", "--reset", "retention"] {
        assert!(refused.contains(said), "`{said}` is missing: {refused}");
    }
    assert_eq!(short.windows(), before, "a refused run changes nothing");

    let stdout = short.run_over_gaps(&[]).code(0).stdout;
    let totals: Value = serde_json::from_str(stdout.lines().last().expect("totals")).expect("JSON");
    let ledger = short.ledger();
    let partition = &ledger["partitions"][0];
    let gaps = partition["gaps"].as_array().expect("a list");
    let unread: u64 = gaps.iter().map(|gap| number(&gap["unread"])).sum();
    assert!(number(&gaps[0]["first"]) <= 1_000 && number(&gaps[0]["next"]) > 1_000, "{ledger}");
    assert_eq!(number(&gaps[0]["unread"]), number(&gaps[0]["next"]) - 1_000, "{ledger}");
    assert_eq!(number(&totals["messages"]), 6_000 - unread, "{totals}");
    assert_eq!(number(&partition["read"]), 6_000 - unread, "{ledger}");
    assert_eq!(number(&partition["next"]), 6_000, "{ledger}");

    let report = short.verify(0);
    assert_eq!(report["result"], "incomplete", "{report}");
    let said = report["unverifiable"][0]["what"].as_str().expect("a text");
    assert!(said.starts_with("partition 0: offsets 0 to "), "{report}");
    let windows = ["verified", "unverifiable", "different"].map(|word| number(&report["windows"][word]));
    // Two closed before the gap, and the one that was open then is gone with it.
    assert!(windows[0] > 3 && windows[1] >= 2 && windows[2] == 0, "{report}");
    // It is accepted once: the next run goes on without the flag.
    short.run(&[]).code(0);
}

#[test]
fn what_is_cut_is_named_and_the_rest_is_verified() {
    let short = Short::new("verify-cut");
    for minute in [0, 2, 4] {
        short.produce(800, minute, &["--late", "0.05", "--malformed", "0.05"]);
        short.run(&["--leave-open"]).code(0);
    }
    let start = short.cluster.wait_for_start(&short.topic, 800);
    let report = short.verify(0);
    assert_eq!(
        (&report["result"], number(&report["windows"]["different"])),
        (&Value::from("incomplete"), 0),
        "{report}"
    );
    assert!(number(&report["partitions"][0]["from"]) >= start.unsigned_abs(), "{report}");
    let named = |what: &str| {
        let all = report["unverifiable"].as_array().expect("a list");
        all.iter().filter(|one| one["what"].as_str().is_some_and(|said| said.contains(what))).count()
    };
    let (verified, cut) = (number(&report["windows"]["verified"]), number(&report["windows"]["unverifiable"]));
    assert!(verified > 0 && cut > 0 && named("window") > 0 && named("totals") > 0, "{report}");
}

#[test]
fn letters_that_were_not_copied_in_time_are_entered_as_lost() {
    let short = Short::new("lost");
    let (closed, dead) = (short.cluster.deployed("closed", 1), short.cluster.deployed("dead", 1));
    // Nothing can be copied to a topic that is gone.
    let mut run = command("isotherm-consumer");
    let run = Running::start(run.args(short.reading(&["--dead-letters", &closed])));
    short.produce(10, 0, &[]);
    short.wait_for_read(10);
    short.cluster.delete(&closed);
    short.produce(1_000, 2, &["--malformed", "0.1"]);
    short.wait_for_read(1_010);
    run.signal(Signal::SIGKILL);
    drop(run);
    let waiting = number(&short.ledger()["dead_letters"]["waiting"]["records"]);
    assert!(waiting > 50, "{waiting} letters wait");
    // A run without a topic for them leaves them where they are.
    short.produce(4_000, 10, &[]);
    short.run_over_gaps(&[]).code(0);
    short.cluster.wait_for_start(&short.topic, 1_000);
    short.produce(100, 20, &["--malformed", "0.5"]);
    let ended = short.run_over_gaps(&["--dead-letters", &dead, "--leave-open"]).code(0).stderr;
    assert!(ended.contains("lost"), "{ended}");
    let ledger = short.ledger();
    assert_eq!(number(&ledger["dead_letters"]["lost"]["records"]), waiting, "{ledger}");
    assert_eq!(number(&ledger["dead_letters"]["waiting"]["records"]), 0, "{ledger}");
    let there = letters(&short.cluster, &dead, 1).len();
    assert!(there > 20 && there < 100, "{there} letters of the last hundred readings");
}
