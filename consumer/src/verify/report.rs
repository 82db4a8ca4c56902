//! What a verification found, and how it is said.

use std::fmt::{self, Display, Formatter, Write};
use std::path::PathBuf;

use isotherm_model::fixed::Micros;
use isotherm_model::json::Quoted;
use isotherm_model::time::Utc;
use isotherm_model::window::Millis;

use crate::materializer::event::PartitionId;
use crate::sinks::table::format::foreign;

/// The most columns that a cell of the table takes.
const MOST_COLUMNS: usize = 240;

/// How many differences are named. What comes later is counted.
pub const MOST_DIFFERENCES: usize = 1_000;

/// Something that is stored otherwise than it is recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: String,
    /// What the store says.
    pub stored: String,
    /// What the log says.
    pub recomputed: String,
}

/// Something that can no longer be recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverifiable {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Closed windows, by how they fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windows {
    /// Recomputed, and the same.
    pub verified: u64,
    /// Recomputed, and another.
    pub different: u64,
    /// What is left of the log gives no more than a part of it.
    pub unverifiable: u64,
    /// The start of the first and of the last one that is unverifiable.
    pub unverifiable_from_to: Option<(Millis, Millis)>,
    /// No longer in the store.
    pub dropped: u64,
    /// Not closed: they count in totals and ledger only.
    pub open: u64,
}

/// What was read again of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAgain {
    /// Which.
    pub partition: PartitionId,
    /// From this offset on.
    pub from: i64,
    /// Up to this one.
    pub to: i64,
    /// How many records there were.
    pub records: u64,
}

/// A verification in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything has been recomputed, and is the same.
    Same,
    /// Nothing differs, and something could not be recomputed, or not wholly.
    Incomplete,
    /// Something differs.
    Different,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Incomplete => "incomplete",
            Self::Different => "different",
        })
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The differences, at most [`MOST_DIFFERENCES`].
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub unlisted: u64,
    /// What cannot be verified.
    pub unverifiable: Vec<Unverifiable>,
    /// The closed windows.
    pub windows: Windows,
    /// The partitions, ascending.
    pub partitions: Vec<ReadAgain>,
}

impl Findings {
    /// Whether all that could be recomputed is as it is stored.
    pub fn is_clean(&self) -> bool {
        self.different() == 0
    }

    /// The one word for it.
    pub fn outcome(&self) -> Outcome {
        match (self.is_clean(), self.unverifiable.is_empty()) {
            (false, _) => Outcome::Different,
            (true, false) => Outcome::Incomplete,
            (true, true) => Outcome::Same,
        }
    }

    /// How many differences there are.
    pub fn different(&self) -> u64 {
        self.unlisted.saturating_add(self.differences.len() as u64)
    }

    /// Notes a difference.
    pub(super) fn differ(&mut self, what: impl Into<String>, stored: impl Display, recomputed: impl Display) {
        if self.differences.len() == MOST_DIFFERENCES {
            self.unlisted = self.unlisted.saturating_add(1);
            return;
        }
        let (stored, recomputed) = (stored.to_string(), recomputed.to_string());
        self.differences.push(Difference { what: what.into(), stored, recomputed });
    }

    /// Notes a difference where there is one.
    pub(super) fn compare<T: PartialEq + Display>(&mut self, what: impl Into<String>, stored: T, recomputed: T) {
        if stored != recomputed {
            self.differ(what, stored, recomputed);
        }
    }

    /// Notes a difference unless `stored` is `least` or up to `more` above.
    pub(super) fn within(&mut self, what: impl Into<String>, stored: u64, least: u64, more: u64) {
        let most = least.saturating_add(more);
        if more == 0 {
            self.compare(what, stored, least);
        } else if stored < least || stored > most {
            self.differ(what, stored, format!("{least} to {most}"));
        }
    }

    /// Notes that something cannot be verified.
    pub(super) fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unverifiable.push(Unverifiable { what: what.into(), why: why.into() });
    }
}

/// A number that may be missing.
pub(super) fn optional(number: Option<impl Display>) -> String {
    number.map_or("none".to_owned(), |number| number.to_string())
}

/// A sum of values.
pub(super) fn micros(sum: i128) -> String {
    Micros(sum).to_string()
}

/// A verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Of which topic.
    pub topic: String,
    /// The run that the store holds.
    pub run: String,
    /// Where the store stands.
    pub store: PathBuf,
    /// The address of the cluster that was asked.
    pub cluster: String,
    /// What was found.
    pub findings: Findings,
}

impl Report {
    /// For people, without the last line feed.
    pub fn text(&self) -> impl Display + '_ {
        Text(self)
    }

    /// One line of JSON, without the line feed: see `docs/verify.md`.
    pub fn json(&self) -> impl Display + '_ {
        Json(self)
    }
}

