//! The account of all records, and runs that end after a number of them.

use crate::util::cluster::Cluster;
use crate::util::{count, json, last_totals, lines, list, sum};

/// Readings in all windows.
fn in_windows(jsonl: &str) -> u64 {
    lines(jsonl, "window").into_iter().map(|window| count(&json(window), "messages")).sum()
}

#[test]
fn each_line_of_totals_accounts_for_every_record() {
    let (cluster, topic) = Cluster::start().with_topic("ledger", 2);
    let mut consumer = cluster.consume(&topic, &["--window", "1s", "--grace", "500ms", "--idle", "2s"]);
    // By the real clock, in three rounds. A round begins when all windows of the one before have closed, so that its delayed
    // readings are late.
    for round in 1..=3_u64 {
        let seed = round.to_string();
        let faulty = ["--late", "0.1", "--malformed", "0.1", "--seed", &seed];
        cluster.produce(&topic, &[&["800", "--rate", "400", "--quiet"][..], &faulty].concat());
        loop {
            // The first such line can come while windows are still open.
            let line = consumer.wait_for(&format!(r#"{{"type":"totals","messages":{},"#, 800 * round));
            if in_windows(consumer.seen()) == count(&json(&line), "counted") {
                break;
            }
        }
    }
    let printed = consumer.interrupt().stdout;

    let totals: Vec<_> = lines(&printed, "totals").into_iter().map(json).collect();
    assert!(totals.len() > 2, "totals while readings came:\n{printed}");
    let mut before = 0;
    for line in &totals {
        let read = count(line, "messages");
        assert_eq!(read, count(line, "counted") + count(line, "late") + sum(&line["rejected"]), "{line}");
        assert!(read >= before, "the account never shrinks: {line}");
        before = read;
        let groups = list(line, "groups").iter().map(|group| count(group, "messages"));
        assert_eq!(count(line, "counted"), groups.sum::<u64>(), "{line}");
    }
    let last = totals.last().expect("there are some");
    assert!(count(last, "late") > 0 && sum(&last["rejected"]) > 0, "{last}");
    assert_eq!(in_windows(&printed), count(last, "counted"), "all windows have closed");
}

#[test]
fn a_run_stops_after_so_many_records_by_itself() {
    let (cluster, topic) = Cluster::start().with_topic("stop-after", 1);
    let produce = ["10000", "--start", "2026-03-14T09:00:00Z", "--batch-size", "10000", "--quiet"];
    cluster.produce(&topic, &produce);
    let early = cluster.consume(&topic, &["--stop-after", "5000"]).wait().code(0).stdout;
    let last = last_totals(&early);
    assert!((5000..5100).contains(&count(&last, "messages")), "whole batches, of fewer than a hundred: {last}");
    assert_eq!(in_windows(&early), count(&last, "counted"));
    let window = lines(&early, "window").last().map(|window| json(window));
    assert_eq!(window.map(|window| window["closed_by"] == "end"), Some(true), "{early}");

    // It waits for records that are not there yet.
    let mut waiting = cluster.consume(&topic, &["--stop-after", "20000"]);
    waiting.wait_for(r#""type":"window""#);
    cluster.produce(&topic, &["10000", "--start", "2026-03-14T09:00:10Z", "--quiet"]);
    let ended = waiting.wait().code(0).stdout;
    assert_eq!(count(&last_totals(&ended), "messages"), 20_000, "{ended}");
}
