//! The store against a plain model, against damage, and against other consumers.

mod damage;
mod migrating;
mod opening;
mod outbox;
mod place;
mod round_trip;
mod standing;
mod taking_over;
mod windows;
mod world;
