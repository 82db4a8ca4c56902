//! The module in the stock engine, `model::combine` and the plain reference give one answer.

#[path = "../../../crates/model/tests/generate/mod.rs"]
mod generate;
#[path = "../../../crates/model/tests/reference/mod.rs"]
mod reference;
#[path = "../../testing/mod.rs"]
mod testing;

use fluvio_protocol::Encoder;
use fluvio_protocol::record::Record;
use fluvio_smartengine::SmartModuleChainInstance;
use fluvio_smartengine::transformation::TransformationConfig;
use isotherm_model::codec::{self, decode, max_encoded_len, max_text_len};
use isotherm_model::combine::{self, combine};
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use proptest::prelude::*;
use testing::{Parts, answered, any_parts, instance, raw};

const NAME: &str = "window-stats";
const NOON: i64 = 1_795_341_600_000;
/// The engine's protocol with deprecated fields, and as clients speak it today.
const VERSIONS: [i16; 2] = [22, 25];

fn reading(i: usize) -> Vec<u8> {
    format!(
        r#"{{"guid":"{:08x}-0000-4000-8000-{:012x}","destination":"0-AAA12345678","state":"{}","eventTime":"2026-11-22T10:00:{:02}.{:03}Z","payload":{{"format":"urn:example:sensor:temp","data":{{"temperature":{}.{}}}}}}}"#,
        i % 2_000,
        i % 2_000,
        ["AK", "AL", "WY", "CA", "TX"][i % 5],
        i / 1_000 % 9,
        i % 1_000,
        i % 120,
        i % 10
    )
    .into_bytes()
}

/// What the module answers: one record, which is a partial.
fn partial(module: &mut SmartModuleChainInstance, raw: &[u8], first: i64, timestamp: i64) -> Partial {
    let records = answered(module, raw, first, timestamp).expect("an answer");
    let [record] = records.as_slice() else { panic!("{} records for one batch", records.len()) };
    assert!(record.key.is_none());
    assert!(record.value.len() <= max_encoded_len(raw.len()), "{} of {}", record.value.len(), raw.len());
    decode(&record.value).expect("a partial")
}

/// All three answers to a batch are one.
fn check(
    module: &mut SmartModuleChainInstance,
    settings: &Settings,
    parts: &[Parts],
    first: i64,
    timestamp: i64,
) -> Partial {
    let records: Vec<combine::Record<'_>> = parts
        .iter()
        .map(|parts| combine::Record {
            timestamp: (timestamp > 0).then_some(timestamp.saturating_add(parts.timestamp_delta)),
            value: &parts.value,
        })
        .collect();
    let answered = partial(module, &raw(parts), first, timestamp);
    assert_eq!(answered, combine(settings, first, Some(timestamp), records.iter().copied()));
    assert_eq!(answered.aggregate, reference::combine(settings, &records));
    answered
}

