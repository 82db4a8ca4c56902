//! The bytes of a partial: golden ones, refused ones and damaged ones.

mod generate;

use isotherm_model::codec::{self, DecodeError, Fault, decode, encode};
use isotherm_model::combine::{Combiner, Record, combine};
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{Cell, CellKey, ModuleVersion, Partial};
use isotherm_model::rejection::{RejectedCounts, RejectedHash};
use isotherm_model::schema::ValueRange;
use isotherm_model::settings::Settings;
use isotherm_model::stats::Stats;
use isotherm_model::time;
use isotherm_model::window::Window;
use proptest::prelude::*;

/// The base timestamp of the golden bytes: 2026-11-22T10:00:01.995Z.
const BASE: i64 = 1_795_341_601_995;

/// A batch with two windows, three groups, a rejected record and a sensor that reports twice.
fn golden() -> Partial {
    let reading = |guid: &str, state: &str, time: &str, value: &str| {
        format!(
            r#"{{"guid":"{guid}","state":"{state}","eventTime":"2026-11-22T10:00:{time}Z","payload":{{"data":{{"temperature":{value}}}}}}}"#
        )
    };
    let values = [
        reading("s1", "AK", "00", "20.3"),
        reading("s2", "AK", "01.5", "31.8"),
        reading("s1", "AK", "02.999", "-0.000001"),
        reading("s3", "PR", "02", "1000000"),
        "not JSON".to_owned(),
        reading("s1", "WY", "03", "-40"),
    ];
    let records = values.iter().map(|value| Record { timestamp: Some(1_795_341_602_000), value: value.as_bytes() });
    let partial = combine(&Settings::default(), 4_566, Some(BASE), records);
    assert_eq!(partial.version, ModuleVersion::CURRENT);
    // The bytes of a format outlive the version that first wrote them.
    Partial { version: ModuleVersion { major: 0, minor: 1, patch: 0 }, ..partial }
}

/// Bytes as hexadecimal digits, without white space and comments that begin with `;`.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .lines()
        .flat_map(|line| line.split(';').next().unwrap_or_default().chars())
        .filter(|character| !character.is_whitespace())
        .map(|digit| digit.to_digit(16).expect("a hexadecimal digit"))
        .collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn golden_bytes_are_read_and_written() {
    let golden = golden();
    let bytes = encode(&golden).expect("well-formed");
    let kept = unhex(include_str!("golden/partial-1.hex"));
    assert_eq!(bytes, kept, "the bytes of format 1 changed; give the format a new number");
    assert_eq!(decode(&kept), Ok(golden.clone()));
    let text = codec::text(&golden, Settings::default().window, "state");
    assert_eq!(text, include_str!("golden/partial-1.json").trim_end());
    // The document shows this very text, in several lines.
    let document = include_str!("../../../docs/partial-format.md");
    let shown = document.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
    assert_eq!(shown.lines().map(str::trim_start).collect::<String>(), text);
}

#[test]
fn partials_of_older_versions_are_refused() {
    for bytes in [b"ISOP" as &[u8], b"ISOP\x02\0\0\x01\0\0\0"] {
        let error = decode(bytes).expect_err("an older version");
        assert_eq!(error, DecodeError::Older);
        assert!(error.to_string().contains("older"), "{error}");
    }
}

#[test]
fn a_batch_without_records_is_a_partial() {
    let empty = combine(&Settings::default(), 7, None, []);
    let bytes = encode(&empty).expect("well-formed");
    assert_eq!(decode(&bytes), Ok(empty.clone()));
    assert_eq!(
        codec::text(&empty, Settings::default().window, "state"),
        r#"{"type":"partial","first":7,"last":null,"base_timestamp":null,"messages":0,"counted":0,"rejected":{},"newest":null,"windows":[]}"#
    );
}

/// The golden bytes with some of them replaced.
fn patched(at: usize, bytes: &[u8]) -> Result<Partial, DecodeError> {
    let mut patched = encode(&golden()).expect("well-formed");
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    decode(&patched)
}

