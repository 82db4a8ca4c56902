//! One process that speaks Fluvio's wire protocol as controller (SC) and SPU, for newcomers and tests.
//!
//! The published Rust client and the `fluvio` CLI work against it unchanged. It keeps topics, SmartModules and logs in
//! one folder, runs SmartModules with Fluvio's own engine, and knows nothing about readings. It refuses what it does not do
//! (replication, other SPUs, mirrors, deduplication, consumer offsets, connectors, TLS). `docs/node.md` lists both.
//!
//! ```no_run
//! # async fn example() -> Result<(), isotherm_node::NodeError> {
//! use isotherm_node::{Config, Node};
//!
//! let node = Node::bind(Config::new("/tmp/node").on_free_ports()).await?;
//! println!("fluvio profile add local {} local", node.address());
//! node.run(std::future::pending()).await
//! # }
//! ```
//!
//! # Layers
//! `server` accepts · `controller` and `broker` answer · `connection` serves one client · `state` and `watchers` are shared by
//! all connections · `engine` runs SmartModules · `catalog` and `log` keep · `wire` frames · `place` and `reason`
//! know files and the system's refusals. Each uses only what is to its right.

mod broker;
mod catalog;
mod config;
mod connection;
mod controller;
mod engine;
mod error;
mod lock;
mod log;
mod place;
mod reason;
mod server;
mod state;
mod watchers;
mod wire;

pub use config::{Config, DEFAULT_PORT, DEFAULT_RETENTION_CHECK};
pub use error::NodeError;
pub use log::{LogError, PartitionId};
pub use server::{Node, run};