struct Text<'a>(&'a Report);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { topic, run, store, cluster, findings } = self.0;
        let Findings { differences, unlisted, unverifiable, windows, partitions } = findings;
        let (store, topic, cluster) = (store.display().to_string(), clean(topic), clean(cluster));
        writeln!(f, "{}: run {run} of `{topic}` at {cluster}", clean(&store))?;
        for ReadAgain { partition, from, to, records } in partitions {
            writeln!(f, "partition {partition}: {records} records read again, from offset {from} to {to}")?;
        }
        let Windows { verified, different, unverifiable: lost, dropped, open, .. } = windows;
        let all = verified.saturating_add(*different).saturating_add(*lost);
        write!(f, "closed windows: {verified} of {all} recomputed and the same")?;
        for (number, how) in [(different, "different"), (lost, "unverifiable"), (dropped, "dropped from the store")] {
            if *number > 0 {
                write!(f, ", {number} {how}")?;
            }
        }
        writeln!(f, "; open windows: {open}")?;
        if !unverifiable.is_empty() {
            writeln!(f, "\nUnverifiable:")?;
            for Unverifiable { what, why } in unverifiable {
                writeln!(f, "  {}: {}", clean(what), clean(why))?;
            }
        }
        match findings.outcome() {
            Outcome::Same => return write!(f, "\nEverything is as it is stored."),
            Outcome::Incomplete => return write!(f, "\nAll that can be recomputed is as it is stored."),
            Outcome::Different => {}
        }
        let lines = differences
            .iter()
            .map(|Difference { what, stored, recomputed }| (clean(what), clean(stored), clean(recomputed)));
        let lines: Vec<_> = lines.collect();
        let widest = |widths: &mut dyn Iterator<Item = usize>, title: &str| widths.max().unwrap_or(0).max(title.len());
        let what = widest(&mut lines.iter().map(|(what, ..)| what.chars().count()), "different");
        let stored = widest(&mut lines.iter().map(|(_, stored, _)| stored.chars().count()), "stored");
        writeln!(f, "\n{:<what$}  {:<stored$}  recomputed", "different", "stored")?;
        for (named, there, here) in lines {
            writeln!(f, "{named:<what$}  {there:<stored$}  {here}")?;
        }
        if *unlisted > 0 {
            writeln!(f, "and {unlisted} more differences")?;
        }
        write!(f, "\nThe store is not what the log says.")
    }
}

struct Json<'a>(&'a Report);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { topic, run, store, cluster, findings } = self.0;
        let Findings { differences, unlisted, unverifiable, windows, partitions } = findings;
        let (result, store) = (findings.outcome(), store.display().to_string());
        let (topic, store, cluster) = (Quoted(topic), Quoted(&store), Quoted(cluster));
        write!(f, r#"{{"type":"verify","result":"{result}","topic":{topic},"run":"{run}","store":{store},"#)?;
        write!(f, r#""cluster":{cluster},"#)?;
        let Windows { verified, different, unverifiable: lost, unverifiable_from_to: _, dropped, open } = windows;
        write!(f, r#""windows":{{"verified":{verified},"different":{different},"unverifiable":{lost},"#)?;
        write!(f, r#""dropped":{dropped},"open":{open}}},"partitions":["#)?;
        list(f, partitions, |f, ReadAgain { partition, from, to, records }| {
            write!(f, r#"{{"partition":{partition},"from":{from},"to":{to},"records":{records}}}"#)
        })?;
        f.write_str(r#"],"differences":["#)?;
        list(f, differences, |f, Difference { what, stored, recomputed }| {
            let (what, stored, recomputed) = (Quoted(what), Quoted(stored), Quoted(recomputed));
            write!(f, r#"{{"what":{what},"stored":{stored},"recomputed":{recomputed}}}"#)
        })?;
        write!(f, r#"],"unlisted":{unlisted},"unverifiable":["#)?;
        list(f, unverifiable, |f, Unverifiable { what, why }| {
            write!(f, r#"{{"what":{},"why":{}}}"#, Quoted(what), Quoted(why))
        })?;
        f.write_str("]}")
    }
}

/// Text for a terminal: names of groups are a producer's.
fn clean(text: &str) -> String {
    foreign(text, MOST_COLUMNS)
}

/// Things with commas between them.
fn list<T>(
    f: &mut Formatter<'_>,
    things: &[T],
    mut one: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (place, thing) in things.iter().enumerate() {
        if place > 0 {
            f.write_char(',')?;
        }
        one(f, thing)?;
    }
    Ok(())
}

/// A window's name.
pub(super) fn window_name(start: Millis) -> String {
    format!("window {}", Utc(start))
}
