//! `isotherm-consumer verify`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::execute::{Failure, INTERRUPTED, runtime, say};
use super::{Logs, Place, load, log, signals, stores};
use crate::topology::StoreKind;
use crate::verify::{self, Config, Progress};

pub(super) const EXAMPLES: &str = "\
Examples:
  isotherm-consumer verify --store run.db
  isotherm-consumer verify --store run.db --cluster 10.0.0.5:9003 --format json | jq .differences

Exit codes: 0 all that can be recomputed is as it is stored, 1 something differs or cannot be read, 2 wrong usage, 130
interrupted. What the log's retention has cut, or --keep has dropped, is named as unverifiable.";

/// What to verify.
#[derive(Debug, Clone, Args)]
pub struct VerifyFlags {
    /// Where the log is.
    #[command(flatten)]
    pub place: Place,
    /// The store: a path, or `default` [default: what the topology says, default]
    #[arg(long, env = "ISOTHERM_STORE", value_name = "PATH|default", value_parser = StoreKind::parse)]
    pub store: Option<StoreKind>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    pub format: VerifyFormat,
    /// What to log.
    #[command(flatten)]
    pub logs: Logs,
}

/// `verify --format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum VerifyFormat {
    /// For people
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// Verifies; the exit code says whether anything differs.
pub(super) fn execute(flags: VerifyFlags) -> Result<ExitCode, Failure> {
    log::start(flags.logs.verbose, flags.logs.log_format, None);
    let config = config(&flags)?;
    let mut tell =
        |Progress { read, of, windows }| info!("{read} of {of} records read again, {windows} windows compared");
    let report = runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        signals::watch(shutdown.clone());
        tokio::select! {
            report = verify::verify(&config, &mut tell) => report.map(Some),
            () = shutdown.cancelled() => Ok(None),
        }
    });
    let Some(report) = report? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    match flags.format {
        VerifyFormat::Table => say(&report.text().to_string())?,
        VerifyFormat::Json => say(&report.json().to_string())?,
    }
    Ok(if report.findings.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn config(flags: &VerifyFlags) -> Result<Config, Failure> {
    let VerifyFlags { place, store, .. } = flags;
    // A store says itself what it is of: the topology is asked where the store is, and what it is to be of if it is named.
    let (path, settings) = match (store, &place.config) {
        (Some(StoreKind::File(path)), None) => (Some(path.clone()), None),
        (_, named) => {
            let mut topology = load::topology(place, load::Flags::None)?;
            topology.store = store.clone().unwrap_or(topology.store);
            let path = stores::path(&topology, place.cluster.as_deref())?;
            (path, named.is_some().then_some(topology.settings))
        }
    };
    let store = path.ok_or("a store in memory ends with its run: name one with --store PATH")?;
    Ok(Config { store, cluster: place.cluster.clone(), topic: place.topic.clone(), settings })
}
