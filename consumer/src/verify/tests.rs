//! What a report says, byte for byte, and that settings come back from a store's text.

use isotherm_engine::audit::findings::{Difference, Findings, MOST_DIFFERENCES, ReadAgain, Windows};
use isotherm_model::settings::Settings;
use isotherm_store::Subject;

use super::report::Report;
use crate::inspect::settings;

fn report() -> Report {
    let mut findings = Findings {
        windows: Windows {
            verified: 11,
            different: 1,
            unverifiable: 2,
            dropped: 3,
            open: 1,
            unverifiable_from_to: None,
        },
        partitions: vec![ReadAgain { partition: 0, from: 40, to: 5_000, records: 4_960 }],
        ..Findings::default()
    };
    findings.differ("totals: sensors", 7, 8);
    findings.skip("partition 0: offsets 0 to 40", "the log's retention has cut it");
    Report {
        topic: "sensors".to_owned(),
        run: "r".to_owned(),
        store: "/data/run.db".into(),
        cluster: "10.0.0.5:9003".to_owned(),
        findings,
    }
}

#[test]
fn the_json_is_byte_for_byte_that_of_the_documents() {
    let wanted = concat!(
        r#"{"type":"verify","result":"different","topic":"sensors","run":"r","store":"/data/run.db","#,
        r#""cluster":"10.0.0.5:9003","#,
        r#""windows":{"verified":11,"different":1,"unverifiable":2,"dropped":3,"open":1},"#,
        r#""partitions":[{"partition":0,"from":40,"to":5000,"records":4960}],"#,
        r#""differences":[{"what":"totals: sensors","stored":"7","recomputed":"8"}],"unlisted":0,"#,
        r#""unverifiable":[{"what":"partition 0: offsets 0 to 40","why":"the log's retention has cut it"}]}"#,
    );
    assert_eq!(report().json(), wanted);
}

#[test]
fn the_table_names_what_differs() {
    let wanted = "\
/data/run.db: run r of `sensors` at 10.0.0.5:9003
partition 0: 4960 records read again, from offset 40 to 5000
closed windows: 11 of 14 recomputed and the same, 1 different, 2 unverifiable, 3 dropped from the store; open windows: 1

Unverifiable:
  partition 0: offsets 0 to 40: the log's retention has cut it

different        stored  recomputed
totals: sensors  7       8

The store is not what the log says.";
    assert_eq!(report().text().to_string(), wanted);
    let mut clean = report();
    clean.findings.differences.clear();
    assert!(clean.json().contains(r#""result":"incomplete""#));
    assert!(clean.text().to_string().ends_with("\nAll that can be recomputed is as it is stored."));
    clean.findings.unverifiable.clear();
    assert!(clean.json().contains(r#""result":"same""#));
    assert!(clean.text().to_string().ends_with("\nEverything is as it is stored."));
}

#[test]
fn differences_beyond_the_most_are_counted() {
    let mut findings = Findings::default();
    for number in 0..MOST_DIFFERENCES + 5 {
        findings.differ("a", number, "b");
    }
    assert_eq!((findings.differences.len(), findings.unlisted), (MOST_DIFFERENCES, 5));
    let first = Difference { what: "a".to_owned(), stored: "0".to_owned(), recomputed: "b".to_owned() };
    assert_eq!(findings.differences.first(), Some(&first));
}

#[test]
fn foreign_text_cannot_steer_a_terminal() {
    let mut evil = report();
    evil.findings.differ("totals: group \u{1b}[31mEVIL\u{1b}]0;pwned\u{7}\n", "\r1", "\u{202e}2");
    evil.findings.skip("\u{1b}", "\n");
    let text = evil.text().to_string();
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(steers) && text.contains(r"\u{1b}[31mEVIL\u{1b}]0;pwned\u{7}\u{a}"), "{text:?}");
    assert!(evil.json().contains(r"\u001b[31mEVIL"), "{}", evil.json());
}

#[test]
fn settings_come_back_from_the_text_of_a_store() {
    let params = [("group", "/a b/Ä"), ("window", "90s")];
    for made in [Settings::default(), Settings::from_params(params).expect("sound parameters")] {
        let subject = Subject::new("t", "c", &made);
        assert_eq!(settings(&subject.settings).as_ref(), Ok(&made));
        for end in 0..subject.settings.len() {
            if subject.settings.is_char_boundary(end) {
                // Whatever is missing is as in the default settings: the same settings, or another fingerprint.
                if let Ok(cut) = settings(&subject.settings[..end]) {
                    assert_eq!(cut == made, cut.fingerprint() == subject.fingerprint, "{end}");
                }
            }
        }
    }
}
