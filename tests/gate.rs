//! `reading-gate` through the published client.
//!
//! `golden/faults.reasons` has a verdict on each non-empty line of `golden/faults.jsonl`: `accepted`, or the reason of its
//! rejection. It is by the same reference as the expected answers.

use std::fs;

use crate::util::cluster::Cluster;
use crate::util::{golden, golden_text};

/// The module's name on the cluster.
const GATE: &str = "reading-gate";

/// The lines of `golden/faults.jsonl` that are of one of these verdicts, in order.
fn lines(wanted: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let file = fs::read(golden("faults.jsonl")).expect("the file can be read");
    let lines = file.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let reasons = golden_text("faults.reasons");
    assert_eq!(lines.len(), reasons.lines().count(), "a verdict for each line");
    lines.into_iter().zip(reasons.lines()).filter(|(_, reason)| wanted(reason)).map(|(line, _)| line.to_vec()).collect()
}

/// A topic that holds `golden/faults.jsonl` twice in one partition, in many batches. The second copy makes sure that records
/// follow after those that are wanted of the first: a test that waits for all wanted ones sees any that should be dropped.
fn faults(cluster: &Cluster) -> String {
    let topic = cluster.deployed("gate", 1);
    for _ in 0..2 {
        cluster.produce(&topic, &["--input", &golden("faults.jsonl"), "--batch-size", "10000", "--quiet"]);
    }
    topic
}

#[test]
fn the_gate_keeps_what_it_is_told_to_as_it_stands() {
    let cluster = Cluster::start();
    let topic = faults(&cluster);
    // As texts, so that a failure can be read.
    let check = |params: &[(&str, &str)], wanted: Vec<Vec<u8>>| {
        let words = |values: Vec<Vec<u8>>| -> Vec<String> {
            values.iter().map(|value| value.escape_ascii().to_string()).collect()
        };
        assert!(!wanted.is_empty(), "{params:?} is to keep something");
        let wanted = words([&wanted[..], &wanted].concat());
        let seen = cluster.transformed(&topic, 0, GATE, params, wanted.len()).expect("an answer");
        let seen = words(seen);
        assert_eq!(seen, wanted, "{params:?}");
    };
    check(&[], lines(|reason| reason != "accepted"));
    check(&[("keep", "rejected")], lines(|reason| reason != "accepted"));
    check(&[("keep", "accepted")], lines(|reason| reason == "accepted"));
    for only in ["not-json", "missing-field", "wrong-type", "unknown-group", "bad-time", "out-of-range"] {
        check(&[("reason", only)], lines(|reason| reason == only));
    }
}

#[test]
fn a_bad_parameter_of_the_gate_is_named() {
    let cluster = Cluster::start();
    let topic = faults(&cluster);
    for (params, parts) in [
        (&[("keep", "some")][..], ["`keep`", "`some`"]),
        (&[("reason", "late")], ["`reason`", "`late`"]),
        (&[("reason", "bad-time"), ("keep", "accepted")], ["`reason`", "`keep=rejected`"]),
        (&[("kep", "accepted")], ["`kep`", "keep"]),
    ] {
        let said = cluster.transformed(&topic, 0, GATE, params, 1).expect_err("the parameter is refused");
        assert!(parts.iter().all(|part| said.contains(part)), "{params:?}: {said}");
    }
}
