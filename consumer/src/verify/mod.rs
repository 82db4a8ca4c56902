//! `isotherm-consumer verify`: the log is read again from the start, and everything that the store says is recomputed,
//! natively and without the module. `audit` compares; here is what it needs read. `docs/verify.md` says what is shown.

mod logs;
pub mod report;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::audit::Audit;
use isotherm_engine::scratch::{MemoryLimit, ScratchError};
use isotherm_model::codec;
use isotherm_model::partial::{Partial, PartitionId};
use isotherm_model::settings::Settings;
use isotherm_store::Subject;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tracing::{info, warn};

use self::logs::Logs;
use self::report::Report;
use self::stored::StoreItem;
use crate::inspect::{InspectError, stored_settings};
use crate::log::{BatchCombiner, Log, LogError, LogReader};
use crate::scratch::{self, ScratchFile};

/// How often progress is emitted.
const PROGRESS_PERIOD: Duration = Duration::from_secs(2);

/// How often a verification begins, if the log's retention overtakes it.
const TRIES: u32 = 4;

/// What to verify.
#[derive(Clone)]
pub struct Config {
    pub store: PathBuf,
    pub log: Arc<dyn Log>,
    /// The topic that the store must be of, if one was named.
    pub topic: Option<String>,
    /// How many bytes the windows may take in memory that wait to be compared; what is beyond goes to a file without a name beside the
    /// store.
    pub memory_limit: usize,
    /// The settings that the store must be of, if any were named.
    pub settings: Option<Settings>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Offsets that have been read again.
    pub read: u64,
    /// How many there are.
    pub of: u64,
    pub windows: u64,
}

/// Why nothing could be verified, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Store(#[from] isotherm_store::Error),
    #[error("{0}; nothing can be said of the store")]
    Log(#[from] LogError),
    /// The scratch file failed.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// Retention has cut the log before it was read, each time.
    #[error(
        "{reason}, {tries} times while it was being read; nothing can be said of the store. Run it again, when less is \
         written to the topic, or let the topic keep more"
    )]
    Overtaken { reason: LogError, tries: u32 },
    /// It is of another topic than was said, or its settings say nothing to this version.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(
        "the store {} is of another configuration ({stored}) than the topology that --config names ({asked}); leave \
         --config away, or give with it the --window and --max-ahead of the run",
        .path.display()
    )]
    OtherSettings {
        path: PathBuf,
        /// The fingerprint of what is stored.
        stored: String,
        /// That of what was asked for.
        asked: String,
    },
}

impl Error {
    /// Whether only flags are wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Inspect(error) => error.is_usage(),
            error => matches!(error, Self::OtherSettings { .. }),
        }
    }
}

/// Verifies a store against the log that it was read from. `emit` is called with its progress, every few seconds.
///
/// Memory: the windows that are open at once, the sensors of the run, and the ledger's ranges.
///
/// # Errors
/// An [`Error`] if store or log cannot be read. That they differ is none: the report says it.
pub async fn verify(config: &Config, emit: &mut (dyn FnMut(Progress) + Send)) -> Result<Report, Error> {
    let mut tries = 1;
    loop {
        match once(config, emit).await {
            Err(Error::Log(reason @ LogError::Evicted { .. })) if tries < TRIES => {
                warn!("{reason}; beginning again with what is left");
                tries += 1;
            }
            Err(Error::Log(reason @ LogError::Evicted { .. })) => return Err(Error::Overtaken { reason, tries }),
            done => return done,
        }
    }
}

