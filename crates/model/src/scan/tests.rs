//! Each rejection by example, and the order in which faults are looked for.

use super::*;

const GOOD: &str = r#"{"guid":"s1","destination":"0-AAA12345678","state":"AK","eventTime":"2026-11-22T10:00:00.5Z","payload":{"format":"urn:example:sensor:temp","data":{"temperature":26.6}}}"#;
const NOON: Millis = 1_795_341_600_000;

fn scanned(record: &str) -> Result<(String, String, Millis, i64), Rejection> {
    let mut scanner = Scanner::new(&Settings::default());
    let reading = scanner.scan(record.as_bytes(), None)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Ok((text(reading.sensor), text(reading.group), reading.time, reading.value.micros()))
}

fn good() -> Result<(String, String, Millis, i64), Rejection> {
    Ok(("s1".to_owned(), "AK".to_owned(), NOON + 500, 26_600_000))
}

#[test]
fn readings_are_found_in_any_form() {
    assert_eq!(scanned(GOOD), good());
    for record in [
        // Another order, white space, unknown members.
        "\n{ \"payload\" : { \"data\" : { \"x\" : [ { } , [ ] , { \"a\" : null } ] , \"temperature\" : 2.66e1 } } ,\t\"eventTime\":\"2026-11-22T12:00:00.5009+02:00\" , \"state\":\"AK\",\r\"guid\":\"s1\" } ",
        // Escapes in names and in texts.
        r#"{"\u0067uid":"s\u0031","st\u0061te":"\u0041K","eventTime":"2026\u002d11-22T10:00:00.5Z","p\u0061yload":{"data":{"temper\u0061ture":26.60}}}"#,
        // If a member occurs twice, the last one counts.
        r#"{"guid":7,"guid":"s1","state":"ZZ","state":"AK","eventTime":"","eventTime":"2026-11-22T10:00:00.5Z","payload":[],"payload":{"data":{"temperature":1,"temperature":26.6}}}"#,
        r#"{"payload":{"data":{"temperature":1}},"guid":"s1","state":"AK","eventTime":"2026-11-22T10:00:00.5Z","payload":{"data":null,"data":{"temperature":26.6}}}"#,
    ] {
        assert_eq!(scanned(record), good(), "{record}");
    }
}

