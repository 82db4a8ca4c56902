//! The seam to a scratch file: what a run keeps there while its memory is full. It is no part of a store, and no run reads
//! what another has written.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

/// Bytes that were put into a scratch file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub length: usize,
}

/// Why a scratch file could not be written or read. What it wraps names the file, and says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct ScratchError(Arc<dyn Error + Send + Sync>);

impl ScratchError {
    /// Wraps a scratch file's own error.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl PartialEq for ScratchError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for ScratchError {}

/// A scratch file.
pub trait Scratch: Debug + Send {
    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// A [`ScratchError`] if they could not be written; what was written before can still be read.
    fn append(&mut self, bytes: &[u8]) -> Result<Stretch, ScratchError>;

    /// Reads bytes that were appended.
    ///
    /// # Errors
    ///
    /// A [`ScratchError`] if they cannot be read, or are not what was appended.
    fn read(&mut self, stretch: Stretch) -> Result<Vec<u8>, ScratchError>;
}

/// How much memory open windows may take, and where they go beyond it.
#[derive(Debug)]
pub struct MemoryLimit {
    /// In bytes.
    pub bytes: usize,
    /// Takes the cells above it.
    pub scratch: Box<dyn Scratch>,
}
