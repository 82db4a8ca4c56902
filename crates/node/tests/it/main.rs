//! The node through the published client, and through plain sockets.
//!
//! | module | what |
//! | --- | --- |
//! | `records` | produce and consume: offsets, keys, compressions, partitions, tailing, byte limits |
//! | `modules` | SmartModules: batch-exact answers, chains, limits, failures, in produce requests |
//! | `topics` | made, enlarged, deleted, refused; what clients that are connected see of it |
//! | `retention` | what goes by size, and what clients see of it |
//! | `restart` | what is there after an end, a kill, a torn tail; two nodes on one folder |
//! | `limits` | what a node lacks or loses: readers of its outputs, descriptors, memory, room, its folder |
//! | `ends` | connections that end, or do not read: what was stored is acknowledged, others go on |
//! | `hostile` | bytes that no client would send |

mod ends;
mod hostile;
mod limits;
mod modules;
mod records;
mod restart;
mod retention;
mod support;
mod topics;
