//! The laws: combining equals the plain reference, and merging gives one result for any split and order of records.

mod generate;
mod reference;

use isotherm_model::codec;
use isotherm_model::combine::{Combiner, Record, combine};
use isotherm_model::partial::Aggregate;
use isotherm_model::schema::Groups;
use isotherm_model::settings::Settings;
use proptest::prelude::*;

fn records(batch: &[(Option<i64>, Vec<u8>)]) -> Vec<Record<'_>> {
    batch.iter().map(|(timestamp, value)| Record { timestamp: *timestamp, value }).collect()
}

/// The settings that readings are generated for, and others.
fn settings() -> impl Strategy<Value = Settings> {
    let groups = prop_oneof![
        3 => Just(Groups::UsStates),
        1 => Just(Groups::Any),
        1 => Just(Groups::List(["AK", "", "ak", "A\nK"].map(str::to_owned).into())),
    ];
    (
        groups,
        prop_oneof![Just("3s"), Just("1ms"), Just("7s"), Just("366days")],
        prop_oneof![Just("1m"), Just("0s"), Just("36525days")],
        0..3_usize,
    )
        .prop_map(|(groups, window, ahead, range)| {
            let (min, max) = [("-1000000", "1000000"), ("-5.5", "100"), ("0.000001", "0.000002")][range];
            let groups = groups.to_string();
            let params =
                [("groups", groups.as_str()), ("window", window), ("max-ahead", ahead), ("min", min), ("max", max)];
            Settings::from_params(params).expect("valid settings")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn combining_equals_the_reference(
        settings in settings(), batch in generate::batch(12), first in 0_i64..1 << 40, base in generate::timestamp(),
    ) {
        let records = records(&batch);
        let partial = combine(&settings, first, base, records.iter().copied());
        prop_assert_eq!(&partial.aggregate, &reference::combine(&settings, &records), "{:?}", shown(&batch));
        prop_assert_eq!((partial.source.first, partial.source.next), (first, first + records.len() as i64));
        prop_assert_eq!(partial.fingerprint, settings.fingerprint());
        prop_assert_eq!(partial.base_timestamp, base);
        prop_assert_eq!(partial.rejected_hash.0, reference::rejected_hash(&settings, &records));
        prop_assert_eq!(partial.aggregate.records, partial.aggregate.counted() + partial.aggregate.rejected.total());
    }

    #[test]
    fn merging_ignores_split_and_order(
        batch in generate::batch(24), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..5), order in any::<u64>(),
    ) {
        let settings = Settings::default();
        let records = records(&batch);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(records.len() + 1)).collect();
        cuts.extend([0, records.len()]);
        cuts.sort_unstable();
        let mut parts: Vec<Aggregate> =
            cuts.windows(2).map(|cut| combine(&settings, 0, None, records[cut[0]..cut[1]].iter().copied()).aggregate).collect();
        let count = parts.len() as u64;
        for i in 0..parts.len() {
            parts.swap(i, (order.wrapping_mul(i as u64 + 1) >> 7).wrapping_rem(count) as usize);
        }
        let whole = reference::combine(&settings, &records);
        let mut left = Aggregate::default();
        for part in &parts {
            left.merge(part);
        }
        prop_assert_eq!(&left, &whole);
        // The other way round, two at a time: associative, and the empty aggregate is the identity on either side.
        while parts.len() > 1 {
            parts = parts.chunks(2).map(|pair| {
                let mut sum = pair[0].clone();
                pair.iter().skip(1).for_each(|other| sum.merge(other));
                sum.merge(&Aggregate::default());
                sum
            }).collect();
        }
        prop_assert_eq!(&parts[0], &whole);
    }

    /// A combiner's result depends on the batch alone, and its bytes and text are those of the partial.
    #[test]
    fn a_combiner_keeps_nothing_from_batch_to_batch(settings in settings(), batches in proptest::collection::vec(generate::batch(8), 1..5)) {
        let mut combiner = Combiner::new(&settings);
        let bases = [Some(1_795_341_600_000), None, Some(i64::MAX), Some(1), None];
        for ((batch, first), base) in batches.iter().zip([0, 1_000, i64::from(u32::MAX), 5, 77]).zip(bases) {
            let records = records(batch);
            combiner.begin(first, base);
            records.iter().for_each(|record| combiner.push(record));
            let fresh = combine(&settings, first, base, records);
            let combined = combiner.finish();
            prop_assert_eq!(&combined.to_partial(), &fresh);

            let raw: usize = batch.iter().map(|(_, value)| value.len() + 7).sum();
            let mut bytes = Vec::new();
            combined.encode_into(&mut bytes);
            let encoded = codec::encode(&fresh);
            prop_assert_eq!(encoded.as_ref(), Ok(&bytes));
            prop_assert_eq!(codec::decode(&bytes), Ok(fresh.clone()));
            prop_assert_eq!(combined.encoded_len(), bytes.len());
            prop_assert!(bytes.len() <= codec::max_encoded_len(raw));

            let mut text = Vec::new();
            combined.text_into("state", &mut text);
            prop_assert_eq!(combined.text_len("state"), text.len());
            let text = String::from_utf8(text).expect("text");
            prop_assert_eq!(&text, &codec::text(&fresh, settings.window, "state"));
            prop_assert!(text.len() <= codec::max_text_len(raw));
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}

/// Records as a person can read them.
fn shown(batch: &[(Option<i64>, Vec<u8>)]) -> Vec<String> {
    batch.iter().map(|(timestamp, value)| format!("{timestamp:?} {}", String::from_utf8_lossy(value))).collect()
}
