//! The settings of a node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The controller's default port: that of a Fluvio cluster.
pub const DEFAULT_PORT: u16 = 9003;

/// How often a node looks for what retention does not keep, by default: as often as the SPU.
pub const DEFAULT_RETENTION_CHECK: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the node keeps everything; created if it does not exist.
    pub data: PathBuf,
    /// Where the controller listens, which is the address that clients are given. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the SPU listens. `None`: the same address, the controller's port + 1 if it is free, otherwise any.
    pub listen_spu: Option<SocketAddr>,
    /// Whether an acknowledged batch is on the disk, not just with the operating system. Slower.
    pub fsync: bool,
    /// How many bytes a file of a partition gets before the partition starts a new one, unless the topic sets another size.
    pub segment_bytes: u64,
    /// How often the node looks for segments that a topic's retention does not keep.
    pub retention_check: Duration,
}

impl Config {
    /// The defaults, for a data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            listen: (Ipv4Addr::LOCALHOST, DEFAULT_PORT).into(),
            listen_spu: None,
            fsync: false,
            segment_bytes: 1 << 30,
            retention_check: DEFAULT_RETENTION_CHECK,
        }
    }

    /// The same, listening on free ports of the loopback device.
    pub fn on_free_ports(mut self) -> Self {
        self.listen = (Ipv4Addr::LOCALHOST, 0).into();
        self.listen_spu = Some(self.listen);
        self
    }
}
