//! Fluvio's frames: an i32 length, then for a request its header and body, for a response the request's correlation id
//! and body.
//!
//! - `frame` reads frames, within bounds
//! - `guard` decodes what is in them
//! - `sender` writes them, from any number of tasks

mod frame;
mod guard;
mod sender;

pub(crate) use frame::{Frames, Incoming};
pub(crate) use guard::guarded;
pub(crate) use sender::{Gone, Reply, Sender};
