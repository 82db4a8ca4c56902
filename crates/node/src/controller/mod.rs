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

use crate::connection::{self, Handler};
use crate::state::Shared;
use crate::wire::{Incoming, Sender, guarded};

/// The version of the Fluvio platform whose protocol this is.
const PLATFORM: semver::Version = semver::Version::new(0, 18, 1);

/// The first version whose requests have today's layout of objects.
const MIN_VERSION: i16 = 15;

/// One connection to the controller.
struct Connection {
    shared: Arc<Shared>,
    sender: Sender,
    /// The address that this client reached the node at, which is where it finds the SPU too.
    host: IpAddr,
    /// Held once by each watch too, which counts them.
    watches: Arc<()>,
    stop: CancellationToken,
}

/// Serves one client until it goes, the node ends, or it sends what cannot be understood.
pub(crate) async fn serve<R, W>(shared: Arc<Shared>, host: IpAddr, read: R, write: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let make = |sender, stop| Connection { shared: shared.clone(), sender, host, watches: Arc::default(), stop };
    connection::serve(&shared, read, write, make).await
}

impl Handler for Connection {
    async fn handle(&mut self, mut incoming: Incoming) -> io::Result<()> {
        let key = Key::try_from(incoming.header.api_key())?;
        let version = incoming.header.api_version();
        let versions = match key {
            Key::ApiVersion => 0..=ApiVersionsRequest::MAX_API_VERSION,
            _ => MIN_VERSION..=ObjectApiCreateRequest::MAX_API_VERSION,
        };
        incoming.check_version(key, &versions)?;
        match key {
            Key::ApiVersion => {
                let _: ApiVersionsRequest = incoming.decode()?;
                self.sender.reply(&incoming, &api_versions()).await
            }
            Key::Create => {
                let request = incoming.decode()?;
                let status = admin::create(&self.shared, request).await?;
                self.sender.reply(&incoming, &status).await
            }
            Key::Delete => {
                let request = incoming.decode()?;
                let status = admin::delete(&self.shared, request).await?;
                self.sender.reply(&incoming, &status).await
            }
            Key::Update => {
                let request = incoming.decode()?;
                let status = admin::update(&self.shared, request).await?;
                self.sender.reply(&incoming, &status).await
            }
            Key::List => {
                let request: ObjectApiListRequest = incoming.decode()?;
                let list = admin::list(&self.shared, self.host, &request, version)?;
                self.sender.reply(&incoming, &list).await
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
    guarded(|| request.downcast().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string())))
}
