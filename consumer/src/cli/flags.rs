//! The command line: subcommands, and the flags of a run and of `deploy`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use isotherm_engine::state::StartOffset;

pub(super) use super::common_flags::{Logs, Memory, Place};
use super::common_flags::{time, topic_name};
use super::store_flags;
use super::store_flags::VerifyFlags;
use crate::topology::{Combine, StoreKind};

const RUN_EXAMPLES: &str = "\
Examples:
  isotherm-consumer                                   a live table of `sensors`, from its beginning
  isotherm-consumer --from end --window 1m            windows of a minute, of what comes from now on
  isotherm-consumer --until-end --format jsonl        what is there now, as JSON lines, then exit
  isotherm-consumer --format jsonl | jq -c 'select(.type == \"window\") | [.start, .messages]'
  isotherm-consumer --cluster 10.0.0.5:9003 --topic readings --config my.yaml
  isotherm-consumer --source day.jsonl.gz --format jsonl       what is in a file; no cluster is needed
  zcat *.gz | isotherm-consumer --source - --window 1h

The SmartModule must be on the cluster; `isotherm-consumer deploy` puts it there, and creates the topic.

Exit codes: 0 done (or the reader of standard output has gone), 1 failed, 2 wrong usage, 130 stopped by Ctrl-C or \
SIGTERM. A run that is stopped commits what it has read, prints its totals, and waits for dead letters that are not copied \
yet as long as --drain allows; where the run had ended by itself, the signal ends that waiting. If standard output does not \
take the totals within --stop-timeout, the code is 1, and the last line says which windows are stored and were not printed; \
the last line of the output may then be cut. A second signal waits for nothing, and says nothing: the store is then as its \
last commit left it.
Environment: RUST_LOG what is logged (as for `tracing`, instead of -v); NO_COLOR no colours.";

const DEPLOY_EXAMPLES: &str = "\
Examples:
  isotherm-consumer deploy                        topic and modules, as fluvio.yaml says
  isotherm-consumer deploy --partitions 4         a new topic gets four partitions
  isotherm-consumer deploy --replace              replace modules of another version, too
  isotherm-consumer deploy --modules target/modules

Modules are looked for beside this program, in `modules` beside it and one folder above, and in ./target/modules.
`cargo xtask wasm` builds them.";

const TOPOLOGY_EXAMPLES: &str = "\
Examples:
  isotherm-consumer topology
  isotherm-consumer topology --config my.yaml --format mermaid > topology.mmd";

const CHECK_EXAMPLES: &str = "\
Examples:
  isotherm-consumer check
  isotherm-consumer check --config my.yaml && isotherm-consumer --config my.yaml";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  isotherm-consumer completions bash > ~/.local/share/bash-completion/completions/isotherm-consumer
  isotherm-consumer completions zsh > ~/.zfunc/_isotherm-consumer";

/// Exact windowed statistics of a topic of readings, while they happen.
///
/// Reads every partition of a Fluvio topic through the SmartModule `window-stats`, which makes one partial of each
/// batch at the broker; merges the partials into windows of event time, by group; and says what closed. Out of the box:
/// temperature sensors across the United States, windows of three seconds, by state. `fluvio.yaml` says something
/// else; flags override it.
#[derive(Debug, Parser)]
#[command(name = "isotherm-consumer", version, after_help = RUN_EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    pub(super) logs: Logs,
}

/// What to do instead of running.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create or check the topic, and upload the modules
    ///
    /// Does what is missing, leaves alone what is there, and says which. It can be run again at any time.
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployFlags),
    /// Print the topology: source, module, windows and sinks
    #[command(after_help = TOPOLOGY_EXAMPLES)]
    Topology {
        #[command(flatten)]
        place: Place,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: TopologyFormat,
    },
    /// Read fluvio.yaml and say whether it is sound
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Print windows or totals that a store holds
    ///
    /// Also while a consumer writes it: the answer is the store as it was at the last commit.
    #[command(after_help = store_flags::QUERY_EXAMPLES)]
    Query {
        /// What to print.
        #[command(subcommand)]
        what: store_flags::Query,
    },
    /// Print the account of all records, and where the late and the rejected ones stand
    ///
    /// For the run and by partition: read = counted + late + rejected by reason, data loss, records read again to restore
    /// windows, dead letters that wait or are lost, and the batches that hold late or rejected records.
    #[command(after_help = store_flags::LEDGER_EXAMPLES)]
    Ledger(store_flags::ReportFlags),
    /// Say what keeps the oldest open window from closing
    ///
    /// Which partitions hold it back, each one's watermark and lag (the cluster is asked how much there is to read), how much
    /// event time is missing, whether a consumer runs, and what will close it.
    #[command(after_help = store_flags::WHY_EXAMPLES)]
    Why(store_flags::WhyFlags),
    /// Read the log again, and compare all that a store says with it
    ///
    /// Recomputes every window, total and ledger entry natively, without the SmartModule, and trusts of the store nothing
    /// but the offsets at which each window closed.
    #[command(after_help = store_flags::VERIFY_EXAMPLES)]
    Verify(VerifyFlags),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// How to run. What stands in the topology too overrides it.
