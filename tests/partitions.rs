//! Partitions that are added while a consumer runs, and partitions of which one is far ahead.

use std::collections::BTreeSet;

use crate::util::cluster::Cluster;
use crate::util::program::ATTACHED;
use crate::util::{as_reference, assert_same_lines, count, write};

#[test]
fn partitions_added_while_a_consumer_runs_are_taken_up() {
    let (cluster, topic) = Cluster::start().with_topic("added", 1);
    let mut consumer = cluster.consume(&topic, &["--idle", "2s", "-v", "--log-format", "json"]);
    cluster.produce(&topic, &["500", "--start", "2026-03-14T09:00:00Z", "--seed", "1", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":500,"#);
    cluster.add_partitions(&topic, 2);
    // In any order.
    let mut attached = BTreeSet::new();
    while attached.len() < 3 {
        attached.insert(count(&consumer.wait_for_event(ATTACHED), "partition"));
    }
    cluster.produce(&topic, &["900", "--start", "2026-03-14T10:00:00Z", "--seed", "2", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":1400,"#);
    let live = consumer.interrupt().stdout;
    for partition in 0..3 {
        let wanted = if partition == 0 { 800 } else { 300 };
        assert_eq!(cluster.values(&topic, partition).len(), wanted, "partition {partition}");
    }
    let later = cluster.read_to_end(&topic, &[]);
    assert_same_lines(&as_reference(&live), &as_reference(&later), "with added partitions against a later run");
}

/// Readings of one state: one a second from this hour of the day on.
fn by_second(state: &str, hour: usize, readings: usize) -> Vec<(usize, String)> {
    let line = |second: usize| {
        let time = format!("2026-03-14T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let temperature = format!("{}.{}", 40 + second % 37, second % 10);
        let sensor = format!(r#""guid":"{state}-{}","state":"{state}""#, second % 11);
        (second, format!(r#"{{{sensor},"eventTime":"{time}","payload":{{"data":{{"temperature":{temperature}}}}}}}"#))
    };
    (hour * 3600..hour * 3600 + readings).map(line).collect()
}

/// The lines as a file holds them.
fn joined(lines: &[(usize, String)]) -> String {
    lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
}

#[test]
fn partitions_hours_apart_equal_one_partition_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, lines| write(folder.path(), name, joined(lines));
    // Keyed by state, with five partitions: these three go to partitions of their own. They overlap for some hours.
    let states = [by_second("AK", 0, 30_000), by_second("AR", 3, 30_000), by_second("AL", 9, 30_000)];
    let mut all = states.concat();
    all.sort();
    let cluster = Cluster::start();

    let one = cluster.deployed("together", 1);
    cluster.produce(&one, &["--input", &write("all", &all), "--quiet"]);
    let wanted = cluster.read_to_end(&one, &[]);
    assert!(wanted.contains(r#""type":"totals","messages":90000,"counted":90000,"late":0,"#), "nothing is late");

    let apart = cluster.deployed("apart", 5);
    for (number, state) in states.iter().enumerate() {
        let file = write(&number.to_string(), state);
        // Small batches, so that the partition can be paused after each of them.
        cluster.produce(&apart, &["--input", &file, "--key", "group", "--batch-size", "8000", "--quiet"]);
    }
    let filled: Vec<u32> = (0..5).filter(|partition| !cluster.values(&apart, *partition).is_empty()).collect();
    assert_eq!(filled, [0, 1, 3], "each state has a partition of its own");
    let seen = cluster.read_to_end(&apart, &[]);
    assert_same_lines(&as_reference(&seen), &as_reference(&wanted), "hours apart against one partition in order");
}
