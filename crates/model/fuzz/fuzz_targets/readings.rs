//! Any bytes as the records of a batch, one a line: they become a partial that accounts for each of them, is within the stated
//! size, and survives its encoding.
#![no_main]

use isotherm_model::codec::{self, max_encoded_len};
use isotherm_model::combine::{Record, combine};
use isotherm_model::settings::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let records: Vec<Record<'_>> = bytes
        .split(|byte| *byte == b'\n')
        .zip(0_u32..)
        .map(|(value, place)| Record { timestamp: (place % 2 == 0).then_some(0), value })
        .collect();
    let partial = combine(&Settings::default(), 7, Some(1), records.iter().copied());
    let aggregate = &partial.aggregate;
    assert_eq!(aggregate.records, records.len() as u64);
    assert_eq!(aggregate.records, aggregate.counted() + aggregate.rejected.total());
    let encoded = codec::encode(&partial).expect("what was combined is well-formed");
    // A record takes at least seven bytes of the log besides its value.
    assert!(encoded.len() <= max_encoded_len(bytes.len() + 7 * records.len()));
    assert_eq!(codec::decode(&encoded), Ok(partial));
});
