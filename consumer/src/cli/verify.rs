//! `isotherm-consumer verify`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use isotherm_store::StoreReader;
use isotherm_terminal::signals::INTERRUPTED;
use tracing::info;

use super::process::{Failure, until_stopped};
use super::source::Source;
use super::store_flags::{StoreFlags, VerifyFlags};
use super::{inspect, load, process, stores};
use crate::inspect::InspectError;
use crate::topology::StoreKind;
use crate::verify::{self, Config, Progress};

/// Verifies; the exit code says whether anything differs.
pub(super) fn execute(flags: VerifyFlags) -> Result<ExitCode, Failure> {
    flags.logs.start();
    let config = config(&flags)?;
    let mut tell =
        |Progress { read, of, windows }| info!("{read} of {of} records read again, {windows} windows compared");
    info!("reading the log of {} again, from {}", config.store.display(), config.log.identity().place());
    let Some(report) = until_stopped(verify::verify(&config, &mut tell))? else {
        return Ok(ExitCode::from(INTERRUPTED));
    };
    // What was found is said by the exit code, whether or not anybody reads the rest.
    let code = if report.findings.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match process::report(flags.report.format, || report.text().to_string(), || report.json()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(code),
    }
}

fn config(flags: &VerifyFlags) -> Result<Config, Failure> {
    let (memory_limit, flags) = (flags.memory.memory_limit, &flags.report.store);
    let StoreFlags { place, store, .. } = flags;
    // A store says itself what it is of: the topology is asked where the store is, and what it is to be of if it is named.
    let (path, settings) = match (store, &place.config) {
        (Some(StoreKind::File(path)), None) => (Some(path.clone()), None),
        (_, named) => {
            let topology = load::topology(place, load::Flags::Store(flags))?;
            (stores::path(&topology)?, named.is_some().then_some(topology.settings))
        }
    };
    let store: PathBuf = path.ok_or(InspectError::Memory { by_flag: store.is_some() })?;
    let subject = StoreReader::open(&store)?.identity().subject.clone();
    // Secrets stand in the topology alone.
    let kafka = load::file(place).ok().flatten().map(|topology| topology.kafka).unwrap_or_default();
    let named = Source::of(place, &[], &kafka)?.address();
    let log = inspect::stored_log(named.as_deref(), &subject.cluster, &subject.topic)?;
    Ok(Config { memory_limit, store, log, topic: place.topic.clone(), settings })
}
