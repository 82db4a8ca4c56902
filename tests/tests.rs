//! Isotherm's integration tests, one binary: the index.
//!
//! Every test goes through the binaries (`raw` looks at the consumer's own reader besides), against a node of its own on
//! a free loopback port. With `ISOTHERM_TEST_CLUSTER=HOST:PORT` the same tests run against the Fluvio cluster at that
//! address instead; only those that kill their node (in `reconnect`, `outage`, `delivery`, `stopping`, `dead_letters`, `letters_left` and `raw`;
//! `crash` then kills the others alone), and the demo, which brings its own, keep a node of their own.

mod util;

mod anew;
mod commands;
mod compression;
mod crash;
mod dead_letters;
mod delivery;
#[cfg(target_os = "linux")]
mod demo;
mod exactness;
mod gate;
mod ledger;
mod letters;
mod letters_left;
mod live;
mod modules;
mod outage;
mod partitions;
mod pipes;
mod raw;
mod reconnect;
mod retention;
mod stopping;
mod store;
#[cfg(target_os = "linux")]
mod terminal;
mod unread;
mod verify;
mod why;