/// Verifies it against the log as it is now, unless retention cuts what has not been read yet.
async fn once(config: &Config, emit: &mut (dyn FnMut(Progress) + Send)) -> Result<Report, Error> {
    let mut items = stored::read(config.store.clone());
    let (identity, stored) = match next(&mut items).await? {
        StoreItem::Run(run) => *run,
        _ => return Err(ended(&config.store).into()),
    };
    let settings = check(config, &identity.subject)?;
    let topic = identity.subject.topic.clone();
    let report = |findings| Report {
        topic: topic.clone(),
        run: identity.run.to_string(),
        store: config.store.clone(),
        cluster: config.log.identity().place().to_owned(),
        findings,
    };
    let Logs { readers, from, findings } = Logs::open(&config.log, &stored).await?;
    let readers = match readers {
        Some(readers) => readers,
        None => return Ok(report(findings)),
    };
    let folder = scratch::folder_of(&config.store);
    let limit = MemoryLimit { bytes: config.memory_limit, scratch: Box::new(ScratchFile::new(folder)) };
    let mut replay = Replay {
        audit: Audit::new(settings.window, stored, &from, findings).with_memory_limit(limit),
        readers,
        topic: topic.clone(),
        combiner: BatchCombiner::new(&settings),
        bytes: Vec::new(),
        progress: Progress::default(),
        emitted: Instant::now(),
        emit,
    };
    let ends: BTreeMap<PartitionId, i64> = replay.audit.ends().into_iter().collect();
    let left = |(partition, end): (&PartitionId, &i64)| {
        let position = replay.audit.position(*partition).unwrap_or(*end);
        u64::try_from(end.saturating_sub(position)).unwrap_or(0)
    };
    replay.progress.of = ends.iter().map(left).fold(0, u64::saturating_add);
    info!(records = replay.progress.of, "reading the log again");
    loop {
        match next(&mut items).await? {
            StoreItem::Window(window) => {
                for (partition, offset) in &window.positions {
                    // Beyond the end of the run nothing is known to be there; the audit says so.
                    let end = ends.get(partition).copied().unwrap_or(*offset);
                    replay.read(*partition, end.min(*offset), end).await?;
                }
                replay.audit.window(&window)?;
                replay.progress.windows += 1;
                replay.emit();
            }
            StoreItem::Windows => break,
            StoreItem::Run(_) | StoreItem::Sensors(_) | StoreItem::End => return Err(ended(&config.store).into()),
        }
    }
    for (partition, end) in ends {
        replay.read(partition, end, end).await?;
    }
    let mut closing = replay.audit.close();
    loop {
        match next(&mut items).await? {
            StoreItem::Sensors(sensors) => closing.sensors(&sensors),
            StoreItem::End => return Ok(report(closing.finish())),
            StoreItem::Run(_) | StoreItem::Window(_) | StoreItem::Windows => return Err(ended(&config.store).into()),
        }
    }
}

async fn next(
    items: &mut Receiver<Result<StoreItem, isotherm_store::Error>>,
) -> Result<StoreItem, isotherm_store::Error> {
    match items.recv().await {
        Some(item) => item,
        None => Err("the thread that reads the store ended before its time".into()),
    }
}

fn ended(path: &std::path::Path) -> isotherm_store::Error {
    format!("the store {} was not read in its order", path.display()).as_str().into()
}

/// The settings that the store is of; an error if it is of another subject than was said.
fn check(config: &Config, subject: &Subject) -> Result<Settings, Error> {
    let path = config.store.clone();
    let settings = stored_settings(&path, subject, config.topic.as_deref())?;
    let asked = config.settings.as_ref().unwrap_or(&settings).fingerprint();
    if asked != subject.fingerprint {
        return Err(Error::OtherSettings { path, stored: subject.fingerprint.to_string(), asked: asked.to_string() });
    }
    if settings.fingerprint() != subject.fingerprint || settings.window.millis() != subject.window {
        let reason = format!("their fingerprint is {}, not {}", settings.fingerprint(), subject.fingerprint);
        return Err(InspectError::Settings { path, reason }.into());
    }
    Ok(settings)
}

/// The log is being read again.
struct Replay<'a> {
    audit: Audit,
    readers: BTreeMap<PartitionId, Box<dyn LogReader>>,
    topic: String,
    combiner: BatchCombiner,
    bytes: Vec<u8>,
    progress: Progress,
    emitted: Instant,
    emit: &'a mut (dyn FnMut(Progress) + Send),
}

impl Replay<'_> {
    /// Reads a partition on, up to `offset`. It was merged up to `end`.
    async fn read(&mut self, partition: PartitionId, offset: i64, end: i64) -> Result<(), Error> {
        let (Some(reader), Some(position)) = (self.readers.get_mut(&partition), self.audit.position(partition)) else {
            return Ok(());
        };
        if position >= offset {
            return Ok(());
        }
        reader.seek(position, offset);
        while let Some(batch) = reader.next().await? {
            let unreadable = |what| {
                let (topic, offset) = (self.topic.clone(), batch.first);
                LogError::Unreadable { topic, partition, offset, what }
            };
            let combined = self.combiner.combine(&batch).map_err(unreadable)?;
            let Partial { source, aggregate, .. } = combined.to_partial();
            let mut digest = 0;
            // Only the last batch's is stored: that of the last one with records, if batches without any follow.
            if batch.next >= end || batch.next > source.next || self.audit.is_last(partition, source.first) {
                self.bytes.clear();
                combined.encode_into(&mut self.bytes);
                digest = codec::digest(&self.bytes);
            }
            self.audit.batch(partition, source, batch.next, &aggregate, digest)?;
            let offsets = u64::try_from(batch.next.saturating_sub(batch.first)).unwrap_or(0);
            self.progress.read = self.progress.read.saturating_add(offsets);
            if self.emitted.elapsed() >= PROGRESS_PERIOD {
                self.emitted = Instant::now();
                (self.emit)(self.progress);
            }
        }
        Ok(())
    }

    fn emit(&mut self) {
        if self.emitted.elapsed() >= PROGRESS_PERIOD {
            self.emitted = Instant::now();
            (self.emit)(self.progress);
        }
    }
}
