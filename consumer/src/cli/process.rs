//! What all commands share of the process: exit codes, signals, the runtime, and lines on standard output.

use std::io::{self, Write};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use isotherm_terminal::{signals, stderr, text};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::store_flags::ReportFormat;

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

/// What `work` comes to; `None` if Ctrl-C or SIGTERM ends it before.
pub(super) fn until_stopped<T, E: Into<Failure>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, Failure> {
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        watch_signals(shutdown.clone())?;
        tokio::select! {
            done = work => done.map(Some).map_err(Into::into),
            () = shutdown.cancelled() => Ok(None),
        }
    })
}

/// A report on standard output: text for people, or JSON.
pub(super) fn report(
    format: ReportFormat,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> String,
) -> io::Result<()> {
    match format {
        ReportFormat::Table => say(&text()),
        ReportFormat::Json => print(&json()),
    }
}

/// Lines for people on standard output, behind all that was logged before. Text from outside in them is made safe to show.
pub(super) fn say(lines: &str) -> io::Result<()> {
    print(&text::lines(lines))
}

/// Lines for machines on standard output, as they are.
fn print(lines: &str) -> io::Result<()> {
    stderr::flush();
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}")?;
    out.flush()
}

/// Why the program cannot run at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(
        "the system gives this process too few threads ({0}): raise the limit with `ulimit -u`, or that of its container"
    )]
    Threads(#[source] io::Error),
    #[error("the runtime does not start: {0}")]
    Runtime(#[source] io::Error),
}

/// How many threads there are besides the runtime's workers.
const THREADS: usize = 4;

/// A runtime. It panics where a thread that it begins with cannot be had; so whether they can is tried first.
pub(super) fn runtime() -> Result<Runtime, StartError> {
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
