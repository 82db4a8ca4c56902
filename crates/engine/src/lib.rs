//! The engine: partials become windows, totals and the ledger. Pure: events in, effects out.
//!
//! No clock, file, socket, thread or async lives here, so that a whole run can be replayed from a list of events. What the words
//! mean stands in `docs/semantics.md`.
//!
//! - [`event`] is what a source says and what the engine answers; [`materializer`] turns the one into the other.
//! - [`state`], [`ledger`], [`results`] and [`sensors`] are what a run is made of; [`commit`] is the seam to a store.
//! - [`view`] is a run at one moment, for displays and servers.
//! - [`step`] and [`group`] decide when to commit and what to publish; [`progress`] says how far reading has come.
//! - [`scratch`] is the seam to a scratch file, which takes what is beyond a memory limit.
//! - [`audit`] is the heart of `verify`: it shares no code with the materializer.

pub mod audit;
pub mod commit;
pub mod event;
pub mod group;
pub mod ledger;
pub mod materializer;
mod names;
pub mod progress;
pub mod results;
pub mod scratch;
pub mod sensors;
mod spill;
pub mod state;
pub mod step;
pub mod view;

// The reference in `tests/` names this crate as others do.
#[cfg(test)]
extern crate self as isotherm_engine;