#[test]
fn a_later_member_takes_away_what_an_earlier_one_said() {
    for (tail, fault) in [
        (r#","payload":{}}"#, Rejection::MissingField),
        (r#","payload":{"data":{}}}"#, Rejection::MissingField),
        (r#","payload":null}"#, Rejection::WrongType),
        (r#","payload":{"data":[]}}"#, Rejection::WrongType),
        (r#","payload":{"data":{"temperature":"26.6"}}}"#, Rejection::WrongType),
        (r#","guid":""}"#, Rejection::MissingField),
        (r#","guid":null}"#, Rejection::WrongType),
    ] {
        let record = GOOD.strip_suffix('}').expect("an object").to_owned() + tail;
        assert_eq!(scanned(&record), Err(fault), "{record}");
    }
}

#[test]
fn the_first_fault_wins() {
    // Each change removes one fault, so that the next one shows.
    let mut record = r#"{"guid":[],"state":1,"payload":{"data":{"temperature":"x"}}"#.to_owned();
    let changes = [
        (Rejection::NotJson, r#""x"}}"#, r#""x"}}}"#),
        (Rejection::WrongType, r#""guid":[]"#, r#""guid":"""#),
        (Rejection::MissingField, r#""guid":"""#, r#""guid":"s1""#),
        (Rejection::WrongType, r#""state":1"#, r#""state":"ZZ""#),
        (Rejection::MissingField, r#""payload""#, r#""eventTime":null,"payload""#),
        (Rejection::WrongType, "null", r#""2026-11-22""#),
        (Rejection::WrongType, r#""x""#, "1e7"),
        (Rejection::UnknownGroup, "ZZ", "AK"),
        (Rejection::BadTime, "2026-11-22", "2026-11-22T10:00:00.5Z"),
        (Rejection::OutOfRange, "1e7", "26.6"),
    ];
    for (fault, from, to) in changes {
        assert_eq!(scanned(&record), Err(fault), "{record}");
        record = record.replacen(from, to, 1);
    }
    assert_eq!(scanned(&record), good(), "{record}");
}

#[test]
fn what_is_skipped_is_checked() {
    for bad in [
        "",
        " ",
        "{",
        "}",
        "nul",
        "truex",
        "\u{feff}{}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "[\"\\x\"]",
        "[\"\\ud800\"]",
        "{\"\\ud800\":1}",
        "[01]",
        "[1.]",
        "[-]",
        "[+1]",
        "[.5]",
        "[1e]",
        "[NaN]",
        "[Infinity]",
        "['a']",
        "[\"\t\"]",
        "[1]]",
        "[1}",
        "{\"a\":1]",
        "[tru]",
        "1 2",
        "\u{c}[]",
        "[]\u{a0}",
        "/**/{}",
        "[1]//",
    ] {
        assert_eq!(scanned(bad), Err(Rejection::NotJson), "{bad:?}");
        if !bad.trim().is_empty() && bad.starts_with(['[', '{']) {
            let within = GOOD.replacen("\"0-AAA12345678\"", bad, 1);
            assert_eq!(scanned(&within), Err(Rejection::NotJson), "{within}");
        }
    }
    let mut scanner = Scanner::new(&Settings::default());
    for bytes in [b"[\"\xff\"]" as &[u8], b"{\"\xc3\":1}", b"\xef\xbb\xbf{}", b"[\"\xed\xa0\x80\"]", b"\xff"] {
        assert_eq!(scanner.scan(bytes, None), Err(Rejection::NotJson));
    }
    for good in ["null", "1", "\"\"", "[]", "[[],{},\"\\u0000\",-0.0E+00,1e99999]", " true "] {
        assert_eq!(scanned(good), Err(Rejection::WrongType), "{good}");
    }
    assert_eq!(scanned("{}"), Err(Rejection::MissingField));
}

#[test]
fn containers_nest_127_deep_and_no_deeper() {
    let nested = |open: &str, core: &str, close: &str, depth| open.repeat(depth) + core + &close.repeat(depth);
    assert_eq!(scanned(&nested("[", "", "]", 127)), Err(Rejection::WrongType));
    assert_eq!(scanned(&nested("[", "", "]", 128)), Err(Rejection::NotJson));
    assert_eq!(scanned(&nested("{\"a\":", "{}", "}", 126)), Err(Rejection::MissingField));
    assert_eq!(scanned(&nested("{\"a\":", "{}", "}", 127)), Err(Rejection::NotJson));
    // On the way to a field: an object of 1, a payload of 2, data of 3.
    let within = |core: &str| GOOD.replacen("26.6", &format!("26.6,\"deep\":{core}"), 1);
    assert_eq!(scanned(&within(&nested("[", "", "]", 124))), good());
    assert_eq!(scanned(&within(&nested("[", "", "]", 125))), Err(Rejection::NotJson));
    // A pointer that goes as deep as a text can.
    let pointer = "/a".repeat(127);
    let settings = Settings::from_params([("value", pointer.as_str())]).expect("valid");
    let mut scanner = Scanner::new(&settings);
    let mut scan = |depth: usize| {
        let record =
            GOOD.replacen("{\"guid\"", &format!("{{\"a\":{},\"guid\"", nested("{\"a\":", "5", "}", depth - 1)), 1);
        scanner.scan(record.as_bytes(), None).map(|reading| reading.value.micros())
    };
    assert_eq!(scan(127), Ok(5_000_000));
    assert_eq!(scan(126), Err(Rejection::WrongType));
    assert_eq!(scan(128), Err(Rejection::NotJson));
}

#[test]
fn a_time_too_far_ahead_of_its_record_is_future() {
    let mut scanner = Scanner::new(&Settings::default());
    let mut scan = |timestamp| scanner.scan(GOOD.as_bytes(), timestamp).map(|reading| reading.time);
    assert_eq!(scan(Some(NOON + 500 - 60_000)), Ok(NOON + 500));
    assert_eq!(scan(Some(NOON + 500 - 60_001)), Err(Rejection::Future));
    assert_eq!(scan(Some(i64::MAX)), Ok(NOON + 500));
    assert_eq!(scan(Some(i64::MIN)), Err(Rejection::Future));
    assert_eq!(scan(None), Ok(NOON + 500));
}

#[test]
fn one_member_may_be_sensor_and_group() {
    let settings = Settings::from_params([
        ("sensor", "/id"),
        ("group", "/id"),
        ("groups", "any"),
        ("time", "/t"),
        ("value", "/v"),
    ]);
    let mut scanner = Scanner::new(&settings.expect("valid"));
    let reading = scanner.scan(br#"{"id":"a\u0062","t":"2026-11-22T10:00:00Z","v":-1}"#, None).expect("a reading");
    assert_eq!((reading.sensor, reading.group, reading.value.micros()), (b"ab" as &[u8], b"ab" as &[u8], -1_000_000));
}
