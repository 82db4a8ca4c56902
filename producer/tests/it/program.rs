//! The binary: its options, output, signals and exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

/// The program, with no Fluvio profile of the user's and no log settings.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm-producer"));
    command.args(arguments).env("FLV_PROFILE_PATH", "/nowhere/fluvio/config").env_remove("RUST_LOG");
    command
}

fn output(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs with input and output piped.
fn spawn(arguments: &[&str]) -> Child {
    program(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends a signal.
#[track_caller]
fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// An address at which nothing listens.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn writes_the_golden_lines_and_says_so() {
    let run = output(&["12", "--seed", "7", "--start", "2026-11-22T10:00:00Z", "--stdout"]);
    assert_eq!(text(&run.stdout), text(include_bytes!("golden/plain.jsonl")));
    assert_eq!(run.status.code(), Some(0));
    assert!(text(&run.stderr).starts_with("12 messages written in "), "{}", text(&run.stderr));

    let zone = output(&["12", "--seed", "7", "--start", "2026-11-22T02:00:00-08:00", "--rate", "1000", "--stdout"]);
    assert_eq!(zone.stdout, run.stdout);
}

#[test]
fn is_silent_when_asked_to_be() {
    let run = output(&["12", "--start", "9000-01-01T00:00:00Z", "--stdout", "--quiet"]);
    assert_eq!((run.status.code(), text(&run.stderr)), (Some(0), String::new()));
    let mut quiet = program(&["12", "--start", "9000-01-01T00:00:00Z", "--stdout", "--quiet"]);
    let run = quiet.env("RUST_LOG", "trace").output().unwrap();
    assert_eq!((run.status.code(), text(&run.stderr)), (Some(0), String::new()), "whatever RUST_LOG says");
}

#[test]
fn warns_of_times_ahead_of_the_clock() {
    let run = output(&["1", "--start", "9000-01-01T00:00:00Z", "--stdout"]);
    assert!(text(&run.stderr).contains("`future`"), "{}", text(&run.stderr));
    // The second would be ahead of the clock, the first is not.
    let run = output(&["1", "--rate", "0.000000001", "--start", "2001-01-01T00:00:00Z", "--stdout"]);
    assert!(!text(&run.stderr).contains("`future`"), "{}", text(&run.stderr));
    let run = output(&["1", "--start", "2001-01-01T00:00:00Z", "--stdout"]);
    assert!(!text(&run.stderr).contains("`future`"), "{}", text(&run.stderr));
}

#[test]
fn wrong_usage_is_said_and_exits_2() {
    for (arguments, said) in [
        (&["--start", "2026-11-22T10:00:00Z", "--rate", "max"][..], "--rate max cannot be used with --start"),
        (&["--input", "x", "--seed", "1"], "cannot be used with"),
        (&["--stdout", "--topic", "t"], "cannot be used with"),
        (&["--quiet", "-v"], "cannot be used with"),
        (&["--sensor-pointer", "/id"], "--input"),
        (&["--input", "x", "--group-pointer", "id"], "JSON pointer"),
        (&["--rate", "0"], "messages a second"),
        (&["--late", "1.5"], "0 to 1"),
        (&["--start", "yesterday"], "RFC 3339"),
        (&["--start", "0999-01-01T00:00:00Z"], "years 1000 to 9998"),
        (&["--batch-size", "33MB"], "32 MB"),
        (&["--linger", "61m"], "at most 1h"),
        (&["--linger", "300000000000y"], "at most 1h"),
        (&["--linger", "soon"], "--linger"),
        (&["--cluster", "localhost"], "host and port"),
        (&["--sensors", "0"], "1..=100000000"),
        (&["many"], "whole number"),
    ] {
        let run = output(arguments);
        let stderr = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_named_with_ways_to_start_one() {
    let address = nobody();
    let run = output(&["1", "--cluster", &address]);
    let stderr = text(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{stderr}");
    for part in [&address, "isotherm-node", "fluvio cluster start", "cargo xtask demo", "0 of 1 messages acknowledged"]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

#[test]
fn the_current_profile_says_where_the_cluster_is() {
    let (folder, address) = (tempfile::tempdir().unwrap(), nobody());
    let path = folder.path().join("config");
    let run = |profile: &str| {
        std::fs::write(&path, profile).unwrap();
        let run = program(&["1"]).env("FLV_PROFILE_PATH", &path).output().unwrap();
        assert_eq!(run.status.code(), Some(1));
        text(&run.stderr)
    };
    let clusters = format!("[cluster.c]\nendpoint = \"{address}\"\n[profile.p]\ncluster = \"c\"\n");
    let stderr = run(&format!("version = \"1.0\"\ncurrent_profile = \"p\"\n{clusters}"));
    assert!(stderr.contains(&format!("cluster at {address}")), "{stderr}");
    let stderr = run("version = ");
    assert!(stderr.contains("cannot use the current Fluvio profile"), "{stderr}");
}

#[test]
fn replays_standard_input_as_it_comes() {
    let mut child = spawn(&["--input", "-", "--stdout"]);
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for line in ["one\n", "two\r\n"] {
        input.write_all(line.as_bytes()).unwrap();
        let mut got = String::new();
        output.read_line(&mut got).unwrap();
        assert_eq!(got.trim_end(), line.trim_end(), "a line does not wait for the next");
    }
    input.write_all(b"\nlast").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("last\n", Some(0)));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = spawn(&["--rate", "max", "--stdout"]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stderr)), (Some(0), String::new()));
}

#[test]
fn a_signal_ends_it_after_a_whole_line() {
    for name in ["INT", "TERM"] {
        let mut child = spawn(&["--rate", "100000", "--stdout"]);
        let mut output = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..100 {
            output.read_line(&mut String::new()).unwrap();
        }
        signal(name, child.id());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
        assert!(rest.is_empty() || rest.ends_with("}}}\n"), "{rest}");
        assert!(text(&ended.stderr).contains("messages written in"), "{}", text(&ended.stderr));
    }
}

#[test]
fn help_has_examples_and_the_promise() {
    let help = text(&output(&["--help"]).stdout);
    for part in ["Examples:", "--stdout > readings.jsonl", "stored it twice", "Exit codes:"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn few_file_descriptors_are_an_error_and_no_panic() {
    let address = nobody();
    let producer = program(&["1", "--cluster", &address]);
    for (limit, said) in
        [(6, "raise the hard limit"), (16, "raise the hard limit"), (32, "cannot reach a Fluvio cluster")]
    {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(producer.get_program());
        let run = shell.args(producer.get_args()).output().unwrap();
        let stderr = text(&run.stderr);
        assert_eq!(run.status.code(), Some(1), "{limit}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("panicked"), "{limit}: {stderr}");
    }
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let run = output(&["--completions", shell]);
        assert_eq!(run.status.code(), Some(0));
        assert!(text(&run.stdout).contains("isotherm-producer"));
    }
}
