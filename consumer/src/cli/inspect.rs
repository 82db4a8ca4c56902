//! The subcommands that look into a store: `query`, `ledger`, `why`.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isotherm_model::settings::Settings;
use isotherm_model::time::{Millis, Utc};
use isotherm_store as sqlite;
use isotherm_store::{Holder, StoreReader, Timing, Windows};

use super::process::{Failure, runtime};
use super::store_flags::{Query, ReportFlags, StoreFlags, WhyFlags, WindowsFlags};
use super::{load, process, stores};
use crate::inspect::query::Printer;
use crate::inspect::{self, InspectError};
use crate::log::ends::{self, AskError};
use crate::log::{self, Log, LogError};
use crate::results;
use crate::topology::Topology;

/// How long the cluster may take to answer `why`.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let path = stores::path(&topology)?.ok_or(InspectError::Memory { by_flag })?;
        let reader = StoreReader::open(&path)?;
        let settings = inspect::stored_settings(&path, &reader.identity().subject, self.place.topic.as_deref())?;
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
    let mut printer = Printer::new(flags.format, &settings.schema.group, BufWriter::new(io::stdout().lock()));
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

pub(super) fn ledger(flags: &ReportFlags) -> Result<ExitCode, Failure> {
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
    let text = || inspect::ledger::text(&report, &settings).join("\n");
    process::report(flags.format, text, || results::json(&report))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn why(flags: &WhyFlags) -> Result<ExitCode, Failure> {
    let Opened { mut reader, settings, topology } = flags.report.store.open()?;
    let subject = reader.identity().subject.clone();
    let path: PathBuf = reader.path().to_owned();
    // The store first: then what the cluster says is not older.
    let snapshot = reader.snapshot()?;
    let (state, partitions, parts) = (snapshot.topic(), snapshot.partitions()?, snapshot.parts()?);
    drop(snapshot);
    let holder = sqlite::holder(&path)?;
    let (holder, since) = (holder.as_ref().map(Holder::to_string), holder.as_ref().and_then(Holder::since));
    let given = sqlite::timing(&path);
    let age = since.map(|since| sqlite::now().saturating_sub(since));
    let age = age.map(|age| Duration::from_millis(u64::try_from(age).unwrap_or(0)));
    let usual = given.unwrap_or(Timing { grace: topology.grace, idle: topology.idle });
    let log = stored_log(topology.address(), &subject.cluster, &subject.topic)?;
    for (partition, state) in &partitions {
        log.resume(*partition, state.resume(), state.position, parts.get(partition).map_or(&[], Vec::as_slice));
    }
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
        cluster: log.identity().place(),
        log: &bounds,
    });
    let text = || inspect::why::text(&report).join("\n");
    process::report(flags.report.format, text, || results::json(&report))?;
    Ok(ExitCode::SUCCESS)
}

/// The log of the cluster that a flag names, else that of the one that the store was last made with; by the profile if that is
/// its, since a profile knows more than an address.
pub(super) fn stored_log(flag: Option<&str>, stored: &str, topic: &str) -> Result<Arc<dyn Log>, LogError> {
    let usual = log::open(flag, topic)?;
    if flag.is_some() || usual.identity().address == stored { Ok(usual) } else { log::open(Some(stored), topic) }
}
