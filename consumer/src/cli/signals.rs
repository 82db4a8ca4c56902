//! Ctrl-C and SIGTERM.

use tokio_util::sync::CancellationToken;

/// Cancels `shutdown` at the first Ctrl-C or SIGTERM. A second one ends the process at once, with 130: output may be
/// blocked by a reader that does not read.
pub(super) fn watch(shutdown: CancellationToken) {
    tokio::spawn(async move {
        next().await;
        shutdown.cancel();
        next().await;
        std::process::exit(i32::from(super::execute::INTERRUPTED));
    });
}

#[cfg(unix)]
async fn next() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => ctrl_c().await,
    }
}

#[cfg(not(unix))]
async fn next() {
    ctrl_c().await;
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Signals cannot be had here: the process ends the way the system ends it.
        std::future::pending::<()>().await;
    }
}
