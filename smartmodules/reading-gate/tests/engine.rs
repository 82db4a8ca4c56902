//! The module in the stock engine keeps what the plain reference keeps, unchanged.

#[path = "../../../crates/model/tests/generate/mod.rs"]
mod generate;
#[path = "../../../crates/model/tests/reference/mod.rs"]
mod reference;
#[path = "../../testing/mod.rs"]
mod testing;

use isotherm_model::combine::Record;
use isotherm_model::rejection::Rejection;
use isotherm_model::settings::Settings;
use proptest::prelude::*;
use testing::{Parts, answered, any_parts, instance, raw};

const NAME: &str = "reading-gate";
const NOON: i64 = 1_795_341_600_000;

/// Key, value and deltas of each record that is kept.
type Kept = Vec<(Option<Vec<u8>>, Vec<u8>, i64, i64)>;

/// What the reference keeps.
fn kept(settings: &Settings, parts: &[Parts], keep: impl Fn(Result<(), Rejection>) -> bool) -> Kept {
    let kept = parts.iter().zip(0..).filter(|(parts, _offset)| {
        let record = Record { timestamp: Some(NOON + parts.timestamp_delta), value: &parts.value };
        keep(reference::classify(settings, &record).map(drop))
    });
    kept.map(|(parts, offset)| (parts.key.clone(), parts.value.clone(), offset, parts.timestamp_delta)).collect()
}

#[test]
fn kept_records_are_unchanged() {
    let settings = Settings::default();
    let gate =
        |params: &[(&str, &str)]| std::cell::RefCell::new(instance(NAME, params, 25, None).expect("an instance"));
    let (rejected, accepted) = (gate(&[]), gate(&[("keep", "accepted"), ("window", "7s")]));
    let reasons = Rejection::ALL.map(|reason| (reason, gate(&[("reason", reason.name()), ("keep", "rejected")])));
    proptest!(ProptestConfig::with_cases(200), |(parts in any_parts(generate::record()))| {
        let raw = raw(&parts);
        let passed = |gate: &std::cell::RefCell<_>| -> Kept {
            let records = answered(&mut gate.borrow_mut(), &raw, 77, NOON).expect("an answer");
            records
                .iter()
                .map(|record| {
                    let key = record.key.as_ref().map(|key| key.to_vec());
                    (key, record.value.to_vec(), record.offset_delta(), record.timestamp_delta())
                })
                .collect()
        };
        prop_assert_eq!(passed(&rejected), kept(&settings, &parts, |fault| fault.is_err()));
        prop_assert_eq!(passed(&accepted), kept(&settings, &parts, |fault| fault.is_ok()));
        for (reason, gate) in &reasons {
            prop_assert_eq!(passed(gate), kept(&settings, &parts, |fault| fault == Err(*reason)));
        }
    });
}

#[test]
fn bad_parameters_are_named_when_the_module_is_made() {
    for (params, parts) in [
        (&[("keep", "both")] as &[(&str, &str)], &["`keep`", "`both`", "rejected, accepted"] as &[&str]),
        (&[("reason", "late")], &["`reason`", "`late`", "not-json, missing-field"]),
        (&[("reason", "future"), ("keep", "accepted")], &["`reason`", "`keep=rejected`"]),
        (&[("output", "json")], &["`output`", "unknown", "keep, reason"]),
    ] {
        let error = instance(NAME, params, 25, None).expect_err("no such module");
        for part in parts {
            assert!(error.contains(part), "{params:?}: {error}");
        }
    }
}

#[test]
fn a_damaged_batch_is_an_error_that_names_its_offset() {
    let mut module = instance(NAME, &[], 22, None).expect("an instance");
    let whole = raw(&["a", "b", "c"].map(Parts::value));
    let error = answered(&mut module, &whole[..whole.len() - 1], 500, NOON).expect_err("damaged");
    assert!(error.contains("500") && error.contains("502"), "{error}");
}

#[test]
fn the_package_names_the_version_and_every_parameter() {
    let package = include_str!("../SmartModule.toml");
    assert!(package.contains(&format!("version = \"{}\"", env!("CARGO_PKG_VERSION"))));
    for name in isotherm_model::params::Params::SETTINGS.into_iter().chain(["keep", "reason"]) {
        assert!(package.contains(&format!("name = \"{name}\"")), "{name}");
    }
}