#[test]
fn module_model_and_reference_give_one_answer() {
    let defaults = Settings::default().to_params();
    let defaults: Vec<_> = defaults.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let settings = [
        &defaults,
        [("groups", "any"), ("window", "250ms"), ("max-ahead", "0s")].as_slice(),
        &[("groups", r#"["AK","","A\nK"]"#), ("min", "-5.5"), ("max", "99.999999")],
    ];
    for params in settings {
        let settings = Settings::from_params(params.iter().copied()).expect("valid");
        for version in VERSIONS {
            let module = std::cell::RefCell::new(instance(NAME, params, version, None).expect("an instance"));
            proptest!(ProptestConfig::with_cases(150), |(parts in any_parts(generate::record()), first in 0_i64..1 << 40, timed: bool)| {
                check(&mut module.borrow_mut(), &settings, &parts, first, if timed { NOON } else { -1 });
            });
        }
    }
}

#[test]
fn batches_of_every_size_are_answered() {
    let settings = Settings::default();
    let mut module = instance(NAME, &[], 25, None).expect("an instance");
    let empty = check(&mut module, &settings, &[], 7, NOON);
    assert_eq!((empty.source.first, empty.source.next, empty.aggregate.records), (7, 7, 0));
    check(&mut module, &settings, &[Parts::value(reading(1))], 7, NOON);
    // Values that are not readings.
    let none = ["", "null", "\"\"", "{}", "[]", " "].map(Parts::value);
    assert_eq!(check(&mut module, &settings, &none, 8, NOON).aggregate.rejected.total(), 6);
    // 32 MiB in one batch, and then a small one again.
    let mut large: Vec<Parts> = Vec::new();
    let mut bytes = 0;
    while bytes < 32 << 20 {
        let part =
            Parts { key: Some(b"AK".to_vec()), value: reading(large.len()), timestamp_delta: large.len() as i64 };
        bytes += part.value.len() + 16;
        large.push(part);
    }
    let answer = check(&mut module, &settings, &large, 1 << 33, NOON);
    assert_eq!(answer.aggregate.counted(), large.len() as u64);
    check(&mut module, &settings, &large[..3], 0, NOON);
    // One record of 32 MiB.
    let record = Parts::value(format!("{}{}", " ".repeat(32 << 20), String::from_utf8_lossy(&reading(5))));
    assert_eq!(check(&mut module, &settings, &[record], 0, NOON).aggregate.counted(), 1);
}

#[test]
fn offset_deltas_are_ignored() {
    let mut module = instance(NAME, &[], 25, None).expect("an instance");
    let wanted: Vec<Parts> = (0..3).map(reading).map(Parts::value).collect();
    let wanted = check(&mut module, &Settings::default(), &wanted, 40, NOON);
    assert_eq!((wanted.source.first, wanted.source.next), (40, 43));
    for deltas in [[0, 1, 1_000_000], [1 << 30, 5, 5], [-7, -7, -7], [2, 1, 0]] {
        let records = deltas.iter().zip(0..).map(|(delta, number)| {
            let mut record = Record::new(reading(number));
            record.preamble.set_offset_delta(*delta);
            record
        });
        let mut raw = Vec::new();
        records.collect::<Vec<_>>().encode(&mut raw, 0).expect("encodes");
        assert_eq!(partial(&mut module, &raw, 40, NOON), wanted, "{deltas:?}");
    }
}

#[test]
fn the_answer_for_people_is_json() {
    let mut module = instance(NAME, &[("output", "json"), ("group", "/destination"), ("groups", "any")], 25, None)
        .expect("an instance");
    let parts: Vec<Parts> = (0..100).map(reading).map(Parts::value).collect();
    let raw = raw(&parts);
    let records = answered(&mut module, &raw, 40, NOON).expect("an answer");
    let text = std::str::from_utf8(&records[0].value).expect("text");
    assert!(text.len() <= max_text_len(raw.len()));
    let settings = Settings::from_params([("group", "/destination"), ("groups", "any")]).expect("valid");
    let records = parts.iter().map(|parts| combine::Record { timestamp: Some(NOON), value: &parts.value });
    assert_eq!(text, codec::text(&combine(&settings, 40, Some(NOON), records), settings.window, "destination"));
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(value["last"], 139);
    assert_eq!(value["base_timestamp"], "2026-11-22T10:00:00Z");
    assert_eq!(value["windows"][0]["groups"][0]["destination"], "0-AAA12345678");
}

#[test]
fn bad_parameters_are_named_when_the_module_is_made() {
    for (params, parts) in [
        (&[("windows", "3s")] as &[(&str, &str)], &["`windows`", "max-ahead, output"] as &[&str]),
        (&[("window", "0s")], &["`window`", "`0s`", "1ms to 366days"]),
        (&[("output", "xml")], &["`output`", "`xml`", "binary, json"]),
        (&[("groups", "")], &["`groups`", "empty"]),
        (&[("group", "/sum")], &["`group`", "`/sum`"]),
        (&[("min", "5"), ("max", "4")], &["`min` 5 is", "`max` 4,", "swap"]),
    ] {
        for version in VERSIONS {
            let error = instance(NAME, params, version, None).expect_err("no such module");
            for part in parts {
                assert!(error.contains(part), "{params:?}: {error}");
            }
        }
    }
}

#[test]
fn a_damaged_batch_is_an_error_that_names_its_offset() {
    let mut module = instance(NAME, &[], 25, None).expect("an instance");
    let parts: Vec<Parts> = (0..10).map(reading).map(Parts::value).collect();
    let whole = raw(&parts);
    let error = answered(&mut module, &whole[..whole.len() - 1], 500, NOON).expect_err("damaged");
    assert!(error.contains("500") && error.contains("509"), "{error}");
    assert!(error.contains(isotherm_smartmodule_abi::DAMAGED), "the consumer knows it by these words: {error}");
    // And the module goes on.
    check(&mut module, &Settings::default(), &parts, 500, NOON);
}

#[test]
fn the_module_bears_the_mark_by_which_a_consumer_knows_it() {
    let (bytes, mark) = (testing::module(NAME), Settings::CANONICAL.as_bytes());
    assert!(bytes.windows(mark.len()).any(|bytes| bytes == mark));
}

#[test]
fn memory_stays_flat() {
    // A limit at which a few batches pass is one at which any number of them passes.
    let parts: Vec<Parts> = (0..4_000).map(reading).map(Parts::value).collect();
    let raw = raw(&parts);
    let passes = |pages: usize, batches: usize| {
        instance(NAME, &[], 25, Some(pages << 16))
            .and_then(|mut module| (0..batches).try_for_each(|_| answered(&mut module, &raw, 0, NOON).map(drop)))
            .is_ok()
    };
    let min = (1..=1_024).collect::<Vec<_>>().partition_point(|pages| !passes(*pages, 2)) + 1;
    assert!(min > 16 && min < 128, "{min} pages for batches of {} bytes", raw.len());
    assert!(passes(min, 100), "400,000 readings need more than the {min} pages that 8,000 need");
}

#[test]
fn the_package_names_the_version_and_every_parameter() {
    let package = include_str!("../SmartModule.toml");
    assert!(package.contains(&format!("version = \"{}\"", env!("CARGO_PKG_VERSION"))));
    for name in isotherm_model::params::Params::SETTINGS.into_iter().chain(["output"]) {
        assert!(package.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn the_engine_reads_the_shipped_topology_for_a_transform() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fluvio.yaml");
    let config = TransformationConfig::from_file(file).expect("what `fluvio consume --transforms-file` reads");
    assert_eq!(config.transforms.len(), 1);
    assert_eq!(config.transforms[0].uses, "window-stats");
    let with = config.transforms[0].with.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    assert_eq!(with.collect::<Vec<_>>(), [("output", "json")]);
}
