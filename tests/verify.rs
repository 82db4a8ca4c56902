//! `isotherm-consumer verify`: a store against the log that it was read from.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, command, consumer};
use crate::util::store::Store;
use crate::util::{count, golden, json, last_totals, list, named, wait_until, write};

#[test]
fn several_runs_with_late_and_malformed_readings_are_as_the_log_says() {
    let (cluster, topic) = Cluster::start().with_topic("verify", 3);
    let store = Store::new();
    for round in 0..4_u64 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:00:{:02}Z", 2 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.05", "--seed", &seed, "--start", &start];
        cluster.produce(&topic, &[&["6000", "--quiet", "--batch-size", "9000"][..], &faulty].concat());
        // Readings for windows that earlier runs have closed are late.
        store.to_end(&cluster, &topic, if round < 3 { &["--leave-open"] } else { &[] }).code(0);
        let report = store.verify(&cluster, 0);
        assert_eq!((&report["result"], list(&report, "unverifiable").len()), (&Value::from("same"), 0), "{report}");
        let read = list(&report, "partitions").iter().map(|partition| count(partition, "records"));
        assert_eq!(read.sum::<u64>(), 6_000 * (round + 1), "{report}");
        assert_eq!(count(&report["windows"], "open") > 0, round < 3, "{report}");
    }
    let last = store.to_end(&cluster, &topic, &[]).code(0).stdout;
    assert!(count(&last_totals(&last), "late") > 0, "{last}");
    // Another topic, and other settings, are refused.
    let verify = ["verify", "--cluster", cluster.address()];
    let said = store.ask(&[&verify[..], &["--topic", "another"]].concat()).code(2).stderr;
    assert!(said.contains("not of `another`") && said.contains("--topic"), "{said}");
    let said = consumer(["verify", "--store", "memory"]).code(2).stderr;
    assert!(said.contains("--store PATH"), "{said}");
    let settings = write(store.folder(), "other.yaml", "windows: {size: 10s}\n");
    let other = [&verify[..], &["--config", &settings]].concat();
    let said = store.ask(&other).code(2).stderr;
    assert!(said.contains("another configuration") && said.contains("leave --config away"), "{said}");
    store.ask(&[&other[..], &["--window", "3s", "--topic", &topic]].concat()).code(0);
}

#[test]
fn a_replaced_topic_is_not_the_one_that_was_read() {
    let (cluster, topic) = Cluster::own().with_topic("verify-anew", 1);
    let store = Store::new();
    let produce = |seed: &str, count: &str| {
        let readings = [count, "--seed", seed, "--start", "2026-03-14T09:00:00Z", "--quiet"];
        cluster.produce(&topic, &readings);
    };
    produce("1", "5000");
    store.to_end(&cluster, &topic, &[]).code(0);
    assert_eq!(store.verify(&cluster, 0)["result"], "same");
    cluster.replace(&topic);
    produce("1", "4000");
    let report = store.verify(&cluster, 1);
    assert_eq!(report["differences"][0]["what"], "position of partition 0", "{report}");
    cluster.replace(&topic);
    produce("2", "5000");
    let report = store.verify(&cluster, 1);
    let named = |what| named(&report, "differences", what) > 0;
    assert!(named("totals") && named("window 2026") && named("digest of the last batch"), "{report}");
    // A reader that goes away does not change the exit code.
    for format in ["table", "json"] {
        let mut verify = command("isotherm-consumer");
        verify.args(["verify", "--cluster", cluster.address(), "--format", format, "--store", &store.path()]);
        let mut verify = verify.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        drop(verify.stdout.take());
        let status = verify.wait().expect("the program can be waited for");
        assert_eq!(status.code(), Some(1), "{format}");
    }
}

