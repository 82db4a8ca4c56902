//! From flags to a topology.

use std::io;
use std::path::Path;

use isotherm_terminal::text::printable;

use super::flags::{DeployFlags, Place, RunFlags};
use super::source::{self, SourceError};
use super::store_flags::StoreFlags;
use crate::limited;
use crate::topology::{Origin, Overrides, StoreKind, Topology, TopologyError};

/// The file that is read if none is named.
pub(super) const DEFAULT_FILE: &str = "fluvio.yaml";

/// How large it can be: far beyond any topology.
const MOST_BYTES: u64 = 1 << 20;

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("cannot read {file}: {reason}")]
    Read { file: String, reason: io::Error },
    /// What it says, or a flag, is wrong.
    #[error(transparent)]
    Wrong(#[from] TopologyError),
    /// What it says of the source, or a flag, is wrong.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl LoadError {
    /// Whether only flags are wrong.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Read { .. } => false,
            Self::Source(error) => error.is_usage(),
            Self::Wrong(error) => error.problems.iter().all(|problem| matches!(problem.origin, Origin::Flag(_))),
        }
    }
}

/// What the file is called, if there is one.
pub(super) fn name(place: &Place) -> String {
    place.config.as_deref().map_or(DEFAULT_FILE.to_owned(), shown)
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).into_owned()
}

/// The topology of a file, without flags; `None` if no file is named and there is no [`DEFAULT_FILE`].
pub(super) fn file(place: &Place) -> Result<Option<Topology>, LoadError> {
    let path = match &place.config {
        Some(path) => path.as_path(),
        None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
        None => return Ok(None),
    };
    let name = shown(path);
    let text = limited::read(path, MOST_BYTES).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    let text = text.map_err(|reason| LoadError::Read { file: name.clone(), reason })?;
    tracing::debug!("the topology is that of {name}");
    Ok(Some(Topology::from_yaml(&text, &name)?))
}

/// Flags that override a topology, beside those of the place.
pub(super) enum Flags<'a> {
    None,
    Run(&'a RunFlags),
    Deploy(&'a DeployFlags),
    Store(&'a StoreFlags),
}

impl Flags<'_> {
    /// Whether they are of a command that looks into a store, and say where it lies.
    fn name_a_store(&self) -> bool {
        matches!(self, Self::Store(flags) if matches!(flags.store, Some(StoreKind::File(_))))
    }
}

/// The topology that flags leave of the file's, or of the one that is built in.
pub(super) fn topology(place: &Place, flags: Flags<'_>) -> Result<Topology, LoadError> {
    let base = match file(place) {
        // A store that is named says itself what it is of. Whatever is wrong in a file that happens to lie here must not
        // keep anybody from looking into it.
        Err(_) if flags.name_a_store() && place.config.is_none() => None,
        file => file?,
    };
    overridden(base.unwrap_or_default(), place, flags)
}

/// The topology that flags leave of this one. A caller that needs the file's own, too, reads it once: it may be a pipe.
pub(super) fn overridden(base: Topology, place: &Place, flags: Flags<'_>) -> Result<Topology, LoadError> {
    let topic = place.topic.clone();
    let overrides = match &flags {
        Flags::None => Overrides { topic, ..Overrides::default() },
        Flags::Deploy(flags) => {
            Overrides { topic, partitions: flags.partitions, combine: flags.combine, ..Overrides::default() }
        }
        Flags::Store(flags) => Overrides {
            topic,
            window: flags.window,
            max_ahead: flags.max_ahead,
            store: flags.store.clone(),
            ..Overrides::default()
        },
        Flags::Run(flags) => Overrides {
            topic,
            partitions: None,
            window: flags.window,
            grace: flags.grace,
            idle: flags.idle,
            max_ahead: flags.max_ahead,
            store: flags.store.clone(),
            combine: flags.combine,
        },
    };
    let mut topology = base.with(&overrides)?;
    let run = if let Flags::Run(flags) = flags { Some(flags) } else { None };
    source::apply(place, run, &mut topology)?;
    Ok(topology)
}
