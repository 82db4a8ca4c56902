//! What the producer reports as delivered, and where it is.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::program::{Ended, Running, command};
use crate::util::{number_before, write};

/// How many acknowledged messages a producer reports at its end.
#[track_caller]
fn acknowledged(ended: &Ended) -> u64 {
    number_before(ended.last_error(), " messages acknowledged")
}

/// A producer without an end, of which something has been acknowledged.
fn endless(cluster: &Cluster, topic: &str, partitions: u32, more: &[&str]) -> Running {
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", topic, "--rate", "2000"]).args(more);
    let producer = Running::start(&mut produce);
    // So many records are several batches, of which the first have been acknowledged.
    cluster.wait_for_records(topic, partitions, 1_000);
    producer
}

#[test]
fn a_group_is_sent_to_one_partition() {
    let (cluster, topic) = Cluster::start().with_topic("by-group", 5);
    cluster.produce(&topic, &["5000", "--key", "group", "--batch-size", "5000", "--quiet"]);
    let mut partitions = BTreeMap::<String, BTreeSet<u32>>::new();
    let mut read = 0;
    for partition in 0..5 {
        for value in cluster.values(&topic, partition) {
            let reading: Value = serde_json::from_slice(&value).expect("a reading is JSON");
            let state = reading["state"].as_str().expect("a state is a text").to_owned();
            partitions.entry(state).or_default().insert(partition);
            read += 1;
        }
    }
    assert_eq!((read, partitions.len()), (5000, 51), "every reading, of 50 states and DC");
    assert!(partitions.values().all(|partitions| partitions.len() == 1), "{partitions:?}");
    let used: BTreeSet<u32> = partitions.into_values().flatten().collect();
    assert_eq!(used.len(), 5, "all partitions are used");
}

#[test]
fn what_an_interrupted_producer_says_is_acknowledged_is_in_the_log() {
    let cluster = Cluster::start();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let topic = cluster.deployed("interrupted", 2);
        let producer = endless(&cluster, &topic, 2, &["--linger", "200ms"]);
        producer.signal(signal);
        let ended = producer.wait().code(130);
        let said = &ended.stderr;
        assert!(!ended.last_error().contains("more sent"), "nothing is left without an acknowledgement: {said}");
        assert_eq!(cluster.records(&topic, 2), acknowledged(&ended), "{said}");
    }
}

#[test]
fn a_producer_whose_broker_is_gone_gives_up_within_its_bound_and_says_how_many() {
    let (mut cluster, topic) = Cluster::own().with_topic("broker-gone", 1);
    let producer = endless(&cluster, &topic, 1, &["--retry-timeout", "2s"]);
    cluster.kill();
    let ended = producer.wait().code(1);
    let (said, last, acknowledged) = (&ended.stderr, ended.last_error(), acknowledged(&ended));
    assert!(last.contains("--retry-timeout") && last.contains(&topic), "{said}");
    cluster.restart();
    let stored = cluster.records(&topic, 1);
    assert!(acknowledged > 0 && stored >= acknowledged, "{stored} in the log: {said}");
}

/// With these options a batch is under way at any time.
const BUSY: [&str; 6] = ["--rate", "10000", "--linger", "1ms", "--batch-size", "4KB"];

#[test]
fn a_node_that_ends_in_good_order_leaves_nothing_to_be_sent_twice() {
    let (mut cluster, topic) = Cluster::own().with_topic("ended", 2);
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic]).args(BUSY);
    let producer = Running::start(&mut produce);
    let mut sent = cluster.wait_for_records(&topic, 2, 1);
    for _ in 0..2 {
        cluster.stop();
        cluster.restart();
        sent = cluster.wait_for_records(&topic, 2, sent + 1);
    }
    let ended = producer.interrupt();
    assert_eq!(cluster.records(&topic, 2), acknowledged(&ended), "{}", ended.stderr);
}

#[test]
fn a_producer_goes_on_after_its_node_was_killed_and_keeps_the_order() {
    let (mut cluster, topic) = Cluster::own().with_topic("killed-under-load", 1);
    let lines: Vec<String> = (0..200_000).map(|number| number.to_string()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let input = write(folder.path(), "lines", lines.join("\n"));
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic, "--input", &input]).args(BUSY);
    let producer = Running::start(&mut produce);
    let mut sent = 0;
    for _ in 0..2 {
        sent = cluster.wait_for_records(&topic, 1, sent + 1_000);
        cluster.kill_and_restart();
    }
    let ended = producer.wait().code(0);
    let said = &ended.stderr;
    assert_eq!(acknowledged(&ended), lines.len() as u64, "{said}");
    // A batch whose acknowledgement was lost may be there twice, one after the other.
    let (mut next, mut newest) = (0, 0);
    for (offset, value) in cluster.values(&topic, 0).iter().enumerate() {
        let number: usize = String::from_utf8_lossy(value).parse().expect("a line is a number");
        assert!(number == next || (next == newest && number < newest), "offset {offset}: {number} instead of {next}");
        next = number + 1;
        newest = newest.max(next);
    }
    assert_eq!((next, newest), (lines.len(), lines.len()), "nothing is missing: {said}");
}
