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
use fluvio_protocol::link::versions::{ApiVersionsResponse, PlatformVersion};
use fluvio_sc_schema::objects::ObjectApiListRequest;
use fluvio_sc_schema::{AdminPublicApiKey as Key, TryEncodableFrom};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, Handler, not_offered, offer};
use crate::state::Shared;
use crate::wire::{Incoming, Reply, Sender, guarded};

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
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream) -> io::Result<()> {
    let host = stream.local_addr()?.ip();
    let make = |sender, stop| Connection { shared: shared.clone(), sender, host, watches: Arc::default(), stop };
    connection::serve(&shared, stream, make).await
}

impl Handler for Connection {
    fn offers() -> ApiVersionsResponse {
        let keys = [Key::Create, Key::Delete, Key::List, Key::Watch, Key::Update];
        ApiVersionsResponse {
            // All of them have one version, that of the objects.
            api_keys: keys.map(|key| offer(key as i16, MIN_VERSION, ObjectApiListRequest::MAX_API_VERSION)).into(),
            platform_version: PlatformVersion::from(PLATFORM),
            ..Default::default()
        }
    }

    async fn handle(&mut self, incoming: Incoming) -> io::Result<Option<Reply>> {
        match Key::try_from(incoming.header.api_key())? {
            Key::Create => incoming.answer(&admin::create(&self.shared, incoming.decode()?).await?),
            Key::Delete => incoming.answer(&admin::delete(&self.shared, incoming.decode()?).await?),
            Key::Update => incoming.answer(&admin::update(&self.shared, incoming.decode()?).await?),
            Key::List => {
                let version = incoming.header.api_version();
                incoming.answer(&admin::list(&self.shared, self.host, &incoming.decode()?, version)?)
            }
            Key::Watch => watch::start(self, &incoming.decode()?, incoming.header).map(|()| None),
            key @ (Key::ApiVersion | Key::Mirroring) => Err(not_offered(key)),
        }
    }
}

fn downcast<A: TryEncodableFrom<T>, T>(request: &A) -> io::Result<Option<T>> {
    guarded(|| request.downcast().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string())))
}
