//! `why` beside a consumer that runs, and of a log that was cut.

use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::store::{Store, consume, readings, states_apart};
use crate::util::cluster::Cluster;
use crate::util::program::{Running, STUCK};

/// What is said, in words.
#[track_caller]
fn because(why: &Value) -> Vec<&str> {
    let because = why["because"].as_array().unwrap_or_else(|| panic!("no list in {why}"));
    because.iter().map(|words| words.as_str().expect("a text")).collect()
}

/// A member of each partition.
#[track_caller]
fn of<'a>(why: &'a Value, member: &str) -> Vec<&'a Value> {
    let partitions = why["partitions"].as_array().unwrap_or_else(|| panic!("no list in {why}"));
    partitions.iter().map(|partition| &partition[member]).collect()
}

#[test]
fn why_does_not_blame_a_partition_that_is_quiet() {
    let cluster = Cluster::start();
    let store = Store::new();
    let [first, _] = states_apart(&cluster, store.folder());
    let topic = cluster.deployed("quiet", 2);
    // A window that stays open as long as this takes.
    let given = ["--window", "1h", "--grace", "1m", "--idle", "1s"];
    let consumer = Running::start(&mut consume(&cluster, &topic, &store, &given));
    let until = Instant::now() + STUCK;
    let mut second = 0;
    // Readings come to one partition alone, until the watermark has gone on without the other one.
    let why = loop {
        let file = readings(store.folder(), first, second..second + 1);
        cluster.produce(&topic, &["--input", &file, "--key", "group", "--quiet"]);
        second += 1;
        store.wait_for_messages(u64::from(second));
        let why = store.json(&["why", "--format", "json"]);
        if of(&why, "state")[1] == "quiet" {
            break why;
        }
        assert!(Instant::now() < until, "partition 1 is never quiet: {why}");
    };
    assert_eq!(
        (&why["grace_ms"], &why["idle_ms"]),
        (&Value::from(60_000), &Value::from(1_000)),
        "as the run was given"
    );
    assert_eq!(of(&why, "watermark")[1], &Value::Null, "{why}");
    // The other one may have fallen quiet, too, before the last reading came.
    assert_eq!(of(&why, "holds_back")[1], &Value::from(false), "{why}");
    assert!(!because(&why).iter().any(|words| words.starts_with("partition 1 ")), "{why}");
    // Event time has to go on for the rest of the hour.
    let rest = 3_660 - (second - 1);
    let rest = format!("{}h {}m {}s", rest / 3_600, rest / 60 % 60, rest % 60);
    let wanted = format!("the window closes {rest} after that reading came, at the earliest");
    assert!(because(&why).last().is_some_and(|words| words.ends_with(&wanted)), "`{wanted}` is not said: {why}");
    // With another grace this is not the run's.
    let other = store.json(&["why", "--grace", "0s", "--format", "json"]);
    assert!(because(&other)[0].starts_with("the consumer runs with --grace 1m, not 0s"), "{other}");

    consumer.signal(Signal::SIGINT);
    consumer.wait().code(130);
    // The next run waits for it from its start on.
    let why = store.json(&["why", "--format", "json"]);
    assert_eq!((&why["grace_ms"], of(&why, "holds_back")[1]), (&Value::from(60_000), &Value::from(true)), "{why}");
    assert!(
        because(&why).last().is_some_and(|words| words.ends_with("after the next start, at the earliest")),
        "{why}"
    );
}

#[test]
fn why_says_of_a_log_that_was_cut_what_a_run_says() {
    let cluster = Cluster::start();
    let topic = cluster.kept_short("why-cut", 300_000);
    let store = Store::new();
    let produce = |count: &str, start: &str| {
        let args = ["--seed", "7", "--start", start, "--rate", "100", "--quiet", "--batch-size", "4000"];
        cluster.produce(&topic, &[&[count], &args[..]].concat());
    };
    let run = || Running::start(&mut consume(&cluster, &topic, &store, &["--until-end", "--leave-open"])).wait();
    produce("1000", "2026-03-14T09:00:00Z");
    run().code(0);
    produce("5000", "2026-03-14T09:10:00Z");
    cluster.wait_for_start(&topic, 1_001);
    // More can be cut between two looks at it.
    let until = Instant::now() + STUCK;
    loop {
        let refused = run().code(1).stderr;
        let refusal = refused.lines().find_map(|line| line.strip_prefix("error: "));
        let refusal = refusal.unwrap_or_else(|| panic!("no error: {refused}"));
        assert!(refusal.contains("--accept-gap"), "{refusal}");
        let why = store.json(&["why", "--format", "json"]);
        let (cut, yes) = (Value::from("cut"), Value::from(true));
        assert_eq!((of(&why, "state"), of(&why, "holds_back")), (vec![&cut], vec![&yes]), "{why}");
        let first = of(&why, "first")[0].as_i64().expect("an offset");
        assert_eq!(of(&why, "lag")[0].as_i64(), Some(6_000 - first), "what is there to be read: {why}");
        if because(&why).iter().any(|words| words.contains(refusal)) {
            return;
        }
        assert!(Instant::now() < until, "`{refusal}` is not said: {why}");
    }
}
