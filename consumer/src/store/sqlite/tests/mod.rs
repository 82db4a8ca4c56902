//! The store against a plain model, against damage, and against other consumers.

mod damage;
mod opening;
mod outbox;
mod place;
mod round_trip;
mod windows;
mod world;
