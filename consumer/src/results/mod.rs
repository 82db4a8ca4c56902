//! What the consumer says: closed windows and totals, and what can be asked of a store. `jsonl` gives results the bytes that
//! documents promise, `ledger` and `why` the answers of these subcommands.

pub mod jsonl;
pub mod ledger;
pub mod why;

use std::fmt::{self, Display, Formatter};

use isotherm_model::rejection::RejectedCounts;
use isotherm_model::time::Utc;
use isotherm_model::window::Millis;

/// `{"not-json":1,"future":2}`: the reasons that occurred.
struct Reasons<'a>(&'a RejectedCounts);

impl Display for Reasons<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (reason, count)) in self.0.iter().enumerate() {
            write!(f, r#"{}"{reason}":{count}"#, if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

/// See [`list`].
struct List<'a, T, P>(&'a [T], P);

/// A list, each item printed by `print`.
fn list<T, P: Fn(&T, &mut Formatter<'_>) -> fmt::Result>(items: &[T], print: P) -> List<'_, T, P> {
    List(items, print)
}

impl<T, P: Fn(&T, &mut Formatter<'_>) -> fmt::Result> Display for List<'_, T, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, item) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            (self.1)(item, f)?;
        }
        f.write_str("]")
    }
}

/// A value, or `null`.
struct Maybe<T>(Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// An instant, as a JSON string.
struct Instant(Millis);

impl Display for Instant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, r#""{}""#, Utc(self.0))
    }
}
