//! `isotherm-consumer verify`: a store against the log that it was read from.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::golden;
use crate::util::program::{self, Ended, Running, STUCK};

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

/// Reads on over gaps: again, if more was cut while it read.
#[track_caller]
fn go_on_over_gaps(cluster: &Cluster, topic: &str, store: &Path) {
    let store = store.to_str().expect("the path is UTF-8");
    let args = ["--cluster", cluster.address(), "--topic", topic, "--store", store, "--until-end", "--accept-gap"];
    loop {
        let ended = program::run("isotherm-consumer", args);
        if !ended.stderr.contains("is read up to") {
            ended.code(0);
            return;
        }
    }
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
    let said = program::run("isotherm-consumer", other).code(2).stderr;
    assert!(said.contains("not of `another`") && said.contains("--topic"), "{said}");
    let said = program::run("isotherm-consumer", ["verify", "--store", "memory"]).code(2).stderr;
    assert!(said.contains("--store PATH"), "{said}");
    let settings = folder.path().join("other.yaml");
    std::fs::write(&settings, "windows: {size: 10s}\n").expect("the folder can be written to");
    let settings = settings.to_str().expect("the path is UTF-8");
    let other = ["verify", "--cluster", cluster.address(), "--store", path, "--config", settings];
    let said = program::run("isotherm-consumer", other).code(2).stderr;
    assert!(said.contains("another configuration") && said.contains("leave --config away"), "{said}");
    let same = ["--window", "3s", "--topic", &topic];
    program::run("isotherm-consumer", other.iter().chain(&same)).code(0);
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
    // A reader that goes away does not make it the same.
    for format in ["table", "json"] {
        let mut verify = program::command("isotherm-consumer");
        verify.args(["verify", "--cluster", cluster.address(), "--format", format, "--store"]).arg(&store);
        let mut verify = verify.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        drop(verify.stdout.take());
        let status = verify.wait().expect("the program can be waited for");
        assert_eq!(status.code(), Some(1), "{format}");
    }
}

#[test]
fn a_store_that_drops_windows_is_verified_to_the_last_total() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("verify-keep", 2);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    for round in 0..2 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:{:02}:00Z", 2 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.02", "--seed", &seed, "--start", &start];
        let readings = ["6000", "--quiet", "--rate", "100", "--batch-size", "9000"];
        cluster.produce(&topic, &[&readings[..], &faulty].concat());
        go_on(
            &cluster,
            &topic,
            &store,
            if round == 0 { &["--keep", "10s", "--leave-open"] } else { &["--keep", "10s"] },
        );
        let report = verify(&cluster, &store, 0);
        assert_eq!(report["result"], "incomplete", "{report}");
        let windows = |what: &str| report["windows"][what].as_u64().expect("a number");
        assert!(windows("dropped") > 10 && windows("verified") > 1 && windows("unverifiable") == 0, "{report}");
        // Nothing but when the dropped windows closed: totals, counted and late have been compared.
        let unverifiable = report["unverifiable"].as_array().expect("a list");
        let of_windows = |one: &Value| one["what"].as_str().is_some_and(|what| what.contains("windows before"));
        assert!(unverifiable.len() == 1 && unverifiable.iter().all(of_windows), "{report}");
    }
    let store = store.to_str().expect("the path is UTF-8");
    let ledger = program::run("isotherm-consumer", ["ledger", "--store", store, "--format", "json"]).code(0).stdout;
    let ledger: Value = serde_json::from_str(&ledger).expect("the ledger is JSON");
    assert!(ledger["late"].as_u64() > Some(0), "{ledger}");
}

