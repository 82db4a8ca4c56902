//! What all connections of a node share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::controller::Watchers;
use crate::engine::Engine;

/// What all connections of a node share.
pub(crate) struct Shared {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) engine: Engine,
    /// A place for each chain of modules that is compiled at a time: as many as there are processors. More would all be
    /// done late, when those who asked first have given up waiting.
    pub(crate) compiling: Semaphore,
    pub(crate) watchers: Watchers,
    /// The port that the SPU listens on.
    pub(crate) spu_port: u16,
    /// Cancelled when the node ends.
    pub(crate) stop: CancellationToken,
    /// All tasks of the node.
    pub(crate) tasks: TaskTracker,
}

impl Shared {
    /// Runs `work`, which blocks, where blocking does no harm. `None` if it panicked, which has been logged.
    pub(crate) async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self.tasks.spawn_blocking(work).await {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::error!(%error, "work on a thread of its own failed");
                None
            }
        }
    }
}
