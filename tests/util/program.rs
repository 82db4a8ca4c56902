//! Running Isotherm's binaries.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A guard against hangs, not a bound on speed: what takes longer is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(300);

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

/// The folder of the built modules.
pub(crate) fn modules() -> PathBuf {
    let folder = std::env::var_os("ISOTHERM_MODULES")
        .map_or_else(|| super::root().join("target").join("modules"), PathBuf::from);
    assert!(folder.join("window-stats.wasm").is_file(), "no modules in {}: run `cargo xtask wasm`", folder.display());
    folder
}

/// A command of one of the binaries, in an environment of its own.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1").env("ISOTHERM_MODULES", modules());
    // Nothing of a test stays: those of stores name one.
    command.env("ISOTHERM_STORE", "memory");
    command.stdin(Stdio::null());
    command
}

/// What a program that ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Fails, with all that the program said, unless it ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run<A: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = A>) -> Ended {
    Running::start(command(name).args(args)).wait()
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

/// A program that runs, both its outputs at hand line by line.
pub(crate) struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// One output of a program: what it said so far, and what comes.
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

    /// The next line; an error at its end, or when nothing comes until `until`.
    fn next(&mut self, until: Instant) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Ok(line)
    }

    /// The next line that holds `text`; `None` if there is none.
    fn find(&mut self, text: &str) -> Option<String> {
        let until = Instant::now() + STUCK;
        loop {
            let line = self.next(until).ok()?;
            if line.contains(text) {
                return Some(line);
            }
        }
    }
}

impl Running {
    /// Starts a command with both outputs piped.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_outputs(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    /// Starts a command with the outputs that it has been given: of those that are not piped nothing is seen here.
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
        let found = self.stdout.find(text);
        found.unwrap_or_else(|| self.fail(&format!("no line with `{text}` on standard output")))
    }

    /// Waits for a line of standard error that holds `text`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        let found = self.stderr.find(text);
        found.unwrap_or_else(|| self.fail(&format!("no line with `{text}` on standard error")))
    }

    /// Waits for a line of standard output that holds `text`; `None` if the output ends before.
    pub(crate) fn next_line_with(&mut self, text: &str) -> Option<String> {
        self.stdout.find(text)
    }

    /// What has been read of its standard output so far.
    pub(crate) fn said(&self) -> &str {
        &self.stdout.seen
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

    /// Sends a signal, again and again, until it ends: of signals that come together only the first counts.
    pub(crate) fn signal_until_end(&mut self, signal: Signal) {
        let until = Instant::now() + STUCK;
        while self.child.try_wait().expect("it can be waited for").is_none() && Instant::now() < until {
            self.signal(signal);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let until = Instant::now() + STUCK;
        for place in [0, 1] {
            let output = if place == 0 { &mut self.stdout } else { &mut self.stderr };
            loop {
                match output.next(until) {
                    Ok(_) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => self.fail("stuck"),
                }
            }
        }
        let status = self.child.wait().expect("the program can be waited for");
        Ended { status, stdout: std::mem::take(&mut self.stdout.seen), stderr: std::mem::take(&mut self.stderr.seen) }
    }

    /// Ends the program, and fails with all that it said.
    #[track_caller]
    fn fail(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        let until = Instant::now() + Duration::from_secs(1);
        while self.stdout.next(until).is_ok() || self.stderr.next(until).is_ok() {}
        panic!("{why}; it said:\n{}\n{}", self.stdout.seen, self.stderr.seen);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
