//! `isotherm-node`: flags, a log on standard error, signals.

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use isotherm_node::{Config, DEFAULT_PORT, Node, NodeError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::debug;
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Examples:
  isotherm-node --data ./node-data
  fluvio profile add local 127.0.0.1:9003 local
  fluvio topic create sensors

Prints `listening on ADDRESS` on standard output once it is ready; its log goes to standard error.
Ends on Ctrl-C and SIGTERM. There is neither TLS nor a login: whoever reaches its ports may do everything.

Exit codes: 0 ended as asked, 1 failure, 2 usage.";

/// A single-process stand-in for a Fluvio cluster: controller and SPU in one, with its log in one folder.
#[derive(Debug, Parser)]
#[command(name = "isotherm-node", version, after_help = EXAMPLES)]
struct Flags {
    /// Folder that keeps topics, records and SmartModules; made if it is not there
    #[arg(long, value_name = "DIR", required_unless_present = "completions")]
    data: Option<PathBuf>,
    /// Address of the controller, which clients are given; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value_t = (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into())]
    listen: SocketAddr,
    /// Address of the SPU [default: the controller's port + 1 if it is free, otherwise any free one]
    #[arg(long, value_name = "ADDR")]
    listen_spu: Option<SocketAddr>,
    /// Acknowledge only what the disk has confirmed: what was acknowledged survives a power cut; slower
    #[arg(long)]
    fsync: bool,
    /// How often to look for what the topics' retention does not keep
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    retention_check: Duration,
    /// Log more (-v debug, -vv trace); RUST_LOG overrides it
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print completions for a shell, and end
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Some(shell) = flags.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Flags::command(), "isotherm-node", &mut script);
        // A closed pipe ends quietly.
        let _ = std::io::stdout().write_all(&script);
        return ExitCode::SUCCESS;
    }
    let Some(data) = flags.data else {
        return ExitCode::from(2);
    };
    let level = ["info", "info,isotherm_node=debug", "info,isotherm_node=trace"][usize::from(flags.verbose.min(2))];
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level)))
        .init();
    allow_open_files();
    let mut config = Config::new(data);
    config.listen = flags.listen;
    config.listen_spu = flags.listen_spu;
    config.fsync = flags.fsync;
    config.retention_check = flags.retention_check;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(config));
    // A SmartModule that never ends does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; give a time such as 10s"))?;
    if duration.is_zero() { Err("it must be more than 0".into()) } else { Ok(duration) }
}

/// Takes as many open files as the system lets this process have: each connection and each partition needs one.
fn allow_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    // Some systems report a limit that they then refuse. The present limit stays.
    if let Err(error) = raised {
        debug!(%error, "cannot raise the number of open files");
    }
}

async fn run(config: Config) -> Result<(), NodeError> {
    let node = Node::bind(config).await?;
    // A reader that has gone does not need it.
    let _ = writeln!(std::io::stdout(), "listening on {}", node.address());
    node.run(ended()).await
}

/// Done on Ctrl-C or SIGTERM.
async fn ended() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
