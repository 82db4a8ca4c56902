//! A consumer whose outputs are not read: it waits until its results are read, and can be stopped all the same.

use std::io::Read;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{FILLING, Running, unread};
use crate::util::store::Store;
use crate::util::{count, last_totals, lines};

/// A topic of ten seconds of readings: four windows.
fn ten_seconds(name: &str) -> (Cluster, String) {
    let (cluster, topic) = Cluster::start().with_topic(name, 1);
    let start = ["--start", "2026-03-14T09:00:00Z", "--rate", "100", "--seed", "7"];
    cluster.produce(&topic, &[&["1000", "--quiet"], &start[..]].concat());
    (cluster, topic)
}

/// A consumer of a topic into a store.
fn consume(cluster: &Cluster, topic: &str, store: &Store, args: &[&str]) -> Command {
    store.consume(cluster, topic, "jsonl", &[&["--idle", "1s"], args].concat())
}

#[test]
fn results_that_nobody_reads_hold_up_a_stop_no_longer_than_its_bound_and_are_stored() {
    let (cluster, topic) = ten_seconds("unread");
    for format in ["jsonl", "table"] {
        let store = Store::new();
        let (_reader, stdout) = unread();
        let mut command = store.consume(&cluster, &topic, format, &["--idle", "1s", "--stop-timeout", "200ms"]);
        let running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
        store.wait_for_window();
        running.signal(Signal::SIGINT);
        let ended = running.wait().code(1);
        let (said, last, stored) = (&ended.stderr, ended.last_error(), store.windows());
        let how_many = match stored.lines().count() {
            1 => "the last window that closed was not written".to_owned(),
            windows => format!("the last {windows} windows that closed were not written"),
        };
        for part in ["error: standard output", "within 200ms of the stop", how_many.as_str(), "--stop-timeout"] {
            assert!(last.contains(part), "{part}: {said}");
        }

        // What was not printed is stored, and is not printed again: the next run prints the others.
        let next = store.to_end(&cluster, &topic, &[]).code(0);
        let all = [stored.lines().collect(), lines(&next.stdout, "window")].concat();
        assert_eq!(all, store.windows().lines().collect::<Vec<_>>(), "{said}\n{}", next.stderr);
        assert_eq!(all.len(), 4, "{all:?}");
        store.ask(&["verify", "--cluster", cluster.address(), "--topic", &topic]).code(0);
    }
}

#[test]
fn a_second_signal_waits_for_no_reader() {
    let (cluster, topic) = ten_seconds("unread-twice");
    let store = Store::new();
    let (_reader, stdout) = unread();
    let mut command = consume(&cluster, &topic, &store, &["--stop-timeout", "1h"]);
    let mut running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    store.wait_for_window();
    running.signal(Signal::SIGINT);
    running.wait_for_error("once more to stop at once");
    running.signal_until_end(Signal::SIGINT);
    running.wait().code(130);
}

#[test]
fn a_reader_that_reads_again_in_time_gets_all_of_it() {
    let (cluster, topic) = ten_seconds("unread-late");
    let store = Store::new();
    let (mut reader, stdout) = unread();
    let mut command = consume(&cluster, &topic, &store, &["--stop-timeout", "1h"]);
    let running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    // It holds the other end of the socket.
    drop(command);
    store.wait_for_window();
    running.signal(Signal::SIGINT);
    // The consumer does not read what comes after the signal.
    cluster.produce(&topic, &["100", "--start", "2026-03-14T09:00:10Z", "--quiet"]);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("all of it is text");
    let ended = running.wait().code(130);
    let said = said.trim_start_matches(char::from(FILLING));
    assert_eq!(lines(said, "window"), store.windows().lines().collect::<Vec<_>>(), "{}", ended.stderr);
    assert!(said.ends_with("}\n") && said.lines().last().is_some_and(|line| line.contains(r#""totals""#)), "{said}");
    assert!(count(&last_totals(said), "messages") <= 1_000, "{said}");
}

#[test]
fn logs_that_nobody_reads_hold_up_no_run() {
    let (cluster, topic) = ten_seconds("unread-logs");
    for (args, signal) in [(&["-vv", "--until-end"][..], None), (&["-vv"], Some(Signal::SIGTERM))] {
        let (store, (_reader, stderr)) = (Store::new(), unread());
        let mut command = consume(&cluster, &topic, &store, args);
        let mut running = Running::start_with_outputs(command.stdout(Stdio::piped()).stderr(stderr));
        running.wait_for(r#""type":"totals""#);
        if let Some(signal) = signal {
            running.signal(signal);
        }
        let said = running.wait().code(if signal.is_some() { 130 } else { 0 }).stdout;
        assert!(signal.is_some() || lines(&said, "window").len() == 4, "{said}");
    }
}
