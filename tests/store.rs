//! A consumer with a store: what it prints, what a second run prints, and what the store says when it is asked.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::util::cluster::Cluster;
use crate::util::program::{Ended, Running, STUCK, command, run};
use crate::util::{as_reference, assert_same_lines, golden, golden_text};

/// A folder with room for a store.
pub(crate) struct Store(TempDir);

impl Store {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Where other files of the test can lie.
    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self) -> String {
        self.0.path().join("a.db").to_str().expect("the path is UTF-8").to_owned()
    }

    /// A subcommand that looks into it.
    #[track_caller]
    pub(crate) fn ask(&self, words: &[&str]) -> Ended {
        run("isotherm-consumer", words.iter().copied().chain(["--store", &self.path()]))
    }

    /// What a subcommand says in JSON.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let said = self.ask(words).code(0).stdout;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// Asks for the totals until they are of so many messages.
    #[track_caller]
    pub(crate) fn wait_for_messages(&self, messages: u64) {
        let until = Instant::now() + STUCK;
        loop {
            // A store that is just being made is none yet.
            let said = self.ask(&["query", "totals", "--format", "jsonl"]);
            if said.stdout.starts_with(&format!(r#"{{"type":"totals","messages":{messages},"#)) {
                return;
            }
            assert!(Instant::now() < until, "no {messages} messages:\n{}\n{}", said.stdout, said.stderr);
        }
    }
}

/// What a run on a store is to read and do.
pub(crate) fn consume(cluster: &Cluster, topic: &str, store: &Store, args: &[&str]) -> Command {
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", topic, "--format", "jsonl", "--store", &store.path()]);
    consume.args(args);
    consume
}

/// Such a run to the end that the topic has now.
#[track_caller]
fn to_end(cluster: &Cluster, topic: &str, store: &Store, args: &[&str]) -> Ended {
    Running::start(consume(cluster, topic, store, args).arg("--until-end")).wait()
}

/// A topic that holds a file of `golden/`.
#[track_caller]
fn with_golden(cluster: &Cluster, name: &str, partitions: u32) -> String {
    let topic = cluster.deployed(name, partitions);
    let readings = golden(&format!("{name}.jsonl"));
    let readings = readings.to_str().expect("the path is UTF-8");
    cluster.produce(&topic, &["--input", readings, "--batch-size", "16384", "--quiet"]);
    topic
}

/// The lines of one type.
fn lines<'a>(jsonl: &'a str, of_type: &str) -> Vec<&'a str> {
    let start = format!(r#"{{"type":"{of_type}","#);
    jsonl.lines().filter(|line| line.starts_with(&start)).collect()
}

