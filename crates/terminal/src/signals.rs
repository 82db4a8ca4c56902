//! Ctrl-C and SIGTERM: the first one stops a program in good order, a second one at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tokio_util::sync::CancellationToken;

/// The exit code of a program that was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Signals that come together are one: `timeout` sends its own to the process, and to the process group at once.
const ONE_STOP: Duration = Duration::from_millis(100);

/// Cancels `shutdown` at the first Ctrl-C or SIGTERM. From a tenth of a second later, another one ends the process with
/// [`INTERRUPTED`], from within the signal's handler: all threads may be blocked by a reader that does not read. When that has
/// begun, `stopping` is called, on a thread that it may hold.
///
/// # Errors
/// The system refuses a handler or a thread.
pub fn watch(shutdown: CancellationToken, stopping: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&armed))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stop = move || {
        if signals.forever().next().is_none() {
            return;
        }
        shutdown.cancel();
        thread::sleep(ONE_STOP);
        armed.store(true, Ordering::SeqCst);
        stopping();
    };
    thread::Builder::new().name("signals".to_owned()).spawn(stop)?;
    Ok(())
}
