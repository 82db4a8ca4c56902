//! A producer that is asked to stop while a reader of its output, its input or the controller does not do its part.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::util::program::{Running, command, unread};

fn produce(args: &[&str]) -> Command {
    let mut produce = command("isotherm-producer");
    produce.args(args);
    produce
}

/// A producer whose outputs this test reads itself, after its first line.
fn started(args: &[&str], stderr: Stdio) -> (Running, BufReader<UnixStream>) {
    let (reader, writer) = UnixStream::pair().expect("sockets can be had");
    let running = Running::start_with_outputs(produce(args).stdout(OwnedFd::from(writer)).stderr(stderr));
    let mut stdout = BufReader::new(reader);
    stdout.read_line(&mut String::new()).expect("a line is text");
    (running, stdout)
}

#[test]
fn a_reader_that_does_not_read_holds_up_a_stop_no_longer_than_its_bound() {
    let (_reader, stdout) = unread();
    let mut command = produce(&["--stdout", "--stop-timeout", "200ms"]);
    let mut running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    // The producer has made lines long before its first report.
    running.wait_for_error("0 messages, ");
    running.signal(Signal::SIGINT);
    let ended = running.wait().code(1);
    for part in
        ["standard output took nothing", "200ms", "--stop-timeout", "(0 messages written; ", " more may be written"]
    {
        assert!(ended.last_error().contains(part), "{part}: {}", ended.stderr);
    }
}

#[test]
fn two_signals_that_come_together_are_one_stop() {
    let mut running = Running::start(&mut produce(&["--stdout", "--rate", "1000"]));
    running.wait_for("{");
    // As `timeout` sends them, but in one call: nothing of this test lies between.
    let both = format!("kill -INT {0}; kill -TERM {0}", running.id());
    assert!(Command::new("sh").args(["-c", &both]).status().expect("there is a shell").success());
    let said = running.wait().code(130).stderr;
    assert!(said.contains(" written in "), "{said}");
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let (_reader, stdout) = unread();
    let mut command = produce(&["--stdout", "--stop-timeout", "1h"]);
    let mut running = Running::start_with_outputs(command.stdout(stdout).stderr(Stdio::piped()));
    running.wait_for_error("0 messages, ");
    running.signal(Signal::SIGINT);
    running.wait_for_error("once more to stop at once");
    running.signal_until_end(Signal::SIGTERM);
    running.wait().code(130);
}

#[test]
fn a_standard_error_that_is_not_read_holds_up_nothing() {
    let (_reader, stderr) = unread();
    let (running, mut stdout) = started(&["--stdout", "-vv"], stderr);
    running.signal(Signal::SIGTERM);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("lines are text");
    running.wait().code(130);
    assert!(rest.is_empty() || rest.ends_with("}}}\n"), "{rest}");
}

#[test]
fn two_signals_end_it_though_none_of_its_outputs_is_read() {
    let (_reader, stderr) = unread();
    let (mut running, _stdout) = started(&["--stdout", "--rate", "max", "--stop-timeout", "1h"], stderr);
    running.signal(Signal::SIGINT);
    running.signal_until_end(Signal::SIGTERM);
    running.wait().code(130);
}

#[test]
fn a_controller_that_never_answers_holds_up_no_stop() {
    let controller = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = controller.local_addr().expect("it listens").to_string();
    let running = Running::start(&mut produce(&["--cluster", &address]));
    let _connection = controller.accept().expect("the producer connects");
    let said = running.interrupt().stderr;
    assert!(said.ends_with("0 messages acknowledged\n"), "{said}");
}

#[test]
fn a_controller_that_hangs_up_ends_it_with_an_error_that_names_it() {
    let controller = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = controller.local_addr().expect("it listens").to_string();
    let running = Running::start(&mut produce(&["--cluster", &address]));
    drop(controller.accept().expect("the producer connects"));
    let said = running.wait().code(1).stderr;
    assert!(said.contains(&format!("cannot reach a Fluvio cluster at {address}")), "{said}");
}

#[test]
fn an_input_that_says_nothing_holds_up_no_stop() {
    let mut running = Running::start(produce(&["--input", "-", "--stdout"]).stdin(Stdio::piped()));
    let mut stdin = running.stdin();
    stdin.write_all(b"one\n").expect("it reads");
    running.wait_for("one");
    let said = running.interrupt().stderr;
    assert!(said.contains("1 message written"), "{said}");
}
