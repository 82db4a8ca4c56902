//! One connection, from its first request to its last reply; the same for controller and SPU.
//!
//! Requests are handled one after the other. When the client closes its side, sends what cannot be understood, or the
//! node ends, the connection reads no more; but it still answers what was handled. If the acknowledgement of a stored batch
//! were lost, the client would send the batch again. The wait for a client that takes no answers is bounded.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::state::Shared;
use crate::wire::{Frames, Incoming, Sender};

/// How long the replies of a connection that ends may take to be written; less than the end of the node waits.
const LINGER: Duration = Duration::from_secs(4);

/// How long a client may process its last answers before the connection closes, when the node ends. The published client may
/// drop an answer, and report only the end of the connection, when it sees both at once.
const SETTLE: Duration = Duration::from_millis(50);

/// What answers the requests of one connection. Dropping it lets go of the connection's writer.
pub(crate) trait Handler {
    /// Answers one request. An error ends the connection.
    fn handle(&mut self, incoming: Incoming) -> impl Future<Output = io::Result<()>> + Send;
}

/// Serves one client until it goes, the node ends, or it sends what cannot be understood. `make` gets the sender of answers
/// and a token that is cancelled when the connection ends.
pub(crate) async fn serve<R, W, H>(
    shared: &Arc<Shared>,
    read: R,
    write: W,
    make: impl FnOnce(Sender, CancellationToken) -> H,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let stop = shared.stop.child_token();
    let node_ends = shared.stop.clone();
    let settled = async move {
        if node_ends.is_cancelled() {
            tokio::time::sleep(SETTLE).await;
        }
    };
    let (sender, writer) = Sender::new(write, settled);
    let writer = shared.tasks.spawn(write_on(writer, stop.clone()));
    let stop_streams = stop.clone().drop_guard();
    let mut handler = make(sender, stop.clone());
    let mut frames = Frames::new(read);
    let ended = handle_all(&mut handler, &mut frames, &stop).await;
    drop(handler);
    drop(stop_streams);
    // It ends when all senders are dropped, and logs its own errors.
    let _ = writer.await;
    frames.discard();
    ended
}

async fn handle_all<R: AsyncRead + Unpin>(
    handler: &mut impl Handler,
    frames: &mut Frames<R>,
    stop: &CancellationToken,
) -> io::Result<()> {
    loop {
        let incoming = tokio::select! {
            incoming = frames.next() => incoming?,
            () = stop.cancelled() => None,
        };
        let Some(incoming) = incoming else {
            return Ok(());
        };
        handler.handle(incoming).await?;
    }
}

/// Runs a connection's writer to its end, or for a bounded time once the connection ends; then ends the connection.
async fn write_on(writer: impl Future<Output = io::Result<()>>, stop: CancellationToken) {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    let written = tokio::select! {
        written = writer => written,
        () = too_late => Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its last answers")),
    };
    if let Err(error) = written {
        debug!(%error, "a connection cannot be written to");
    }
    stop.cancel();
}
