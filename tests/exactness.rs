//! Windows and totals equal those of an independent reference, with all kinds of partitions, keys and batches.
//!
//! `golden/NAME.jsonl` are readings, `golden/NAME.expected` the answers of a reference that shares no code with
//! Isotherm (exact decimal arithmetic).

use crate::util::cluster::Cluster;
use crate::util::{as_reference, assert_same_lines, golden, golden_text, write};

/// One record a batch, the client's default, and all in one.
const BATCHES: [&str; 3] = ["1", "16384", "1000000"];
const KEYS: [&str; 3] = ["none", "sensor", "group"];

/// Every number of partitions with every batch size, and with every key.
#[track_caller]
pub(crate) fn check(name: &str, consume: &[&str]) {
    let cluster = Cluster::start();
    let (readings, expected) = (golden(&format!("{name}.jsonl")), golden_text(&format!("{name}.expected")));
    for (row, partitions) in [1, 2, 5].into_iter().enumerate() {
        for (column, batch) in BATCHES.into_iter().enumerate() {
            let key = KEYS[(row + column) % KEYS.len()];
            let what = format!("{name}, {partitions} partitions, batches of {batch} bytes, key {key}");
            let topic = cluster.deployed(name, partitions);
            cluster.produce(&topic, &["--input", &readings, "--batch-size", batch, "--key", key, "--quiet"]);
            let seen = cluster.read_to_end(&topic, consume);
            assert_same_lines(&as_reference(&seen), &expected, &what);
        }
    }
}

#[test]
fn clean_readings() {
    check("clean", &[]);
}

#[test]
fn readings_disordered_within_the_grace() {
    check("disordered", &["--grace", "1s"]);
}

#[test]
fn every_fault() {
    check("faults", &[]);
}

#[test]
fn unusual_but_valid_json() {
    check("unusual", &[]);
}

#[test]
fn another_schema() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let config = write(folder.path(), "machines.yaml", MACHINES);
    // The producer's keys are those of the sensor message: here it finds none, and spreads the lines.
    check("machines", &["--config", &config]);
}

/// A topology of another schema: names with `/` and `~`, any group, ten-second windows.
const MACHINES: &str = r#"
reading:
  sensor: /meta/machine~1id
  group: /where/plant~0hall
  time: /meta/at
  value: /kw
  groups: any
windows:
  size: 10s
"#;
