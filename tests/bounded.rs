//! A bounded run has one answer, whatever the order of readings, and whatever kills it.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::exactness::check;
use crate::util::cluster::Cluster;
use crate::util::store::Store;
use crate::util::{
    as_reference, assert_same_lines, count, golden, golden_text, json, last_totals, lines, reading, write,
};

/// An archive: one device after the other.
#[test]
fn device_by_device() {
    check("device-by-device", &[]);
}

/// A reading that is a day ahead of all others makes none of them late.
#[test]
fn one_fast_clock() {
    check("one-fast-clock", &[]);
}

/// The lines of a golden file in another order.
fn shuffled(name: &str, mut seed: u64) -> Vec<u8> {
    let text = std::fs::read(golden(name)).expect("golden files can be read");
    let mut lines: Vec<(u64, &[u8])> = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lines.push((seed >> 16, line.strip_suffix(b"\n").unwrap_or(line)));
    }
    lines.sort_unstable();
    lines.iter().flat_map(|(_, line)| [*line, b"\n"].concat()).collect()
}

#[test]
fn shuffled_lines_give_the_same_answer_in_little_memory_and_verify_agrees() {
    let cluster = Cluster::start();
    for (name, partitions, combine) in
        [("clean", 1, "broker"), ("faults", 5, "consumer"), ("device-by-device", 2, "consumer")]
    {
        let (store, expected) = (Store::new(), golden_text(&format!("{name}.expected")));
        let input = write(store.folder(), "shuffled.jsonl", shuffled(&format!("{name}.jsonl"), 7));
        let topic = cluster.deployed(name, partitions);
        cluster.produce(&topic, &["--input", &input, "--batch-size", "2000", "--quiet"]);
        let seen = store.to_end(&cluster, &topic, &["--memory-limit", "10KB", "--combine", combine]).code(0).stdout;
        assert_same_lines(&as_reference(&seen), &expected, name);
        let verify = ["verify", "--cluster", cluster.address(), "--memory-limit", "10KB", "--format", "json"];
        let report = json(&store.ask(&verify).code(0).stdout);
        assert_eq!(report["result"], "same", "{report}");
    }
}

#[test]
fn later_runs_count_into_the_windows_between_and_never_into_what_was_published() {
    let cluster = Cluster::start();
    let (topic, store) = (cluster.deployed("between", 2), Store::new());
    let produce = |name: &str, seconds: &[u32]| {
        let lines: Vec<String> = seconds.iter().map(|second| reading("a", "OR", *second) + "\n").collect();
        let input = write(store.folder(), name, lines.concat());
        // Each record is a batch, and goes to the next partition.
        cluster.produce(&topic, &["--input", &input, "--key", "none", "--batch-size", "1", "--quiet"]);
    };
    let to_end = |args: &[&str]| {
        let seen = store.to_end(&cluster, &topic, args).code(0).stdout;
        let report = store.verify(&cluster, 0);
        assert_eq!(report["result"], "same", "{report}");
        let totals = last_totals(&seen);
        (lines(&seen, "window").len(), count(&totals, "counted"), count(&totals, "late"))
    };
    // The partition of the first reading holds the watermark at 0 s.
    produce("first", &[0, 57]);
    assert_eq!(to_end(&[]), (2, 2, 0));
    produce("second", &[31, 59, 12, 2]);
    assert_eq!(to_end(&["--leave-open"]).1, 4, "2 s and 59 s are late: their windows were published");
    assert_eq!(to_end(&[]).2, 2);
    let live = store.start(&cluster, &topic, &["--idle", "1s"]);
    produce("third", &[13, 58, 45]);
    store.wait_for_messages(9);
    assert!(count(&last_totals(&live.interrupt().stdout), "late") >= 4, "12 s and 57 s were published");
    assert_eq!(store.verify(&cluster, 0)["result"], "same");
}

#[test]
fn a_bounded_run_that_is_killed_again_and_again_has_the_same_answer() {
    let (cluster, topic) = Cluster::start().with_topic("killed", 3);
    let faults = ["--late", "0.2", "--malformed", "0.02", "--seed", "3", "--start", "2026-03-14T09:00:00Z"];
    cluster.produce(&topic, &[&["60000", "--quiet", "--batch-size", "20KB", "--rate", "200"][..], &faults].concat());
    let whole = Store::new().to_end(&cluster, &topic, &[]).code(0).stdout;
    assert_eq!(count(&last_totals(&whole), "late"), 0, "nothing is late in a bounded run");
    let (store, mut printed) = (Store::new(), BTreeMap::<String, Value>::new());
    let mut take = |said: &str, killed: bool| {
        for line in said.lines() {
            let line: Value = match serde_json::from_str(line) {
                Ok(line) => line,
                // The last line of a killed process may be cut.
                Err(_) if killed => return,
                Err(error) => panic!("{error}: {line}"),
            };
            if line["type"] == "window" {
                let before = printed.insert(line["start"].to_string(), line);
                assert!(before.is_none(), "a window was published twice: {before:?}");
            }
        }
    };
    for round in 0..12_u64 {
        let run = store.start(&cluster, &topic, &["--until-end", "--memory-limit", "100KB"]);
        std::thread::sleep(Duration::from_millis(20 + 37 * round));
        run.signal(Signal::SIGKILL);
        take(&run.wait().stdout, true);
    }
    let last = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    take(&last, false);
    // A kill between commit and output leaves windows that were not printed; the store has them all.
    let stored = store.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout;
    let windows: Vec<Value> = lines(&whole, "window").iter().map(|line| json(line)).collect();
    let again: Vec<Value> = lines(&stored, "window").iter().map(|line| json(line)).collect();
    assert_eq!(again, windows);
    for window in &windows {
        if let Some(printed) = printed.get(&window["start"].to_string()) {
            assert_eq!(printed, window);
        }
    }
    assert_eq!(last_totals(&last), last_totals(&whole));
}
