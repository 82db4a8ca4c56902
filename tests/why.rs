//! `why`: beside a consumer that runs, beside none, and of a log that was cut.

use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::store::Store;
use crate::util::{list, reading, wait_until, write};

/// The reasons that it gives.
#[track_caller]
fn because(why: &Value) -> Vec<&str> {
    list(why, "because").iter().map(|words| words.as_str().expect("a text")).collect()
}

/// A member of each partition.
#[track_caller]
fn of<'a>(why: &'a Value, member: &str) -> Vec<&'a Value> {
    list(why, "partitions").iter().map(|partition| &partition[member]).collect()
}

/// Readings of a state, one for each of these seconds after nine o'clock, as a file.
fn readings(folder: &Path, state: &str, seconds: Range<u32>) -> String {
    let line = |second| reading(&format!("{state}-1"), state, second) + "\n";
    write(folder, state, seconds.map(line).collect::<String>())
}

/// Produces such readings, keyed by state.
fn produce(cluster: &Cluster, topic: &str, folder: &Path, state: &str, seconds: Range<u32>) {
    cluster.produce(topic, &["--input", &readings(folder, state, seconds), "--key", "group", "--quiet"]);
}

/// For each of two partitions a state whose readings go there, if they are keyed by state.
fn states_apart(cluster: &Cluster, folder: &Path) -> [&'static str; 2] {
    const STATES: [&str; 8] = ["AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DE"];
    let topic = cluster.deployed("states", 2);
    for state in STATES {
        produce(cluster, &topic, folder, state, 0..1);
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
    let (mut cluster, topic) = Cluster::own().with_topic("why", 2);
    let store = Store::new();
    let nothing = store.ask(&["why"]).code(1).stderr;
    assert!(nothing.contains("no store at") && nothing.contains("a.db"), "{nothing}");

    let [ahead, behind] = states_apart(&cluster, store.folder());
    let slow = 1;
    produce(&cluster, &topic, store.folder(), ahead, 0..40);
    produce(&cluster, &topic, store.folder(), behind, 0..9);
    let consumer = store.start(&cluster, &topic, &["--idle", "1h"]);
    store.wait_for_messages(49);
    consumer.interrupt();

    let why = store.json(&["why", "--idle", "1h"]);
    assert_eq!((&why["type"], &why["topic"]), (&Value::from("why"), &Value::from(topic.as_str())));
    assert_eq!(of(&why, "partition"), [0, 1]);
    assert_eq!(of(&why, "blocks_watermark"), [false, true], "{why}");
    assert_eq!(of(&why, "lag"), [0, 0], "{why}");
    assert_eq!(of(&why, "watermark"), ["2026-03-14T09:00:39Z", "2026-03-14T09:00:08Z"], "{why}");
    assert_eq!(why["window"]["start"], "2026-03-14T09:00:06Z", "{why}");
    assert_eq!(why["window"]["missing_ms"], 2_000, "{why}");
    let said = because(&why);
    let wanted = format!("partition {slow} has read all of its log and is waited for until it is idle for 1h");
    assert!(said.iter().any(|words| words.starts_with(&wanted)), "{said:?}");
    assert!(said.iter().any(|words| words.starts_with("no consumer is running")), "{said:?}");
    let text = store.ask(&["why", "--idle", "1h"]).code(0).stdout;
    assert!(text.contains("the oldest open window") && text.contains(&wanted), "{text}");

    // More comes.
    produce(&cluster, &topic, store.folder(), behind, 9..12);
    let why = store.why();
    assert!(because(&why).contains(&format!("partition {slow} has 3 records to read").as_str()), "{why}");

    // The cluster does not answer.
    cluster.kill();
    let why = store.why();
    assert!(why["cluster"]["error"].is_string() && why["cluster"]["address"] == cluster.address(), "{why}");
    let wanted = format!("partition {slow} blocks it; whether there is more to read of it is not known");
    assert!(because(&why).iter().any(|words| words.starts_with(&wanted)), "{why}");
}

#[test]
fn why_does_not_blame_an_idle_partition() {
    let cluster = Cluster::start();
    let store = Store::new();
    let [first, _] = states_apart(&cluster, store.folder());
    let topic = cluster.deployed("idle-partition", 2);
    // A window that stays open as long as this takes.
    let consumer = store.start(&cluster, &topic, &["--window", "1h", "--grace", "1m", "--idle", "1s"]);
    let mut second = 0;
    // Readings come to one partition alone, until the watermark has gone on without the other one.
    let why = wait_until("partition 1 is idle", || {
        produce(&cluster, &topic, store.folder(), first, second..second + 1);
        second += 1;
        store.wait_for_messages(u64::from(second));
        let why = store.why();
        if of(&why, "state")[1] == "idle" { Ok(why) } else { Err(why.to_string()) }
    });
    assert_eq!(
        (&why["grace_ms"], &why["idle_ms"]),
        (&Value::from(60_000), &Value::from(1_000)),
        "as the run was given"
    );
    assert_eq!(of(&why, "watermark")[1], &Value::Null, "{why}");
    // The other one may have become idle, too, before the last reading came.
    assert_eq!(of(&why, "blocks_watermark")[1], &Value::from(false), "{why}");
    assert!(!because(&why).iter().any(|words| words.starts_with("partition 1 ")), "{why}");
    // Event time has to go on for the rest of the hour.
    let rest = 3_660 - (second - 1);
    let rest = format!("{}h {}m {}s", rest / 3_600, rest / 60 % 60, rest % 60);
    let wanted = format!("the window closes {rest} after that reading came, at the earliest");
    assert!(because(&why).last().is_some_and(|words| words.ends_with(&wanted)), "`{wanted}` is not said: {why}");
    // With another grace this is not the run's.
    let other = store.json(&["why", "--grace", "0s"]);
    assert!(because(&other)[0].starts_with("the consumer runs with --grace 1m, not 0s"), "{other}");

    consumer.interrupt();
    // The next run waits for it from its start on.
    let why = store.why();
    assert_eq!(
        (&why["grace_ms"], of(&why, "blocks_watermark")[1]),
        (&Value::from(60_000), &Value::from(true)),
        "{why}"
    );
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
    let run = || store.to_end(&cluster, &topic, &["--leave-open"]);
    produce("1000", "2026-03-14T09:00:00Z");
    run().code(0);
    produce("5000", "2026-03-14T09:10:00Z");
    cluster.wait_for_start(&topic, 1_001);
    // More can be deleted between the two commands.
    wait_until("`why` says what a run says", || {
        let refused = run().code(1).stderr;
        let refusal = refused.lines().find_map(|line| line.strip_prefix("error: "));
        let refusal = refusal.unwrap_or_else(|| panic!("no error: {refused}"));
        assert!(refusal.contains("--accept-data-loss"), "{refusal}");
        let why = store.why();
        let (cut, yes) = (Value::from("cut"), Value::from(true));
        assert_eq!((of(&why, "state"), of(&why, "blocks_watermark")), (vec![&cut], vec![&yes]), "{why}");
        let first = of(&why, "first")[0].as_i64().expect("an offset");
        assert_eq!(of(&why, "lag")[0].as_i64(), Some(6_000 - first), "what is there to be read: {why}");
        if because(&why).iter().any(|words| words.contains(refusal)) {
            return Ok(());
        }
        Err(format!("`{refusal}` is not said: {why}"))
    });
}
