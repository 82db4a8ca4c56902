//! Whether what the cluster has under the module's name is a module of this project at all.
//!
//! A module that answers nothing cannot be told from a slow broker by waiting: the SPU passes over what has no answer in
//! silence. Its bytes can be told at once.

use std::io::{self, Read};

use flate2::read::GzDecoder;

/// The largest module that is unpacked; ours are far below.
const LARGEST: u64 = 64 << 20;

/// What every module that makes partials has among its bytes: the beginning of the text of which the fingerprint is made
/// (`docs/module-parameters.md`).
const MARK: &[u8] = b"isotherm settings";

/// A module as it was before it was packed for the upload.
pub(crate) fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    GzDecoder::new(packed).take(LARGEST).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Whether a packed module makes partials, of whatever version. One that cannot be unpacked may.
pub(super) fn makes_partials(packed: &[u8]) -> bool {
    unpack(packed).map_or(true, |bytes| bytes.windows(MARK.len()).any(|bytes| bytes == MARK))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use isotherm_model::settings::Settings;

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }

    #[test]
    fn a_module_is_known_by_its_bytes() {
        assert!(makes_partials(&pack(b"\0asm isotherm settings 1\n and more")));
        assert!(!makes_partials(&pack(b"\0asm of somebody else")));
        assert!(makes_partials(b"packed otherwise"), "what is not known is not accused");
    }

    #[test]
    fn the_mark_is_what_fingerprints_begin_with() {
        assert!(Settings::CANONICAL.as_bytes().starts_with(MARK));
    }
}
