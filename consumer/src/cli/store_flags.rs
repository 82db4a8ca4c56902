//! Flags of the commands that look into a store: `query`, `ledger`, `why`, `verify`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use isotherm_model::time::{self, Millis};

use super::common_flags::{Logs, Memory, Place, time as length};
use crate::inspect::query::OutputFormat;
use crate::topology::StoreKind;

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

/// What `query` prints.
#[derive(Debug, Subcommand)]
pub(super) enum Query {
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
pub(super) struct StoreFlags {
    #[command(flatten)]
    pub(super) place: Place,
    /// The store: a path, or `default` for the run's file in the user's data folder [default: what the topology says,
    /// default]
    #[arg(long, env = "ISOTHERM_STORE", value_name = "PATH|default", value_parser = StoreKind::parse)]
    pub(super) store: Option<StoreKind>,
    /// The run's --window, if it had one: its default store is found by it
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(super) window: Option<Duration>,
    /// The run's --max-ahead, if it had one: its default store is found by it
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(super) max_ahead: Option<Duration>,
}

/// What to print, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct QueryFlags {
    #[command(flatten)]
    pub(super) store: StoreFlags,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: OutputFormat,
}

/// Which windows to print, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct WindowsFlags {
    #[command(flatten)]
    pub(super) query: QueryFlags,
    /// Only windows that start at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(super) from: Option<Millis>,
    /// Only windows that start before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(super) to: Option<Millis>,
    /// Only the newest N
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) newest: Option<u64>,
}

/// What a report is of, and how to print it.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportFlags {
    #[command(flatten)]
    pub(super) store: StoreFlags,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ReportFormat,
}

/// What to explain, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct WhyFlags {
    #[command(flatten)]
    pub(super) report: ReportFlags,
    /// The run's --grace [default: what the run was given; where the store does not say, what the topology says]
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(super) grace: Option<Duration>,
    /// The run's --idle [default: what the run was given; where the store does not say, what the topology says]
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub(super) idle: Option<Duration>,
}

/// `--format` of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ReportFormat {
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

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  isotherm-consumer verify
  isotherm-consumer verify --store run.db
  isotherm-consumer verify --store run.db --cluster 10.0.0.5:9003 --format json | jq .differences

The cluster is the one that the store was made with, unless --cluster names another.

Exit codes: 0 all that can be recomputed is as it is stored, 1 something differs or cannot be read, 2 wrong usage, 130
interrupted. What the log's retention has cut, or --keep has dropped, is named as unverifiable.";

/// What to verify.
#[derive(Debug, Clone, Args)]
pub(super) struct VerifyFlags {
    #[command(flatten)]
    pub(super) report: ReportFlags,
    #[command(flatten)]
    pub(super) memory: Memory,
    #[command(flatten)]
    pub(super) logs: Logs,
}
