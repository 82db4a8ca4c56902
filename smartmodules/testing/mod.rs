//! For the tests of both modules: the module's file, the stock engine, and batches as the broker passes them. Included by path,
//! so that it needs no crate.

use std::path::PathBuf;

use fluvio_protocol::Encoder;
use fluvio_protocol::record::{Record, RecordKey};
use fluvio_smartengine::{SmartEngine, SmartModuleChainBuilder, SmartModuleChainInstance, SmartModuleConfig};
use fluvio_smartmodule::dataplane::smartmodule::SmartModuleInput;
use proptest::prelude::*;

/// A record: its key, its value, and its timestamp less the batch's.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
    pub(crate) timestamp_delta: i64,
}

impl Parts {
    /// A record with nothing but a value.
    pub(crate) fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { key: None, value: value.into(), timestamp_delta: 0 }
    }
}

/// Any records: readings, what is nearly one, and anything else.
#[allow(dead_code, reason = "not every test that includes this file draws records")]
pub(crate) fn any_parts(value: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Parts>> {
    let key = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let record = (key, value, -70_000..30_000_i64);
    let record = record.prop_map(|(key, value, timestamp_delta)| Parts { key, value, timestamp_delta });
    proptest::collection::vec(record, 0..20)
}

/// The bytes of a module: from the folder that `ISOTHERM_MODULES` names, else from `target/modules`.
pub(crate) fn module(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("ISOTHERM_MODULES")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/modules")), PathBuf::from);
    let file = folder.join(name).with_extension("wasm");
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}; run: cargo xtask wasm", file.display()))
}

/// One instance of a module in the stock engine. `version` is the engine's protocol version, `memory` the instance's limit in
/// bytes.
pub(crate) fn instance(
    name: &str,
    params: &[(&str, &str)],
    version: i16,
    memory: Option<usize>,
) -> Result<SmartModuleChainInstance, String> {
    let mut config = SmartModuleConfig::builder();
    config.smartmodule_names(&[name.to_owned()]).version(version);
    for (name, value) in params {
        config.param(*name, *value);
    }
    let mut builder = SmartModuleChainBuilder::default();
    if let Some(memory) = memory {
        builder.set_store_memory_limit(memory);
    }
    builder.add_smart_module(config.build().expect("a configuration"), module(name));
    builder.initialize(&SmartEngine::new()).map_err(|error| error.to_string())
}

/// The records of a batch as framed in the log, uncompressed.
pub(crate) fn raw(records: &[Parts]) -> Vec<u8> {
    let records: Vec<Record> = records
        .iter()
        .zip(0..)
        .map(|(parts, offset)| {
            let key = parts.key.clone().map_or(RecordKey::NULL, RecordKey::from);
            let mut record = Record::new_key_value(key, parts.value.clone());
            record.preamble.set_offset_delta(offset);
            record.preamble.set_timestamp_delta(parts.timestamp_delta);
            record
        })
        .collect();
    let mut raw = Vec::new();
    records.encode(&mut raw, 0).expect("encodes");
    raw
}

/// The records that a module answers to a batch.
pub(crate) fn answered(
    instance: &mut SmartModuleChainInstance,
    raw: &[u8],
    base_offset: i64,
    base_timestamp: i64,
) -> Result<Vec<Record>, String> {
    let input = SmartModuleInput::new(raw.to_vec(), base_offset, base_timestamp);
    let output = instance.process(input).map_err(|error| format!("{error:#}"))?;
    match output.error {
        None => Ok(output.successes),
        Some(error) => Err(error.to_string()),
    }
}
