//! Uploads a SmartModule, unless the same bytes are there.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use fluvio::metadata::smartmodule::{SmartModuleSpec, SmartModuleWasm};
use isotherm_fluvio::Cluster;
use tracing::debug;

use super::files::ModuleFile;
use super::{Error, failed};
use crate::sources::module::mark::unpack;

/// What a cluster has under a module's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Same,
    /// Other bytes: how many.
    Other(usize),
}

/// Uploads `file` as `name`, or finds that it is there; what to say of it.
pub(super) async fn put(cluster: &Cluster, name: &str, file: &ModuleFile, replace: bool) -> Result<String, Error> {
    let found = look(cluster, name, &file.bytes).await?;
    let path = file.path.display();
    match found {
        Found::Same => return Ok(format!("module `{name}`: there, the same as {path}")),
        Found::Other(size) if !replace => {
            return Err(Error::OtherModule {
                module: name.to_owned(),
                found: size,
                file: path.to_string(),
                ours: file.bytes.len(),
            });
        }
        Found::Nothing | Found::Other(_) => {}
    }
    let spec = SmartModuleSpec {
        wasm: SmartModuleWasm::from_compressed_gzip(pack(&file.bytes)?),
        ..SmartModuleSpec::default()
    };
    debug!("uploading {path} as `{name}`");
    let refused = |error| failed(cluster, &format!("the module `{name}`"), error);
    cluster.create(name, spec).await.map_err(refused)?;
    let what = if found == Found::Nothing { "uploaded" } else { "replaced" };
    Ok(format!("module `{name}`: {what}, {} bytes from {path}", file.bytes.len()))
}

async fn look(cluster: &Cluster, name: &str, bytes: &[u8]) -> Result<Found, Error> {
    let module = cluster.module(name).await.map_err(|error| failed(cluster, "a list of modules", error))?;
    Ok(module.map_or(Found::Nothing, |packed| compare(&packed, bytes)))
}

/// Whether a packed module unpacks to these bytes.
fn compare(packed: &[u8], bytes: &[u8]) -> Found {
    match unpack(packed) {
        Ok(unpacked) if unpacked == bytes => Found::Same,
        Ok(unpacked) => Found::Other(unpacked.len()),
        Err(_) => Found::Other(packed.len()),
    }
}

/// As the CLI packs it.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_compared_unpacked() {
        let packed = pack(b"\0asm and more").expect("packed");
        assert_eq!(compare(&packed, b"\0asm and more"), Found::Same);
        assert_eq!(compare(&packed, b"\0asm"), Found::Other(13));
        assert_eq!(compare(b"no gzip", b"\0asm"), Found::Other(7));
    }
}
