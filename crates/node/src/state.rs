//! What the connections of a node share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::watchers::Watchers;

pub(crate) struct Shared {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) engine: Engine,
    /// A permit for each chain of modules that may be compiled at a time, one a processor. More at a time would all finish
    /// late, after the first clients have given up.
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
