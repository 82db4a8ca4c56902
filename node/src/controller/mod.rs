//! The controller's side of the protocol: topics, partitions, SmartModules, and who serves them.
//!
//! - `objects` what the node knows, in the protocol's shapes
//! - `admin` create, delete, enlarge, list
//! - `watch` changes, pushed to clients

mod admin;
mod objects;
mod watch;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use fluvio_protocol::api::Request;
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsRequest, ApiVersionsResponse, PlatformVersion};
use fluvio_sc_schema::objects::{
    ObjectApiCreateRequest, ObjectApiDeleteRequest, ObjectApiListRequest, ObjectApiUpdateRequest, ObjectApiWatchRequest,
};
use fluvio_sc_schema::{AdminPublicApiKey as Key, TryEncodableFrom};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::broker::end_with;
use crate::state::Shared;
use crate::wire::{Frames, Incoming, Reply, Sender};

pub(crate) use watch::Watchers;

/// The version of the Fluvio platform whose protocol this is.
const PLATFORM: semver::Version = semver::Version::new(0, 18, 1);

/// The first version with objects in their present frame.
const MIN_VERSION: i16 = 15;

/// One connection to the controller.
struct Connection {
    shared: Arc<Shared>,
    sender: Sender,
    /// The address that this client reached the node at, which is where it finds the SPU too.
    host: IpAddr,
    stop: CancellationToken,
}

/// Serves one client until it goes, the node ends, or it sends what cannot be understood.
pub(crate) async fn serve<R, W>(shared: Arc<Shared>, host: IpAddr, read: R, write: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let stop = shared.stop.child_token();
    let (sender, writer) = Sender::new(write);
    shared.tasks.spawn(end_with(writer, stop.clone()));
    let _stop_watches = stop.clone().drop_guard();
    let connection = Connection { shared, sender, host, stop: stop.clone() };
    let mut frames = Frames::new(read);
    loop {
        let incoming = tokio::select! {
            incoming = frames.next() => incoming?,
            () = stop.cancelled() => None,
        };
        let Some(incoming) = incoming else {
            return Ok(());
        };
        connection.handle(incoming).await?;
    }
}

impl Connection {
    async fn handle(&self, mut incoming: Incoming) -> io::Result<()> {
        let key = Key::try_from(incoming.header.api_key())?;
        let version = incoming.header.api_version();
        let versions = match key {
            Key::ApiVersion => 0..=ApiVersionsRequest::MAX_API_VERSION,
            _ => MIN_VERSION..=ObjectApiCreateRequest::MAX_API_VERSION,
        };
        if !versions.contains(&version) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a request {key:?} of version {version}; known are {} to {}", versions.start(), versions.end()),
            ));
        }
        match key {
            Key::ApiVersion => {
                let _: ApiVersionsRequest = incoming.decode()?;
                self.reply(&incoming, &api_versions()).await
            }
            Key::Create => {
                let request = incoming.decode()?;
                let status = admin::create(&self.shared, request).await?;
                self.reply(&incoming, &status).await
            }
            Key::Delete => {
                let request = incoming.decode()?;
                let status = admin::delete(&self.shared, request).await?;
                self.reply(&incoming, &status).await
            }
            Key::Update => {
                let request = incoming.decode()?;
                let status = admin::update(&self.shared, request).await?;
                self.reply(&incoming, &status).await
            }
            Key::List => {
                let request: ObjectApiListRequest = incoming.decode()?;
                let list = admin::list(&self.shared, self.host, &request, version)?;
                self.reply(&incoming, &list).await
            }
            Key::Watch => {
                let request: ObjectApiWatchRequest = incoming.decode()?;
                watch::start(self, incoming.header, &request)
            }
            Key::Mirroring => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a request for mirroring, which this node does not do and does not offer",
            )),
        }
    }

    async fn reply<T: fluvio_protocol::Encoder>(&self, incoming: &Incoming, response: &T) -> io::Result<()> {
        let reply = Reply::new(&incoming.header, response)?;
        // If the client has gone, reading says so next.
        let _ = self.sender.send(reply).await;
        Ok(())
    }
}

fn api_versions() -> ApiVersionsResponse {
    let range = |key: Key, max_version| ApiVersionKey { api_key: key as i16, min_version: MIN_VERSION, max_version };
    ApiVersionsResponse {
        api_keys: vec![
            range(Key::Create, ObjectApiCreateRequest::MAX_API_VERSION),
            range(Key::Delete, ObjectApiDeleteRequest::MAX_API_VERSION),
            range(Key::List, ObjectApiListRequest::MAX_API_VERSION),
            range(Key::Watch, ObjectApiWatchRequest::MAX_API_VERSION),
            range(Key::Update, ObjectApiUpdateRequest::MAX_API_VERSION),
        ],
        platform_version: PlatformVersion::from(PLATFORM),
        ..Default::default()
    }
}

fn downcast<A: TryEncodableFrom<T>, T>(request: &A) -> io::Result<Option<T>> {
    request.downcast().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}
