//! Parameters are read back as they were written, and errors name what is wrong.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fixed::Fixed;

fn read(params: &[(&str, &str)]) -> Result<Settings, BadParams> {
    Settings::from_params(params.iter().copied())
}

fn error(params: &[(&str, &str)]) -> String {
    read(params).expect_err("wrong parameters").to_string()
}

#[test]
fn the_defaults_are_those_of_the_sensor_message() {
    let settings = read(&[]).expect("defaults");
    assert_eq!(settings, Settings::default());
    assert_eq!(
        settings.to_params(),
        [
            ("sensor", "/guid"),
            ("group", "/state"),
            ("time", "/eventTime"),
            ("value", "/payload/data/temperature"),
            ("groups", "us-states"),
            ("min", "-1000000"),
            ("max", "1000000"),
            ("window", "3s"),
            ("max-ahead", "1m"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    // Versions must agree on the canonical text.
    assert_eq!(settings.fingerprint().to_string(), "272f8574e5179b33");
}

#[test]
fn each_parameter_is_read() {
    let settings = read(&[
        ("sensor", "/a~1b/c~0d"),
        ("group", "/"),
        ("time", "/t"),
        ("value", "/v"),
        ("groups", r#"["north", "s\u00fcd"]"#),
        ("min", "-1.5"),
        ("max", "1e3"),
        ("window", "1h 30m"),
        ("max-ahead", "0s"),
    ])
    .expect("valid");
    assert_eq!(settings.schema.sensor.names(), ["a/b", "c~d"]);
    assert_eq!(settings.schema.group.names(), [""]);
    assert_eq!(settings.schema.groups, Groups::List(["north", "süd"].map(str::to_owned).into()));
    assert_eq!(
        settings.schema.range,
        ValueRange { min: Fixed::from_micros(-1_500_000), max: Fixed::from_micros(1_000_000_000) }
    );
    assert_eq!(settings.window.millis(), 5_400_000);
    assert_eq!(settings.max_ahead, Duration::ZERO);
}

#[test]
fn errors_name_the_parameter_the_value_and_the_remedy() {
    for (params, parts) in [
        (&[("windows", "3s")] as &[(&str, &str)], &["`windows`", "unknown", "window, max-ahead"] as &[&str]),
        (&[("window", "3s"), ("window", "4s")], &["`window`", "twice"]),
        (&[("groups", " ")], &["`groups`", "empty"]),
        (&[("sensor", "guid")], &["`sensor`", "`guid`", "/"]),
        (&[("sensor", "/a~2")], &["`sensor`", "`/a~2`", "~0"]),
        (&[("group", "/a/avg")], &["`group`", "`/a/avg`", "messages"]),
        (&[("groups", "states")], &["`groups`", "`states`", "us-states", "any"]),
        (&[("groups", "[]")], &["`groups`", "empty"]),
        (&[("groups", r#"["a","a"]"#)], &["`groups`", "`a`", "twice"]),
        (&[("min", "-inf")], &["`min`", "`-inf`", "six decimals"]),
        (&[("max", "0.0000001")], &["`max`", "`0.0000001`", "six decimals"]),
        (&[("max", "1000000000000.000001")], &["`max`", "1000000000000"]),
        (&[("min", "2"), ("max", "1")], &["`min` 2 is", "`max` 1,", "swap"]),
        (&[("min", "1000001")], &["`min` 1000001 is", "`max` 1000000 (the default)", "give a `max`"]),
        (&[("max", "-1e7")], &["`min` -1000000 (the default)", "`max` -10000000,", "give a `min`"]),
        (&[("window", "3")], &["`window`", "`3`", "3s"]),
        (&[("window", "0s")], &["`window`", "`0s`", "1ms to 366days"]),
        (&[("window", "367days")], &["`window`", "`367days`", "366days"]),
        (&[("window", "1500us")], &["`window`", "`1500us`", "whole milliseconds"]),
        (&[("max-ahead", "101years")], &["`max-ahead`", "`101years`", "36525days"]),
        (&[("max-ahead", "1ns")], &["`max-ahead`", "`1ns`", "whole milliseconds"]),
        (&[("value", "/guid")], &["`sensor`", "`value`", "`/guid`"]),
        (&[("value", "/guid/x")], &["`sensor`", "`value`", "`/guid/x`"]),
        (&[("time", "/payload")], &["`time`", "`value`", "`/payload`"]),
    ] {
        let error = error(params);
        for part in parts {
            assert!(error.contains(part), "{params:?}: {error}");
        }
    }
    let deep = "/a".repeat(128);
    assert!(error(&[("sensor", &deep)]).contains("127"));
}

#[test]
fn sensor_and_group_may_be_one_member() {
    let settings = read(&[("sensor", "/id"), ("group", "/id"), ("groups", "any")]).expect("valid");
    assert_eq!(settings.schema.sensor, settings.schema.group);
}

#[test]
fn a_module_takes_its_own_parameters_first() {
    let mut params = Params::new([("output", "json"), ("window", "1s")]).expect("valid");
    assert_eq!(OutputFormat::take(&mut params), Ok(OutputFormat::Json));
    assert_eq!(params.into_settings().expect("valid").window.millis(), 1_000);
    let mut params = Params::new([("output", "text")]).expect("valid");
    let error = OutputFormat::take(&mut params).expect_err("no such output").to_string();
    assert!(error.contains("`output`") && error.contains("`text`") && error.contains("binary, json"), "{error}");
    // A name that another module knows is unknown to this one.
    assert!(self::error(&[("output", "json")]).contains("unknown"));
}

fn pointer() -> impl Strategy<Value = Pointer> {
    proptest::collection::vec("[a-z/~ é\"]{0,4}", 1..4).prop_map(|names| {
        let text: String =
            names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect();
        let pointer = Pointer::parse(&text).expect("valid");
        assert_eq!(pointer.names(), names);
        assert_eq!(pointer.to_string(), text);
        pointer
    })
}

proptest! {
    #[test]
    fn settings_survive_their_parameters(
        sensor in pointer(), group in pointer(), time in pointer(), value in pointer(),
        list in proptest::option::of(proptest::collection::btree_set(any::<String>(), 1..4)),
        bounds in [-1_000_000_000_000_000_000..=1_000_000_000_000_000_000_i64, -1_000_000_000_000_000_000..=1_000_000_000_000_000_000_i64],
        window in 1_u64..=366 * 86_400_000, ahead in 0_u64..=36_525 * 86_400_000,
    ) {
        let groups = list.map_or(Groups::Any, Groups::List);
        let [min, max] = [bounds[0].min(bounds[1]), bounds[0].max(bounds[1])].map(Fixed::from_micros);
        let range = ValueRange::new(min, max).expect("within the limit");
        let settings = Settings {
            schema: Schema { sensor, group, time, value, groups, range },
            window: WindowSize::new(Duration::from_millis(window)).expect("within the bounds"),
            max_ahead: Duration::from_millis(ahead),
        };
        let params = settings.to_params();
        let read = Settings::from_params(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        match settings.schema.check() {
            Ok(()) => {
                let read = read.expect("valid");
                prop_assert_eq!(read.fingerprint(), settings.fingerprint());
                prop_assert_eq!(read, settings);
            }
            Err(_) => drop(read.unwrap_err()),
        }
    }
}
