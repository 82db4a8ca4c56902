//! Ctrl-C and SIGTERM.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::execute::INTERRUPTED;

/// A stop that takes longer wants a word.
const LONG: Duration = Duration::from_secs(1);

/// Signals that come together are one: `timeout` sends its own to the process, and to the process group at once.
#[cfg(unix)]
const ONE_STOP: Duration = Duration::from_millis(100);

/// Cancels `shutdown` at the first Ctrl-C or SIGTERM. A second one ends the process at once, with 130, from within the
/// signal's handler: output may be blocked by a reader that does not read, and all threads with it.
///
/// # Errors
/// Signals cannot be had here.
#[cfg(unix)]
pub(super) fn watch(shutdown: CancellationToken) -> io::Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&armed))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let arm = move || {
        if signals.forever().next().is_some() {
            std::thread::sleep(ONE_STOP);
            armed.store(true, Ordering::SeqCst);
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(arm)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        shutdown.cancel();
        say_what_helps().await;
    });
    Ok(())
}

/// Says how to stop at once, if stopping takes long: for readers of results, dead letters, or a commit.
async fn say_what_helps() {
    tokio::time::sleep(LONG).await;
    info!("still stopping; once more to stop at once");
}

/// As above, for Ctrl-C alone.
#[cfg(not(unix))]
pub(super) fn watch(shutdown: CancellationToken) -> io::Result<()> {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            shutdown.cancel();
            tokio::spawn(say_what_helps());
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    Ok(())
}