#[test]
fn a_store_gives_what_the_run_printed() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 3);
    let store = Store::new();
    let printed = to_end(&cluster, &topic, &store, &[]).code(0).stdout;
    assert_same_lines(&as_reference(&printed), &golden_text("clean.expected"), "what the run printed");

    let windows = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    let totals = store.ask(&["query", "totals", "--format", "jsonl"]).code(0).stdout;
    let of_run = lines(&printed, "window");
    assert_eq!(windows.lines().collect::<Vec<_>>(), of_run, "all windows, as they were printed");
    assert_eq!(totals.lines().collect::<Vec<_>>(), [*lines(&printed, "totals").last().expect("it ends with totals")]);
    let latest = store.ask(&["query", "latest", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(latest.lines().collect::<Vec<_>>(), of_run[of_run.len() - 1..]);
    let newest = store.ask(&["query", "windows", "--newest", "3", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(newest.lines().collect::<Vec<_>>(), of_run[of_run.len() - 3..]);

    // By start: from the second one, to the fourth.
    let starts: Vec<String> = of_run
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["start"].as_str().expect("a text").to_owned())
        .collect();
    let words = ["query", "windows", "--from", &starts[1], "--to", &starts[3], "--format", "jsonl"];
    let some = store.ask(&words).code(0).stdout;
    assert_eq!(some.lines().collect::<Vec<_>>(), of_run[1..3]);
    let none = store.ask(&["query", "windows", "--to", &starts[0]]).code(0).stdout;
    assert!(none.contains("No window starts there") && none.contains(&starts[0]), "{none}");

    // For people.
    let table = store.ask(&["query", "windows"]).code(0).stdout;
    assert_eq!(table.matches("closed by").count(), of_run.len(), "{table}");
    assert!(!table.contains("run "), "no figures of another moment:\n{table}");
    let table = store.ask(&["query", "totals"]).code(0).stdout;
    assert!(table.starts_with("Totals of the run\n") && table.contains("1,500"), "{table}");
}

#[test]
fn a_second_run_goes_on_and_says_no_window_twice() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 2);
    let store = Store::new();
    let first = to_end(&cluster, &topic, &store, &[]).code(0).stdout;
    let second = to_end(&cluster, &topic, &store, &[]).code(0).stdout;
    assert_eq!(second.lines().collect::<Vec<_>>(), lines(&first, "totals")[lines(&first, "totals").len() - 1..]);

    let refused = to_end(&cluster, &topic, &store, &["--from", "beginning"]).code(1).stderr;
    assert!(refused.contains("--from") && refused.contains("--reset"), "{refused}");
    let anew = to_end(&cluster, &topic, &store, &["--from", "beginning", "--reset"]).code(0).stdout;
    assert_same_lines(&as_reference(&anew), &golden_text("clean.expected"), "begun anew");
    let windows = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(windows.lines().collect::<Vec<_>>(), lines(&anew, "window"), "and nothing of the first run");
}

#[test]
fn windows_left_open_are_closed_by_the_next_run() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 1);
    let store = Store::new();
    let first = to_end(&cluster, &topic, &store, &["--leave-open"]).code(0).stdout;
    let second = to_end(&cluster, &topic, &store, &[]).code(0).stdout;
    assert!(!lines(&first, "window").is_empty() && !lines(&second, "window").is_empty(), "{first}\n{second}");
    assert_same_lines(&as_reference(&(first + &second)), &golden_text("clean.expected"), "both runs together");
}

#[test]
fn the_ledger_adds_up() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "faults", 2);
    let store = Store::new();
    to_end(&cluster, &topic, &store, &[]).code(0);
    let ledger = store.json(&["ledger", "--format", "json"]);
    let expected = golden_text("faults.expected");
    let totals: Value = serde_json::from_str(expected.lines().last().expect("totals")).expect("JSON");
    assert_eq!(ledger["read"], totals["messages"], "{ledger}");
    for member in ["counted", "late", "rejected"] {
        assert_eq!(ledger[member], totals[member], "{ledger}");
    }
    let count = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no count in {ledger}"));
    let all = |of: &Value| of.as_object().expect("reasons").values().map(count).sum::<u64>();
    let partitions = ledger["partitions"].as_array().expect("a list");
    assert_eq!(partitions.len(), 2, "{ledger}");
    for account in partitions.iter().chain([&ledger]) {
        let parts = count(&account["counted"]) + count(&account["late"]) + all(&account["rejected"]);
        assert_eq!(count(&account["read"]), parts, "{account}");
    }
    assert_eq!(partitions.iter().map(|partition| count(&partition["read"])).sum::<u64>(), count(&ledger["read"]));
    for partition in partitions {
        // Every rejected record stands in a batch that is named, and in the log.
        let ranges = partition["rejected_ranges"].as_array().expect("a list");
        for (reason, records) in partition["rejected"].as_object().expect("reasons") {
            let of_reason = ranges.iter().filter(|range| range["reason"] == **reason);
            assert_eq!(of_reason.map(|range| count(&range["records"])).sum::<u64>(), count(records), "{partition}");
        }
        let end = count(&partition["next"]);
        assert!(
            ranges.iter().all(|range| count(&range["first"]) < count(&range["next"]) && count(&range["next"]) <= end)
        );
    }
    let table = store.ask(&["ledger"]).code(0).stdout;
    let example = format!("  fluvio consume {topic} -p 0 --start ");
    let last = table.lines().last().unwrap_or_default();
    assert!(last.starts_with(&example) && last.contains("--smartmodule reading-gate -e reason="), "{table}");
}

