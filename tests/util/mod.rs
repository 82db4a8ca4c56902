//! What the tests share: clusters, programs, stores, and expectations that print what they saw.

pub(crate) mod cluster;
pub(crate) mod kafka;
pub(crate) mod letters;
pub(crate) mod program;
pub(crate) mod store;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for one event. A guard against hangs, not a bound on speed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer; `Err` is what is there instead.
#[track_caller]
pub(crate) fn wait_until<T>(event: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) => assert!(Instant::now() < deadline, "waited {TIMEOUT:?} until {event}; last seen: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A file of `golden/`.
pub(crate) fn golden(name: &str) -> String {
    text(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name))
}

/// The text of a file of `golden/`.
pub(crate) fn golden_text(name: &str) -> String {
    let path = golden(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A path as an argument of a program.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("the path is UTF-8").to_owned()
}

/// A file of this name and text in a folder; its path.
#[track_caller]
pub(crate) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text(&path)
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// A reading of nine o'clock and this second, as a JSON text.
pub(crate) fn reading(sensor: &str, state: &str, second: u32) -> String {
    let time = format!("2026-03-14T09:00:{second:02}Z");
    format!(r#"{{"guid":"{sensor}","state":"{state}","eventTime":"{time}","payload":{{"data":{{"temperature":40}}}}}}"#)
}

/// One JSON text.
#[track_caller]
pub(crate) fn json(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A count.
#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A count by its name.
#[track_caller]
pub(crate) fn count(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no count `{name}` in {of}"))
}

/// The sum of counts by name, such as those of rejected records.
#[track_caller]
pub(crate) fn sum(counts: &Value) -> u64 {
    counts.as_object().unwrap_or_else(|| panic!("{counts} holds no counts")).values().map(number).sum()
}

/// A list.
#[track_caller]
pub(crate) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().unwrap_or_else(|| panic!("no list `{name}` in {of}"))
}

/// How many members of a list in a report have this in their `what`.
#[track_caller]
pub(crate) fn named(report: &Value, of: &str, what: &str) -> usize {
    list(report, of).iter().filter(|one| one["what"].as_str().is_some_and(|said| said.contains(what))).count()
}

/// The result lines of one type.
pub(crate) fn lines<'a>(jsonl: &'a str, of_type: &str) -> Vec<&'a str> {
    let start = format!(r#"{{"type":"{of_type}","#);
    jsonl.lines().filter(|line| line.starts_with(&start)).collect()
}

/// The last line of totals.
#[track_caller]
pub(crate) fn last_totals(jsonl: &str) -> Value {
    json(lines(jsonl, "totals").last().unwrap_or_else(|| panic!("no totals in: {jsonl}")))
}

/// The number before these words in a program's output.
#[track_caller]
pub(crate) fn number_before(said: &str, words: &str) -> u64 {
    let before = said.split_once(words).unwrap_or_else(|| panic!("no `{words}` in: {said}")).0;
    let digits = before.rsplit([' ', '(', '\n']).next().unwrap_or_default().replace(',', "");
    digits.parse().unwrap_or_else(|error| panic!("{error} before `{words}` in: {said}"))
}

/// Fails with the first line that differs.
#[track_caller]
pub(crate) fn assert_same_lines(seen: &str, wanted: &str, what: &str) {
    for (number, (seen, wanted)) in seen.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(seen, wanted, "{what}: line {}", number + 1);
    }
    let (seen, wanted) = (seen.lines().count(), wanted.lines().count());
    assert_eq!(seen, wanted, "{what}: number of lines");
}

/// Result lines without what the reference does not give: what closed a window, and totals before the last.
pub(crate) fn as_reference(jsonl: &str) -> String {
    let all: Vec<&str> = jsonl.lines().collect();
    let mut out = String::new();
    for (index, line) in all.iter().enumerate() {
        if line.starts_with(r#"{"type":"totals""#) && index + 1 < all.len() {
            continue;
        }
        let mut line = (*line).to_owned();
        for closed_by in ["watermark", "idle", "end"] {
            line = line.replacen(&format!(r#","closed_by":"{closed_by}""#), "", 1);
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}
