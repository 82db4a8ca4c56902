//! Records of every kind: ordinary readings, unusual but valid JSON, and every fault.

#![allow(dead_code, reason = "each test that includes this file uses a part of it")]

use isotherm_model::combine::{Record, combine};
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use isotherm_model::time::Utc;
use proptest::prelude::*;

/// A name of a member, sometimes written with escapes.
fn name(text: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(format!("\"{text}\"")),
        1 => proptest::collection::vec(any::<bool>(), text.len()).prop_map(move |escaped| {
            let letters = text.chars().zip(escaped).map(|(letter, escaped)| {
                if escaped { format!("\\u{:04x}", letter as u32) } else { letter.to_string() }
            });
            format!("\"{}\"", letters.collect::<String>())
        }),
    ]
}

/// White space.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just(""), 2 => Just(" "), 1 => Just("\n\t\r  ")]
}

/// The value of an unknown member: any JSON, now and then invalid.
fn anything() -> impl Strategy<Value = String> {
    let valid = text(&[
        "null",
        "true",
        "false",
        "0",
        "-0.0e-0",
        "1e999",
        "\"\"",
        "\"\\ud83d\\ude00 \\\"\\\\ é\"",
        "123456789012345678901234567890",
        "\"a long text that is longer than one stride\"",
    ]);
    let broken = text(&["\"\\ud83d\"", "01", "1.", "nul", "\"\u{1}\"", "'a'", ""]);
    let leaf = prop_oneof![60 => valid, 1 => broken];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            proptest::collection::vec(inner, 0..4).prop_map(|values| {
                let members: Vec<String> =
                    values.iter().enumerate().map(|(i, value)| format!("\"{i}\": {value}")).collect();
                format!("{{{}}}", members.join(" , "))
            }),
        ]
    })
}

fn text(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(choices).prop_map(str::to_owned)
}

fn sensor() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0..20_u32).prop_map(|n| format!("\"sensor-{n}\"")),
        1 => text(&["\"sensor\\u002d7\"", "\"\"", "\"é\"", "\"\\u00e9\"", "7", "null", "{}", "\"\\\"\""]),
    ]
}

fn group() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => text(&["\"AK\"", "\"AL\"", "\"WY\"", "\"PR\""]),
        1 => text(&["\"A\\u004b\"", "\"ZZ\"", "\"ak\"", "\"\"", "\"A\\nK\"", "1", "[\"AK\"]"]),
    ]
}

fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0_u32..20, 0_u32..1_000).prop_map(|(second, milli)| format!("\"2026-11-22T10:00:{second:02}.{milli:03}Z\"")),
        1 => text(&[
            "\"2026-11-22T10:00:00Z\"", "\"2026-11-22T12:00:00.5+02:00\"", "\"2026-11-22T10:00:00.123456789Z\"", "\"2026\\u002d11-22T10:00:01Z\"",
            "\"2026-11-22 10:00:00Z\"", "\"2026-11-22T10:00:60Z\"", "\"\"", "\"now\"", "\"2026-11-22T10:00:00.0123456789Z\"", "0", "\"1000-01-01T00:00:00Z\"",
            "\"9998-12-31T23:59:59.999Z\"", "\"9999-01-01T00:00:00Z\"", "\"2027-11-22T10:00:00Z\"",
        ]),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (-400_i32..1_200).prop_map(|tenths| format!("{}.{}", tenths / 10, (tenths % 10).abs())),
        1 => text(&[
            "0", "-0", "1e2", "-1.5E+1", "0.0000005", "0.0000015", "-0.00000050000000001", "1000000", "1000000.0000001", "-1000000", "1e400", "1e-400", "1e7",
            "\"1\"", "null", "[1]", "123456.7890125", "0.1e-5", "00", "1.", "-", "+1", "1e", "1234567890123456789012345678901234567890",
        ]),
    ]
}

/// One member: its name and its value.
fn member(name: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (name, space(), space(), value, space()).prop_map(|(name, a, b, value, c)| format!("{name}{a}:{b}{value}{c}"))
}

