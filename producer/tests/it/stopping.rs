//! The binary, asked to stop while a reader of its output, its input or the controller does not do its part.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::program::{program, signal, spawn};

/// How long a test waits for one event. A guard against hangs, not a bound on speed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An output that takes nothing: its buffer is full, and nothing reads it. It stays open as long as the first is kept.
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

/// Waits for the end, which must come by itself: the exit code, and what is left of standard error.
#[track_caller]
fn end(mut child: Child) -> (Option<i32>, String) {
    let pid = child.id();
    let stderr = child.stderr.take();
    let (send, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(mut stderr) = stderr {
            stderr.read_to_string(&mut said).unwrap();
        }
        send.send((child.wait().unwrap().code(), said))
    });
    ended.recv_timeout(TIMEOUT).unwrap_or_else(|_| {
        signal("KILL", pid);
        panic!("waited {TIMEOUT:?} for its end: {:?}", ended.recv_timeout(TIMEOUT));
    })
}

/// The lines of standard error as they come.
fn errors(child: &mut Child) -> Receiver<String> {
    let (stderr, (send, lines)) = (BufReader::new(child.stderr.take().unwrap()), mpsc::channel());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    lines
}

/// Waits for a line on standard error.
#[track_caller]
fn wait_for(errors: &Receiver<String>, text: &str) {
    let wait = || errors.recv_timeout(TIMEOUT);
    while !wait().unwrap_or_else(|why| panic!("a line with `{text}` on standard error: {why}")).contains(text) {}
}

#[test]
fn a_reader_that_does_not_read_holds_up_a_stop_no_longer_than_its_bound() {
    let (_reader, stdout) = unread();
    let mut command = program(&["--stdout", "--stop-timeout", "200ms"]);
    let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let errors = errors(&mut child);
    // The producer has made lines long before its first report.
    wait_for(&errors, "0 messages, ");
    signal("INT", child.id());
    let code = end(child).0;
    let said: Vec<String> = errors.iter().collect();
    assert_eq!(code, Some(1), "{said:?}");
    let last = said.last().map_or("", String::as_str);
    for part in
        ["standard output took nothing", "200ms", "--stop-timeout", "(0 messages written; ", " more may be written"]
    {
        assert!(last.contains(part), "{part}: {said:?}");
    }
}

/// Sends a signal again and again until it ends: of signals that come together only the first counts.
fn signal_until_end(child: &mut Child) {
    let deadline = Instant::now() + TIMEOUT;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "waited {TIMEOUT:?} until signals end it");
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
    let errors = errors(&mut child);
    wait_for(&errors, "0 messages, ");
    signal("INT", child.id());
    wait_for(&errors, "once more to stop at once");
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
