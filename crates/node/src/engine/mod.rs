//! SmartModules, run by the engine that Fluvio's SPU runs.
//!
//! - `chain` from a request's invocations to a chain of modules ready to run
//! - `apply` a chain applied to the log, stored batch by stored batch
//! - `look_back` the records that a module gets before it starts
//!
//! All of it blocks, and belongs on threads that may block. A module has a bound on memory (1 GB) but none on time, as on
//! the SPU: its deployer is responsible for it.

mod apply;
mod chain;
mod look_back;

pub(crate) use apply::{ChainOutput, RunningChain, transform};
pub(crate) use chain::Engine;
