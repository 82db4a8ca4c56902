//! The subcommands that look into a store: `query`, `ledger`, `why`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use isotherm_model::settings::Settings;
use isotherm_model::time::{self, Millis, Utc};
use isotherm_store as sqlite;
use isotherm_store::{Holder, StoreReader, Timing, Windows};

use super::execute::{Failure, runtime};
use super::{Place, load, stores};
use crate::inspect::query::{OutputFormat, Printer};
use crate::inspect::{self, InspectError};
use crate::log::ends::{self, AskError};
use crate::log::{self, Log, LogError};
use crate::results;
use crate::topology::{StoreKind, Topology};

pub(super) const QUERY_EXAMPLES: &str = "\
Examples:
  isotherm-consumer query latest                      the newest closed window, of the default store
  isotherm-consumer query totals --store ./sensors.db --format jsonl
  isotherm-consumer query windows --newest 10
  isotherm-consumer query windows --from 2026-11-22T10:00:00Z --to 2026-11-22T11:00:00Z --format jsonl";

const WINDOWS_EXAMPLES: &str = "\
Examples:
  isotherm-consumer query windows --newest 10
  isotherm-consumer query windows --from 2026-11-22T10:00:00Z --to 2026-11-22T11:00:00Z
  isotherm-consumer query windows --store ./sensors.db --format jsonl | jq -c '[.start, .messages]'";

const LATEST_EXAMPLES: &str = "\
Examples:
  isotherm-consumer query latest
  isotherm-consumer query latest --store ./sensors.db --format jsonl";

const TOTALS_EXAMPLES: &str = "\
Examples:
  isotherm-consumer query totals
  isotherm-consumer query totals --store ./sensors.db --format jsonl";

pub(super) const LEDGER_EXAMPLES: &str = "\
Examples:
  isotherm-consumer ledger
  isotherm-consumer ledger --store ./sensors.db --format json | jq '.partitions[].rejected_ranges'";

pub(super) const WHY_EXAMPLES: &str = "\
Examples:
  isotherm-consumer why
  isotherm-consumer why --store ./sensors.db --cluster 10.0.0.5:9003 --format json | jq -r '.because[]'";

/// How long the cluster may take to answer `why`.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `query` prints.
#[derive(Debug, Subcommand)]
pub enum Query {
    /// Print closed windows, ascending by start
    #[command(after_help = WINDOWS_EXAMPLES)]
    Windows(WindowsFlags),
    /// Print the newest closed window
    #[command(after_help = LATEST_EXAMPLES)]
    Latest(QueryFlags),
    /// Print the totals of the run, open windows included
    #[command(after_help = TOTALS_EXAMPLES)]
    Totals(QueryFlags),
}

/// Which store.
#[derive(Debug, Clone, Args)]
pub struct StoreFlags {
    /// Where the run reads from.
    #[command(flatten)]
    pub place: Place,
    /// The store: a path, or `default` for the run's file in the user's data folder [default: what the topology says,
    /// default]
    #[arg(long, env = "ISOTHERM_STORE", value_name = "PATH|default", value_parser = StoreKind::parse)]
    pub store: Option<StoreKind>,
    /// The run's --window, if it had one: its default store is found by it
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    pub window: Option<Duration>,
    /// The run's --max-ahead, if it had one: its default store is found by it
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    pub max_ahead: Option<Duration>,
}

/// What to print, and how.
#[derive(Debug, Clone, Args)]
pub struct QueryFlags {
    /// Which store.
    #[command(flatten)]
    pub store: StoreFlags,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: QueryFormat,
}

/// Which windows to print, and how.
#[derive(Debug, Clone, Args)]
pub struct WindowsFlags {
    /// How.
    #[command(flatten)]
    pub query: QueryFlags,
    /// Only windows that start at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub from: Option<Millis>,
    /// Only windows that start before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub to: Option<Millis>,
    /// Only the newest so many
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(u64).range(1..))]
    pub newest: Option<u64>,
}

