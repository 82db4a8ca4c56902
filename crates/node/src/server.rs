//! Listeners, connections, start and end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::reason::plain;
use crate::state::Shared;
use crate::watchers::Watchers;
use crate::{Config, NodeError, broker, controller};

/// How long the end of a node waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);
/// How long a listener waits after it could not accept, as when no file handle is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the log mentions it, at most.
const ACCEPT_SILENCE: Duration = Duration::from_secs(10);
/// How long a connection may be silent before the operating system probes whether the client is still there, and how often
/// it probes: a client whose computer has gone closes nothing.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));

/// A node that listens: its data folder is open and locked, its addresses are taken.
///
/// Clients may connect from here on, and are served once it runs. Dropping it ends it.
pub struct Node {
    shared: Arc<Shared>,
    controller: TcpListener,
    broker: TcpListener,
    address: SocketAddr,
    spu_address: SocketAddr,
    retention_check: Duration,
    _stop: DropGuard,
}

impl Node {
    /// Opens the data folder and takes the addresses.
    ///
    /// # Errors
    /// If the folder is in use, cannot be used or is damaged, or an address is taken.
    pub async fn bind(config: Config) -> Result<Self, NodeError> {
        let opened = config.clone();
        let catalog = tokio::task::spawn_blocking(move || Catalog::open(&opened)).await.map_err(|error| {
            NodeError::Folder { action: "open", path: config.data.clone(), source: io::Error::other(error) }
        })??;
        let (controller, address) = listen(config.listen, "--listen").await?;
        let (broker, spu_address) = match config.listen_spu {
            Some(wanted) => listen(wanted, "--listen-spu").await?,
            None => listen_near(address).await?,
        };
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            catalog: Arc::new(catalog),
            engine: Engine::new(),
            compiling: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            watchers: Watchers::default(),
            spu_port: spu_address.port(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        });
        info!(%address, spu = %spu_address, data = %config.data.display(), "listening");
        let retention_check = config.retention_check;
        Ok(Self { shared, controller, broker, address, spu_address, retention_check, _stop: stop.drop_guard() })
    }

    /// Where the controller listens: the address to give to clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the SPU listens; clients learn it from the controller.
    pub fn spu_address(&self) -> SocketAddr {
        self.spu_address
    }

    /// Serves clients until `shutdown` is done, then lets what is under way finish, for some seconds.
    ///
    /// # Errors
    /// None at present: what goes wrong later goes wrong for one client, and is logged.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        let Self { shared, controller, broker, retention_check, _stop, .. } = self;
        tokio::select! {
            () = shutdown => info!("ending"),
            () = accept(&shared, &controller, controller::serve) => {}
            () = accept(&shared, &broker, broker::serve) => {}
            () = clean(&shared, retention_check) => {}
        }
        shared.stop.cancel();
        shared.tasks.close();
        if tokio::time::timeout(GRACE, shared.tasks.wait()).await.is_err() {
            warn!(tasks = shared.tasks.len(), "ended without waiting any longer for what is under way");
        }
        Ok(())
    }
}

/// Binds and runs a node until `shutdown` is done.
///
/// # Errors
/// As [`Node::bind`].
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
    Node::bind(config).await?.run(shutdown).await
}

/// A listener, and the address that it has.
async fn listen(address: SocketAddr, flag: &'static str) -> Result<(TcpListener, SocketAddr), NodeError> {
    let listener = TcpListener::bind(address).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    listener.map_err(|source| NodeError::Listen { address, flag, source })
}

/// On the next port if it is free, otherwise on any.
async fn listen_near(controller: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let at = |port| listen((controller.ip(), port).into(), "--listen-spu");
    if let Some(port) = controller.port().checked_add(1)
        && let Ok(next) = at(port).await
    {
        return Ok(next);
    }
    at(0).await
}

/// Looks after the files, for ever: whether they are in their places, and what the topics' retention does not keep.
async fn clean(shared: &Arc<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let catalog = shared.catalog.clone();
        let work = move || {
            if let Err(fault) = catalog.check_folder() {
                return error!(%fault, "the data folder is lost");
            }
            for log in catalog.all_logs() {
                if let Err(error) = log.clean(SystemTime::now()) {
                    warn!(%error, "a partition's files could not be looked after; it tries again");
                }
            }
        };
        shared.blocking(work).await;
    }
}

/// Accepts for ever; each connection is a task.
async fn accept<F, S>(shared: &Arc<Shared>, listener: &TcpListener, serve: S)
where
    S: Fn(Arc<Shared>, TcpStream) -> F,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut logged: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let set = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE));
                if let Err(error) = set {
                    debug!(%peer, %error, "no TCP_NODELAY or keepalive");
                }
                let served = serve(shared.clone(), stream);
                shared.tasks.spawn(async move {
                    match served.await {
                        Ok(()) => debug!(%peer, "closed"),
                        Err(error) if is_ordinary(&error) => debug!(%peer, %error, "closed"),
                        Err(error) => warn!(%peer, %error, "closed a connection"),
                    }
                });
            }
            Err(error) => {
                if logged.is_none_or(|logged| logged.elapsed() >= ACCEPT_SILENCE) {
                    warn!(error = plain(&error), "cannot accept connections; those that wait are accepted when it can");
                    logged = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether an error means only that the client has gone.
fn is_ordinary(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}