/// Members in an object, in any order, some absent, some twice.
fn object(members: Vec<BoxedStrategy<String>>) -> impl Strategy<Value = String> {
    let extra = member(
        prop_oneof![12 => text(&["\"x\"", "\"\""]), 1 => text(&["\"guid\"", "\"payload\"", "\"data\""])],
        anything(),
    );
    let count = members.len();
    let each: Vec<_> = members.iter().map(|member| proptest::collection::vec(member.clone(), 1)).collect();
    (
        each,
        proptest::collection::vec(prop_oneof![3 => extra, 1 => proptest::strategy::Union::new(members)], 0..3),
        0..12_usize,
        space(),
    )
        .prop_map(|(each, extra, absent, space)| (each.into_iter().flatten().collect::<Vec<_>>(), extra, absent, space))
        .prop_perturb(move |(mut members, extra, absent, space), mut random| {
            if absent < count {
                // Most objects are whole.
                if random.random_range(0..3) == 0 {
                    members.remove(absent);
                }
            }
            members.extend(extra);
            for i in (1..members.len()).rev() {
                if random.random_range(0..3) == 0 {
                    members.swap(i, random.random_range(0..=i));
                }
            }
            format!("{{{space}{}}}", members.join(&format!(",{space}")))
        })
}

/// A record of the sensor message's shape, or nearly so.
pub(crate) fn record() -> impl Strategy<Value = Vec<u8>> {
    let data = object(vec![member(name("temperature"), value()).boxed()]);
    let data = prop_oneof![12 => data.boxed(), 1 => anything().boxed()];
    let payload = object(vec![
        member(text(&["\"format\""]), Just("\"urn:example:sensor:temp\"".to_owned())).boxed(),
        member(name("data"), data).boxed(),
    ]);
    let payload = prop_oneof![12 => payload.boxed(), 1 => anything().boxed()];
    let whole = object(vec![
        member(name("guid"), sensor()).boxed(),
        member(text(&["\"destination\""]), Just("\"0-AAA12345678\"".to_owned())).boxed(),
        member(name("state"), group()).boxed(),
        member(name("eventTime"), time()).boxed(),
        member(name("payload"), payload).boxed(),
    ]);
    let whole = prop_oneof![20 => whole.boxed(), 1 => anything().boxed()];
    (space(), whole, space(), proptest::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8)))
        .prop_map(|(before, whole, after, damage)| {
            let mut bytes = format!("{before}{whole}{after}").into_bytes();
            match damage {
                Some((place, byte, kind)) if !bytes.is_empty() => {
                    let place = place.index(bytes.len());
                    match kind {
                        0 => bytes[place] = byte,
                        1 => bytes.truncate(place),
                        _ => bytes.insert(place, byte),
                    }
                }
                _ => {}
            }
            bytes
        })
}

/// A log timestamp: mostly near the readings' times, sometimes none.
pub(crate) fn timestamp() -> impl Strategy<Value = Option<i64>> {
    const NOON: i64 = 1_795_341_600_000;
    prop_oneof![2 => Just(None), 6 => (NOON - 70_000..NOON + 30_000).prop_map(Some), 1 => (NOON + 20_000..i64::MAX).prop_map(Some)]
}

/// A batch of records with their timestamps.
pub(crate) fn batch(most: usize) -> impl Strategy<Value = Vec<(Option<i64>, Vec<u8>)>> {
    proptest::collection::vec((timestamp(), record()), 0..most)
}

/// A partial of a generated batch.
pub(crate) fn partial() -> impl Strategy<Value = Partial> {
    (batch(10), any::<i64>(), timestamp()).prop_map(|(batch, first, base)| {
        let records = batch.iter().map(|(timestamp, value)| Record { timestamp: *timestamp, value });
        combine(&Settings::default(), first >> 2 & i64::MAX, base, records)
    })
}

/// Settings for [`shortest`] readings: one member is sensor, group and time.
pub(crate) const SHORTEST: [(&str, &str); 8] = [
    ("sensor", "/"),
    ("group", "/"),
    ("time", "/"),
    ("value", "/a"),
    ("groups", "any"),
    ("window", "1ms"),
    ("min", "-1000000000000"),
    ("max", "1000000000000"),
];

/// A reading as short as possible, with statistics as long as possible. This many readings share a window.
pub(crate) fn shortest(i: usize, to_a_window: usize) -> String {
    // 2000-01-01T00:00:00Z, and a second from window to window.
    let time = Utc(946_684_800_000 + (i / to_a_window) as i64 * 1_000);
    // The values of a window span the whole range.
    let sign = if i.is_multiple_of(2) { "-" } else { "" };
    format!("{{\"\":\"{time}\",\"a\":{sign}1e12}}")
}
