//! What the producer says it delivered, and where.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command};

/// How many messages a producer's words say were acknowledged.
#[track_caller]
fn acknowledged(said: &str) -> usize {
    let before = said.split(" messages acknowledged").next().filter(|before| before.len() < said.len());
    let before = before.unwrap_or_else(|| panic!("no number of acknowledged messages in: {said}"));
    let digits = before.rsplit([' ', '(', '\n']).next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// How many records a topic holds.
fn stored(cluster: &Cluster, topic: &str, partitions: u32) -> usize {
    (0..partitions).map(|partition| cluster.values(topic, partition).len()).sum()
}

/// A producer without an end, of which something has been acknowledged.
fn endless(cluster: &Cluster, topic: &str, more: &[&str]) -> Running {
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", topic, "--rate", "2000"]).args(more);
    let mut producer = Running::start(&mut produce);
    while acknowledged_so_far(&producer.wait_for_log(" messages, ")) == 0 {}
    producer
}

/// Waits until a producer has had more acknowledged than so many, and says how many.
fn more_than(producer: &mut Running, before: u64) -> u64 {
    loop {
        let now = acknowledged_so_far(&producer.wait_for_log(" messages, "));
        if now > before {
            return now;
        }
    }
}

/// The number that a line of progress begins with.
fn acknowledged_so_far(line: &str) -> u64 {
    let number = line.split(' ').next().unwrap_or_default().replace(',', "");
    number.parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn a_group_is_sent_to_one_partition() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("by-group", 5);
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
        let producer = endless(&cluster, &topic, &["--linger", "200ms"]);
        producer.signal(signal);
        let said = producer.wait().code(130).stderr;
        let last = said.lines().last().unwrap_or_default();
        assert!(!last.contains("more sent"), "nothing is left without an acknowledgement: {said}");
        assert_eq!(stored(&cluster, &topic, 2), acknowledged(last), "{said}");
    }
}

#[test]
fn a_producer_whose_broker_is_gone_gives_up_within_its_bound_and_says_how_many() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("broker-gone", 1);
    let producer = endless(&cluster, &topic, &["--retry-timeout", "2s"]);
    cluster.kill();
    let said = producer.wait().code(1).stderr;
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("--retry-timeout") && last.contains(&topic), "{said}");
    let acknowledged = acknowledged(last);
    cluster.restart();
    let stored = stored(&cluster, &topic, 1);
    assert!(acknowledged > 0 && stored >= acknowledged, "{stored} in the log: {said}");
}

/// Options with which a batch is on its way at any time.
const BUSY: [&str; 6] = ["--rate", "10000", "--linger", "1ms", "--batch-size", "4KB"];

#[test]
fn a_node_that_ends_in_good_order_leaves_nothing_to_be_sent_twice() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("ended", 2);
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic]).args(BUSY);
    let mut producer = Running::start(&mut produce);
    let mut sent = more_than(&mut producer, 0);
    for _ in 0..2 {
        cluster.stop();
        cluster.restart();
        sent = more_than(&mut producer, sent);
    }
    producer.signal(Signal::SIGINT);
    let said = producer.wait().code(130).stderr;
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(stored(&cluster, &topic, 2), acknowledged(last), "{said}");
}

#[test]
fn a_producer_goes_on_after_its_node_was_killed_and_keeps_the_order() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("killed-under-load", 1);
    let lines: Vec<String> = (0..200_000).map(|number| number.to_string()).collect();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let input = folder.path().join("lines");
    std::fs::write(&input, lines.join("\n")).expect("the lines can be written");
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic]).arg("--input").arg(&input).args(BUSY);
    let mut producer = Running::start(&mut produce);
    let mut sent = 0;
    for _ in 0..2 {
        sent = more_than(&mut producer, sent);
        cluster.kill_and_restart();
    }
    let said = producer.wait().code(0).stderr;
    assert_eq!(acknowledged(said.lines().last().unwrap_or_default()), lines.len(), "{said}");
    // A batch whose acknowledgement was lost may stand there twice, one behind the other.
    let (mut next, mut newest) = (0, 0);
    for (offset, value) in cluster.values(&topic, 0).iter().enumerate() {
        let number: usize = String::from_utf8_lossy(value).parse().expect("a line is a number");
        assert!(number == next || (next == newest && number < newest), "offset {offset}: {number} in place of {next}");
        next = number + 1;
        newest = newest.max(next);
    }
    assert_eq!((next, newest), (lines.len(), lines.len()), "nothing is missing: {said}");
}
