//! Files and pipes as a source: the oracle's answer whatever they are compressed with and however they are split, and what a store says of
//! files that are no longer as they were.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::util::program::{Ended, Running, command, consumer, run, run_with_input};
use crate::util::{
    as_reference, assert_same_lines, count, golden_text, json, last_totals, lines, reading, text, wait_until, write,
};

/// A run over these sources, in JSON lines.
fn read(sources: &[&str], args: &[&str]) -> Ended {
    let sources = sources.iter().flat_map(|source| ["--source", source]);
    consumer(sources.chain(["--format", "jsonl"]).chain(args.iter().copied()))
}

/// Such a run with a store.
fn store(folder: &Path, source: &str, args: &[&str]) -> Ended {
    let store = text(&folder.join("a.db"));
    read(&[source], &[&["--store", &store], args].concat())
}

#[track_caller]
fn expect(ended: Ended, what: &str) {
    let ended = ended.code(0);
    assert_same_lines(&as_reference(&ended.stdout), &golden_text("clean.expected"), what);
}

fn clean() -> String {
    golden_text("clean.jsonl")
}

fn gzip(path: &Path, parts: &[&[u8]]) -> String {
    let mut file = File::create(path).expect("it is made");
    for part in parts {
        let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
        encoder.write_all(part).expect("it is written");
        encoder.finish().expect("it is written");
    }
    text(path)
}

#[test]
fn one_answer_whatever_the_file_is_like() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = clean();
    let readings: Vec<&str> = lines.lines().collect();
    let name = |name: &str, content: &str| write(folder.path(), name, content);
    let (half, rest) = lines.split_at(lines.len() / 2);
    let zstd = folder.path().join("packed");
    let mut frames = zstd::stream::encode_all(half.as_bytes(), 3).expect("memory");
    frames.extend(zstd::stream::encode_all(rest.as_bytes(), 3).expect("memory"));
    fs::write(&zstd, frames).expect("it is written");
    for (what, path) in [
        ("as it is", name("plain.jsonl", &lines)),
        (
            "a mark, other line ends, blank lines, no last one",
            name("windows.txt", &format!("\u{feff}{}", readings.join("\r\n \t\r\n"))),
        ),
        ("an array on one line", name("array.json", &format!("[{}]", readings.join(",")))),
        (
            "a pretty-printed array",
            name("pretty.json", &format!("\u{feff}[\n  {}\n]\n", readings.join("\n  ,\n  ").replace(":{", ":\n{"))),
        ),
        ("two gzip members", gzip(&folder.path().join("gzip.jsonl"), &[half.as_bytes(), rest.as_bytes()])),
        ("two zstd frames", text(&zstd)),
    ] {
        expect(read(&[&path], &[]), what);
    }
}

#[test]
fn several_files_and_standard_input_are_partitions_of_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = clean();
    let part = |of: usize| {
        let part: Vec<&str> =
            lines.lines().enumerate().filter(|(number, _)| number % 3 == of).map(|(_, line)| line).collect();
        part.join("\n")
    };
    let first = write(folder.path(), "a.jsonl", part(0));
    let second = gzip(&folder.path().join("b"), &[part(1).as_bytes()]);
    let args = ["--source", &first, "--source", &second, "--source", "-", "--format", "jsonl"];
    expect(run_with_input("isotherm-consumer", args, part(2).as_bytes()), "three parts");
    expect(run_with_input("isotherm-consumer", ["--source", "-", "--format", "jsonl"], lines.as_bytes()), "a pipe");
}

#[test]
fn a_producer_pipes_into_a_consumer() {
    let mut produce = command("isotherm-producer");
    produce.args(["20000", "--stdout", "--seed", "7", "--start", "2026-11-22T10:00:00Z"]);
    let mut produce = produce.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut consume = command("isotherm-consumer");
    consume.args(["--source", "-", "--format", "jsonl"]).stdin(produce.stdout.take().expect("it is piped"));
    let ended = Running::start(&mut consume).wait().code(0);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 20_000);
    assert!(produce.wait().expect("it ends").success());
}

#[test]
fn a_followed_pipe_closes_windows_as_they_end() {
    let mut child = command("isotherm-consumer");
    child.args(["--source", "-", "--follow", "--format", "jsonl"]).stdin(Stdio::piped());
    let mut running = Running::start(&mut child);
    let mut pipe = running.stdin();
    writeln!(pipe, "{}\n{}", reading("a", "AK", 0), reading("a", "AK", 30)).expect("it reads");
    pipe.flush().expect("it reads");
    let window = json(&running.wait_for(r#""type":"window""#));
    assert_eq!(
        (window["start"].as_str(), window["closed_by"].as_str()),
        (Some("2026-03-14T09:00:00Z"), Some("watermark"))
    );
    drop(pipe);
    let ended = running.wait().code(0);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 2);
    assert_eq!(lines(&ended.stdout, "window").len(), 2);
}

#[test]
fn a_store_goes_on_where_a_file_was_read_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "a.jsonl", format!("{}\nno reading\n", reading("a", "AK", 0)));
    let first = store(folder.path(), &path, &["--leave-open"]).code(0);
    assert_eq!(lines(&first.stdout, "window").len(), 0, "{}", first.stdout);
    let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
    write!(file, "{}\n{}", reading("b", "AK", 1), reading("b", "AK", 40)).expect("it is written");
    drop(file);
    let second = store(folder.path(), &path, &[]).code(0);
    let totals = last_totals(&second.stdout);
    assert_eq!((count(&totals, "messages"), count(&totals, "counted")), (4, 3));
    let window = json(lines(&second.stdout, "window")[0]);
    assert_eq!(count(&window, "messages"), 2, "the window was left open by the first run");
    let db = text(&folder.path().join("a.db"));
    let verified = consumer(["verify", "--store", &db]).code(0);
    assert!(verified.stdout.contains("2 of 2 recomputed"), "{}", verified.stdout);
    let ledger = json(&consumer(["ledger", "--store", &db, "--format", "json"]).code(0).stdout);
    assert_eq!(count(&ledger, "read"), 4, "{ledger}");
    let totals = consumer(["query", "totals", "--store", &db, "--format", "jsonl"]).code(0);
    assert_eq!(count(&last_totals(&totals.stdout), "counted"), 3);
    // Nothing more has come.
    assert_eq!(lines(&store(folder.path(), &path, &[]).code(0).stdout, "window").len(), 0);
}

