//! What a verification found, and how it is said.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use isotherm_engine::audit::findings::{Difference, Findings, ReadAgain, Unverifiable, Verdict, Windows};
use serde::Serialize;

use crate::inspect::columns::{Column, lines};
use crate::results;
use crate::sinks::table::format::foreign;

/// The most columns that a cell of the table takes.
const MOST_COLUMNS: usize = 240;

/// A verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub topic: String,
    pub run: String,
    pub store: PathBuf,
    pub cluster: String,
    pub findings: Findings,
}

impl Report {
    /// For people, without the last line feed.
    pub fn text(&self) -> impl Display + '_ {
        Text(self)
    }

    /// One line of JSON, without the line feed: see `docs/verify.md`.
    pub fn json(&self) -> String {
        let Self { topic, run, store, cluster, findings } = self;
        let Findings { differences, unlisted, unverifiable, windows, partitions } = findings;
        results::json(&Json {
            result: findings.verdict().to_string(),
            topic,
            run,
            store: store.display().to_string(),
            cluster,
            windows: *windows,
            partitions,
            differences,
            unlisted: *unlisted,
            unverifiable,
        })
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
        match findings.verdict() {
            Verdict::Same => return write!(f, "\nEverything is as it is stored."),
            Verdict::Incomplete => return write!(f, "\nAll that can be recomputed is as it is stored."),
            Verdict::Different => {}
        }
        let row =
            |Difference { what, stored, recomputed }: &Difference| [what, stored, recomputed].map(|text| clean(text));
        let rows: Vec<_> = differences.iter().map(row).collect();
        writeln!(f)?;
        for line in lines(["different", "stored", "recomputed"].map(Column::Left), &rows) {
            writeln!(f, "{line}")?;
        }
        if *unlisted > 0 {
            writeln!(f, "and {unlisted} more differences")?;
        }
        write!(f, "\nThe store is not what the log says.")
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "verify")]
struct Json<'a> {
    result: String,
    topic: &'a str,
    run: &'a str,
    store: String,
    cluster: &'a str,
    windows: Windows,
    partitions: &'a [ReadAgain],
    differences: &'a [Difference],
    unlisted: u64,
    unverifiable: &'a [Unverifiable],
}

/// Text for a terminal: names of groups are a producer's.
fn clean(text: &str) -> String {
    foreign(text, MOST_COLUMNS)
}
