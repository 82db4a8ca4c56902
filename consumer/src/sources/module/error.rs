//! What can be wrong with the module at the broker.

use isotherm_model::partial::PartitionId;

/// Why the module at the broker does not combine.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The cluster has no such module.
    #[error("the cluster at {address} has no SmartModule `{module}`")]
    Missing { address: String, module: String },
    /// The module refuses its parameters or fails.
    #[error(
        "the SmartModule `{module}` on the cluster fails for partition {partition} of `{topic}`, from offset {position} on: \
         {reason}"
    )]
    Fails { module: String, topic: String, partition: PartitionId, position: i64, reason: String },
    /// What the module gives is no partial.
    #[error(
        "what the SmartModule `{module}` gave for partition {partition} of `{topic}` from offset {offset} on is no \
         partial: {reason}"
    )]
    NotAPartial {
        module: String,
        topic: String,
        partition: PartitionId,
        /// The offset that was expected.
        offset: i64,
        reason: String,
    },
    /// There is something to read, but nothing comes, and another module has the name of ours.
    #[error(
        "nothing comes from partition {partition} of `{topic}`, which is read up to offset {position} and ends at {end}: \
         another module stands under the name `{module}`"
    )]
    NothingComes { module: String, topic: String, partition: PartitionId, position: i64, end: i64 },
    /// The broker speaks too old a protocol.
    #[error(
        "the broker at {address} is too old: its stream fetch knows no SmartModules by name. Use Fluvio 0.50 or newer."
    )]
    TooOld { address: String },
}

impl From<ModuleError> for crate::sources::SourceError {
    fn from(error: ModuleError) -> Self {
        Self::Combiner(Box::new(error))
    }
}
