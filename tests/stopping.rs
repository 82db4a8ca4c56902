//! A node that stalls: it takes connections, and answers nothing. What is asked to stop ends within its bound.

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command};

/// A producer that goes on through any outage, of a node that has been stalled until nothing was acknowledged any more.
fn stalled(cluster: &Cluster, topic: &str, stop_timeout: &str) -> Running {
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", topic, "--rate", "20000", "--retry-timeout", "1h"]);
    produce.args(["--stop-timeout", stop_timeout, "--batch-size", "4KB"]);
    let mut producer = Running::start(&mut produce);
    let count = |line: &str| line.split_once(" messages, ").map(|(count, _)| count.to_owned());
    while count(&producer.wait_for_log(" messages, ")).is_some_and(|count| count == "0") {}
    cluster.signal(Signal::SIGSTOP);
    // Two reports of the same number: what was made between them is not acknowledged.
    let mut before = None;
    loop {
        let now = count(&producer.wait_for_log(" messages, "));
        if now == before {
            return producer;
        }
        before = now;
    }
}

/// The number before some words.
#[track_caller]
fn number(said: &str, words: &str) -> u64 {
    let before = said.split_once(words).unwrap_or_else(|| panic!("no `{words}` in: {said}")).0;
    let digits = before.rsplit([' ', '(']).next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or_else(|error| panic!("{error} before `{words}` in: {said}"))
}

#[test]
fn a_producer_whose_node_stalls_ends_within_its_bound_and_says_what_may_be_stored() {
    let cluster = Cluster::own();
    let topic = cluster.deployed("stalled", 2);
    let producer = stalled(&cluster, &topic, "1s");
    producer.signal(Signal::SIGINT);
    let said = producer.wait().code(1).stderr;
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("within 1s of the stop") && last.contains("--stop-timeout"), "{said}");
    let acknowledged = number(last, " messages acknowledged");
    let perhaps = number(last, " more sent, of which the broker may have stored some");
    assert!(acknowledged > 0 && perhaps > 0 && number(last, " not sent)") > 0, "{said}");
    cluster.signal(Signal::SIGCONT);
    let stored = cluster.records(&topic, 2);
    assert!((acknowledged..=acknowledged + perhaps).contains(&stored), "{stored} stored: {said}");
}

#[test]
fn a_second_signal_ends_a_producer_whose_node_stalls_at_once() {
    let cluster = Cluster::own();
    let topic = cluster.deployed("stalled-twice", 1);
    let mut producer = stalled(&cluster, &topic, "1h");
    producer.signal(Signal::SIGINT);
    producer.wait_for_log("once more to stop at once");
    producer.signal_until_end(Signal::SIGINT);
    producer.wait().code(130);
}
