//! Partitions that are added while a consumer runs, and partitions of which one is far ahead.

use std::fmt::Write as _;
use std::fs;

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command};
use crate::util::{as_reference, assert_same_lines};

#[test]
fn partitions_added_while_a_consumer_runs_are_taken_up() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("added", 1);
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--format", "jsonl", "--idle", "2s", "-v"]);
    let mut consumer = Running::start(&mut consume);
    cluster.produce(&topic, &["500", "--start", "2026-03-14T09:00:00Z", "--seed", "1", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":500,"#);
    cluster.add_partitions(&topic, 2);
    consumer.wait_for_log("has 3 partitions now, 1 before");
    // In either order.
    for _partition in [1, 2] {
        consumer.wait_for_log(" attached ");
    }
    cluster.produce(&topic, &["900", "--start", "2026-03-14T10:00:00Z", "--seed", "2", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":1400,"#);
    consumer.signal(Signal::SIGINT);
    let live = consumer.wait().code(130).stdout;
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
        let mut line = format!(r#"{{"guid":"{state}-{}","state":"{state}","eventTime":"{time}","#, second % 11);
        write!(line, r#""payload":{{"data":{{"temperature":{temperature}}}}}}}"#).expect("a string takes all");
        (second, line)
    };
    (hour * 3600..hour * 3600 + readings).map(line).collect()
}

/// The lines as a file holds them.
fn joined<'a>(lines: impl IntoIterator<Item = &'a (usize, String)>) -> String {
    lines.into_iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
}

#[test]
fn partitions_hours_apart_equal_one_partition_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the file can be written");
        path.to_str().expect("the path is UTF-8").to_owned()
    };
    // Keyed by state, with five partitions: these three go to partitions of their own. They overlap for some hours.
    let states = [by_second("AK", 0, 30_000), by_second("AR", 3, 30_000), by_second("AL", 9, 30_000)];
    let mut all = states.concat();
    all.sort();
    let cluster = Cluster::start();

    let one = cluster.deployed("together", 1);
    cluster.produce(&one, &["--input", &write("all", joined(&all)), "--quiet"]);
    let wanted = cluster.read_to_end(&one, &[]);
    assert!(wanted.contains(r#""type":"totals","messages":90000,"counted":90000,"late":0,"#), "nothing is late");

    let apart = cluster.deployed("apart", 5);
    for (place, state) in states.iter().enumerate() {
        let file = write(&place.to_string(), joined(state));
        // Small batches, so that there is something to wait with after each of them.
        cluster.produce(&apart, &["--input", &file, "--key", "group", "--batch-size", "8000", "--quiet"]);
    }
    let filled: Vec<u32> = (0..5).filter(|partition| !cluster.values(&apart, *partition).is_empty()).collect();
    assert_eq!(filled, [0, 1, 3], "each state has a partition of its own");
    let seen = cluster.read_to_end(&apart, &[]);
    assert_same_lines(&as_reference(&seen), &as_reference(&wanted), "hours apart against one partition in order");
}