#[test]
fn a_store_that_drops_windows_is_verified_to_the_last_total() {
    let (cluster, topic) = Cluster::start().with_topic("verify-keep", 2);
    let store = Store::new();
    for round in 0..2 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:00:{:02}Z", 30 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.02", "--seed", &seed, "--start", &start];
        let readings = ["6000", "--quiet", "--rate", "100", "--batch-size", "9000"];
        cluster.produce(&topic, &[&readings[..], &faulty].concat());
        let more: &[&str] = if round == 0 { &["--leave-open"] } else { &[] };
        store.to_end(&cluster, &topic, &[&["--keep", "10s"], more].concat()).code(0);
        let report = store.verify(&cluster, 0);
        assert_eq!(report["result"], "incomplete", "{report}");
        let windows = |what| count(&report["windows"], what);
        assert!(windows("dropped") > 10 && windows("verified") > 1 && windows("unverifiable") == 0, "{report}");
        // Only the closing of the dropped windows is not verified: totals, counted and late are.
        let unverifiable = (list(&report, "unverifiable").len(), named(&report, "unverifiable", "windows before"));
        assert_eq!(unverifiable, (1, 1), "{report}");
    }
    assert!(count(&store.ledger(), "late") > 0, "{}", store.ledger());
}

#[test]
fn the_cluster_that_a_store_was_made_with_is_asked_and_named() {
    let (one, another) = (Cluster::own(), Cluster::own());
    let topic = one.deployed("verify-where", 1);
    another.deploy(&["--topic", &topic]);
    let store = Store::new();
    for (cluster, seed) in [(&one, "1"), (&another, "2")] {
        cluster.produce(&topic, &["2000", "--seed", seed, "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    }
    store.to_end(&one, &topic, &[]).code(0);
    let report = store.json(&["verify"]);
    assert_eq!((&report["result"], &report["cluster"]), (&"same".into(), &one.address().into()), "{report}");
    let report = store.verify(&another, 1);
    assert_eq!(report["cluster"], another.address(), "{report}");
    let text = store.ask(&["verify"]).code(0).stdout;
    assert!(text.contains(&format!("of `{topic}` at {}", one.address())), "{text}");
    // The default store of a run with a window of its own is found by the same flags.
    let data = store.folder().join("data");
    let of_run = ["--cluster", one.address(), "--topic", &topic, "--store", "default", "--window", "10s"];
    let run = |args: &[&str]| {
        let mut command = command("isotherm-consumer");
        Running::start(command.env("XDG_DATA_HOME", &data).args(args).args(of_run)).wait()
    };
    run(&["--until-end", "--format", "none"]).code(0);
    let text = run(&["verify"]).code(0).stdout;
    assert!(text.ends_with("Everything is as it is stored.\n"), "{text}");
}

#[test]
fn an_offset_gap_behind_a_batch_is_no_difference() {
    let (mut cluster, topic) = Cluster::own().with_topic("verify-offset-gap", 1);
    let store = Store::new();
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
            // An offset gap behind the last batch, also one that a run has not found yet.
            store.to_end(&cluster, &topic, &["--leave-open"]).code(0);
            assert_eq!(store.verify(&cluster, 0)["result"], "same");
        }
    }
    produce(&cluster, 8);
    store.to_end(&cluster, &topic, &[]).code(0);
    let report = store.verify(&cluster, 0);
    assert_eq!(report["result"], "same", "{report}");
    let partition = &report["partitions"][0];
    assert_eq!((count(partition, "records"), count(partition, "to")), (2_400, 2_415), "{report}");
}

/// Makes the last batch in a stopped node's log of partition 0 end this many offsets later, like a batch from which a broker
/// has dropped records.
fn widen_last_batch(folder: &Path, topic: &str, offsets: i32) {
    let path = last_segment(folder, topic);
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
    let own = crc32c::crc32c(&bytes[batch + 21..at]);
    bytes[batch + 17..batch + 21].copy_from_slice(&own.to_be_bytes());
    let whole = crc32c::crc32c(&[&bytes[last..last + 4], &bytes[batch..at]].concat());
    bytes[last + 4..last + 8].copy_from_slice(&whole.to_be_bytes());
    std::fs::write(&path, bytes).expect("the segment can be written");
}

/// The newest segment of a topic's only partition.
fn last_segment(folder: &Path, topic: &str) -> PathBuf {
    let files = std::fs::read_dir(folder.join("topics").join(topic).join("0")).expect("the folder can be read");
    let files = files.map(|file| file.expect("the folder can be read").path());
    files.filter(|path| path.extension().is_some_and(|ext| ext == "log")).max().expect("the topic has a segment")
}

#[test]
fn a_data_loss_that_the_log_contradicts_is_found() {
    let cluster = Cluster::own();
    let topic = cluster.kept_short("verify-data-loss", 300_000);
    let store = Store::new();
    let produce = |count: &str, minute: u32| {
        let start = format!("2026-03-14T09:{minute:02}:00Z");
        let readings = [count, "--seed", "7", "--rate", "100", "--quiet", "--batch-size", "4000", "--start", &start];
        cluster.produce(&topic, &readings);
    };
    produce("1000", 0);
    store.to_end(&cluster, &topic, &["--leave-open"]).code(0);
    produce("5000", 10);
    cluster.wait_for_start(&topic, 1_001);
    store.to_end_over_losses(&cluster, &topic, &[]);
    assert_eq!(store.verify(&cluster, 0)["result"], "incomplete");
    // A log that begins before the end of the data loss.
    cluster.replace(&topic);
    produce("6000", 0);
    let report = store.verify(&cluster, 1);
    let loss = list(&report, "differences").iter().find(|one| one["what"] == "partition 0: data losses");
    assert!(loss.is_some_and(|loss| loss["recomputed"] == "the log begins at 0"), "{report}");
    assert_eq!(report["partitions"][0]["from"], 0, "{report}");
}

#[test]
fn retention_that_overtakes_is_no_failure() {
    let cluster = Cluster::start();
    let topic = cluster.kept_short("verify-overtaken", 8_000_000);
    let store = Store::new();
    // Half a minute of readings.
    let produce = |round: i64| {
        let start = format!("2026-03-14T09:{round:02}:00Z");
        cluster.produce(&topic, &["30000", "--rate", "1000", "--start", &start, "--quiet", "--batch-size", "9000"]);
    };
    produce(0);
    store.to_end(&cluster, &topic, &[]).code(0);
    let mut rounds = 0;
    wait_until("retention overtakes a verification", || {
        // It is stopped when it begins to read. When it goes on, retention has deleted what it was reading.
        let mut verify = command("isotherm-consumer");
        verify.args(["verify", "--cluster", cluster.address(), "--store", &store.path(), "--format", "json"]);
        let mut verify = Running::start(verify.args(["-v", "--log-format", "json"]));
        verify.wait_for_event(&["records"]);
        verify.signal(Signal::SIGSTOP);
        rounds += 1;
        produce(rounds);
        let start = cluster.wait_for_start(&topic, 30_000 * rounds - 12_000);
        verify.signal(Signal::SIGCONT);
        let report = json(&verify.wait().code(0).stdout);
        assert_ne!(report["result"], "different", "{report}");
        // It begins again with what is left.
        let from = list(&report, "partitions")[0]["from"].as_i64().expect("an offset");
        if from >= start {
            return Ok(());
        }
        store.to_end_over_losses(&cluster, &topic, &[]);
        Err(report.to_string())
    });
}

#[test]
fn a_reading_changed_in_the_log_is_found() {
    let cluster = Cluster::own();
    let topic = cluster.with_golden("faults", 1, "20000");
    let store = Store::new();
    store.to_end(&cluster, &topic, &[]).code(0);
    assert_eq!(store.verify(&cluster, 0)["result"], "same");
    let mut changed = std::fs::read(golden("faults.jsonl")).expect("the readings can be read");
    let (from, to) = (br#""temperature":49.0"#, br#""temperature":49.5"#);
    let at = changed.windows(from.len()).position(|bytes| bytes == from).expect("there is such a reading");
    changed[at..at + to.len()].copy_from_slice(to);
    let other = write(store.folder(), "changed.jsonl", changed);
    cluster.replace(&topic);
    cluster.produce(&topic, &["--input", &other, "--quiet", "--batch-size", "20000"]);
    let report = store.verify(&cluster, 1);
    assert_eq!(named(&report, "differences", ": sum"), 2, "of one window and of the run: {report}");
}
