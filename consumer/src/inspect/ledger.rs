//! `ledger`: the account of all records, and where to find those that count into no window.

use std::collections::BTreeMap;

use isotherm_engine::ledger::{self, Account};
use isotherm_engine::state::PartitionState;
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::settings::Settings;
use isotherm_model::time::Utc;
use isotherm_store::{LostCause, LostRange, Waiting};
use isotherm_terminal::progress::thousands;

use super::columns::{Column, lines};
use crate::results::ledger::{
    Counts, DataLoss, DeadLetters, Kind, LedgerReport, Letters, LostLetters, PartitionLedger, Range,
};
use crate::sinks::table::format::foreign;

/// How many ranges of each kind the table shows.
const MOST_RANGES: usize = 20;
/// How much of a text from outside a table shows.
const MOST_TEXT: usize = 4_000;

/// What a store answers.
#[derive(Debug, Clone, Copy)]
pub struct LedgerInput<'a> {
    pub topic: &'a str,
    pub run: &'a str,
    pub settings: &'a Settings,
    pub commits: u64,
    pub partitions: &'a BTreeMap<PartitionId, PartitionState>,
    pub accounts: &'a BTreeMap<PartitionId, Account>,
    /// What is still to be copied to the dead letters.
    pub waiting: &'a BTreeMap<PartitionId, Waiting>,
    /// What could not be copied there.
    pub lost: &'a [LostRange],
}

/// The ledger of a store.
pub fn report(stored: &LedgerInput<'_>) -> LedgerReport {
    let mut partitions: BTreeMap<PartitionId, PartitionLedger> = BTreeMap::new();
    for (partition, state) in stored.partitions {
        let account = stored.accounts.get(partition).map(|account| account_of(account, stored.settings));
        let ledger = account.unwrap_or_default();
        partitions.insert(*partition, PartitionLedger { start: state.start, next: state.position, ..ledger });
    }
    for (partition, Waiting { batches, records }) in stored.waiting {
        let waiting = Letters { batches: *batches, records: *records };
        partitions.entry(*partition).or_default().counts.dead_letters.waiting = waiting;
    }
    for LostRange { partition, cause, range, batches, records } in stored.lost {
        let ledger = partitions.entry(*partition).or_default();
        let letters = Letters { batches: *batches, records: *records };
        let lost = &mut ledger.counts.dead_letters.lost;
        *lost = lost.plus(&letters);
        let (first, next, batches, records, cause) = (range.first, range.next, *batches, *records, *cause);
        ledger.lost_ranges.push(LostLetters { first, next, records, batches, cause });
    }
    let mut counts = Counts::default();
    for (partition, ledger) in &mut partitions {
        ledger.partition = *partition;
        counts.add(&ledger.counts);
    }
    LedgerReport {
        topic: stored.topic.to_owned(),
        run: stored.run.to_owned(),
        commits: stored.commits,
        counts,
        partitions: partitions.into_values().collect(),
    }
}

fn account_of(account: &Account, settings: &Settings) -> PartitionLedger {
    let (late, rejected) = (&account.late_ranges, &account.rejected_ranges);
    let losses = account.data_losses.iter();
    PartitionLedger {
        counts: Counts {
            read: account.read,
            counted: account.counted,
            late: account.late,
            rejected: account.rejected,
            restored: account.restored,
            lost: losses.clone().fold(0, |sum, loss| loss.lost.saturating_add(sum)),
            ..Counts::default()
        },
        data_losses: losses
            .map(|loss| DataLoss { first: loss.range.first, next: loss.range.next, lost: loss.lost })
            .collect(),
        late_ranges: ranges(late, |window| Kind::Window(settings.window.start(window))),
        late_unlisted: late.unlisted(),
        rejected_ranges: ranges(rejected, Kind::Reason),
        rejected_unlisted: rejected.unlisted(),
        ..PartitionLedger::default()
    }
}

fn ranges<K: Copy + Ord>(ranges: &ledger::Ranges<K>, kind: impl Fn(K) -> Kind) -> Vec<Range> {
    let range = |range: &ledger::KeyedRange<K>| Range {
        first: range.range.first,
        next: range.range.next,
        records: range.records,
        kind: kind(range.key),
    };
    ranges.listed().iter().map(range).collect()
}