#[derive(Debug, Clone, Args)]
pub(super) struct RunFlags {
    /// The length of windows, 1ms to 366days [default: what the topology says, 3s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) window: Option<Duration>,
    /// How long after its end a window stays open, in event time [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) grace: Option<Duration>,
    /// How long a partition must be quiet to hold no window back [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) idle: Option<Duration>,
    /// How far ahead of its record's log time a reading may be [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) max_ahead: Option<Duration>,
    /// Where batches are combined [default: what the topology says, broker]
    #[arg(long, value_enum, value_name = "broker|consumer")]
    pub(super) combine: Option<Combine>,
    /// Where to begin [default: where the store says, in an unused one `beginning`]
    #[arg(long, value_enum)]
    pub(super) from: Option<FromFlag>,
    /// Read to where the partitions end now, then close all windows, print the totals, exit; nothing is late
    #[arg(long)]
    pub(super) until_end: bool,
    /// Read on where the input ends, as windows close: without it files and standard input are read to their ends, as with
    /// --until-end
    #[arg(long, conflicts_with = "until_end")]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) memory: Memory,
    /// End by itself after this many records: close all windows, print the totals, exit
    #[arg(long, value_name = "RECORDS")]
    pub(super) stop_after: Option<u64>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// At the end of a bounded run (--until-end, or files) close only what the watermark has passed, and leave the other windows open
    /// for the next run
    #[arg(long, conflicts_with = "follow")]
    pub(super) leave_open: bool,
    /// Where state is kept: a path, `default` for a file in the user's data folder for each cluster, topic and
    /// configuration, or `memory` [default: what the topology says, default]
    #[arg(long, env = "ISOTHERM_STORE", value_name = "PATH|default|memory", value_parser = StoreKind::parse)]
    pub(super) store: Option<StoreKind>,
    /// Throw away what is stored, and start over
    #[arg(long)]
    pub(super) reset: bool,
    /// Go on in the place of a consumer that holds the store; it writes nothing any more
    #[arg(long)]
    pub(super) take_over: bool,
    /// Go on where the log no longer holds what the run needs; the ledger names the loss
    #[arg(long)]
    pub(super) accept_data_loss: bool,
    /// Copy each late reading and each rejected record to this topic, its value untouched; needs a store that stays
    #[arg(long, value_name = "TOPIC", value_parser = topic_name)]
    pub(super) dead_letters: Option<String>,
    /// When the run ends, wait so long at most for dead letters that have not been copied
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time, requires = "dead_letters")]
    pub(super) drain: Duration,
    /// After Ctrl-C or SIGTERM, wait at most this long for the reader of standard output to take what has closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub(super) stop_timeout: Duration,
    /// How long closed windows are kept, counted back from the newest one [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) keep: Option<Duration>,
}

/// What to deploy.
#[derive(Debug, Clone, Args)]
pub(super) struct DeployFlags {
    #[command(flatten)]
    pub(super) place: Place,
    /// How many partitions the topic is to have [default: what the topology says, 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) partitions: Option<u32>,
    /// Where batches are combined [default: what the topology says, broker]
    #[arg(long, value_enum, value_name = "broker|consumer")]
    pub(super) combine: Option<Combine>,
    /// The file of the SmartModule `window-stats`
    #[arg(long, value_name = "FILE")]
    pub(super) module: Option<PathBuf>,
    /// The folder of both modules' files
    #[arg(long, value_name = "DIR")]
    pub(super) modules: Option<PathBuf>,
    /// Replace modules that are there in another version (other consumers may use them)
    #[arg(long)]
    pub(super) replace: bool,
    #[command(flatten)]
    pub(super) logs: Logs,
}

/// `--from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FromFlag {
    /// The first record that is still there
    Beginning,
    /// What comes from now on
    End,
}

impl std::convert::From<FromFlag> for StartOffset {
    fn from(flag: FromFlag) -> Self {
        match flag {
            FromFlag::Beginning => Self::Beginning,
            FromFlag::End => Self::End,
        }
    }
}

/// `--format` of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people: live in place on a terminal, else each window once
    #[default]
    Table,
    /// JSON lines, flushed with each close
    Jsonl,
    /// Nothing
    None,
}

/// `topology --format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum TopologyFormat {
    /// For people
    #[default]
    Text,
    /// A Mermaid flowchart
    Mermaid,
}

/// The whole command, for completions and tests.
pub fn command() -> clap::Command {
    Cli::command()
}
