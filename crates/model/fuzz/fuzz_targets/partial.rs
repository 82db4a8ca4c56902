//! Any bytes as a partial: they are refused, or they are the one encoding of their partial.
#![no_main]

use isotherm_model::codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(partial) = codec::decode(bytes) {
        assert_eq!(codec::encode(&partial).as_deref(), Ok(bytes));
    }
});
