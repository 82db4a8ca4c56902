//! A node that dies and comes back: the consumer goes on by itself, and nothing is lost or counted twice.

use fluvio::dataplane::record::{Batch, Record};

use crate::util::cluster::Cluster;
use crate::util::{as_reference, assert_same_lines, reading};

#[test]
fn a_node_killed_in_the_middle_of_a_backlog_changes_nothing() {
    let (mut cluster, topic) = Cluster::own().with_topic("killed-behind", 3);
    let produce = ["300000", "--start", "2026-03-14T09:00:00Z", "--seed", "1", "--batch-size", "4000", "--quiet"];
    cluster.produce(&topic, &produce);
    let mut consumer = cluster.consume(&topic, &["--idle", "2s"]);
    for _kill in 0..3 {
        // After a result it is in the middle of reading.
        consumer.wait_for(r#""type":"totals""#);
        cluster.kill_and_restart();
    }
    // The last windows close when all has been read.
    consumer.wait_for(r#""closed_by":"idle""#);
    let interrupted = consumer.interrupt().stdout;
    let whole = cluster.read_to_end(&topic, &[]);
    assert_same_lines(&as_reference(&interrupted), &as_reference(&whole), "through three kills against none");
}

#[test]
fn a_consumer_goes_on_after_its_node_was_killed() {
    let (mut cluster, topic) = Cluster::own().with_topic("killed", 2);
    let mut consumer = cluster.consume(&topic, &["--idle", "2s"]);
    cluster.produce(&topic, &["5000", "--start", "2026-03-14T09:00:00Z", "--seed", "1", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":5000,"#);
    for round in 1..=3 {
        cluster.kill_and_restart();
        let start = format!("2026-03-14T{:02}:00:00Z", 9 + round);
        cluster.produce(&topic, &["5000", "--start", &start, "--seed", "1", "--quiet"]);
        consumer.wait_for(&format!(r#""type":"totals","messages":{},"#, 5000 * (round + 1)));
    }
    let live = consumer.interrupt().stdout;
    let later = cluster.read_to_end(&topic, &[]);
    assert_same_lines(&as_reference(&live), &as_reference(&later), "through three kills against a later run");
}

#[test]
fn another_log_at_the_same_address_is_refused() {
    let (mut cluster, mut other) = (Cluster::own(), Cluster::own());
    let topic = cluster.deployed("swapped", 1);
    other.deploy(&["--topic", &topic, "--partitions", "1"]);
    let batch = |sensor| Batch::from(vec![Record::new(reading(sensor, "AK", 0)); 2]);
    cluster.append(&topic, batch("one"));
    // The other log has a batch with the same end offset, and then more.
    other.append(&topic, batch("another"));
    other.append(&topic, batch("another"));
    let mut consumer = cluster.consume(&topic, &["--idle", "1s"]);
    consumer.wait_for(r#""type":"totals","messages":2,"#);
    cluster.kill();
    other.kill();
    cluster.swap(&mut other);
    cluster.restart();
    let ended = consumer.wait().code(1);
    let (partition, at) = (format!("partition 0 of `{topic}`"), "another batch stands at offset 0");
    assert!(ended.stderr.contains(&partition) && ended.stderr.contains(at), "{}", ended.stderr);
    assert!(!ended.stdout.contains(r#""messages":4,"#), "{}", ended.stdout);
}
