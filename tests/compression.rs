//! Every compression with every key gives the exact result.

use crate::util::cluster::Cluster;
use crate::util::{as_reference, assert_same_lines, golden, golden_text};

#[test]
fn every_compression_with_every_key() {
    let cluster = Cluster::start();
    let (readings, expected) = (golden("faults.jsonl"), golden_text("faults.expected"));
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for key in ["none", "sensor", "group"] {
            let topic = cluster.deployed("compressed", 3);
            let how = ["--compression", compression, "--key", key, "--batch-size", "20000"];
            cluster.produce(&topic, &[&["--input", &readings, "--quiet"][..], &how].concat());
            let seen = cluster.read_to_end(&topic, &[]);
            assert_same_lines(&as_reference(&seen), &expected, &format!("compression {compression}, key {key}"));
        }
    }
}
