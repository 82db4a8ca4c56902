//! SmartModules: stored, found, deleted, loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fluvio_controlplane_metadata::smartmodule::{SmartModulePackageKey, SmartModuleSpec};
use fluvio_protocol::link::ErrorCode;
use tracing::info;

use super::{Catalog, Refusal, files, storage};
use crate::NodeError;
use crate::log::compression::gunzip;

/// How many bytes a module may have when it is unpacked.
const MAX_WASM_BYTES: usize = 64 * 1024 * 1024;
const MAX_NAME_BYTES: usize = 200;
const SUFFIX: &str = ".json";

/// Unpacks a module's gzipped bytes and checks that they are WebAssembly; the error says what is wrong with them.
pub(crate) fn unpack(gzipped: &[u8]) -> Result<Vec<u8>, String> {
    let wasm = gunzip(gzipped, MAX_WASM_BYTES).map_err(|error| format!("its bytes are not gzip: {error}"))?;
    if wasm.starts_with(b"\0asm") { Ok(wasm) } else { Err("its bytes are not a WebAssembly module".into()) }
}

impl Catalog {
    pub(super) fn load_modules(&self) -> Result<BTreeMap<String, SmartModuleSpec>, NodeError> {
        let mut modules = BTreeMap::new();
        for (name, path) in files::list(&self.modules_folder())? {
            let unreadable = |reason: String| NodeError::Unreadable { path: path.clone(), reason };
            let id = name.strip_suffix(SUFFIX).ok_or_else(|| unreadable("unknown kind of file".into()))?;
            let bytes = std::fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
            let spec: SmartModuleSpec =
                serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
            modules.insert(id.to_owned(), spec);
        }
        Ok(modules)
    }

    /// Stores a SmartModule and replaces one that has the same id, as a cluster does. Gives the id: the package's where it
    /// has a package, otherwise the name. Running streams keep the module that they started with. Blocks on the disk.
    pub(crate) fn create_module(&self, name: &str, spec: SmartModuleSpec, dry_run: bool) -> Result<String, Refusal> {
        let id = match &spec.meta {
            None => name.to_owned(),
            Some(meta) if meta.package.is_valid() => meta.store_id(),
            Some(_) => {
                let message = "invalid SmartModule package: its name or group is empty";
                return Err(Refusal::new(ErrorCode::SmartModuleError, message));
            }
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
        if id.is_empty() || id.len() > MAX_NAME_BYTES || id.starts_with('.') || !id.bytes().all(allowed) {
            let message = format!(
                "SmartModule name '{id}' is not possible: use 1 to {MAX_NAME_BYTES} letters, digits, '-', '_', '+' or '.', not a '.' first"
            );
            return Err(Refusal::new(ErrorCode::SmartModuleError, message));
        }
        unpack(&spec.wasm.payload).map_err(|error| {
            let message = format!("SmartModule '{id}': {error}");
            Refusal::new(ErrorCode::SmartModuleInvalid { error, name: Some(id.clone()) }, message)
        })?;
        if dry_run {
            return Ok(id);
        }
        let _change = self.one_change()?;
        let bytes = serde_json::to_vec(&spec).map_err(storage)?;
        files::replace(&self.module_path(&id), &bytes).map_err(storage)?;
        info!(module = id, bytes = spec.wasm.payload.len(), "stored");
        self.update(|contents| {
            contents.modules.insert(id.clone(), spec);
        });
        Ok(id)
    }

    /// Deletes a SmartModule; `name` may be `group/name@version`. Blocks on the disk.
    pub(crate) fn delete_module(&self, name: &str) -> Result<(), Refusal> {
        let _change = self.one_change()?;
        let id = SmartModulePackageKey::from_qualified_name(name)
            .map_err(|error| Refusal::new(ErrorCode::SmartModuleError, error.to_string()))?
            .store_id();
        if !self.contents().modules.contains_key(&id) {
            let code = ErrorCode::SmartModuleNotFound { name: name.to_owned() };
            return Err(Refusal::new(code, format!("SmartModule '{name}' not found")));
        }
        std::fs::remove_file(self.module_path(&id)).map_err(storage)?;
        info!(module = id, "deleted");
        self.update(|contents| {
            contents.modules.remove(&id);
        });
        Ok(())
    }

    /// The module that `name` means, which may be `group/name@version`.
    pub(crate) fn find_module(&self, name: &str) -> Result<SmartModuleSpec, ErrorCode> {
        let key = SmartModulePackageKey::from_qualified_name(name)
            .map_err(|error| ErrorCode::Other(format!("error parsing SmartModule name: {error}")))?;
        let contents = self.contents();
        let found = contents
            .modules
            .iter()
            .find(|(id, spec)| key.is_match(id, spec.meta.as_ref().map(|meta| &meta.package)))
            .map(|(_, spec)| spec.clone());
        found.ok_or_else(|| ErrorCode::SmartModuleNotFound { name: name.to_owned() })
    }

    fn modules_folder(&self) -> PathBuf {
        self.data.join("modules")
    }

    fn module_path(&self, id: &str) -> PathBuf {
        self.modules_folder().join(format!("{id}{SUFFIX}"))
    }
}
