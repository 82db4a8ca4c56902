//! Combines batches on threads that may take all the time they need.

use std::sync::{Arc, Mutex, PoisonError};

use isotherm_model::codec;
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::log::{BatchCombiner, LogBatch};

/// A batch's partial.
pub(super) struct CombinedBatch {
    pub(super) partial: Partial,
    pub(super) digest: u64,
    pub(super) bytes: usize,
    /// Where the next batch begins.
    pub(super) next: i64,
}

/// A batch that cannot be read: what is wrong with it.
pub(super) struct Unreadable(pub(super) String);

/// What a task gives: the batches it combined in order, and why not all, if it did not combine all.
pub(super) type Chunk = (Vec<CombinedBatch>, Option<Unreadable>);

/// As many workers as there are processors, and what they keep from one batch to the next.
#[derive(Clone)]
pub(super) struct Workers {
    settings: Settings,
    idle: Arc<Mutex<Vec<BatchCombiner>>>,
    processors: Arc<Semaphore>,
}

impl Workers {
    pub(super) fn new(settings: &Settings) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { settings: settings.clone(), idle: Arc::default(), processors: Arc::new(Semaphore::new(processors)) }
    }

    /// Combines batches in the background.
    pub(super) fn start(&self, batches: Vec<LogBatch>) -> JoinHandle<Chunk> {
        let workers = self.clone();
        tokio::spawn(async move {
            let _processor = workers.processors.clone().acquire_owned().await;
            let combined = tokio::task::spawn_blocking(move || workers.combine(&batches)).await;
            combined.unwrap_or_else(|error| (Vec::new(), Some(Unreadable(error.to_string()))))
        })
    }

    /// Combines batches now.
    pub(super) fn combine(&self, batches: &[LogBatch]) -> Chunk {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut combiner = idle.unwrap_or_else(|| BatchCombiner::new(&self.settings));
        let mut combined = Vec::with_capacity(batches.len());
        let mut unreadable = None;
        for batch in batches {
            match combiner.encode(batch) {
                Ok((partial, bytes)) => combined.push(CombinedBatch {
                    partial: partial.to_partial(),
                    digest: codec::digest(bytes),
                    bytes: bytes.len(),
                    next: batch.next,
                }),
                Err(what) => {
                    unreadable = Some(Unreadable(what));
                    break;
                }
            }
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(combiner);
        (combined, unreadable)
    }
}
