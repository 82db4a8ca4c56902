//! A topic that is deleted and created again under its name is another log, also if all its records are rejected.

use fluvio::dataplane::record::{Batch, Record};

use crate::util::cluster::Cluster;
use crate::util::program::Ended;
use crate::util::store::Store;

/// When the first log's batch was produced.
const THEN: i64 = 1_773_478_800_000;

/// A batch of these records, produced at this time.
fn batch(base_timestamp: i64, values: [&str; 2]) -> Batch {
    let mut batch = Batch::from(values.map(Record::new).to_vec());
    batch.header.first_timestamp = base_timestamp;
    batch
}

/// Reads one batch; then replaces the topic, and reads another batch with the same store.
fn one_and_then(cluster: &Cluster, name: &str, one: Batch, other: Batch) -> Ended {
    let topic = cluster.deployed(name, 1);
    let store = Store::new();
    cluster.append(&topic, one);
    let first = store.to_end(cluster, &topic, &[]).code(0);
    assert!(first.stdout.contains(r#""messages":2,"counted":0,"#), "{}", first.stdout);
    cluster.replace(&topic);
    cluster.append(&topic, other);
    store.to_end(cluster, &topic, &[])
}

#[test]
fn rejected_records_alone_tell_one_log_from_another() {
    let cluster = Cluster::own();
    let values = ["no reading", "nor this"];
    for (name, one, other) in [
        ("later", batch(THEN, values), batch(THEN + 1, values)),
        ("timed", batch(-1, values), batch(THEN, values)),
        ("said-other", batch(-1, values), batch(-1, ["no reading", "nor that"])),
        ("said-in-order", batch(-1, values), batch(-1, ["nor this", "no reading"])),
    ] {
        let ended = one_and_then(&cluster, name, one, other).code(1);
        assert!(ended.stderr.contains("is not the one that was counted"), "{name}: {}", ended.stderr);
    }
    // With the same batch it is the log that was read.
    for (name, base_timestamp) in [("restored", THEN), ("restored-untimed", -1)] {
        let batch = || batch(base_timestamp, values);
        let ended = one_and_then(&cluster, name, batch(), batch()).code(0);
        assert!(ended.stdout.contains(r#""messages":2,"counted":0,"#), "{name}: {}", ended.stdout);
    }
}
