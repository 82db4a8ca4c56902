//! The JSON parsing test suite: each case is accepted or rejected as its name says.

use isotherm_model::rejection::Rejection;
use isotherm_model::scan::Scanner;
use isotherm_model::settings::Settings;

/// The replacement for each byte that was not UTF-8.
const REPLACED: &str = "\u{fffd}";

/// Cases that may be either, and that we reject: half a surrogate pair, a byte order mark, UTF-16, too deep. We accept all other
/// such cases: numbers of any size, repeated members.
const REFUSED: [&str; 18] = [
    "i_object_key_lone_2nd_surrogate.json",
    "i_string_1st_surrogate_but_2nd_missing.json",
    "i_string_1st_valid_surrogate_2nd_invalid.json",
    "i_string_UTF-16LE_with_BOM.json",
    "i_string_incomplete_surrogate_and_escape_valid.json",
    "i_string_incomplete_surrogate_pair.json",
    "i_string_incomplete_surrogates_escape_valid.json",
    "i_string_invalid_lonely_surrogate.json",
    "i_string_invalid_surrogate.json",
    "i_string_inverted_surrogates_U+1D11E.json",
    "i_string_lone_second_surrogate.json",
    "i_string_utf16BE_no_BOM.json",
    "i_string_utf16LE_no_BOM.json",
    "i_structure_500_nested_arrays.json",
    "i_structure_UTF-8_BOM_empty_object.json",
    "string_1_escaped_invalid_codepoint.json",
    "string_2_escaped_invalid_codepoints.json",
    "string_3_escaped_invalid_codepoints.json",
];

/// Name and input of each case.
fn cases() -> Vec<(String, String)> {
    let files = [include_str!("json-test-suite/parsing.json"), include_str!("json-test-suite/transform.json")];
    files.into_iter().flat_map(|file| serde_json::from_str::<Vec<(String, String)>>(file).expect("cases")).collect()
}

fn is_json(name: &str) -> bool {
    !name.starts_with("n_") && !REFUSED.contains(&name)
}

/// Whether a record is JSON, by its classification; and none of the cases is a reading.
fn scanned_as_json(record: &[u8]) -> bool {
    let fault = Scanner::new(&Settings::default()).scan(record, None).expect_err("no reading");
    assert!(matches!(fault, Rejection::NotJson | Rejection::MissingField | Rejection::WrongType), "{fault}");
    fault != Rejection::NotJson
}

/// A reading with the case as an unknown member, in the middle and at the end.
fn readings(case: &[u8]) -> [Vec<u8>; 2] {
    let head = br#"{"guid":"s1","state":"AK","x":"#;
    let tail = br#"eventTime":"2026-11-22T10:00:00Z","payload":{"data":{"temperature":26.6"#;
    [
        [head.as_slice(), case, br#",""#, tail, b"}}}"].concat(),
        [br#"{"guid":"s1","state":"AK",""#, tail.as_slice(), br#","x":"#, case, b"}}}"].concat(),
    ]
}

#[test]
fn each_case_is_classified_as_its_name_says() {
    let cases = cases();
    assert_eq!(cases.len(), 340);
    assert!(REFUSED.iter().all(|refused| cases.iter().any(|(name, _)| name == refused)));
    for (name, input) in &cases {
        assert_eq!(scanned_as_json(input.as_bytes()), is_json(name), "{name}: {input:.200}");
    }
}

#[test]
fn invalid_utf8_is_not_json() {
    let mut damaged = 0;
    for (name, input) in cases().iter().filter(|(_, input)| input.contains(REPLACED)) {
        for invalid in [b"\xff" as &[u8], b"\xc3", b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
            let pieces: Vec<&[u8]> = input.split(REPLACED).map(str::as_bytes).collect();
            assert!(!scanned_as_json(&pieces.join(invalid)), "{name}");
            damaged += 1;
        }
    }
    assert_eq!(damaged, 5 * 28);
}

/// Skipped members of a reading are checked like its fields.
#[test]
fn each_case_is_classified_within_a_reading() {
    let mut scanner = Scanner::new(&Settings::default());
    for (name, input) in &cases() {
        for record in readings(input.as_bytes()) {
            let scanned = scanner.scan(&record, None).map(drop);
            let expected = if is_json(name) { Ok(()) } else { Err(Rejection::NotJson) };
            assert_eq!(scanned, expected, "{name}: {:.300}", String::from_utf8_lossy(&record));
        }
    }
}
