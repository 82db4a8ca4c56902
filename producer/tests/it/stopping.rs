//! The binary, asked to stop while somebody does not do his part: whoever reads its output, or the controller.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::program::{program, signal, spawn};

/// A guard against hangs, not a bound on speed.
const STUCK: Duration = Duration::from_secs(120);

/// An output that takes nothing: its buffer is full, and nobody reads. As long as the first is kept, it is not closed.
fn unread() -> (UnixStream, Stdio) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    for size in [4_096, 1] {
        let bytes = vec![b'x'; size];
        let full = loop {
            if let Err(error) = writer.write_all(&bytes) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    }
    writer.set_nonblocking(false).unwrap();
    (reader, OwnedFd::from(writer).into())
}

/// Waits for the end, which is to come by itself: the exit code, and what was said.
#[track_caller]
fn end(mut child: Child) -> (Option<i32>, String) {
    let pid = child.id();
    let stderr = child.stderr.take();
    let (told, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(mut stderr) = stderr {
            stderr.read_to_string(&mut said).unwrap();
        }
        told.send((child.wait().unwrap().code(), said))
    });
    ended.recv_timeout(STUCK).unwrap_or_else(|_| {
        signal("KILL", pid);
        panic!("it does not end by itself: {:?}", ended.recv_timeout(STUCK));
    })
}

/// Waits for a line on standard error.
#[track_caller]
fn wait_for(stderr: &mut impl BufRead, text: &str) {
    let mut said = String::new();
    while !said.contains(text) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "no `{text}` in: {said}");
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_a_stop_no_longer_than_its_bound() {
    let (_reader, stdout) = unread();
    let mut command = program(&["--stdout", "--stop-timeout", "200ms"]);
    let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    // The first report comes when the first lines are long made.
    wait_for(&mut stderr, "0 messages, ");
    signal("INT", child.id());
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(end(child).0, Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    for part in
        ["standard output took nothing", "200ms", "--stop-timeout", "(0 messages written; ", " more may be written"]
    {
        assert!(last.contains(part), "{part}: {said}");
    }
}

/// Sends a signal, again and again, until it ends: of signals that come together only the first counts.
fn signal_until_end(child: &mut Child) {
    while child.try_wait().unwrap().is_none() {
        signal("TERM", child.id());
    }
}

#[test]
fn two_signals_that_come_together_are_one_stop() {
    let mut child =
        program(&["--stdout", "--rate", "1000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    // As `timeout` sends them, but in one call: nothing of this test lies between.
    let both = format!("kill -INT {0}; kill -TERM {0}", child.id());
    assert!(Command::new("sh").args(["-c", &both]).status().unwrap().success());
    stdout.read_to_string(&mut String::new()).unwrap();
    let (code, said) = end(child);
    assert!(code == Some(130) && said.contains(" written in "), "{code:?}: {said}");
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let (_reader, stdout) = unread();
    let mut command = program(&["--stdout", "--stop-timeout", "1h"]);
    let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut stderr, "0 messages, ");
    signal("INT", child.id());
    wait_for(&mut stderr, "once more to stop at once");
    signal_until_end(&mut child);
    assert_eq!(end(child).0, Some(130));
}

#[test]
fn a_standard_error_that_is_not_read_holds_up_nothing() {
    let (_reader, stderr) = unread();
    let mut child = program(&["--stdout", "-vv"]).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    signal("TERM", child.id());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(end(child).0, Some(130));
    assert!(rest.is_empty() || rest.ends_with("}}}\n"), "{rest}");
}

#[test]
fn two_signals_end_it_though_none_of_its_outputs_is_read() {
    let (_reader, stderr) = unread();
    let mut command = program(&["--stdout", "--rate", "max", "--stop-timeout", "1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    signal("INT", child.id());
    signal_until_end(&mut child);
    assert_eq!(end(child).0, Some(130));
}

#[test]
fn a_controller_that_never_answers_holds_up_no_stop() {
    let controller = TcpListener::bind("127.0.0.1:0").unwrap();
    let child = spawn(&["--cluster", &controller.local_addr().unwrap().to_string()]);
    let _connection = controller.accept().unwrap();
    signal("INT", child.id());
    let (code, said) = end(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.ends_with("0 messages acknowledged\n"), "{said}");
}

#[test]
fn a_controller_that_hangs_up_ends_it_with_an_error_that_names_it() {
    let controller = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = controller.local_addr().unwrap().to_string();
    let child = spawn(&["--cluster", &address]);
    drop(controller.accept().unwrap());
    let (code, said) = end(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot reach a Fluvio cluster at {address}")), "{said}");
}

#[test]
fn an_input_that_says_nothing_holds_up_no_stop() {
    let mut child = spawn(&["--input", "-", "--stdout"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    signal("INT", child.id());
    let (code, said) = end(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("1 message written"), "{said}");
}
