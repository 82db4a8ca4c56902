//! The most demanding batches: every reading as short as possible, alone in its window and cell, with statistics as long as
//! possible. The answer stays within the stated multiples of the batch, and the module within the engine's memory.

#[path = "../../../crates/model/tests/generate/mod.rs"]
mod generate;
#[path = "../../testing/mod.rs"]
mod testing;

use generate::{SHORTEST, shortest};
use isotherm_model::codec::{self, decode, max_encoded_len, max_text_len};
use isotherm_model::combine::{Record, combine};
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use testing::{Parts, answered, instance, raw};

const NAME: &str = "window-stats";
/// The engine's own limit for an instance, which `isotherm-node` keeps; the stock SPU's is 1 GiB.
const LIMIT: usize = 1_000_000_000;
/// What batches of 32 MiB must do with: less than the limit, since memory can lie in pieces of many sizes.
const ENOUGH: usize = LIMIT / 5 * 3;
/// What Fluvio puts around a reading of less than 56 bytes, besides its place in the batch.
const FRAMING: usize = 6;

/// Readings that take at most `bytes` of the log, and hardly less: one or more in each window.
fn batch(bytes: usize, to_a_window: usize) -> Vec<Parts> {
    let mut left = bytes - size_of::<i32>();
    let readings = (0..).map_while(|i| {
        let reading = shortest(i, to_a_window);
        let place = [64, 8_192, 1 << 20].iter().take_while(|places| i >= **places).count() + 1;
        left = left.checked_sub(reading.len() + FRAMING + place)?;
        Some(Parts::value(reading))
    });
    readings.collect()
}

/// What the model makes of it.
fn combined(settings: &Settings, parts: &[Parts]) -> Partial {
    combine(settings, 0, None, parts.iter().map(|parts| Record { timestamp: None, value: &parts.value }))
}

/// Lets one instance answer to batches of these sizes; returns the bytes of each batch and of its answer.
fn lengths(output: &'static str, batches: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let settings = Settings::from_params(SHORTEST).expect("valid");
    let params = [SHORTEST.as_slice(), &[("output", output)]].concat();
    let mut module = instance(NAME, &params, 25, Some(ENOUGH)).expect("an instance");
    let answers = batches.iter().map(|(bytes, to_a_window)| {
        let parts = batch(*bytes, *to_a_window);
        let raw = raw(&parts);
        assert!(raw.len() <= *bytes && raw.len() + 64 > *bytes, "{} bytes, not {bytes}", raw.len());
        let records = answered(&mut module, &raw, 0, -1)
            .unwrap_or_else(|error| panic!("`{output}` of a batch of {} bytes: {error}", raw.len()));
        let [record] = records.as_slice() else { panic!("{} records for one batch", records.len()) };
        let value: &[u8] = record.value.as_ref();
        let partial = combined(&settings, &parts);
        assert_eq!(partial.aggregate.counted(), parts.len() as u64);
        match output {
            "json" => assert!(value == codec::text(&partial, settings.window, "").as_bytes(), "another text"),
            _ => assert!(decode(value).as_ref() == Ok(&partial), "another partial"),
        }
        (raw.len(), value.len())
    });
    answers.collect()
}

#[test]
fn the_largest_answers_are_within_the_stated_multiples() {
    let batches = [(60, 1), (1 << 10, 1), (1 << 10, 2), (1 << 20, 1), (1 << 20, 2), (1 << 20, 64)];
    for (raw, len) in lengths("binary", &batches) {
        assert!(len <= max_encoded_len(raw), "{len} bytes for a batch of {raw}");
    }
    for (raw, len) in lengths("json", &batches) {
        assert!(len <= max_text_len(raw), "{len} bytes of text for a batch of {raw}");
    }
}

/// A batch of 32 MiB, after one that fragmented the memory into other sizes.
#[test]
fn the_largest_batches_are_answered_within_the_engines_memory() {
    for output in ["binary", "json"] {
        lengths(output, &[(16 << 20, 1), (32 << 20, 1)]);
    }
}
