//! The plain reference: what a run must come to, computed from the log with maps and sets, written for clarity alone. It shares no
//! code with the materializer, the audit or a store. The engine's property tests and the simulation both use it.
//!
//! [`log`] is the input. [`model`] takes the same events as the materializer and says, from the rules of `docs/semantics.md`,
//! which windows close and which partitions pause; [`expected`] keeps what became of each reading; [`results`] computes windows,
//! totals and accounts from that.

#![allow(dead_code, reason = "each crate that includes this reference uses a part of it")]

pub(crate) mod expected;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod results;
pub(crate) mod scratch;
