//! Modules in the stock engine.

use fluvio_smartengine::{SmartEngine, SmartModuleChainBuilder, SmartModuleChainInstance, SmartModuleConfig};
use fluvio_smartmodule::dataplane::smartmodule::SmartModuleInput;

use crate::Error;
use crate::readings::LOGGED;

/// The version of the engine's protocol that clients speak today.
const VERSION: i16 = 25;

/// A module that answers at once with no record and does not read its input: its cost is the engine's.
pub(crate) const FLOOR: &str = r#"
(module
  (import "env" "copy_records" (func $copy_records (param i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\00\00\00\00\00")
  ;; Room for inputs begins behind the first page and is used again; it grows to the largest of them.
  (func (export "alloc") (param $len i32) (result i32)
    (local $missing i32)
    (local.set $missing (i32.sub
      (i32.shr_u (i32.add (local.get $len) (i32.const 131071)) (i32.const 16))
      (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (drop (memory.grow (local.get $missing)))))
    (i32.const 65536))
  (func (export "array_map") (param i32 i32 i32) (result i32)
    (call $copy_records (i32.const 0) (i32.const 5))
    (i32.const 0)))
"#;

/// An instance of a module, with at most `memory` bytes.
pub(crate) fn instance(module: &[u8], memory: Option<usize>) -> Result<SmartModuleChainInstance, Error> {
    let config = SmartModuleConfig::builder().smartmodule_names(&["bench".to_owned()]).version(VERSION).build();
    let config = config.map_err(|error| Error::Engine(error.to_string()))?;
    let mut chain = SmartModuleChainBuilder::default();
    if let Some(memory) = memory {
        chain.set_store_memory_limit(memory);
    }
    chain.add_smart_module(config, module.to_vec());
    chain.initialize(&SmartEngine::new()).map_err(|error| Error::Engine(format!("{error:#}")))
}

/// A module's answer to a batch: the value of its one record, if there is one.
pub(crate) fn answer(
    instance: &mut SmartModuleChainInstance,
    raw: &[u8],
    base_offset: i64,
) -> Result<Option<Vec<u8>>, Error> {
    let input = SmartModuleInput::new(raw.to_vec(), base_offset, LOGGED);
    let output = instance.process(input).map_err(|error| Error::Engine(format!("{error:#}")))?;
    match output.error {
        Some(error) => Err(Error::Engine(error.to_string())),
        None => Ok(output.successes.into_iter().next().map(|record| record.value.to_vec())),
    }
}