/// The ledger for people.
pub fn text(report: &LedgerReport, settings: &Settings) -> Vec<String> {
    let topic = foreign(&report.topic, MOST_TEXT);
    let commits = if report.commits == 1 { "commit" } else { "commits" };
    let mut text = vec![format!("Ledger of `{topic}`, run {}, {} {commits}", report.run, thousands(report.commits))];
    text.extend(accounts(report));
    text.extend(reasons(report));
    text.extend(data_losses(report));
    text.extend(letters(&report.counts));
    text.extend(lost(report));
    text.extend(places(report, "late readings", "window", |ledger| (&ledger.late_ranges, ledger.late_unlisted)));
    text.extend(places(report, "rejected records", "reason", |ledger| {
        (&ledger.rejected_ranges, ledger.rejected_unlisted)
    }));
    text.extend(examples(report, settings));
    text
}

fn accounts(report: &LedgerReport) -> Vec<String> {
    let row = |name: String, next: String, counts: &Counts| {
        let Counts { read, counted, late, rejected, restored, lost, .. } = counts;
        let [read, counted, late] = [read, counted, late].map(|count| thousands(*count));
        let [restored, lost] = [restored, lost].map(|count| thousands(*count));
        [name, next, read, counted, late, thousands(rejected.total()), restored, lost]
    };
    let mut rows: Vec<_> = (report.partitions.iter())
        .map(|ledger| row(ledger.partition.to_string(), offset(ledger.next), &ledger.counts))
        .collect();
    rows.push(row("all".to_owned(), String::new(), &report.counts));
    let right = ["position", "read", "counted", "late", "rejected", "restored", "lost"].map(Column::Right);
    let [position, read, counted, late, rejected, restored, lost] = right;
    lines([Column::Left("partition"), position, read, counted, late, rejected, restored, lost], &rows)
}

/// Why records were rejected: by partition, those without any left out, and in all.
fn reasons(report: &LedgerReport) -> Vec<String> {
    let row = |name: String, rejected: &RejectedCounts| {
        let reasons = rejected.iter().map(|(reason, count)| format!("{reason} {}", thousands(count)));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        (!reasons.is_empty()).then_some([name, reasons])
    };
    let of = |ledger: &PartitionLedger| row(ledger.partition.to_string(), &ledger.counts.rejected);
    let mut rows: Vec<_> = report.partitions.iter().filter_map(of).collect();
    rows.extend(row("all".to_owned(), &report.counts.rejected));
    if rows.is_empty() {
        return Vec::new();
    }
    let mut text = vec![String::new()];
    text.extend(lines([Column::Left("partition"), Column::Left("rejected, by reason")], &rows));
    text
}

fn data_losses(report: &LedgerReport) -> Vec<String> {
    let rows: Vec<_> = (report.partitions.iter())
        .flat_map(|ledger| ledger.data_losses.iter().map(|loss| (ledger.partition, loss)))
        .map(|(partition, loss)| [partition.to_string(), offset(loss.first), offset(loss.next), thousands(loss.lost)])
        .collect();
    let columns =
        [Column::Left("partition"), Column::Right("first"), Column::Right("next"), Column::Right("never read")];
    section("Data loss: what the log no longer held when it was to be read", columns, &rows)
}

/// What the dead letters still lack.
fn letters(counts: &Counts) -> Vec<String> {
    let number = |letters: Letters| {
        let batches = if letters.batches == 1 { "batch" } else { "batches" };
        format!("{} late and rejected records in {} {batches}", thousands(letters.records), thousands(letters.batches))
    };
    let mut text = Vec::new();
    let DeadLetters { waiting, lost } = counts.dead_letters;
    for (what, letters) in [("Still to be copied", waiting), ("Lost", lost)] {
        if letters.batches > 0 {
            text.push(format!("{what} to the dead letters: {}", number(letters)));
        }
    }
    if !text.is_empty() {
        text.insert(0, String::new());
    }
    text
}

