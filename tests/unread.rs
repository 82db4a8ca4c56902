//! A consumer whose outputs nobody reads: it waits for results to be read, and can be stopped all the same.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{Running, STUCK, command, run};

/// What fills the output before the program starts.
const FILLING: u8 = b'x';

/// An output that takes nothing: its buffer is full, and nobody reads. As long as the first is kept, it is not closed.
fn unread() -> (UnixStream, Stdio) {
    let (reader, mut writer) = UnixStream::pair().expect("sockets can be had");
    writer.set_nonblocking(true).expect("it can be set");
    for size in [4_096, 1] {
        let bytes = vec![FILLING; size];
        let full = loop {
            if let Err(error) = writer.write_all(&bytes) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    }
    writer.set_nonblocking(false).expect("it can be set");
    (reader, OwnedFd::from(writer).into())
}

/// A topic of ten seconds of readings: four windows.
fn ten_seconds(cluster: &Cluster, name: &str) -> String {
    let topic = cluster.deployed(name, 1);
    let start = ["--start", "2026-03-14T09:00:00Z", "--rate", "100", "--seed", "7"];
    cluster.produce(&topic, &[&["1000", "--quiet"], &start[..]].concat());
    topic
}

/// A consumer of a topic into a store.
fn consumer(cluster: &Cluster, topic: &str, store: &Path, args: &[&str]) -> Command {
    let mut command = command("isotherm-consumer");
    command.args(["--cluster", cluster.address(), "--topic", topic, "--idle", "1s"]).args(args);
    command.arg("--store").arg(store);
    command
}

/// The windows that a store holds, as lines.
fn windows(store: &Path) -> Vec<String> {
    let store = store.to_str().expect("the path is UTF-8");
    let asked =
        run("isotherm-consumer", ["query", "windows", "--newest", "100", "--format", "jsonl", "--store", store]);
    asked.stdout.lines().map(str::to_owned).collect()
}

/// Waits until a store holds a window: then somebody waits for whoever reads it.
#[track_caller]
fn wait_for_a_window(store: &Path) {
    let until = Instant::now() + STUCK;
    while windows(store).is_empty() {
        assert!(Instant::now() < until, "no window in {}", store.display());
    }
}

#[test]
fn results_that_nobody_reads_hold_up_a_stop_no_longer_than_its_bound_and_are_stored() {
    let cluster = Cluster::start();
    let topic = ten_seconds(&cluster, "unread");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for format in ["jsonl", "table"] {
        let store = folder.path().join(format);
        let (_reader, stdout) = unread();
        let mut command = consumer(&cluster, &topic, &store, &["--format", format, "--stop-timeout", "200ms"]);
        let running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
        wait_for_a_window(&store);
        running.signal(Signal::SIGINT);
        let said = running.wait().code(1).stderr;
        let stored = windows(&store);
        let last = said.lines().last().unwrap_or_default();
        let how_many = match stored.len() {
            1 => "the last window that closed was not written".to_owned(),
            windows => format!("the last {windows} windows that closed were not written"),
        };
        for part in ["error: standard output", "within 200ms of the stop", how_many.as_str(), "--stop-timeout"] {
            assert!(last.contains(part), "{part}: {said}");
        }

        // What was not said is stored, and is not said again: the next run says the others.
        let args = ["--until-end", "--format", "jsonl"];
        let next = Running::start(&mut consumer(&cluster, &topic, &store, &args)).wait().code(0);
        let spoken = next.stdout.lines().filter(|line| line.contains(r#""type":"window""#));
        let all = stored.iter().map(String::as_str).chain(spoken).collect::<Vec<_>>();
        assert_eq!(all, windows(&store), "{said}\n{}", next.stderr);
        assert_eq!(all.len(), 4, "{all:?}");
        let place = ["--cluster", cluster.address(), "--topic", &topic, "--store"];
        run("isotherm-consumer", ["verify"].iter().chain(&place).map(AsRef::as_ref).chain([store.as_os_str()])).code(0);
    }
}

#[test]
fn a_second_signal_waits_for_no_reader() {
    let cluster = Cluster::start();
    let topic = ten_seconds(&cluster, "unread-twice");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("a.db");
    let (_reader, stdout) = unread();
    let mut command = consumer(&cluster, &topic, &store, &["--format", "jsonl", "--stop-timeout", "1h"]);
    let mut running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    wait_for_a_window(&store);
    running.signal(Signal::SIGINT);
    running.wait_for_log("once more to stop at once");
    running.signal_until_end(Signal::SIGINT);
    running.wait().code(130);
}

#[test]
fn a_reader_that_reads_again_in_time_gets_all_of_it() {
    let cluster = Cluster::start();
    let topic = ten_seconds(&cluster, "unread-late");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("a.db");
    let (mut reader, stdout) = unread();
    let mut command = consumer(&cluster, &topic, &store, &["--format", "jsonl", "--stop-timeout", "1h"]);
    let mut running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    // It holds the other end of the socket.
    drop(command);
    wait_for_a_window(&store);
    running.signal(Signal::SIGINT);
    running.wait_for_log("once more to stop at once");
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("all of it is text");
    let ended = running.wait().code(130);
    let said = said.trim_start_matches(char::from(FILLING));
    let lines: Vec<_> = said.lines().filter(|line| line.contains(r#""type":"window""#)).collect();
    assert_eq!(lines, windows(&store), "{}", ended.stderr);
    assert!(said.ends_with("}\n") && said.lines().last().is_some_and(|line| line.contains(r#""totals""#)), "{said}");
}

#[test]
fn logs_that_nobody_reads_hold_up_no_run() {
    let cluster = Cluster::start();
    let topic = ten_seconds(&cluster, "unread-logs");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (_reader, stderr) = unread();
    let args = ["--format", "jsonl", "-vv", "--until-end"];
    let mut command = consumer(&cluster, &topic, &folder.path().join("a.db"), &args);
    let running = Running::start_with_outputs(command.stdout(Stdio::piped()).stderr(stderr));
    let said = running.wait().code(0).stdout;
    assert_eq!(said.matches(r#""type":"window""#).count(), 4, "{said}");

    let mut command = consumer(&cluster, &topic, &folder.path().join("b.db"), &["--format", "jsonl", "-vv"]);
    let (_reader, stderr) = unread();
    let mut running = Running::start_with_outputs(command.stdout(Stdio::piped()).stderr(stderr));
    running.wait_for(r#""type":"totals""#);
    running.signal(Signal::SIGTERM);
    running.wait().code(130);
}
