//! What all commands share of the process: exit codes, signals, the runtime, and lines on standard output.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use isotherm_terminal::{signals, stderr, text};
use tokio::runtime::{Builder, Runtime};
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

/// Why the program cannot run at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(
        "the system lets this process open too few files ({0}): raise the limit with `ulimit -n 1024`, or more than that for \
         hundreds of partitions"
    )]
    Files(#[source] io::Error),
    #[error(
        "the system gives this process too few threads ({0}): raise the limit with `ulimit -u`, or that of its container"
    )]
    Threads(#[source] io::Error),
    #[error("the runtime does not start: {0}")]
    Runtime(#[source] io::Error),
}

/// How many files the runtime, the client and a store open between them before the first partition is read.
const FILES: usize = 28;

/// How many threads there are besides the runtime's workers.
const THREADS: usize = 4;

/// A runtime. It, and libraries of the client, panic where a file or a thread that they begin with cannot be had; so whether these
/// can be had is tried first.
pub(super) fn runtime() -> Result<Runtime, StartError> {
    let files: io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    drop(files.map_err(StartError::Files)?);
    try_threads(thread::available_parallelism().map_or(1, usize::from) + THREADS).map_err(StartError::Threads)?;
    Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)
}

/// Has this many threads at once.
fn try_threads(count: usize) -> io::Result<()> {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let _closed = gate.lock();
        let start = |_| thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop);
        (0..count).try_for_each(start)
    })
}