/// What the ledger is of, and how to print it.
#[derive(Debug, Clone, Args)]
pub struct LedgerFlags {
    /// Which store.
    #[command(flatten)]
    pub store: StoreFlags,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// What to explain, and how.
#[derive(Debug, Clone, Args)]
pub struct WhyFlags {
    /// Which store.
    #[command(flatten)]
    pub store: StoreFlags,
    /// The run's --grace [default: what the run was given; where the store does not say, what the topology says]
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    pub grace: Option<Duration>,
    /// The run's --idle [default: what the run was given; where the store does not say, what the topology says]
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    pub idle: Option<Duration>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// `--format` of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum QueryFormat {
    /// For people
    #[default]
    Table,
    /// JSON lines, the same as those of a run
    Jsonl,
}

/// `--format` of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// Reads a time.
fn instant(text: &str) -> Result<Millis, String> {
    time::parse(text.as_bytes()).ok_or_else(|| {
        format!("`{text}` is no time in RFC 3339 of the years 1000 to 9998; write for example 2026-11-22T10:00:00Z")
    })
}

/// An open store, and the settings that it was made with.
struct Opened {
    reader: StoreReader,
    settings: Settings,
    topology: Topology,
}

impl StoreFlags {
    fn open(&self) -> Result<Opened, Failure> {
        let topology = load::topology(&self.place, load::Flags::Store(self))?;
        let by_flag = self.store.is_some();
        let path = stores::path(&topology, self.place.cluster.as_deref())?.ok_or(InspectError::Memory { by_flag })?;
        let reader = StoreReader::open(&path)?;
        let subject = &reader.identity().subject;
        if let Some(asked) = self.place.topic.as_ref().filter(|asked| **asked != subject.topic) {
            let (stored, asked) = (subject.topic.clone(), asked.clone());
            return Err(InspectError::OtherTopic { path, stored, asked }.into());
        }
        let settings = inspect::settings(&subject.settings);
        let settings = settings.map_err(|reason| InspectError::Settings { path, reason })?;
        Ok(Opened { reader, settings, topology })
    }
}

pub(super) fn query(what: Query) -> Result<ExitCode, Failure> {
    let flags = match &what {
        Query::Windows(flags) => &flags.query,
        Query::Latest(flags) | Query::Totals(flags) => flags,
    };
    let which = match &what {
        Query::Windows(flags) => flags.which()?,
        Query::Latest(_) | Query::Totals(_) => Windows::Newest(1),
    };
    let Opened { mut reader, settings, .. } = flags.store.open()?;
    let form = match flags.format {
        QueryFormat::Table => OutputFormat::table(&settings.schema.group),
        QueryFormat::Jsonl => OutputFormat::jsonl(&settings.schema.group),
    };
    let mut printer = Printer::new(form, BufWriter::new(io::stdout().lock()));
    let snapshot = reader.snapshot()?;
    if let Query::Totals(_) = what {
        printer.totals(&snapshot.totals()?)?;
    } else {
        let read = snapshot.windows(which, |window| printer.window(&window));
        if read.is_ok() {
            printer.none(which, &snapshot.overview())?;
        }
        // What was read before something was found to be wrong is right all the same.
        printer.end()?;
        read?;
        return Ok(ExitCode::SUCCESS);
    }
    printer.end()?;
    Ok(ExitCode::SUCCESS)
}

impl WindowsFlags {
    fn which(&self) -> Result<Windows, InspectError> {
        match (self.newest, self.from, self.to) {
            (Some(newest), ..) => Ok(Windows::Newest(newest)),
            (None, None, None) => Ok(Windows::All),
            (None, Some(from), Some(to)) if to <= from => {
                Err(InspectError::EmptyRange { from: Utc(from).to_string(), to: Utc(to).to_string() })
            }
            (None, from, to) => {
                Ok(Windows::Starting { from: from.unwrap_or(Millis::MIN), to: to.unwrap_or(Millis::MAX) })
            }
        }
    }
}

pub(super) fn ledger(flags: &LedgerFlags) -> Result<ExitCode, Failure> {
    let Opened { mut reader, settings, .. } = flags.store.open()?;
    let identity = reader.identity().clone();
    let snapshot = reader.snapshot()?;
    let (partitions, accounts) = (snapshot.partitions()?, snapshot.accounts()?);
    let (waiting, lost) = (snapshot.waiting()?, snapshot.lost()?);
    let report = inspect::ledger::report(&inspect::ledger::LedgerInput {
        topic: &identity.subject.topic,
        run: &identity.run.to_string(),
        settings: &settings,
        commits: snapshot.overview().commits,
        partitions: &partitions,
        accounts: &accounts,
        waiting: &waiting,
        lost: &lost,
    });
    drop(snapshot);
    print(match flags.format {
        ReportFormat::Table => inspect::ledger::text(&report, &settings),
        ReportFormat::Json => vec![results::json(&report)],
    })
}

pub(super) fn why(flags: &WhyFlags) -> Result<ExitCode, Failure> {
    let Opened { mut reader, settings, topology } = flags.store.open()?;
    let subject = reader.identity().subject.clone();
    let path: PathBuf = reader.path().to_owned();
    // The store first: then what the cluster says is not older.
    let snapshot = reader.snapshot()?;
    let (state, partitions) = (snapshot.topic(), snapshot.partitions()?);
    drop(snapshot);
    let holder = sqlite::holder(&path)?;
    let (holder, since) = (holder.as_ref().map(Holder::to_string), holder.as_ref().and_then(Holder::since));
    let given = sqlite::timing(&path);
    let age = since.map(|since| sqlite::now().saturating_sub(since));
    let age = age.map(|age| Duration::from_millis(u64::try_from(age).unwrap_or(0)));
    let usual = given.unwrap_or(Timing { grace: topology.grace, idle: topology.idle });
    let log = stored_log(flags.store.place.cluster.as_deref(), &subject.cluster, &subject.topic)?;
    let bounds = runtime()?.block_on(ends::bounds(&*log, PATIENCE)).map_err(|error| {
        let hint = match error {
            AskError::NoAnswer { .. } => "; see whether it runs, or name another with --cluster HOST:PORT",
            AskError::NoTopic { .. } => "; is it another cluster? Name one with --cluster HOST:PORT",
            AskError::TooSlow(_) => "",
        };
        format!("{error}{hint}")
    });
    let report = inspect::why::report(&inspect::why::WhyInput {
        topic: &subject.topic,
        window: settings.window,
        timing: Timing { grace: flags.grace.unwrap_or(usual.grace), idle: flags.idle.unwrap_or(usual.idle) },
        given,
        state,
        partitions: &partitions,
        consumer: holder.as_deref().map(|holder| inspect::why::Consumer { holder, age }),
        cluster: &log.identity().address,
        log: &bounds,
    });
    print(match flags.format {
        ReportFormat::Table => inspect::why::text(&report),
        ReportFormat::Json => vec![results::json(&report)],
    })
}

/// The log of the cluster that a flag names, else that of the one that the store was last made with; by the profile if that is
/// its, since a profile knows more than an address.
pub(super) fn stored_log(flag: Option<&str>, stored: &str, topic: &str) -> Result<Arc<dyn Log>, LogError> {
    let usual = log::open(flag, topic)?;
    if flag.is_some() || usual.identity().address == stored { Ok(usual) } else { log::open(Some(stored), topic) }
}

fn print(lines: Vec<String>) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
