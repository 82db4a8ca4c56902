//! A node that is away for longer than `idle`: what its producers kept meanwhile is not late when it is back.

use std::time::Duration;

use crate::util::cluster::Cluster;
use crate::util::store::Store;

/// Produces readings at this rate of event time.
fn produce(cluster: &Cluster, topic: &str, count: &str, start: &str, rate: &str) {
    cluster.produce(topic, &[count, "--start", start, "--rate", rate, "--seed", "3", "--quiet"]);
}

#[test]
fn what_producers_kept_while_a_node_was_away_for_longer_than_idle_is_not_late() {
    let mut cluster = Cluster::own();
    let (topic, store) = (cluster.deployed("outage", 1), Store::new());
    let mut consumer = store.start(&cluster, &topic, &["--idle", "20s"]);
    produce(&cluster, &topic, "1000", "2026-03-14T09:00:00Z", "100");
    // What closes the third window is the last record: all has been read then.
    produce(&cluster, &topic, "1", "2026-03-14T09:00:10Z", "1");
    consumer.wait_for(r#""start":"2026-03-14T09:00:06Z""#);
    cluster.kill();
    // The passage of this time is what is tested.
    std::thread::sleep(Duration::from_secs(21));
    cluster.restart();
    // A reading that raises no watermark shows when the partition is connected again.
    produce(&cluster, &topic, "1", "2026-03-14T09:00:09Z", "1");
    store.wait_for_messages(1_002);
    // If the partition counted as idle at once, event time would go on in these seconds, past all that was kept.
    std::thread::sleep(Duration::from_secs(2));
    // These span more time than the node was away.
    produce(&cluster, &topic, "1000", "2026-03-14T09:00:10Z", "20");
    consumer.wait_for(r#""start":"2026-03-14T09:00:51Z""#);
    let totals = consumer.wait_for(r#""type":"totals""#);
    assert!(totals.contains(r#","late":0,"#), "{totals}");
    let said = consumer.interrupt().stdout;
    assert!(!said.contains(r#""closed_by":"idle""#), "windows closed while nobody could write:\n{said}");
}
