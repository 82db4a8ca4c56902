//! What can be wrong with the module at the broker.

use isotherm_model::partial::PartitionId;

/// Why the module at the broker does not combine.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The cluster has no such module.
    #[error("the cluster at {address} has no SmartModule `{module}`")]
    Missing {
        /// The controller's address.
        address: String,
        /// The module.
        module: String,
    },
    /// The module refuses its parameters or fails.
    #[error(
        "the SmartModule `{module}` on the cluster fails for partition {partition} of `{topic}`, from offset {position} on: \
         {reason}"
    )]
    Fails {
        /// The module.
        module: String,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// What the broker said.
        reason: String,
    },
    /// What the module gives is no partial.
    #[error(
        "what the SmartModule `{module}` gave for partition {partition} of `{topic}` from offset {offset} on is no \
         partial: {reason}"
    )]
    NotAPartial {
        /// The module.
        module: String,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// The offset that was expected.
        offset: i64,
        /// What the codec said.
        reason: String,
    },
    /// There is something to read, but nothing comes, and another module has the name of ours.
    #[error(
        "nothing comes from partition {partition} of `{topic}`, which is read up to offset {position} and ends at {end}: \
         another module stands under the name `{module}`"
    )]
    NothingComes {
        /// The module.
        module: String,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading goes on.
        position: i64,
        /// Where the log ends.
        end: i64,
    },
    /// The broker speaks too old a protocol.
    #[error(
        "the broker at {address} is too old: its stream fetch knows no SmartModules by name. Use Fluvio 0.50 or newer."
    )]
    TooOld {
        /// The broker's address.
        address: String,
    },
}

impl From<ModuleError> for crate::sources::SourceError {
    fn from(error: ModuleError) -> Self {
        Self::Combiner(Box::new(error))
    }
}
