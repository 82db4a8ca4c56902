//! From a request's invocations to a chain of modules, compiled and initialized.

use fluvio_protocol::link::ErrorCode;
use fluvio_smartengine::{
    EngineError, SmartEngine, SmartModuleChainBuilder, SmartModuleChainInstance, SmartModuleConfig,
    SmartModuleInitialData,
};
use fluvio_spu_schema::server::smartmodule::{
    SmartModuleContextData, SmartModuleInvocation, SmartModuleInvocationWasm, SmartModuleKind,
};

use super::look_back;
use crate::catalog::{Catalog, unpack};
use crate::log::PartitionLog;

/// Compiles modules. One for the whole node.
#[derive(Clone)]
pub(crate) struct Engine(SmartEngine);

impl Engine {
    pub(crate) fn new() -> Self {
        Self(SmartEngine::new())
    }

    /// Builds the chain of a request, `None` if it names no module, and shows each module the look-back it asks for.
    /// Blocks: compiles each module and reads the log.
    pub(crate) fn chain(
        &self,
        catalog: &Catalog,
        invocations: Vec<SmartModuleInvocation>,
        version: i16,
        log: &PartitionLog,
    ) -> Result<Option<SmartModuleChainInstance>, ErrorCode> {
        if invocations.is_empty() {
            return Ok(None);
        }
        let mut builder = SmartModuleChainBuilder::default();
        for invocation in invocations {
            let (config, wasm) = resolve(catalog, invocation, version)?;
            builder.add_smart_module(config, wasm);
        }
        let mut chain = builder.initialize(&self.0).map_err(|error| match error.downcast_ref() {
            Some(EngineError::StoreMemoryExceeded { requested, max, .. }) => {
                ErrorCode::SmartModuleMemoryLimitExceeded { requested: *requested as u64, max: *max as u64 }
            }
            _ => not_initialized(&format!("{error:#}"), error.to_string()),
        })?;
        look_back::show(&mut chain, log)?;
        Ok(Some(chain))
    }
}

/// The error of a chain that could not be initialized, from all its causes and the last. If the system gave no memory to run a
/// module, which the engine says only in words, nothing is wrong with the module.
fn not_initialized(causes: &str, reason: String) -> ErrorCode {
    if ["mmap failed", "mprotect failed", "Cannot allocate memory"].iter().any(|words| causes.contains(words)) {
        return ErrorCode::Other(format!(
            "the node has no memory for the SmartModule: {causes}; give it more (`ulimit -v`, the container's limit)"
        ));
    }
    ErrorCode::SmartModuleChainInitError(reason)
}

fn resolve(
    catalog: &Catalog,
    invocation: SmartModuleInvocation,
    version: i16,
) -> Result<(SmartModuleConfig, Vec<u8>), ErrorCode> {
    let (wasm, name) = match invocation.wasm {
        SmartModuleInvocationWasm::Predefined(name) => (unpack(&catalog.find_module(&name)?.wasm.payload), Some(name)),
        SmartModuleInvocationWasm::AdHoc(gzipped) => (unpack(&gzipped), invocation.name),
    };
    let invalid = |error: String| ErrorCode::SmartModuleInvalid { error, name: name.clone() };
    let wasm = wasm.map_err(invalid)?;
    let initial_data = match invocation.kind {
        SmartModuleKind::Aggregate { accumulator }
        | SmartModuleKind::Generic(SmartModuleContextData::Aggregate { accumulator }) => {
            SmartModuleInitialData::with_aggregate(accumulator)
        }
        _ => SmartModuleInitialData::default(),
    };
    let config = SmartModuleConfig::builder()
        .smartmodule_names(vec![name.clone().unwrap_or_default()])
        .lookback(invocation.params.lookback().map(Into::into))
        .params(invocation.params)
        .version(version)
        .initial_data(initial_data)
        .build()
        .map_err(|error| invalid(error.to_string()))?;
    Ok((config, wasm))
}
