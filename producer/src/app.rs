//! The program: command line, logs, signals, exit codes.

use std::process::ExitCode;

use clap::CommandFactory;
use isotherm_terminal::log::{self, Filter};
use isotherm_terminal::signals::{self, INTERRUPTED};
use isotherm_terminal::{args, process, stderr};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::cli::{Args, CliError};
use crate::config::{Config, Report};
use crate::summary::Ending;

/// Runs the program with the process's arguments: 0 for success (also when the reader of standard output goes away),
/// 1 for a failure, 2 for wrong usage, 130 after Ctrl-C or SIGTERM.
pub fn main() -> ExitCode {
    let code = execute(&args::parse()).unwrap_or_else(|error| {
        stderr::write_below(format!("error: {error}\n"));
        ExitCode::FAILURE
    });
    stderr::flush();
    code
}

type Failure = Box<dyn std::error::Error>;

fn execute(args: &Args) -> Result<ExitCode, Failure> {
    process::prepare()?;
    if let Some(shell) = args.completions {
        process::print_completions(shell, &mut Args::command(), "isotherm-producer")?;
        return Ok(ExitCode::SUCCESS);
    }
    start_log(args);
    let config = match args.config() {
        Ok(config) => config,
        Err(CliError::Usage(error)) => args::exit(&error),
        Err(CliError::Failed(error)) => return Err(error.into()),
    };
    let runtime = Runtime::new()?;
    let code = runtime.block_on(run(config));
    // A read of standard input that blocks would keep the process.
    runtime.shutdown_background();
    code
}

async fn run(config: Config) -> Result<ExitCode, Failure> {
    let shutdown = CancellationToken::new();
    let report = config.report;
    signals::watch(shutdown.clone(), move || {
        if report == Report::Progress {
            stderr::write("stopping: what was made is still to be acknowledged; once more to stop at once\n");
        }
    })?;
    let summary = crate::run(config, shutdown).await?;
    if report == Report::Progress && summary.ending != Ending::Closed {
        stderr::write(format!("{summary}\n"));
    }
    Ok(match summary.ending {
        Ending::Interrupted => ExitCode::from(INTERRUPTED),
        Ending::Complete | Ending::Closed | Ending::Failed => ExitCode::SUCCESS,
    })
}

fn start_log(args: &Args) {
    // The platform's crates log every lost connection as an error of theirs; the retries here say it once.
    let level = match args.verbose {
        _ if args.quiet => "off,isotherm_producer=error,isotherm_fluvio=error",
        0 => "off,isotherm_producer=warn,isotherm_fluvio=warn",
        1 => "off,isotherm_producer=info,isotherm_fluvio=info",
        _ => "off,isotherm_producer=debug,isotherm_fluvio=debug",
    };
    let filter = if args.quiet { Filter::Fixed(level) } else { Filter::Default(level) };
    log::start(filter, args.verbose, args.log_format);
}