#[test]
fn what_uses_a_store_keeps_others_out_but_not_those_who_look() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("held", 2);
    let store = Store::new();
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic, "--rate", "400", "--quiet"]);
    let producer = Running::start(&mut produce);
    let mut first = Running::start(&mut consume(&cluster, &topic, &store, &["--window", "500ms", "--idle", "1m"]));
    let newest = first.wait_for(r#""type":"window""#);

    // What has been printed has been committed: it can be asked for.
    let asked = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    assert!(asked.lines().any(|line| line == newest), "{newest} is not in\n{asked}");
    for words in [&["query", "latest"][..], &["query", "totals"], &["ledger"]] {
        assert!(!store.ask(words).code(0).stdout.is_empty(), "{words:?}");
    }
    let why = store.json(&["why", "--format", "json"]);
    let holder = why["consumer"].as_str().unwrap_or_else(|| panic!("a consumer runs: {why}"));
    assert!(holder.starts_with("by process "), "{why}");

    let second = to_end(&cluster, &topic, &store, &["--window", "500ms"]).code(1).stderr;
    assert!(second.contains("in use") && second.contains(holder) && second.contains("--take-over"), "{second}");

    for window in store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout.lines() {
        assert!(window.ends_with("]}"), "whole lines: {window}");
    }
    first.wait_for(r#""type":"window""#);
    producer.signal(Signal::SIGINT);
    producer.wait().code(130);
    first.signal(Signal::SIGINT);
    let printed = first.wait().code(130).stdout;
    let asked = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(asked.lines().collect::<Vec<_>>(), lines(&printed, "window"), "in the end they are the same");
    assert_eq!(store.json(&["why", "--format", "json"])["consumer"], Value::Null, "nobody holds it any longer");
}

#[test]
fn a_take_over_that_is_refused_leaves_the_consumer_alone() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 1);
    let store = Store::new();
    let mut first = Running::start(&mut consume(&cluster, &topic, &store, &["--idle", "1m"]));
    first.wait_for(r#""type":"window""#);
    let held = store.json(&["why", "--format", "json"])["consumer"].clone();
    assert!(held.as_str().is_some_and(|holder| holder.starts_with("by process ")), "{held}");

    let nowhere = "127.0.0.1:1";
    let runs: [(&str, &str, &[&str], &str); 6] = [
        (cluster.address(), &topic, &["--window", "5s"], "another window"),
        (cluster.address(), &topic, &["--from", "end"], "--from cannot be used"),
        (cluster.address(), "nosuch", &[], "no topic `nosuch`"),
        (cluster.address(), &topic, &["--dead-letters", "nosuch"], "no topic `nosuch`"),
        (nowhere, &topic, &[], nowhere),
        (nowhere, &topic, &["--reset"], nowhere),
    ];
    for (address, topic, args, text) in runs {
        let path = store.path();
        let common = ["--cluster", address, "--topic", topic, "--store", &path, "--take-over"];
        let refused = run("isotherm-consumer", common.iter().chain(args)).code(1).stderr;
        assert!(refused.contains(text), "{args:?}: {refused}");
        assert_eq!(store.json(&["why", "--format", "json"])["consumer"], held, "{args:?}");
    }
    let second = to_end(&cluster, &topic, &store, &[]).code(1).stderr;
    assert!(second.contains("in use"), "{second}");

    // It goes on: what it ends with is committed.
    first.signal(Signal::SIGINT);
    let printed = first.wait().code(130).stdout;
    let asked = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(asked.lines().collect::<Vec<_>>(), lines(&printed, "window"));
}

#[test]
fn a_store_is_thrown_away_only_for_a_run_that_can_begin() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 1);
    let store = Store::new();
    to_end(&cluster, &topic, &store, &[]).code(0);
    let totals = || store.ask(&["query", "totals", "--format", "jsonl"]).code(0).stdout;
    let before = totals();
    let path = store.path();
    for (address, topic) in [(cluster.address(), "nosuch"), ("127.0.0.1:1", &topic)] {
        let words = ["--cluster", address, "--topic", topic, "--store", &path, "--reset", "--until-end"];
        run("isotherm-consumer", words).code(1);
        assert_eq!(totals(), before, "{address} {topic}");
    }
}

