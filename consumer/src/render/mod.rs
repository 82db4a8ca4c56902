//! What people read.

pub mod hints;
