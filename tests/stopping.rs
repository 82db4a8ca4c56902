//! A stalled node takes connections, but does not answer. A producer that is asked to stop ends within its bound.

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::number_before;
use crate::util::program::{Running, command};

/// A producer that retries through any outage, and a node that has been stalled until no acknowledgement comes any more.
fn stalled(cluster: &Cluster, topic: &str, partitions: u32, stop_timeout: &str) -> Running {
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", topic, "--rate", "20000", "--retry-timeout", "1h"]);
    produce.args(["--stop-timeout", stop_timeout, "--batch-size", "4KB"]);
    let mut producer = Running::start(&mut produce);
    cluster.wait_for_records(topic, partitions, 1_000);
    cluster.signal(Signal::SIGSTOP);
    // After two equal reports the messages between them are not acknowledged.
    let mut before = 0;
    loop {
        let now = producer.wait_for_progress();
        if now == before && now > 0 {
            return producer;
        }
        before = now;
    }
}

#[test]
fn a_producer_whose_node_stalls_ends_within_its_bound_and_says_what_may_be_stored() {
    let (cluster, topic) = Cluster::own().with_topic("stalled", 2);
    let producer = stalled(&cluster, &topic, 2, "1s");
    producer.signal(Signal::SIGINT);
    let ended = producer.wait().code(1);
    let (said, last) = (&ended.stderr, ended.last_error());
    assert!(last.contains("within 1s of the stop") && last.contains("--stop-timeout"), "{said}");
    let acknowledged = number_before(last, " messages acknowledged");
    let perhaps = number_before(last, " more sent, of which the broker may have stored some");
    assert!(acknowledged > 0 && perhaps > 0 && number_before(last, " not sent)") > 0, "{said}");
    cluster.signal(Signal::SIGCONT);
    let stored = cluster.records(&topic, 2);
    assert!((acknowledged..=acknowledged + perhaps).contains(&stored), "{stored} stored: {said}");
}

#[test]
fn a_second_signal_ends_a_producer_whose_node_stalls_at_once() {
    let (cluster, topic) = Cluster::own().with_topic("stalled-twice", 1);
    let mut producer = stalled(&cluster, &topic, 1, "1h");
    producer.signal(Signal::SIGINT);
    producer.wait_for_error("once more to stop at once");
    producer.signal_until_end(Signal::SIGINT);
    producer.wait().code(130);
}
