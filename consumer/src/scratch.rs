//! The scratch file: an unnamed file, which vanishes with the process, however that ends. It is made when it is first needed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use isotherm_engine::scratch::{Scratch, ScratchError, Stretch};

/// Why the scratch file failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "open windows need more than --memory-limit, and the scratch file in {} cannot be written: {error}; make room there, choose \
         another folder with TMPDIR or --store, or raise --memory-limit",
        .folder.display()
    )]
    Write {
        /// Where it is.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    #[error("the scratch file in {} cannot be read: {error}; run again, the results so far are stored", .folder.display())]
    Read {
        /// Where it is.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The folder of a store, for its scratch file.
pub(crate) fn folder_of(store: &Path) -> PathBuf {
    match store.parent() {
        // A name alone lies in the working folder.
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_owned(),
        None => std::env::temp_dir(),
    }
}

/// A scratch file in a folder.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    folder: PathBuf,
    file: Option<File>,
    length: u64,
}

impl ScratchFile {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, file: None, length: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.folder)?),
        };
        file.write_all_at(bytes, self.length)
    }
}

impl Scratch for ScratchFile {
    fn append(&mut self, bytes: &[u8]) -> Result<Stretch, ScratchError> {
        let stretch = Stretch { offset: self.length, length: bytes.len() };
        self.write(bytes).map_err(|error| ScratchError::new(Error::Write { folder: self.folder.clone(), error }))?;
        self.length += bytes.len() as u64;
        Ok(stretch)
    }

    fn read(&mut self, stretch: Stretch) -> Result<Vec<u8>, ScratchError> {
        let mut bytes = vec![0; stretch.length];
        let read = match &self.file {
            Some(file) => file.read_exact_at(&mut bytes, stretch.offset),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        match read {
            Ok(()) => Ok(bytes),
            Err(error) => Err(ScratchError::new(Error::Read { folder: self.folder.clone(), error })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read_also_beside_a_store_that_is_a_name_alone() {
        for store in ["a.db", "./a.db"] {
            let mut scratch = ScratchFile::new(folder_of(Path::new(store)));
            let stretches =
                [&b"one"[..], b"", b"three"].map(|bytes| (bytes, scratch.append(bytes).expect("it has room")));
            for (bytes, stretch) in stretches {
                assert_eq!(scratch.read(stretch).expect("it can be read"), bytes, "{store}");
            }
        }
    }

    #[test]
    fn an_error_names_the_folder_and_says_what_to_do() {
        let error = ScratchFile::new(PathBuf::from("/nowhere")).append(b"x").expect_err("no such folder").to_string();
        assert!(error.contains("/nowhere") && error.contains("--memory-limit") && error.contains("TMPDIR"), "{error}");
    }
}