#[test]
fn a_damaged_store_says_what_to_do_and_that_can_be_done() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 1);
    let store = Store::new();
    let printed = to_end(&cluster, &topic, &store, &[]).code(0).stdout;
    let whole = fs::read(store.path()).expect("it is there");
    let flipped = |at: usize, bit: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        bytes
    };
    let damages = [
        whole[..100].to_vec(),
        whole[..4096].to_vec(),
        whole[..whole.len() - 4096].to_vec(),
        flipped(0, 1),
        flipped(18, 1),
        flipped(47, 128),
        flipped(100, 4),
    ];
    for (case, damaged) in damages.iter().enumerate() {
        fs::write(store.path(), damaged).expect("it can be written");
        let said = to_end(&cluster, &topic, &store, &[]).code(1).stderr;
        assert!(said.contains("is damaged") && said.contains("--reset"), "case {case}: {said}");
        let anew = to_end(&cluster, &topic, &store, &["--reset"]).code(0).stdout;
        assert_eq!(anew, printed, "case {case}");
    }
}

#[test]
fn flags_of_a_store_that_stays_need_one() {
    for flags in [&["--reset"][..], &["--take-over"], &["--keep", "1h"], &["--dead-letters", "letters"]] {
        let words = flags.iter().copied().chain(["--store", "memory", "--cluster", "127.0.0.1:1"]);
        let said = run("isotherm-consumer", words).code(1).stderr;
        assert!(said.contains(flags[0]) && said.contains("needs a store that stays"), "{said}");
        assert!(said.contains("--store PATH"), "{said}");
    }
}

/// Readings of a state, one for each of these seconds after nine o'clock.
pub(crate) fn readings(folder: &Path, state: &str, seconds: Range<u32>) -> String {
    let line = |second| {
        let time = format!("2026-03-14T09:00:{second:02}Z");
        format!(
            r#"{{"guid":"{state}-1","state":"{state}","eventTime":"{time}","payload":{{"data":{{"temperature":40}}}}}}"#
        )
    };
    let path = folder.join(state);
    fs::write(&path, seconds.map(|second| line(second) + "\n").collect::<String>()).expect("the file can be written");
    path.to_str().expect("the path is UTF-8").to_owned()
}

