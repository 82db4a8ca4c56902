//! A consumer with a store: what it prints, what a second run prints, and what queries of the store give.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command, consumer};
use crate::util::store::Store;
use crate::util::{as_reference, assert_same_lines, count, golden_text, json, last_totals, lines, list, number, sum};

/// A topic that holds readings without any fault, and room for a store.
#[track_caller]
fn clean(partitions: u32) -> (Cluster, String, Store) {
    let cluster = Cluster::start();
    let topic = cluster.with_golden("clean", partitions, "16384");
    (cluster, topic, Store::new())
}

#[test]
fn a_store_gives_what_the_run_printed() {
    let (cluster, topic, store) = clean(3);
    let printed = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    assert_same_lines(&as_reference(&printed), &golden_text("clean.expected"), "what the run printed");

    let (windows, totals) = (store.windows(), store.totals());
    let of_run = lines(&printed, "window");
    assert_eq!(windows.lines().collect::<Vec<_>>(), of_run, "all windows, as they were printed");
    assert_eq!(totals.lines().collect::<Vec<_>>(), [*lines(&printed, "totals").last().expect("it ends with totals")]);
    let latest = store.ask(&["query", "latest", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(latest.lines().collect::<Vec<_>>(), of_run[of_run.len() - 1..]);
    let newest = store.ask(&["query", "windows", "--newest", "3", "--format", "jsonl"]).code(0).stdout;
    assert_eq!(newest.lines().collect::<Vec<_>>(), of_run[of_run.len() - 3..]);

    // By start: from the second one, to the fourth.
    let starts: Vec<String> =
        of_run.iter().map(|line| json(line)["start"].as_str().expect("a text").to_owned()).collect();
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
fn a_second_run_goes_on_and_prints_no_window_twice() {
    let (cluster, topic, store) = clean(2);
    let first = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    let second = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    assert_eq!(second.lines().collect::<Vec<_>>(), lines(&first, "totals")[lines(&first, "totals").len() - 1..]);

    let refused = store.to_end(&cluster, &topic, &["--from", "beginning"]).code(1).stderr;
    assert!(refused.contains("--from") && refused.contains("--reset"), "{refused}");
    let anew = store.to_end(&cluster, &topic, &["--from", "beginning", "--reset"]).code(0).stdout;
    assert_same_lines(&as_reference(&anew), &golden_text("clean.expected"), "begun anew");
    assert_eq!(store.windows().lines().collect::<Vec<_>>(), lines(&anew, "window"), "and nothing of the first run");
}

#[test]
fn windows_left_open_are_closed_by_the_next_run() {
    let (cluster, topic, store) = clean(1);
    let first = store.to_end(&cluster, &topic, &["--leave-open"]).code(0).stdout;
    let second = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    assert!(!lines(&first, "window").is_empty() && !lines(&second, "window").is_empty(), "{first}\n{second}");
    assert_same_lines(&as_reference(&(first + &second)), &golden_text("clean.expected"), "both runs together");
}

#[test]
fn the_ledger_adds_up() {
    let cluster = Cluster::start();
    let topic = cluster.with_golden("faults", 2, "16384");
    let store = Store::new();
    store.to_end(&cluster, &topic, &[]).code(0);
    let (ledger, totals) = (store.ledger(), last_totals(&golden_text("faults.expected")));
    assert_eq!(ledger["read"], totals["messages"], "{ledger}");
    for member in ["counted", "late", "rejected"] {
        assert_eq!(ledger[member], totals[member], "{ledger}");
    }
    let partitions = list(&ledger, "partitions");
    assert_eq!(partitions.len(), 2, "{ledger}");
    for account in partitions.iter().chain([&ledger]) {
        let parts = count(account, "counted") + count(account, "late") + sum(&account["rejected"]);
        assert_eq!(count(account, "read"), parts, "{account}");
    }
    assert_eq!(partitions.iter().map(|partition| count(partition, "read")).sum::<u64>(), count(&ledger, "read"));
    for partition in partitions {
        // Every rejected record is in a batch that is named, and in the log.
        let ranges = list(partition, "rejected_ranges");
        for (reason, records) in partition["rejected"].as_object().expect("reasons") {
            let of_reason = ranges.iter().filter(|range| range["reason"] == **reason);
            assert_eq!(of_reason.map(|range| count(range, "records")).sum::<u64>(), number(records), "{partition}");
        }
        let end = count(partition, "next");
        let sound = |range| count(range, "first") < count(range, "next") && count(range, "next") <= end;
        assert!(ranges.iter().all(sound), "{partition}");
    }
    let table = store.ask(&["ledger"]).code(0).stdout;
    let example = format!("  fluvio consume {topic} -p 0 --start ");
    let last = table.lines().last().unwrap_or_default();
    assert!(last.starts_with(&example) && last.contains("--smartmodule reading-gate -e reason="), "{table}");
}

#[test]
fn what_uses_a_store_keeps_others_out_but_not_those_who_look() {
    let (cluster, topic) = Cluster::start().with_topic("held", 2);
    let store = Store::new();
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic, "--rate", "400", "--quiet"]);
    let producer = Running::start(&mut produce);
    let mut first = store.start(&cluster, &topic, &["--window", "500ms", "--idle", "1m"]);
    let newest = first.wait_for(r#""type":"window""#);

    // What has been printed has been committed: it can be queried.
    let asked = store.windows();
    assert!(asked.lines().any(|line| line == newest), "{newest} is not in\n{asked}");
    for words in [&["query", "latest"][..], &["query", "totals"], &["ledger"]] {
        assert!(!store.ask(words).code(0).stdout.is_empty(), "{words:?}");
    }
    let why = store.why();
    let holder = why["consumer"].as_str().unwrap_or_else(|| panic!("a consumer runs: {why}"));
    assert!(holder.starts_with("by process "), "{why}");

    let second = store.to_end(&cluster, &topic, &["--window", "500ms"]).code(1).stderr;
    assert!(second.contains("in use") && second.contains(holder) && second.contains("--take-over"), "{second}");

    for window in store.windows().lines() {
        assert!(window.ends_with("]}"), "whole lines: {window}");
    }
    first.wait_for(r#""type":"window""#);
    producer.interrupt();
    let printed = first.interrupt().stdout;
    assert_eq!(store.windows().lines().collect::<Vec<_>>(), lines(&printed, "window"), "in the end they are the same");
    assert_eq!(store.why()["consumer"], Value::Null, "nobody holds it any longer");
}

#[test]
fn a_take_over_that_is_refused_leaves_the_consumer_alone() {
    let (cluster, topic, store) = clean(1);
    let mut first = store.start(&cluster, &topic, &["--idle", "1m"]);
    first.wait_for(r#""type":"window""#);
    let held = store.why()["consumer"].clone();
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
        let refused = consumer(common.iter().chain(args)).code(1).stderr;
        assert!(refused.contains(text), "{args:?}: {refused}");
        assert_eq!(store.why()["consumer"], held, "{args:?}");
    }
    let second = store.to_end(&cluster, &topic, &[]).code(1).stderr;
    assert!(second.contains("in use"), "{second}");

    // It still runs: its last results are committed.
    let printed = first.interrupt().stdout;
    assert_eq!(store.windows().lines().collect::<Vec<_>>(), lines(&printed, "window"));
}

#[test]
fn a_store_is_thrown_away_only_for_a_run_that_can_begin() {
    let (cluster, topic, store) = clean(1);
    store.to_end(&cluster, &topic, &[]).code(0);
    let before = store.totals();
    let path = store.path();
    for (address, topic) in [(cluster.address(), "nosuch"), ("127.0.0.1:1", &topic)] {
        let words = ["--cluster", address, "--topic", topic, "--store", &path, "--reset", "--until-end"];
        consumer(words).code(1);
        assert_eq!(store.totals(), before, "{address} {topic}");
    }
}

#[test]
fn a_damaged_store_says_what_to_do_and_that_can_be_done() {
    let (cluster, topic, store) = clean(1);
    let printed = store.to_end(&cluster, &topic, &[]).code(0).stdout;
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
        let said = store.to_end(&cluster, &topic, &[]).code(1).stderr;
        assert!(said.contains("is damaged") && said.contains("--reset"), "case {case}: {said}");
        let anew = store.to_end(&cluster, &topic, &["--reset"]).code(0).stdout;
        assert_eq!(anew, printed, "case {case}");
    }
}

#[test]
fn flags_of_a_store_that_stays_need_one() {
    for flags in [&["--reset"][..], &["--take-over"], &["--keep", "1h"], &["--dead-letters", "letters"]] {
        let words = flags.iter().copied().chain(["--store", "memory", "--cluster", "127.0.0.1:1"]);
        let said = consumer(words).code(1).stderr;
        assert!(said.contains(flags[0]) && said.contains("needs a store that stays"), "{said}");
        assert!(said.contains("--store PATH"), "{said}");
    }
}

#[test]
fn what_cannot_be_looked_into_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for words in [&["query", "windows"][..], &["query", "latest"], &["query", "totals"], &["ledger"], &["why"]] {
        let memory = consumer(words.iter().copied().chain(["--store", "memory"])).code(2).stderr;
        assert!(memory.contains("memory") && memory.contains("--store PATH"), "{words:?}: {memory}");
        let path = folder.path().join("none.db");
        let path = path.to_str().expect("the path is UTF-8");
        let missing = consumer(words.iter().copied().chain(["--store", path])).code(1).stderr;
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
        consumer(wrong).code(2);
    }
}

#[test]
fn the_default_store_is_found_by_those_who_look() {
    let (cluster, topic, _) = clean(1);
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
