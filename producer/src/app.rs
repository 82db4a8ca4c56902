//! The program: command line, logs, signals, exit codes.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::{Args, CliError, LogFormat};
use crate::config::{Config, Report};
use crate::stderr;
use crate::summary::Ending;

const FAILED: u8 = 1;
const INTERRUPTED: u8 = 130;

/// Signals that come together are one: `timeout` sends its own to the process, and to the process group at once.
const ONE_STOP: Duration = Duration::from_millis(100);

/// Runs the program with the process's arguments: 0 for success (also when the reader of standard output goes away),
/// 1 for a failure, 2 for wrong usage, 130 after Ctrl-C or SIGTERM.
pub fn main() -> ExitCode {
    let code = run_args(&Args::parse());
    stderr::flush();
    code
}

fn run_args(args: &Args) -> ExitCode {
    if let Some(shell) = args.completions {
        return print_completions(shell);
    }
    init_logs(args);
    let config = match args.config() {
        Ok(config) => config,
        Err(CliError::Usage(error)) => error.exit(),
        Err(CliError::Failed(error)) => return failed(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let code = runtime.block_on(run(config));
    // A read of standard input that blocks would keep the process.
    runtime.shutdown_background();
    code
}

async fn run(config: Config) -> ExitCode {
    let shutdown = CancellationToken::new();
    let report = config.report;
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), end_at_second_signal());
    match signals {
        (Ok(interrupt), Ok(terminate), Ok(())) => {
            tokio::spawn(stop_on(interrupt, terminate, shutdown.clone(), report));
        }
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => return failed(&error),
    }
    match crate::run(config, shutdown).await {
        Ok(summary) => {
            if report == Report::Progress && summary.ending != Ending::Closed {
                stderr::write(format!("{summary}\n"));
            }
            match summary.ending {
                Ending::Interrupted => ExitCode::from(INTERRUPTED),
                Ending::Complete | Ending::Closed | Ending::Failed => ExitCode::SUCCESS,
            }
        }
        Err(error) => failed(&error),
    }
}

/// The first signal ends the run in good order.
async fn stop_on(mut interrupt: Signal, mut terminate: Signal, shutdown: CancellationToken, report: Report) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    shutdown.cancel();
    if report == Report::Progress {
        stderr::write("stopping: what was made is still to be acknowledged; once more to stop at once\n");
    }
}

/// The second signal ends the process, from within the signal's handler: whatever any thread waits for.
fn end_at_second_signal() -> io::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&armed))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let arm = move || {
        if signals.forever().next().is_some() {
            std::thread::sleep(ONE_STOP);
            armed.store(true, Ordering::SeqCst);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(arm)?;
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    stderr::write(format!("error: {error}\n"));
    ExitCode::from(FAILED)
}

fn print_completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut <Args as clap::CommandFactory>::command(), "isotherm-producer", &mut script);
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn init_logs(args: &Args) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    // The platform's crates log every lost connection as an error of theirs; the retries here say it once.
    let default = format!("off,isotherm_producer={level},isotherm_fluvio={level}");
    let asked = if args.quiet { None } else { EnvFilter::try_from_default_env().ok() };
    let filter = asked.unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| LogWriter)
        .with_ansi(io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => builder.with_target(false).without_time().init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Log lines go where the bar goes, above it.
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stderr::write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
