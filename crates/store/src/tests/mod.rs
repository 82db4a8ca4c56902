//! The store against a plain model, against damage, and against other consumers.

mod damage;
mod full;
mod missing;
mod opening;
mod outbox;
mod place;
mod plain_sql;
mod round_trip;
mod standing;
mod taking_over;
mod windows;
mod world;
