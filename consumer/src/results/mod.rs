//! The JSON that documents promise: `jsonl` has results, `ledger` and `why` what these subcommands answer. This file has what they
//! share: how a number, a time and a count by reason are written.

pub mod jsonl;
pub mod ledger;
pub mod why;

use std::fmt::Display;

use isotherm_model::fixed::{Fixed, Micros};
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::time::{Millis, Utc};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A value as JSON text, without white space.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Only a map whose keys are no texts, or a value that refuses, has no JSON. None of ours is of the kind.
    serde_json::to_string(value).unwrap_or_default()
}

/// A fixed-point number with at most six decimals and no trailing zeros. A float could not hold every one.
struct Decimal(i128);

impl From<Fixed> for Decimal {
    fn from(value: Fixed) -> Self {
        Self(value.micros().into())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(Micros(self.0).to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// As its text.
fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// In UTC, with milliseconds only where there are any.
pub(crate) fn time<S: Serializer>(time: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Utc(*time))
}

fn maybe_time<S: Serializer>(time: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&Utc(*time)),
        None => serializer.serialize_none(),
    }
}

/// The reasons that occurred: `{"not-json":1,"future":2}`.
fn reasons<S: Serializer>(rejected: &RejectedCounts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(rejected.iter().map(|(reason, count)| (reason.name(), count)))
}
