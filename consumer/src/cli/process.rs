//! What all commands share of the process: exit codes, signals, the runtime, and lines on standard output.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use isotherm_terminal::{signals, stderr, text};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The exit code of wrong usage, as `clap` has it.
pub(super) const USAGE: u8 = 2;

/// What ends a command before its time: what to say on standard error.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Cancels `shutdown` at Ctrl-C or SIGTERM. If stopping takes long (for readers of results, dead letters, or a commit), the log
/// says how to stop at once.
pub(super) fn watch_signals(shutdown: CancellationToken) -> io::Result<()> {
    signals::watch(shutdown, || {
        thread::sleep(Duration::from_secs(1));
        info!("still stopping; once more to stop at once");
    })
}

/// Lines for people on standard output, behind all that was logged before. Text from outside in them is made safe to show.
pub(super) fn say(lines: &str) -> io::Result<()> {
    print(&text::lines(lines))
}

/// Lines for machines on standard output, as they are.
pub(super) fn print(lines: &str) -> io::Result<()> {
    stderr::flush();
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}")?;
    out.flush()
}

pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
