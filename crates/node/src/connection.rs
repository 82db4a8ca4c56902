//! One connection, from its first request to its last reply; the same for controller and SPU.
//!
//! Requests are handled one after the other. When the client closes its side, sends what cannot be understood, or the
//! node ends, the connection reads no more; but it still answers what was handled. If the acknowledgement of a stored batch
//! were lost, the client would send the batch again. The wait for a client that takes no answers is bounded.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fluvio_protocol::api::{Request, RequestHeader};
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsRequest, ApiVersionsResponse};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::state::Shared;
use crate::wire::{Frames, Incoming, Reply, Sender};

/// How long the replies of a connection that ends may take to be written; less than the end of the node waits.
const LINGER: Duration = Duration::from_secs(4);

/// How long a client may process its last answers before the connection closes, when the node ends. The published client may
/// drop an answer, and report only the end of the connection, when it sees both at once.
const SETTLE: Duration = Duration::from_millis(50);

/// What answers the requests of one connection. Dropping it lets go of the connection's writer.
pub(crate) trait Handler {
    /// The requests that this port offers, and their versions.
    fn offers() -> ApiVersionsResponse;

    /// Answers one request; with `None` something else does, later. An error ends the connection.
    fn handle(&mut self, incoming: Incoming) -> impl Future<Output = io::Result<Option<Reply>>> + Send;
}

/// Requests of this kind are offered in these versions.
pub(crate) fn offer(api_key: i16, min_version: i16, max_version: i16) -> ApiVersionKey {
    ApiVersionKey { api_key, min_version, max_version }
}

/// Serves one client until it goes, the node ends, or it sends what cannot be understood. `make` gets the sender of answers
/// and a token that is cancelled when the connection ends.
pub(crate) async fn serve<H: Handler>(
    shared: &Arc<Shared>,
    stream: TcpStream,
    make: impl FnOnce(Sender, CancellationToken) -> H,
) -> io::Result<()> {
    let stop = shared.stop.child_token();
    let node_ends = shared.stop.clone();
    let settled = async move {
        if node_ends.is_cancelled() {
            tokio::time::sleep(SETTLE).await;
        }
    };
    let (read, write) = stream.into_split();
    let (sender, writer) = Sender::new(write, settled);
    let writer = shared.tasks.spawn(write_on(writer, stop.clone()));
    let stop_streams = stop.clone().drop_guard();
    let mut frames = Frames::new(read);
    let handler = make(sender.clone(), stop.clone());
    let ended = handle_all(handler, sender, &mut frames, &stop).await;
    drop(stop_streams);
    // It ends when all senders are dropped, and logs its own errors.
    let _ = writer.await;
    frames.discard();
    ended
}

async fn handle_all<H: Handler>(
    mut handler: H,
    sender: Sender,
    frames: &mut Frames<OwnedReadHalf>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let offers = H::offers();
    loop {
        let incoming = tokio::select! {
            incoming = frames.next() => incoming?,
            () = stop.cancelled() => None,
        };
        let Some(incoming) = incoming else {
            return Ok(());
        };
        check_version(&incoming.header, &offers.api_keys)?;
        let reply = if incoming.header.api_key() == ApiVersionsRequest::API_KEY {
            let _: ApiVersionsRequest = incoming.decode()?;
            incoming.answer(&offers)?
        } else {
            handler.handle(incoming).await?
        };
        if let Some(reply) = reply {
            // If the client has gone, the next read fails.
            let _ = sender.send(reply).await;
        }
    }
}

/// Refuses a version that is not offered: its body would be read as something else.
fn check_version(header: &RequestHeader, offers: &[ApiVersionKey]) -> io::Result<()> {
    let (key, version) = (header.api_key(), header.api_version());
    let known = match offers.iter().find(|offer| offer.api_key as u16 == key) {
        Some(offer) => offer.min_version..=offer.max_version,
        None if key == ApiVersionsRequest::API_KEY => 0..=ApiVersionsRequest::MAX_API_VERSION,
        None => return Ok(()),
    };
    if known.contains(&version) {
        return Ok(());
    }
    let message = format!("a request {key} of version {version}; known are {} to {}", known.start(), known.end());
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

/// The error for a request that is not offered.
pub(crate) fn not_offered(key: impl Debug) -> io::Error {
    let message = format!("a request {key:?}, which this node does not serve and does not offer");
    io::Error::new(io::ErrorKind::Unsupported, message)
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