#[test]
fn each_refusal_says_why() {
    let bytes = encode(&golden()).expect("well-formed");
    assert_eq!(decode(b""), Err(DecodeError::NotAPartial(0)));
    assert_eq!(decode(b"ISO"), Err(DecodeError::NotAPartial(3)));
    assert!(matches!(decode(b"IPAR"), Err(DecodeError::Truncated { at: 4, .. })));
    for format in [0, 2, 255] {
        assert_eq!(patched(4, &[format]), Err(DecodeError::Format(format)));
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&longer), Err(DecodeError::Trailing(bytes.len())));
    assert_eq!(patched(19, &i64::MAX.to_le_bytes()), Err(Fault::Source { first: i64::MAX }.into()));
    assert_eq!(patched(19, &(-1_i64).to_le_bytes()), Err(Fault::Source { first: -1 }.into()));
    for timestamp in [-1, i64::MIN] {
        assert_eq!(patched(27, &timestamp.to_le_bytes()), Err(Fault::BaseTimestamp(timestamp).into()));
    }
    for (timestamp, base) in [(0_i64, None), (1, Some(1)), (i64::MAX, Some(i64::MAX))] {
        assert_eq!(patched(27, &timestamp.to_le_bytes()).map(|partial| partial.base_timestamp), Ok(base));
    }
    assert_eq!(patched(43, &[5]), Err(Fault::Crowded { records: 6, offsets: 5 }.into()));
    assert_eq!(patched(44, &[5]), Err(Fault::Account { records: 5, counted: 5, rejected: 1 }.into()));
    assert_eq!(patched(47, &[0]), Err(Fault::Reasons.into()));
    assert_eq!(patched(48, &[2]), Err(DecodeError::Flag(48)));
    for newest in [time::END, i64::MAX] {
        assert_eq!(patched(49, &newest.to_le_bytes()), Err(Fault::NewestBeyond(newest).into()));
    }
    // A reading counts for at most its record's log timestamp, which can be any: a newest time has no lower bound.
    for newest in [time::END - 1, i64::MIN] {
        assert_eq!(patched(49, &newest.to_le_bytes()).map(|partial| partial.aggregate.newest), Ok(Some(newest)));
    }
    assert!(matches!(patched(43, &[0x86, 0]), Err(DecodeError::NotMinimal { at: 43, .. })));
    assert!(matches!(patched(43, &[0xff; 12]), Err(DecodeError::TooLarge { at: 43, .. })));
    assert_eq!(patched(57, &[4]), Err(Fault::Statistics.into()));
    assert_eq!(patched(58, &[1]), Err(Fault::Statistics.into()));
    // Numbers that a newer version may give a meaning.
    for (at, what, number) in
        [(46, "reason", 8), (62, "statistic", 5), (63, "members", 0), (63, "members", 2), (92, "set of sensors", 1)]
    {
        let error = patched(at, &[number]).expect_err("a newer version");
        assert!(
            matches!(error, DecodeError::Newer { at: place, number: found, .. } if (place, found) == (at, number.into()))
        );
        assert!(error.to_string().contains(what) && error.to_string().contains("newer version"), "{error}");
    }
    assert_eq!(patched(66, b"ZZ"), Err(Fault::GroupOrder("PR".into()).into()));
    assert_eq!(patched(69, b"AK"), Err(Fault::GroupOrder("AK".into()).into()));
    assert_eq!(patched(81, &[3]), Err(Fault::NoSuchGroup.into()));
    assert_eq!(patched(110, &[1]), Err(Fault::UnusedGroup("PR".into()).into()));
    let mut repeated = bytes.clone();
    repeated.splice(45..46, [2, 0, 1]);
    assert_eq!(decode(&repeated), Err(Fault::Reasons.into()));

    // A partial that no batch gives is not written either.
    let refused = |change: fn(&mut Partial)| {
        let mut partial = golden();
        change(&mut partial);
        encode(&partial).expect_err("no such partial")
    };
    assert_eq!(refused(|p| p.source.next = 0), Fault::Source { first: 4_566 });
    assert_eq!(refused(|p| p.source.first = -1), Fault::Source { first: -1 });
    assert_eq!(refused(|p| p.base_timestamp = Some(0)), Fault::BaseTimestamp(0));
    assert_eq!(
        refused(|p| (p.aggregate.records, p.aggregate.rejected) = (5, RejectedCounts::default())),
        Fault::RejectedHash
    );
    assert_eq!(refused(|p| p.aggregate.newest = None), Fault::Newest);
    assert_eq!(refused(|p| p.aggregate.newest = Some(i64::MAX)), Fault::NewestBeyond(i64::MAX));
    let cell = |change: fn(&mut isotherm_model::partial::Cell)| {
        let mut partial = golden();
        change(partial.aggregate.cells.values_mut().next().expect("a cell"));
        encode(&partial).expect_err("no such partial")
    };
    assert_eq!(cell(|c| c.stats.count = 0), Fault::NothingCounted("AK".into()));
    assert_eq!(cell(|c| c.stats.sum = 4 * 31_800_000), Fault::Values("AK".into()));
    assert_eq!(cell(|c| c.stats.sum = -4), Fault::Values("AK".into()));
    assert_eq!(cell(|c| std::mem::swap(&mut c.stats.min, &mut c.stats.max)), Fault::Values("AK".into()));
    assert_eq!(cell(|c| c.sensors.clear()), Fault::Sensors("AK".into()));
    assert_eq!(cell(|c| c.sensors.reverse()), Fault::Sensors("AK".into()));
    assert_eq!(cell(|c| c.sensors = vec![1, 1]), Fault::Sensors("AK".into()));
    assert_eq!(cell(|c| c.sensors = vec![1, 2, 3, 4]), Fault::Sensors("AK".into()));
}

