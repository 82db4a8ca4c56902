//! What the tests share: clusters, programs, and expectations that print what they saw.

pub(crate) mod cluster;
pub(crate) mod program;

use std::path::{Path, PathBuf};

/// A file of `golden/`.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The text of a file of `golden/`.
pub(crate) fn golden_text(name: &str) -> String {
    let path = golden(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
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

/// Result lines without what the reference does not say: what closed a window, and totals before the last.
pub(crate) fn as_reference(jsonl: &str) -> String {
    let lines: Vec<&str> = jsonl.lines().collect();
    let mut out = String::new();
    for (place, line) in lines.iter().enumerate() {
        if line.starts_with(r#"{"type":"totals""#) && place + 1 < lines.len() {
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
