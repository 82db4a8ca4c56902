//! Isotherm's integration tests, one binary: the index.
//!
//! Every test goes through the binaries (`raw` looks at the consumer's own reader besides), against a node of its own on
//! a free loopback port.
//!
//! With `ISOTHERM_TEST_CLUSTER=HOST:PORT` they run against the Fluvio cluster at that address instead. Tests that kill or stop
//! their node, look into its folder, or delete topics keep a node of their own, and so does the demo. Of `crash` the node
//! is then not killed. What the others create stays on that cluster: the stock controller can leave a partition offline that
//! is created right after another topic was deleted.

mod util;

mod bounded;
mod commands;
mod compression;
mod crash;
mod dead_letters;
mod delivery;
#[cfg(target_os = "linux")]
mod demo;
mod exactness;
mod files;
mod followed;
mod gate;
mod kafka;
mod layers;
mod ledger;
mod limits;
mod live;
mod modules;
mod native;
mod outage;
mod partitions;
mod pipes;
mod raw;
mod reconnect;
mod replaced_topic;
mod retention;
mod slow_producer;
mod slow_reader;
mod stopping;
mod store;
#[cfg(target_os = "linux")]
mod terminal;
mod unfinished_letters;
mod verify;
mod why;