#[test]
fn the_cluster_that_a_store_was_made_with_is_asked_and_named() {
    let (one, another) = (Cluster::own(), Cluster::own());
    let topic = one.deployed("verify-where", 1);
    let deploy = ["deploy", "--cluster", another.address(), "--topic", &topic];
    program::run("isotherm-consumer", deploy).code(0);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    for (cluster, seed) in [(&one, "1"), (&another, "2")] {
        cluster.produce(&topic, &["2000", "--seed", seed, "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    }
    go_on(&one, &topic, &store, &[]);
    let path = store.to_str().expect("the path is UTF-8");
    let said = program::run("isotherm-consumer", ["verify", "--store", path, "--format", "json"]).code(0).stdout;
    let report: Value = serde_json::from_str(&said).expect("the report is JSON");
    assert_eq!((&report["result"], &report["cluster"]), (&"same".into(), &one.address().into()), "{report}");
    let report = verify(&another, &store, 1);
    assert_eq!(report["cluster"], another.address(), "{report}");
    let text = program::run("isotherm-consumer", ["verify", "--store", path]).code(0).stdout;
    assert!(text.contains(&format!("of `{topic}` at {}", one.address())), "{text}");
    // The default store of a run with a window of its own is found by the same flags.
    let data = folder.path().join("data");
    let of_run = ["--cluster", one.address(), "--topic", &topic, "--store", "default", "--window", "10s"];
    let run = |args: &[&str]| {
        let mut command = program::command("isotherm-consumer");
        Running::start(command.env("XDG_DATA_HOME", &data).args(args).args(of_run)).wait()
    };
    run(&["--until-end", "--format", "none"]).code(0);
    let text = run(&["verify"]).code(0).stdout;
    assert!(text.ends_with("Everything is as it is stored.\n"), "{text}");
}

#[test]
fn a_hole_behind_a_batch_is_no_difference() {
    let mut cluster = Cluster::own();
    let topic = cluster.deployed("verify-hole", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let produce = |cluster: &Cluster, minute: u32| {
        let start = format!("2026-03-14T09:{minute:02}:00Z");
        let faulty = ["--late", "0.05", "--malformed", "0.05", "--start", &start, "--seed", "5"];
        let readings = ["600", "--quiet", "--rate", "100", "--batch-size", "4000"];
        cluster.produce(&topic, &[&readings[..], &faulty].concat());
    };
    for round in 0..3 {
        produce(&cluster, 2 * round);
        cluster.stop();
        widen_last_batch(cluster.folder(), &topic, 5);
        cluster.restart();
        if round > 0 {
            // A hole behind the last batch, also one that a run has not found yet.
            go_on(&cluster, &topic, &store, &["--leave-open"]);
            assert_eq!(verify(&cluster, &store, 0)["result"], "same");
        }
    }
    produce(&cluster, 8);
    go_on(&cluster, &topic, &store, &[]);
    let report = verify(&cluster, &store, 0);
    assert_eq!(report["result"], "same", "{report}");
    let partition = &report["partitions"][0];
    assert_eq!((partition["records"].as_u64(), partition["to"].as_u64()), (Some(2_400), Some(2_415)), "{report}");
}

/// Makes the last batch in a stopped node's log of partition 0 end so many offsets further on, as one does of which a broker
/// dropped records before it stored the rest.
fn widen_last_batch(folder: &Path, topic: &str, offsets: i32) {
    let path = last_segment(folder, topic).expect("the topic has a segment");
    let mut bytes = std::fs::read(&path).expect("the segment can be read");
    let number = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    // A header of 16 bytes; entries of a length, its and the batch's checksum, and the batch.
    let (mut at, mut last) = (16, 16);
    while at < bytes.len() {
        last = at;
        at += 8 + (number(&bytes, at) & !(1 << 31)) as usize;
    }
    let batch = last + 8;
    let delta = number(&bytes, batch + 23).cast_signed() + offsets;
    bytes[batch + 23..batch + 27].copy_from_slice(&delta.to_be_bytes());
    let own = crc32c(&bytes[batch + 21..at]);
    bytes[batch + 17..batch + 21].copy_from_slice(&own.to_be_bytes());
    let whole = crc32c(&[&bytes[last..last + 4], &bytes[batch..at]].concat());
    bytes[last + 4..last + 8].copy_from_slice(&whole.to_be_bytes());
    std::fs::write(&path, bytes).expect("the segment can be written");
}

/// The newest segment of a topic's only partition.
fn last_segment(folder: &Path, topic: &str) -> Option<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "log") && path.to_string_lossy().contains(topic) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.pop()
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        let bit = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        (0..8).fold(crc ^ u32::from(*byte), bit)
    };
    !bytes.iter().fold(!0, byte)
}

#[test]
fn a_gap_that_the_log_contradicts_is_found() {
    let cluster = Cluster::start();
    let topic = cluster.kept_short("verify-gap", 300_000);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let produce = |count: &str, minute: u32| {
        let start = format!("2026-03-14T09:{minute:02}:00Z");
        let readings = [count, "--seed", "7", "--rate", "100", "--quiet", "--batch-size", "4000", "--start", &start];
        cluster.produce(&topic, &readings);
    };
    produce("1000", 0);
    go_on(&cluster, &topic, &store, &["--leave-open"]);
    produce("5000", 10);
    cluster.wait_for_start(&topic, 1_001);
    go_on_over_gaps(&cluster, &topic, &store);
    assert_eq!(verify(&cluster, &store, 0)["result"], "incomplete");
    // A log that begins before the gap's end.
    cluster.delete(&topic);
    let deploy = ["deploy", "--cluster", cluster.address(), "--topic", &topic];
    program::run("isotherm-consumer", deploy).code(0);
    produce("6000", 0);
    let report = verify(&cluster, &store, 1);
    let differences = report["differences"].as_array().expect("a list");
    let gap = differences.iter().find(|one| one["what"] == "partition 0: gaps");
    assert!(gap.is_some_and(|gap| gap["recomputed"] == "the log begins at 0"), "{report}");
    assert_eq!(report["partitions"][0]["from"], 0, "{report}");
}

#[test]
fn retention_that_overtakes_is_no_failure() {
    let cluster = Cluster::start();
    let topic = cluster.kept_short("verify-overtaken", 8_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let path = store.to_str().expect("the path is UTF-8");
    let produce = || cluster.produce(&topic, &["30000", "--rate", "1000", "--quiet", "--batch-size", "9000"]);
    produce();
    go_on(&cluster, &topic, &store, &[]);
    let (until, mut produced) = (Instant::now() + STUCK, 30_000);
    loop {
        // Stopped when it begins to read; by the time that it goes on, what it was reading is gone.
        let mut verify = program::command("isotherm-consumer");
        verify.args(["verify", "--cluster", cluster.address(), "--store", path, "--format", "json", "-v"]);
        let mut verify = Running::start(&mut verify);
        verify.wait_for_log("records to read again");
        verify.signal(Signal::SIGSTOP);
        produce();
        produced += 30_000;
        cluster.wait_for_start(&topic, produced - 42_000);
        verify.signal(Signal::SIGCONT);
        let ended = verify.wait().code(0);
        let report: Value = serde_json::from_str(&ended.stdout).expect("the report is JSON");
        assert_ne!(report["result"], "different", "{report}");
        if ended.stderr.contains("beginning again") {
            return;
        }
        assert!(Instant::now() < until, "it is never overtaken: {}", ended.stderr);
        go_on_over_gaps(&cluster, &topic, &store);
    }
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
    let mut changed = std::fs::read(&readings).expect("the readings can be read");
    let (from, to) = (br#""temperature":49.0"#, br#""temperature":49.5"#);
    let at = changed.windows(from.len()).position(|bytes| bytes == from).expect("there is such a reading");
    changed[at..at + to.len()].copy_from_slice(to);
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
