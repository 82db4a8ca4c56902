//! The seam at which results become lasting: what is published has gone through a [`Store`] before.
//!
//! One commit is one transaction: offsets, watermarks, closed windows (each with the offsets that had been merged),
//! totals and ledger change together or not at all.

pub mod memory;

use isotherm_model::window::Millis;

use crate::materializer::ledger::Ledger;
use crate::materializer::status::PartitionStatus;
use crate::results::{Totals, WindowResult};

/// What is committed at once. Made by [`Materializer::commit`](crate::materializer::Materializer::commit), borrowed
/// from it: the materializer cannot move on between the windows and what belongs to them.
#[derive(Debug)]
pub struct Commit<'a> {
    /// By partition, ascending: merged offset and watermark among others.
    pub partitions: Vec<PartitionStatus>,
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// The windows that have just closed, ascending by start.
    pub windows: &'a [WindowResult],
    /// The run so far, by group too.
    pub totals: &'a Totals,
    /// The account of all records so far.
    pub ledger: &'a Ledger,
}

/// Why a commit did not happen. Then nothing of it did, and nothing of it may be published.
#[derive(Debug, thiserror::Error)]
#[error("the results could not be stored: {0}; nothing was published of them")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where commits go.
pub trait Store: Send {
    /// Makes all of `commit` lasting, or nothing of it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it could not; the store then stands as before.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError>;
}