/// For each of two partitions a state whose readings go there, if they are keyed by state.
pub(crate) fn states_apart(cluster: &Cluster, folder: &Path) -> [&'static str; 2] {
    const STATES: [&str; 8] = ["AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DE"];
    let topic = cluster.deployed("states", 2);
    for state in STATES {
        cluster.produce(&topic, &["--input", &readings(folder, state, 0..1), "--key", "group", "--quiet"]);
    }
    [0, 1].map(|partition| {
        let values = cluster.values(&topic, partition);
        let first = String::from_utf8_lossy(values.first().map_or(&[], Vec::as_slice)).into_owned();
        let state = STATES.into_iter().find(|state| first.contains(&format!(r#""state":"{state}""#)));
        state.unwrap_or_else(|| panic!("partition {partition} has none of the states: {first}"))
    })
}

#[test]
fn why_names_the_partition_that_holds_a_window_back() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("why", 2);
    let store = Store::new();
    let nothing = store.ask(&["why"]).code(1).stderr;
    assert!(nothing.contains("no store at") && nothing.contains("a.db"), "{nothing}");

    let [ahead, behind] = states_apart(&cluster, store.0.path());
    let slow = 1;
    for (state, seconds) in [(ahead, 0..40), (behind, 0..9)] {
        let file = readings(store.0.path(), state, seconds);
        cluster.produce(&topic, &["--input", &file, "--key", "group", "--quiet"]);
    }
    let consumer = Running::start(&mut consume(&cluster, &topic, &store, &["--idle", "1h"]));
    store.wait_for_messages(49);
    consumer.signal(Signal::SIGINT);
    consumer.wait().code(130);

    let why = store.json(&["why", "--idle", "1h", "--format", "json"]);
    assert_eq!((&why["type"], &why["topic"]), (&Value::from("why"), &Value::from(topic.as_str())));
    let partitions = why["partitions"].as_array().expect("a list");
    let of = |member: &str| partitions.iter().map(|partition| partition[member].clone()).collect::<Vec<_>>();
    assert_eq!(of("partition"), [0, 1]);
    assert_eq!(of("holds_back"), [false, true], "{why}");
    assert_eq!(of("lag"), [0, 0], "{why}");
    assert_eq!(of("watermark"), ["2026-03-14T09:00:39Z", "2026-03-14T09:00:08Z"], "{why}");
    assert_eq!(why["window"]["start"], "2026-03-14T09:00:06Z", "{why}");
    assert_eq!(why["window"]["missing_ms"], 2_000, "{why}");
    let because = |why: &Value| {
        let because = why["because"].as_array().expect("a list");
        because.iter().map(|words| words.as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    let said = because(&why);
    let wanted = format!("partition {slow} has read all of its log and is waited for until it is quiet for 1h");
    assert!(said.iter().any(|words| words.starts_with(&wanted)), "{said:?}");
    assert!(said.iter().any(|words| words.starts_with("no consumer is running")), "{said:?}");
    let text = store.ask(&["why", "--idle", "1h"]).code(0).stdout;
    assert!(text.contains("the oldest open window") && text.contains(&wanted), "{text}");

    // More comes.
    let file = readings(store.0.path(), behind, 9..12);
    cluster.produce(&topic, &["--input", &file, "--key", "group", "--quiet"]);
    let said = because(&store.json(&["why", "--format", "json"]));
    assert!(said.iter().any(|words| words == &format!("partition {slow} has 3 records to read")), "{said:?}");

    // Nobody answers.
    cluster.kill();
    let why = store.json(&["why", "--format", "json"]);
    assert!(why["cluster"]["error"].is_string() && why["cluster"]["address"] == cluster.address(), "{why}");
    let wanted = format!("partition {slow} holds it back; whether there is more to read of it is not known");
    assert!(because(&why).iter().any(|words| words.starts_with(&wanted)), "{why}");
}

#[test]
fn what_cannot_be_looked_into_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for words in [&["query", "windows"][..], &["query", "latest"], &["query", "totals"], &["ledger"], &["why"]] {
        let memory = run("isotherm-consumer", words.iter().copied().chain(["--store", "memory"])).code(2).stderr;
        assert!(memory.contains("memory") && memory.contains("--store PATH"), "{words:?}: {memory}");
        let path = folder.path().join("none.db");
        let path = path.to_str().expect("the path is UTF-8");
        let missing = run("isotherm-consumer", words.iter().copied().chain(["--store", path])).code(1).stderr;
        assert!(missing.contains(path), "{words:?}: {missing}");
        assert!(!Path::new(path).exists(), "looking makes nothing");
    }
    for wrong in [
        &["query"][..],
        &["query", "windows", "--from", "yesterday"],
        &["query", "windows", "--newest", "0"],
        &["query", "windows", "--newest", "2", "--from", "2026-11-22T10:00:00Z"],
        &["query", "windows", "--from", "2026-11-22T10:00:00Z", "--to", "2026-11-22T10:00:00Z"],
        &["query", "totals", "--format", "json"],
        &["ledger", "--format", "jsonl"],
    ] {
        run("isotherm-consumer", wrong).code(2);
    }
}

#[test]
fn the_default_store_is_found_by_those_who_look() {
    let cluster = Cluster::start();
    let topic = with_golden(&cluster, "clean", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let on_default = |words: &[&str]| {
        let mut command = command("isotherm-consumer");
        command.args(words).args(["--cluster", cluster.address(), "--topic", &topic, "--window", "10s"]);
        command.args(["--store", "default"]).env("XDG_DATA_HOME", folder.path());
        Running::start(&mut command).wait()
    };
    let printed = on_default(&["--until-end", "--format", "jsonl"]).code(0).stdout;
    let windows = on_default(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(windows.lines().collect::<Vec<_>>(), lines(&printed, "window"));
}