fn lost(report: &LedgerReport) -> Vec<String> {
    let rows: Vec<_> = (report.partitions.iter())
        .flat_map(|ledger| ledger.lost_ranges.iter().map(|lost| (ledger.partition, lost)))
        .map(|(partition, lost)| {
            let why = match lost.cause {
                LostCause::Cut => "the log was cut before",
                LostCause::TooLarge => "larger than the broker takes",
            };
            let records = thousands(lost.records);
            [partition.to_string(), offset(lost.first), offset(lost.next), records, why.to_owned()]
        })
        .collect();
    let columns = [
        Column::Left("partition"),
        Column::Right("first"),
        Column::Right("next"),
        Column::Right("records"),
        Column::Left("why"),
    ];
    section("What was lost to the dead letters", columns, &rows)
}

/// A title and a table of limited length, if there is anything in it.
fn section<const N: usize>(title: &str, columns: [Column; N], rows: &[[String; N]]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut text = vec![String::new(), title.to_owned()];
    text.extend(lines(columns, rows.get(..MOST_RANGES).unwrap_or(rows)));
    if let Some(more) = rows.len().checked_sub(MOST_RANGES).filter(|more| *more > 0) {
        text.push(format!("… {} more; --format json shows all", thousands(more as u64)));
    }
    text
}

/// Where records of one kind are, by partition.
fn places(
    report: &LedgerReport,
    what: &str,
    column: &'static str,
    of: impl Fn(&PartitionLedger) -> (&Vec<Range>, u64),
) -> Vec<String> {
    let rows: Vec<_> = (report.partitions.iter())
        .flat_map(|ledger| of(ledger).0.iter().map(|range| (ledger.partition, range)))
        .map(|(partition, Range { first, next, records, kind })| {
            let kind = match kind {
                Kind::Window(start) => Utc(*start).to_string(),
                Kind::Reason(reason) => reason.to_string(),
            };
            [partition.to_string(), offset(*first), offset(*next), thousands(*records), kind]
        })
        .collect();
    let [first, next, records] = ["first", "next", "records"].map(Column::Right);
    let columns = [Column::Left("partition"), first, next, records, Column::Left(column)];
    let mut text = section(&format!("Batches with {what}"), columns, &rows);
    let unlisted = report.partitions.iter().fold(0_u64, |sum, ledger| sum.saturating_add(of(ledger).1));
    if unlisted > 0 {
        text.push(format!("{} further {what} stand in batches that the ledger does not name", thousands(unlisted)));
    }
    text
}

/// Command lines that fetch what stands first in each list.
fn examples(report: &LedgerReport, settings: &Settings) -> Vec<String> {
    // A topic's name has no `/`, and a file's path begins with one: the offsets are its bytes.
    if report.topic.contains('/') {
        return Vec::new();
    }
    let topic = quoted(&report.topic);
    let (mut late, mut rejected) = (None, None);
    for ledger in &report.partitions {
        let partition = ledger.partition;
        late = late.or_else(|| {
            let Range { first, next, .. } = ledger.late_ranges.first()?;
            // The command's end is inclusive.
            Some(format!("  fluvio consume {topic} -p {partition} --start {first} --end {}", next.saturating_sub(1)))
        });
        rejected = rejected.or_else(|| {
            let Range { first, kind: Kind::Reason(reason), .. } = ledger.rejected_ranges.first()? else {
                return None;
            };
            let module = format!("--smartmodule reading-gate -e reason={reason}{}", params(settings));
            Some(format!("  fluvio consume {topic} -p {partition} --start {first} {module}"))
        });
    }
    let mut text = Vec::new();
    if let Some(late) = late {
        text.extend([
            String::new(),
            "To read the first batches with late readings (other readings stand in them, too):".to_owned(),
            late,
        ]);
    }
    if let Some(rejected) = rejected {
        let title = "To read the first rejected records, and what follows of the kind (Ctrl-C ends it):".to_owned();
        text.extend([String::new(), title, rejected]);
    }
    text
}

/// The parameters that a module needs beyond its defaults.
fn params(settings: &Settings) -> String {
    let defaults = Settings::default().to_params();
    let differ = settings.to_params().into_iter().filter(|param| !defaults.contains(param));
    differ.map(|(name, value)| format!(" -e {}", quoted(&format!("{name}={value}")))).collect()
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+~".contains(c);
    let word = foreign(word, MOST_TEXT);
    if !word.is_empty() && !word.starts_with('~') && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// An offset as commands take it.
fn offset(offset: i64) -> String {
    offset.to_string()
}

#[cfg(test)]
mod tests;
