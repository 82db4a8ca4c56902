//! The account of all records, and runs that end after so many of them.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command};

/// The result lines of one type.
fn lines(jsonl: &str, of_type: &str) -> Vec<Value> {
    let lines = jsonl.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{line}: {e}")));
    lines.filter(|line| line["type"] == of_type).collect()
}

/// A count of a result line.
#[track_caller]
fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {line}"))
}

/// All rejected records of a line of totals.
fn rejected(totals: &Value) -> u64 {
    let reasons = totals["rejected"].as_object().expect("`rejected` holds reasons");
    reasons.values().map(|records| records.as_u64().expect("a count")).sum()
}

/// Readings in all windows.
fn in_windows(jsonl: &str) -> u64 {
    lines(jsonl, "window").iter().map(|window| count(window, "messages")).sum()
}

#[test]
fn each_line_of_totals_accounts_for_every_record() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("ledger", 2);
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--format", "jsonl"]);
    consume.args(["--window", "1s", "--grace", "500ms", "--idle", "2s"]);
    let mut consumer = Running::start(&mut consume);
    // By the real clock, in three rounds: the next one begins when every window of the one before has closed, so that
    // whatever is set back in it is late.
    for round in 1..=3_u64 {
        let seed = round.to_string();
        let faulty = ["--late", "0.1", "--malformed", "0.1", "--seed", &seed];
        cluster.produce(&topic, &[&["800", "--rate", "400", "--quiet"][..], &faulty].concat());
        loop {
            // The first such line can come while windows are still open.
            let line = consumer.wait_for(&format!(r#"{{"type":"totals","messages":{},"#, 800 * round));
            let totals = serde_json::from_str(&line).expect("totals are JSON");
            if in_windows(consumer.said()) == count(&totals, "counted") {
                break;
            }
        }
    }
    consumer.signal(Signal::SIGINT);
    let ended = consumer.wait().code(130);

    let totals = lines(&ended.stdout, "totals");
    assert!(totals.len() > 2, "totals while readings came:\n{}", ended.stdout);
    let mut before = 0;
    for line in &totals {
        let read = count(line, "messages");
        assert_eq!(read, count(line, "counted") + count(line, "late") + rejected(line), "{line}");
        assert!(read >= before, "the account never shrinks: {line}");
        before = read;
        let groups = line["groups"].as_array().expect("`groups` is a list");
        assert_eq!(count(line, "counted"), groups.iter().map(|group| count(group, "messages")).sum::<u64>(), "{line}");
    }
    let last = totals.last().expect("there are some");
    assert!(count(last, "late") > 0 && rejected(last) > 0, "{last}");
    assert_eq!(in_windows(&ended.stdout), count(last, "counted"), "all windows have closed");
}

#[test]
fn a_run_stops_after_so_many_records_by_itself() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("stop-after", 1);
    let produce = ["10000", "--start", "2026-03-14T09:00:00Z", "--batch-size", "10000", "--quiet"];
    cluster.produce(&topic, &produce);
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--format", "jsonl", "--stop-after", "5000"]);
    let early = Running::start(&mut consume).wait().code(0).stdout;
    let totals = lines(&early, "totals");
    let last = totals.last().expect("totals are its last words");
    assert!((5000..5100).contains(&count(last, "messages")), "whole batches, of fewer than a hundred: {last}");
    let windows = lines(&early, "window");
    assert_eq!(in_windows(&early), count(last, "counted"));
    assert_eq!(windows.last().map(|window| &window["closed_by"]), Some(&Value::from("end")), "{early}");

    // What is not there yet is waited for.
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--format", "jsonl", "--stop-after", "20000"]);
    let mut waiting = Running::start(&mut consume);
    waiting.wait_for(r#""type":"window""#);
    cluster.produce(&topic, &["10000", "--start", "2026-03-14T09:00:10Z", "--quiet"]);
    let ended = waiting.wait().code(0).stdout;
    let totals = lines(&ended, "totals");
    assert_eq!(totals.last().map(|last| count(last, "messages")), Some(20_000), "{ended}");
}
