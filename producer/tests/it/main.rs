//! The producer from outside.
//!
//! - [`simulation`]: what simulated readings are: golden bytes, and the laws of walk, draw, disorder and faults
//! - [`running`]: a whole run into memory: counts, replays, interruption, failing inputs and sinks
//! - [`program`]: the binary: its options, output, signals and exit codes

mod program;
mod running;
mod simulation;
