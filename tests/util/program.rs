//! Running Isotherm's binaries.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::TIMEOUT;

/// The fields of what the consumer logs (with `-v`) when it has attached to a partition.
pub(crate) const ATTACHED: &[&str] = &["partition", "position", "end"];

/// The path of a binary of the workspace.
pub(crate) fn binary(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("ISOTHERM_BIN").map_or_else(|| super::root().join("target").join("release"), PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask build`, or the tests by `cargo xtask test`",
        path.display()
    );
    path
}

/// The path of a built module.
pub(crate) fn module(name: &str) -> PathBuf {
    let folder = std::env::var_os("ISOTHERM_MODULES")
        .map_or_else(|| super::root().join("target").join("modules"), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing: run `cargo xtask wasm`", path.display());
    path
}

/// A command of one of the binaries, in an environment of its own.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command.env("ISOTHERM_MODULES", module("window-stats").parent().expect("a file lies in a folder"));
    // No test leaves a store behind: those that need one name it.
    command.env("ISOTHERM_STORE", "memory");
    command.stdin(Stdio::null());
    command
}

/// This fills the output before the program starts.
pub(crate) const FILLING: u8 = b'x';

/// An output that takes nothing: its buffer is full, and nothing reads it. It stays open as long as the first is kept.
pub(crate) fn unread() -> (UnixStream, Stdio) {
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

/// What a program that ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails, with all that the program printed, unless it ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// The last line of its standard error.
    pub(crate) fn last_error(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>) -> Ended {
    Running::start(command(name).args(args)).wait()
}

/// Runs the consumer to its end.
#[track_caller]
pub(crate) fn consumer<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ended {
    run("isotherm-consumer", args)
}

/// Runs a program to its end, with this on its standard input.
#[track_caller]
pub(crate) fn run_with_input<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>, input: &[u8]) -> Ended {
    let mut running = Running::start(command(name).args(args).stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ended = running.wait();
    writer.join().expect("the writer does not panic").unwrap_or_else(|error| panic!("{name} did not read: {error}"));
    ended
}

/// A running program, with both its outputs line by line.
pub(crate) struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// One output of a program: the lines so far, and those that come.
struct Output {
    lines: Receiver<String>,
    seen: String,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines, seen: String::new() }
    }

    /// The next line; an error at the end of the output, or when nothing comes before the deadline.
    fn next(&mut self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Ok(line)
    }

    /// The next line of which this is something.
    fn find<T>(&mut self, of: impl Fn(&str) -> Option<T>) -> Result<T, RecvTimeoutError> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(found) = of(&self.next(deadline)?) {
                return Ok(found);
            }
        }
    }

    fn find_text(&mut self, text: &str) -> Result<String, RecvTimeoutError> {
        self.find(|line| line.contains(text).then(|| line.to_owned()))
    }
}

impl Running {
    /// Starts a command with both outputs piped.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_outputs(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts a command with the outputs that it has been given. Those that are not piped cannot be seen here.
    #[track_caller]
    pub(crate) fn start_with_outputs(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = child.stdout.take().map_or_else(|| Output::of(io::empty()), Output::of);
        let stderr = child.stderr.take().map_or_else(|| Output::of(io::empty()), Output::of);
        Self { child, stdout, stderr }
    }

    /// Waits for a line of standard output that holds `text`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let found = self.stdout.find_text(text);
        found.unwrap_or_else(|why| self.fail(why, &format!("a line with `{text}` on standard output")))
    }

    /// Waits for a line of standard error that holds `text`, for tests of that text: others wait for an event.
    #[track_caller]
    pub(crate) fn wait_for_error(&mut self, text: &str) -> String {
        let found = self.stderr.find_text(text);
        found.unwrap_or_else(|why| self.fail(why, &format!("a line with `{text}` on standard error")))
    }

    /// Waits for a producer's next report of how many messages have been acknowledged, and returns the number.
    #[track_caller]
    pub(crate) fn wait_for_progress(&mut self) -> u64 {
        super::number_before(&self.wait_for_error(" messages, "), " messages, ")
    }

    /// Waits for a line of its log in JSON (`--log-format json`) that has all these fields, and returns the fields.
    #[track_caller]
    pub(crate) fn wait_for_event(&mut self, fields: &[&str]) -> Value {
        let found = self.stderr.find(|line| {
            let mut line: Value = serde_json::from_str(line).ok()?;
            fields.iter().all(|field| line["fields"].get(field).is_some()).then(|| line["fields"].take())
        });
        found.unwrap_or_else(|why| self.fail(why, &format!("an event with the fields {fields:?} in its log")))
    }

    /// Waits for a line of standard output that holds `text`; `None` if the output ends before.
    #[track_caller]
    pub(crate) fn next_line_with(&mut self, text: &str) -> Option<String> {
        match self.stdout.find_text(text) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(why) => self.fail(why, &format!("a line with `{text}` on standard output")),
        }
    }

    /// What has been read of its standard output so far.
    pub(crate) fn seen(&self) -> &str {
        &self.stdout.seen
    }

    /// Its standard input, which must be piped.
    #[track_caller]
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("stdin is piped")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is small");
        kill(Pid::from_raw(pid), signal).expect("the program runs");
    }

    /// Sends a signal again and again until it ends: of signals that come together only the first counts.
    pub(crate) fn signal_until_end(&mut self, signal: Signal) {
        super::wait_until("a program ends that is sent signals", || {
            if self.child.try_wait().expect("it can be waited for").is_some() {
                return Ok(());
            }
            self.signal(signal);
            Err("it runs".to_owned())
        });
    }

    /// Ends it as the operating system does.
    pub(crate) fn kill(self) {
        self.signal(Signal::SIGKILL);
    }

    /// Interrupts it, and waits for its end.
    #[track_caller]
    pub(crate) fn interrupt(self) -> Ended {
        self.signal(Signal::SIGINT);
        self.wait().code(130)
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + TIMEOUT;
        for is_stdout in [true, false] {
            let output = if is_stdout { &mut self.stdout } else { &mut self.stderr };
            loop {
                match output.next(deadline) {
                    Ok(_) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(why) => self.fail(why, "its end"),
                }
            }
        }
        let status = self.child.wait().expect("the program can be waited for");
        Ended { status, stdout: std::mem::take(&mut self.stdout.seen), stderr: std::mem::take(&mut self.stderr.seen) }
    }

    /// Ends the program, and fails with all that it printed.
    #[track_caller]
    fn fail(&mut self, why: RecvTimeoutError, event: &str) -> ! {
        let _ = self.child.kill();
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.stdout.next(deadline).is_ok() || self.stderr.next(deadline).is_ok() {}
        let why = match why {
            RecvTimeoutError::Timeout => format!("waited {TIMEOUT:?} for {event}"),
            RecvTimeoutError::Disconnected => format!("the output ended before {event}"),
        };
        panic!("{why}; it printed:\n{}\n{}", self.stdout.seen, self.stderr.seen);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed or wants it killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
