//! What can be wrong with the module at the broker.

use isotherm_model::partial::PartitionId;

/// Why the module at the broker does not combine.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    #[error("the cluster at {address} has no SmartModule `{module}`")]
    Missing { address: String, module: String },
    #[error(
        "the SmartModule `{module}` on the cluster fails for partition {partition} of `{topic}`, from offset {position} on: \
         {reason}"
    )]
    Fails { module: String, topic: String, partition: PartitionId, position: i64, reason: String },
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
    #[error(
        "the SPU refuses to give partition {partition} of `{topic}` from offset {position} on: {reason}\nThe broker's own \
         log says more; run again when it is mended."
    )]
    Refused { topic: String, partition: PartitionId, position: i64, reason: String },
    #[error(
        "nothing comes from partition {partition} of `{topic}`, which is read up to offset {position} and ends at {end}: \
         another module stands under the name `{module}`"
    )]
    NothingComes { module: String, topic: String, partition: PartitionId, position: i64, end: i64 },
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
