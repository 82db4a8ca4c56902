//! `isotherm-consumer verify`: a store against the log that it was read from.

use std::path::Path;

use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::golden;
use crate::util::program::{self, Ended};

/// Runs `verify` on a store, and gives its JSON.
#[track_caller]
fn verify(cluster: &Cluster, store: &Path, code: i32) -> Value {
    let store = store.to_str().expect("the path is UTF-8");
    let args = ["verify", "--cluster", cluster.address(), "--store", store, "--format", "json"];
    let said = program::run("isotherm-consumer", args).code(code).stdout;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Reads on with a store.
#[track_caller]
fn go_on(cluster: &Cluster, topic: &str, store: &Path, more: &[&str]) -> Ended {
    let store = store.to_str().expect("the path is UTF-8");
    let args = ["--cluster", cluster.address(), "--topic", topic, "--store", store, "--until-end", "--format", "jsonl"];
    program::run("isotherm-consumer", args.iter().chain(more)).code(0)
}

#[test]
fn several_runs_with_late_and_malformed_readings_are_as_the_log_says() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("verify", 3);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    for round in 0..4_u64 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:{:02}:00Z", 2 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.05", "--seed", &seed, "--start", &start];
        cluster.produce(&topic, &[&["6000", "--quiet", "--batch-size", "9000"][..], &faulty].concat());
        // What is set back by more than the runs before have closed is late.
        go_on(&cluster, &topic, &store, if round < 3 { &["--leave-open"] } else { &[] });
        let report = verify(&cluster, &store, 0);
        assert_eq!(
            (&report["result"], &report["unverifiable"]),
            (&Value::from("same"), &Value::from(Vec::<Value>::new()))
        );
        let read = report["partitions"].as_array().expect("a list").iter().map(|read| read["records"].as_u64());
        assert_eq!(read.flatten().sum::<u64>(), 6_000 * (round + 1), "{report}");
        let open = report["windows"]["open"].as_u64().expect("a number");
        assert_eq!(open > 0, round < 3, "{report}");
    }
    let last = go_on(&cluster, &topic, &store, &[]).stdout;
    let totals: Value = serde_json::from_str(last.lines().last().expect("totals")).expect("totals are JSON");
    assert!(totals["late"].as_u64() > Some(0), "{totals}");
    // The topic and settings that it is of are said, and told apart.
    let path = store.to_str().expect("the path is UTF-8");
    let other = ["verify", "--cluster", cluster.address(), "--store", path, "--topic", "another"];
    let said = program::run("isotherm-consumer", other).code(1).stderr;
    assert!(said.contains("another topic"), "{said}");
}

#[test]
fn a_topic_made_anew_is_not_the_one_that_was_read() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("verify-anew", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let produce = |seed: &str, count: &str| {
        let readings = [count, "--seed", seed, "--start", "2026-03-14T09:00:00Z", "--quiet"];
        cluster.produce(&topic, &readings);
    };
    produce("1", "5000");
    go_on(&cluster, &topic, &store, &[]);
    assert_eq!(verify(&cluster, &store, 0)["result"], "same");
    let again = || {
        cluster.delete(&topic);
        let deploy = ["deploy", "--cluster", cluster.address(), "--topic", &topic];
        program::run("isotherm-consumer", deploy).code(0);
    };
    again();
    produce("1", "4000");
    let report = verify(&cluster, &store, 1);
    assert_eq!(report["differences"][0]["what"], "merged offset of partition 0", "{report}");
    again();
    produce("2", "5000");
    let report = verify(&cluster, &store, 1);
    let differences = report["differences"].as_array().expect("a list");
    let named = |what: &str| differences.iter().any(|one| one["what"].as_str().is_some_and(|said| said.contains(what)));
    assert!(named("totals") && named("window 2026") && named("digest of the last batch"), "{report}");
}

#[test]
fn a_reading_changed_in_the_log_is_found() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("verify-changed", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let readings = golden("faults.jsonl");
    let input = readings.to_str().expect("the path is UTF-8");
    cluster.produce(&topic, &["--input", input, "--quiet", "--batch-size", "20000"]);
    go_on(&cluster, &topic, &store, &[]);
    assert_eq!(verify(&cluster, &store, 0)["result"], "same");
    let changed = std::fs::read_to_string(&readings).expect("the readings are UTF-8");
    let changed = changed.replacen(r#""temperature":49.0"#, r#""temperature":49.5"#, 1);
    let other = folder.path().join("changed.jsonl");
    std::fs::write(&other, changed).expect("the folder can be written to");
    cluster.delete(&topic);
    let deploy = ["deploy", "--cluster", cluster.address(), "--topic", &topic];
    program::run("isotherm-consumer", deploy).code(0);
    cluster.produce(&topic, &["--input", other.to_str().expect("UTF-8"), "--quiet", "--batch-size", "20000"]);
    let report = verify(&cluster, &store, 1);
    let differences = report["differences"].as_array().expect("a list");
    let of_sums = differences.iter().filter(|one| one["what"].as_str().is_some_and(|what| what.ends_with(": sum")));
    assert_eq!(of_sums.count(), 2, "of one window and of the run: {report}");
}