/// A partial with one cell of one reading of this value, in this window.
fn alone(window: i64, micros: i64) -> Partial {
    let mut partial = golden();
    partial.aggregate.records = 1;
    partial.aggregate.rejected = RejectedCounts::default();
    partial.rejected_hash = RejectedHash::NONE;
    let stats = Stats::of(Fixed::from_micros(micros));
    let key = CellKey { window: Window(window), group: "AK".into() };
    partial.aggregate.cells = [(key, Cell { stats, sensors: vec![1] })].into();
    partial
}

/// Decodes such a partial with its window, which takes seven bytes, and its value, which takes nine, replaced.
fn with_window_and_value(window: i64, micros: i64) -> Result<Partial, DecodeError> {
    let zigzag = |number: i64, bytes: usize| -> Vec<u8> {
        let zigzag = (number << 1 ^ number >> 63).cast_unsigned();
        let digits = (0..bytes).map(|i| (zigzag >> (7 * i)) as u8 & 0x7f | if i + 1 < bytes { 0x80 } else { 0 });
        digits.collect()
    };
    let (from, limit) = (time::END - 1, ValueRange::LIMIT.micros());
    let bytes = encode(&alone(from, limit)).expect("well-formed");
    let at = |part: &[u8]| bytes.windows(part.len()).position(|bytes| bytes == part).expect("part of the bytes");
    let (window_at, value_at) = (at(&zigzag(from, 7)), at(&zigzag(limit, 9)));
    let mut changed = bytes.clone();
    changed.splice(value_at..value_at + 9, zigzag(micros, 9));
    changed.splice(window_at..window_at + 7, zigzag(window, 7));
    decode(&changed)
}

#[test]
fn windows_and_values_end_where_those_of_readings_do() {
    let limit = ValueRange::LIMIT.micros();
    for (window, value) in [(time::FIRST, limit), (time::END - 1, -limit)] {
        let partial = alone(window, value);
        assert_eq!(decode(&encode(&partial).expect("well-formed")), Ok(partial.clone()));
        assert_eq!(with_window_and_value(window, value), Ok(partial));
    }
    for window in [time::FIRST - 1, time::END] {
        let fault = Fault::NoSuchWindow(Window(window));
        assert_eq!(encode(&alone(window, 0)), Err(fault.clone()));
        assert_eq!(with_window_and_value(window, limit), Err(fault.into()));
    }
    for value in [limit + 1, -limit - 1] {
        let fault = Fault::Values("AK".into());
        assert_eq!(encode(&alone(0, value)), Err(fault.clone()));
        assert_eq!(with_window_and_value(time::FIRST, value), Err(fault.into()));
    }
}

#[test]
fn the_largest_partials_are_within_the_stated_multiples() {
    let settings = Settings::from_params(generate::SHORTEST).expect("valid");
    let mut combiner = Combiner::new(&settings);
    for (readings, to_a_window) in
        [(0, 1), (1, 1), (25, 1), (25, 2), (300, 300), (20_000, 1), (20_000, 2), (20_000, 64)]
    {
        combiner.begin(i64::MAX / 2, Some(i64::MAX));
        let mut raw = 4;
        for i in 0..readings {
            let value = generate::shortest(i, to_a_window);
            // Its framing has at least seven bytes: lengths, attributes, deltas, key flag, headers.
            raw += value.len() + 7;
            combiner.push(&Record { timestamp: None, value: value.as_bytes() });
        }
        let combined = combiner.finish();
        assert!(
            combined.encoded_len() <= codec::max_encoded_len(raw),
            "{readings} readings, {to_a_window} to a window"
        );
        assert!(combined.text_len("") <= codec::max_text_len(raw), "{readings} readings, {to_a_window} to a window");
    }
}

/// Bytes are refused, or they are the one encoding of their partial.
fn is_canonical(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(partial) = decode(bytes) {
        let encoded = encode(&partial);
        prop_assert_eq!(encoded.as_deref(), Ok(bytes));
    }
    Ok(())
}

proptest! {
    #[test]
    fn damaged_bytes_are_refused_or_canonical(partial in generate::partial()) {
        let bytes = encode(&partial).expect("well-formed");
        prop_assert_eq!(decode(&bytes), Ok(partial));
        for cut in 0..bytes.len() {
            decode(&bytes[..cut]).unwrap_err();
        }
        let mut damaged = bytes.clone();
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff, 0x7f, bytes[at]] {
                damaged[at] = bytes[at] ^ change;
                is_canonical(&damaged)?;
            }
            damaged[at] = bytes[at];
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200), small in proptest::collection::vec(0_u8..4, 0..200)) {
        for tail in [tail, small] {
            is_canonical(&tail)?;
            let start = b"IPAR\x01\0\0\x01\0\0\0FINGERPROFFSETS0TIMESTMP\0\0\0\0\0\0\0\0";
            for start in [&start[..5], &start[..27], start, &[start, b"\x09\x01\0\x01\0\0\0\0\0\0\0\0\x05\0\x01\x02\x03\x04\x01" as &[u8]].concat()] {
                is_canonical(&[start, tail.as_slice()].concat())?;
            }
        }
    }
}
