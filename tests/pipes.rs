//! Exit codes, and pipes that close early.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::util::cluster::Cluster;
use crate::util::program::{command, run, run_with_input};
use crate::util::store::Store;

/// Starts a program, reads one line and closes the pipe; fails unless the program succeeds silently.
#[track_caller]
fn ends_quietly(name: &str, args: &[&str]) {
    let mut child = command(name)
        .args(args)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the program says something");
    assert!(line.starts_with('{'), "{line}");
    drop(stdout);
    let mut said = String::new();
    child.stderr.take().expect("stderr is piped").read_to_string(&mut said).expect("its words are UTF-8");
    let status = child.wait().expect("the program can be waited for");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""), "{name} {args:?}");
}

#[test]
fn a_producer_whose_reader_goes_away_ends_quietly() {
    ends_quietly("isotherm-producer", &["1000000", "--stdout", "--quiet"]);
}

#[test]
fn a_consumer_whose_reader_goes_away_ends_quietly() {
    let (cluster, topic) = Cluster::start().with_topic("closed-pipe", 1);
    // Far more output than a pipe holds: a reader that is gone is noticed while the program still writes.
    cluster.produce(&topic, &["100000", "--start", "2026-03-14T09:00:00Z", "--rate", "100", "--quiet"]);
    ends_quietly(
        "isotherm-consumer",
        &["--cluster", cluster.address(), "--topic", &topic, "--until-end", "--format", "jsonl"],
    );
}

#[test]
fn a_query_whose_reader_goes_away_ends_quietly() {
    let (cluster, topic) = Cluster::start().with_topic("closed-query", 1);
    cluster.produce(&topic, &["100000", "--start", "2026-03-14T09:00:00Z", "--rate", "100", "--quiet"]);
    let store = Store::new();
    store.to_end(&cluster, &topic, &[]).code(0);
    ends_quietly("isotherm-consumer", &["query", "windows", "--store", &store.path(), "--format", "jsonl"]);
}

#[test]
fn lines_from_standard_input_are_sent_as_they_stand() {
    let (cluster, topic) = Cluster::start().with_topic("stdin", 1);
    let input = b"{\"a\": 1}\r\n\n  not json\n\xff\nlast without an end";
    let args = ["--cluster", cluster.address(), "--topic", &topic, "--input", "-", "--quiet"];
    run_with_input("isotherm-producer", args, input).code(0);
    let values = cluster.values(&topic, 0);
    let wanted: [&[u8]; 4] = [b"{\"a\": 1}", b"  not json", b"\xff", b"last without an end"];
    assert_eq!(values, wanted);
}

#[test]
fn usage_errors_exit_with_2_and_failures_with_1() {
    run("isotherm-producer", ["--no-such-option"]).code(2);
    run("isotherm-producer", ["5", "--start", "2026-03-14T09:00:00Z", "--rate", "max"]).code(2);
    run("isotherm-consumer", ["--format", "xml"]).code(2);
    run("isotherm-node", ["--listen", "nowhere"]).code(2);
    let missing = run("isotherm-producer", ["--input", "no-such-file.jsonl"]).code(1);
    assert!(missing.stderr.contains("no-such-file.jsonl"), "{}", missing.stderr);
    for program in ["isotherm-producer", "isotherm-consumer"] {
        let count: &[&str] = if program == "isotherm-producer" { &["1"] } else { &[] };
        let nobody = run(program, ["--cluster", "127.0.0.1:1"].iter().chain(count)).code(1);
        assert!(nobody.stderr.contains("127.0.0.1:1"), "{}", nobody.stderr);
    }
}