#[test]
fn a_file_that_was_cut_or_replaced_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let two = format!("{}\n{}\n", reading("a", "AK", 0), reading("b", "AK", 1));
    let path = write(folder.path(), "a.jsonl", &two);
    store(folder.path(), &path, &[]).code(0);
    write(folder.path(), "a.jsonl", reading("a", "AK", 0));
    let cut = store(folder.path(), &path, &[]).code(1);
    assert!(cut.stderr.contains("it was cut, or is another file") && cut.stderr.contains("--reset"), "{}", cut.stderr);
    write(folder.path(), "a.jsonl", two.replace("\"a\"", "\"c\""));
    let other = store(folder.path(), &path, &[]).code(1);
    assert!(other.stderr.contains("is not the file that was read"), "{}", other.stderr);
    write(folder.path(), "a.jsonl", &two);
    store(folder.path(), &path, &[]).code(0);
}

#[test]
fn what_cannot_be_a_source_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let wide: Vec<u8> = clean().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let good = write(folder.path(), "good.jsonl", clean());
    let link = text(&folder.path().join("link.jsonl"));
    fs::hard_link(&good, &link).expect("it can be linked");
    let db = text(&folder.path().join("a.db"));
    for (code, says, args) in [
        (1, "UTF-16", vec!["--source", &write(folder.path(), "wide", wide)]),
        (1, "a zip archive", vec!["--source", &write(folder.path(), "zip", b"PK\x03\x04")]),
        (1, "cannot open", vec!["--source", "/none/there"]),
        (1, "is a folder", vec!["--source", &text(folder.path())]),
        (1, "no `]`", vec!["--source", &write(folder.path(), "cut.json", b"[{},\n{}")]),
        (2, "write fluvio://10.0.0.5:9003", vec!["--source", "10.0.0.5:9003"]),
        (2, "named twice", vec!["--source", &good, "--source", &good]),
        (2, "named twice", vec!["--source", &good, "--source", &link]),
        (2, "cannot be read together", vec!["--source", &good, "--source", "fluvio://127.0.0.1:9003"]),
        (2, "--cluster", vec!["--source", &good, "--cluster", "127.0.0.1:9003"]),
        (2, "--until-end", vec!["--source", "-", "--follow", "--until-end"]),
        (2, "combine: broker", vec!["--source", &good, "--combine", "broker"]),
        (2, "cannot be read a second time", vec!["--source", "-", "--store", &db]),
        (2, "--dead-letters names a topic", vec!["--source", &good, "--dead-letters", "bad", "--store", &db]),
        (2, "--topic names a topic", vec!["--source", &good, "--topic", "sensors"]),
        (2, "--from end", vec!["--source", &good, "--from", "end"]),
    ] {
        let ended = consumer(args.iter().copied().chain(["--format", "jsonl"])).code(code);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_topology_names_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "a.jsonl", clean());
    for source in [format!("source: {path}\n"), format!("source:\n  - {path}\n")] {
        let config = write(folder.path(), "my.yaml", &source);
        expect(consumer(["--config", &config, "--format", "jsonl"]), &source);
        let said = consumer(["topology", "--config", &config]).code(0);
        assert!(said.stdout.contains(&path), "{}", said.stdout);
    }
}

#[test]
fn the_producer_reads_the_same_kinds_of_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = clean();
    let array = format!("[\n{}\n]", lines.lines().collect::<Vec<_>>().join(",\n"));
    for path in [gzip(&folder.path().join("a"), &[lines.as_bytes()]), write(folder.path(), "a.json", array)] {
        let sent = run("isotherm-producer", ["--input", &path, "--stdout", "--quiet"]).code(0);
        assert_same_lines(&sent.stdout, &lines, &path);
    }
}

/// A run that is stopped goes on where it was, and counts nothing twice.
#[test]
fn a_stopped_run_over_a_file_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let made =
        run("isotherm-producer", ["20000", "--stdout", "--quiet", "--seed", "7", "--start", "2026-11-22T10:00:00Z"]);
    let path = write(folder.path(), "a.jsonl", made.code(0).stdout);
    let db = text(&folder.path().join("a.db"));
    let whole = read(&[&path], &[]).code(0);
    let mut seen = String::new();
    wait_until("the whole file is read, in runs that are stopped", || {
        let mut run = command("isotherm-consumer");
        run.args(["--source", &path, "--store", &db, "--format", "jsonl", "--stop-after", "5000", "--leave-open"]);
        let ended = Running::start(&mut run).wait().code(0);
        seen = ended.stdout;
        let totals = last_totals(&seen);
        let all = count(&last_totals(&whole.stdout), "messages");
        if count(&totals, "messages") == all { Ok(()) } else { Err(totals.to_string()) }
    });
    assert_eq!(last_totals(&seen)["counted"], last_totals(&whole.stdout)["counted"]);
    consumer(["verify", "--store", &db]).code(0);
}
