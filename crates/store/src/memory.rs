//! No store: the run's state lives in the materializer, and ends with the process.

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};

/// Keeps nothing beyond the process; every commit succeeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        Ok(None)
    }

    fn commit(&mut self, _commit: &Commit<'_>) -> Result<(), StoreError> {
        Ok(())
    }
}
