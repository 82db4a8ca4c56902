//! `--combine consumer`: the consumer combines batches itself, with the same results, and no module on the cluster.

use crate::exactness;
use crate::util::cluster::{Cluster, unique};
use crate::util::program::consumer;
use crate::util::store::Store;
use crate::util::{as_reference, assert_same_lines, golden, golden_text};

#[test]
fn clean_readings() {
    exactness::check("clean", &["--combine", "consumer"]);
}

#[test]
fn readings_disordered_within_the_grace() {
    exactness::check("disordered", &["--grace", "1s", "--combine", "consumer"]);
}

#[test]
fn every_fault() {
    exactness::check("faults", &["--combine", "consumer"]);
}

#[test]
fn a_store_goes_on_with_the_other_way_of_combining() {
    let cluster = Cluster::start();
    for ways in [["broker", "consumer", "broker"], ["consumer", "broker", "consumer"]] {
        let (topic, store) = (cluster.deployed("both", 2), Store::new());
        for (round, way) in ways.into_iter().enumerate() {
            let (seed, start) = (round.to_string(), format!("2026-03-14T09:{:02}:00Z", 5 * round));
            let faulty =
                ["--late", "0.05", "--malformed", "0.05", "--disorder", "500", "--seed", &seed, "--start", &start];
            cluster.produce(&topic, &[&["10000", "--quiet", "--batch-size", "9000"][..], &faulty].concat());
            let said = store.to_end(&cluster, &topic, &["--combine", way, "--leave-open"]).code(0).stdout;
            assert!(said.contains(r#""type":"window""#), "{way}: {said}");
        }
        store.verify(&cluster, 0);
    }
}

#[test]
fn a_cluster_without_a_module_is_enough() {
    let cluster = Cluster::own();
    let topic = unique("no-module");
    let deploy = ["deploy", "--cluster", cluster.address(), "--topic", &topic, "--partitions", "2"];
    let said = consumer(deploy.iter().chain(&["--combine", "consumer"])).code(0).stdout;
    assert!(said.contains("modules: none"), "{said}");
    cluster.produce(&topic, &["--input", &golden("clean.jsonl"), "--batch-size", "16384", "--quiet"]);
    let seen = cluster.read_to_end(&topic, &["--combine", "consumer"]);
    assert_same_lines(&as_reference(&seen), &golden_text("clean.expected"), "without a module");
    let refused = cluster.consume(&topic, &["--until-end"]).wait().code(1);
    let error = refused.last_error();
    assert!(error.contains("has no SmartModule") && error.contains("--combine consumer"), "{error}");
}
