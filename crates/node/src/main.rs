//! `isotherm-node`: flags, a log on standard error, signals.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use isotherm_node::{Config, DEFAULT_PORT, Node};
use isotherm_terminal::log::{self, Filter, LogFormat};
use isotherm_terminal::{args, process, signals, stderr};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const EXAMPLES: &str = "\
Examples:
  isotherm-node --data ./node-data
  fluvio profile add local 127.0.0.1:9003 local
  fluvio topic create sensors

Prints `listening on ADDRESS` on standard output once it is ready; its log goes to standard error.
Ends on Ctrl-C and SIGTERM. There is neither TLS nor a login: anybody who reaches its ports may do everything.

Exit codes: 0 ended as asked, 1 failure, 2 usage, 130 ended at once by a second signal.";

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

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let code = execute(args::parse()).unwrap_or_else(|error| {
        stderr::write(format!("error: {error}\n"));
        ExitCode::FAILURE
    });
    stderr::flush();
    code
}

fn execute(flags: Flags) -> Result<ExitCode, Failure> {
    process::prepare()?;
    if let Some(shell) = flags.completions {
        process::print_completions(shell, &mut Flags::command(), "isotherm-node")?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(data) = flags.data else {
        return Ok(ExitCode::from(2));
    };
    let level = ["info", "info,isotherm_node=debug", "info,isotherm_node=trace"][usize::from(flags.verbose.min(2))];
    log::start(Filter::Default(level), flags.verbose, LogFormat::Text);
    let mut config = Config::new(data);
    config.listen = flags.listen;
    config.listen_spu = flags.listen_spu;
    config.fsync = flags.fsync;
    config.retention_check = flags.retention_check;
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(run(config));
    // A SmartModule that never ends does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map(|()| ExitCode::SUCCESS)
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; give a time such as 10s"))?;
    if duration.is_zero() { Err("it must be more than 0".into()) } else { Ok(duration) }
}

async fn run(config: Config) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    signals::watch(shutdown.clone(), || {})?;
    let node = Node::bind(config).await?;
    // What was logged before stands before it.
    stderr::flush();
    let line = format!("listening on {}", node.address());
    // On a thread of its own, since the node waits for no reader. One that has gone does not need it.
    std::thread::spawn(move || writeln!(std::io::stdout(), "{line}"));
    Ok(node.run(shutdown.cancelled_owned()).await?)
}
