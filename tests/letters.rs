//! `--dead-letters TOPIC` where something stands in the way: a topic that compresses, a log that is another one by now.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::dead_letters::{consumer, letters};
use crate::util::cluster::Cluster;
use crate::util::program;

/// How many letters wait in a store.
#[track_caller]
pub(crate) fn waiting(store: &Path) -> u64 {
    let store = store.to_str().expect("the path is UTF-8");
    let said = program::run("isotherm-consumer", ["ledger", "--store", store, "--format", "json"]).code(0).stdout;
    let ledger: Value = serde_json::from_str(&said).expect("JSON");
    ledger["dead_letters"]["waiting"]["records"].as_u64().expect("a number")
}

#[test]
fn a_topic_that_takes_only_compressed_batches_gets_its_letters() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("rejecting", 1), cluster.topic_name("compressed"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("dead.yaml");
    let yaml =
        format!("version: 0.1.0\nmeta: {{name: {dead}}}\npartition: {{count: 2}}\ncompression: {{type: Gzip}}\n");
    std::fs::write(&file, yaml).expect("it can be written");
    cluster.deploy(&["--config", file.to_str().expect("the path is UTF-8")]);
    cluster.produce(&topic, &["2000", "--malformed", "0.1", "--seed", "5", "--quiet"]);
    let store = folder.path().join("run.db");
    consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    let there = letters(&cluster, &dead, 2).len();
    assert!(there > 100 && waiting(&store) == 0, "{there} letters");
}

#[test]
fn of_another_log_nothing_is_copied() {
    let cluster = Cluster::start();
    let (topic, away) = (cluster.deployed("other", 1), cluster.deployed("away", 1));
    let dead = cluster.deployed("dead-other", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    cluster.produce(&topic, &["10", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let mut run = consumer(&cluster, &topic, &store, &away, &[]);
    run.wait_for_log("caught up");
    // While their topic is gone, letters wait in the store.
    cluster.delete(&away);
    cluster.produce(
        &topic,
        &["1000", "--malformed", "0.2", "--start", "2026-03-14T09:00:10Z", "--rate", "100", "--quiet"],
    );
    // The last of these windows is committed after every letter of the ones before.
    run.wait_for(r#""start":"2026-03-14T09:00:12Z""#);
    run.signal(Signal::SIGKILL);
    drop(run);
    let left = waiting(&store);
    assert!(left > 10, "{left} letters wait");
    cluster.delete(&topic);
    cluster.deploy(&["--topic", &topic]);
    cluster
        .produce(&topic, &["2000", "--malformed", "0.2", "--seed", "9", "--start", "2026-03-15T09:00:00Z", "--quiet"]);
    let said = consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(1).stderr;
    assert!(said.contains("another batch than the one that was counted"), "{said}");
    assert_eq!(letters(&cluster, &dead, 1).len(), 0, "{said}");
    assert_eq!(waiting(&store), left);
}
