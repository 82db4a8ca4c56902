//! A node that is away for longer than `idle`: what its producers kept meanwhile is not late when it is back.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command};

/// Produces readings, so many a second.
fn produce(cluster: &Cluster, topic: &str, count: &str, start: &str, rate: &str) {
    cluster.produce(topic, &[count, "--start", start, "--rate", rate, "--seed", "3", "--quiet"]);
}

#[test]
fn what_producers_kept_while_a_node_was_away_for_longer_than_idle_is_not_late() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("outage", 1);
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--format", "jsonl", "--idle", "20s", "-v"]);
    let mut consumer = Running::start(&mut consume);
    produce(&cluster, &topic, "1000", "2026-03-14T09:00:00Z", "100");
    // What closes the third window is the last record: all has been read then.
    produce(&cluster, &topic, "1", "2026-03-14T09:00:10Z", "1");
    consumer.wait_for(r#""start":"2026-03-14T09:00:06Z""#);
    cluster.kill();
    // That so much time goes by is what is tested.
    std::thread::sleep(Duration::from_secs(21));
    cluster.restart();
    consumer.wait_for_log(" is back");
    // A partition that were quiet at once would let event time go on by now, past all that was kept.
    std::thread::sleep(Duration::from_secs(2));
    // Of more time than the node was away.
    produce(&cluster, &topic, "1000", "2026-03-14T09:00:10Z", "20");
    consumer.wait_for(r#""start":"2026-03-14T09:00:51Z""#);
    let totals = consumer.wait_for(r#""type":"totals""#);
    assert!(totals.contains(r#","late":0,"#), "{totals}");
    consumer.signal(Signal::SIGINT);
    let said = consumer.wait().code(130).stdout;
    assert!(!said.contains(r#""closed_by":"idle""#), "windows closed while nobody could write:\n{said}");
}
