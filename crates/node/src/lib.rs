//! One process that speaks Fluvio's wire protocol as controller (SC) and SPU, for newcomers and tests.
//!
//! The published Rust client and the `fluvio` CLI work against it unchanged. It keeps topics, SmartModules and logs in
//! one folder, runs SmartModules with Fluvio's own engine, and knows nothing of what the records say. What it does not do
//! (replication, other SPUs, mirrors, deduplication, consumer offsets, connectors, TLS) it refuses. `docs/node.md` is the
//! account of both.
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
//! `server` accepts · `connection` serves · `wire` frames · `controller` and `broker` answer · `catalog` and `log` keep · `engine` runs
//! SmartModules. Each uses only what stands right of it.

mod broker;
mod catalog;
mod config;
mod connection;
mod controller;
mod engine;
mod error;
mod lock;
mod log;
mod server;
mod state;
mod wire;

pub use config::{Config, DEFAULT_PORT, DEFAULT_RETENTION_CHECK};
pub use error::NodeError;
pub use log::{LogError, PartitionId};
pub use server::{Node, run};
