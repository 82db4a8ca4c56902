//! The live table, on a pseudo-terminal.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::tcgetattr;
use nix::unistd::Pid;

use crate::util::TIMEOUT;
use crate::util::cluster::Cluster;
use crate::util::program::command;

const LINES: u16 = 30;

/// Terminals that support it show nothing of what comes between these two.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

/// A program on a terminal of its own.
struct Terminal {
    master: File,
    child: Child,
    comes: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    /// Starts the consumer, all of its streams on a new terminal.
    fn consumer(args: &[&str]) -> Self {
        let size = Winsize { ws_row: LINES, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("a pseudo-terminal can be had");
        let stream = || Stdio::from(pty.slave.try_clone().expect("it can be opened again"));
        let mut command = command("isotherm-consumer");
        command.args(args).stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().expect("the consumer starts");
        let master = File::from(pty.master);
        let mut reads = master.try_clone().expect("it can be opened again");
        let (send, comes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // When no process has the terminal open any longer, reading is an error.
            while let Ok(read @ 1..) = reads.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { master, child, comes, seen: Vec::new() }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Takes what comes; false at the end.
    #[track_caller]
    fn take(&mut self, deadline: Instant, event: &str) -> bool {
        match self.comes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => self.seen.extend(bytes),
            Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("waited {TIMEOUT:?} for {event}; the terminal got:\n{}", self.seen())
            }
        }
        true
    }

    /// Waits until a person sees all of these texts at once.
    #[track_caller]
    fn wait_to_see(&mut self, texts: &[&str]) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let seen = self.seen();
            let whole = seen.rfind(END).map_or("", |end| &seen[..end]);
            let picture = picture(whole).join("\n");
            if texts.iter().all(|text| picture.contains(text)) {
                return;
            }
            assert!(self.take(deadline, &format!("{texts:?}")), "it ended without {texts:?}:\n{seen}");
        }
    }

    /// Waits for the end; its exit code.
    #[track_caller]
    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + TIMEOUT;
        while self.take(deadline, "its end") {}
        self.child.wait().expect("it can be waited for").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows after this output, with the lines that have scrolled off at the top.
fn picture(told: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut rest = told.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => row += 1,
            '\r' => column = 0,
            '\x1b' => {
                assert_eq!(rest.next(), Some('['), "an unknown sequence in {told:?}");
                let (mut number, mut last) = (String::new(), ' ');
                for c in rest.by_ref() {
                    if c.is_ascii_alphabetic() {
                        last = c;
                        break;
                    }
                    number.push(c);
                }
                match (last, number.as_str()) {
                    ('A', up) => row = row.checked_sub(up.parse().expect("a number")).expect("not above the top"),
                    ('K', "") => lines[row].truncate(column),
                    ('J', "") => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    ('h' | 'l', "?2026") => {}
                    (last, number) => panic!("an unknown sequence `{number}{last}` in {told:?}"),
                }
            }
            c => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = c;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    lines.into_iter().map(|line| line.into_iter().collect()).collect()
}

#[test]
fn the_table_is_drawn_in_place_and_leaves_the_terminal_as_it_was() {
    let (cluster, topic) = Cluster::start().with_topic("terminal", 1);
    let produce = |start: &str| {
        cluster.produce(&topic, &["300", "--start", start, "--rate", "100", "--seed", "7", "--quiet"]);
    };
    produce("2026-03-14T09:26:51Z");
    let args = ["--cluster", cluster.address(), "--topic", &topic, "--idle", "1s"];
    let mut terminal = Terminal::consumer(&args);
    let before = tcgetattr(&terminal.master).expect("it is a terminal");
    terminal.wait_to_see(&["2026-03-14 09:26:51 – 09:26:54 UTC", "waiting for the next window"]);
    produce("2026-03-14T09:30:00Z");
    terminal.wait_to_see(&["2026-03-14 09:30:00 – 09:30:03 UTC", "waiting for the next window"]);
    let now = picture(&terminal.seen());
    let headings = now.iter().filter(|line| line.contains("closed by")).count();
    assert_eq!(headings, 1, "the newer window stands in the place of the older one:\n{}", now.join("\n"));

    kill(Pid::from_raw(i32::try_from(terminal.child.id()).expect("a process id is small")), Signal::SIGINT)
        .expect("it runs");
    assert_eq!(terminal.wait(), Some(130), "{}", terminal.seen());
    let seen = terminal.seen();
    let picture = picture(&seen);
    let text = picture.join("\n");
    assert!(
        text.contains("2026-03-14 09:30:00") && text.contains("Totals of the run") && text.contains("600"),
        "{text}"
    );
    assert_eq!(picture.last().map(String::as_str), Some(""), "the shell's prompt gets a line of its own:\n{text}");
    assert_eq!(seen.matches(BEGIN).count(), seen.matches(END).count(), "what is drawn is shown: {seen:?}");
    let after = tcgetattr(&terminal.master).expect("it is a terminal");
    assert_eq!(after, before, "the terminal's settings");
}
