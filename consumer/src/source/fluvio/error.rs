//! What can go wrong with a source, in words that say what to do next.

use std::fmt;

use isotherm_model::partial::PartitionId;

/// What a command that an error advises needs in order to find the cluster: ` --cluster HOST:PORT` where the cluster was
/// named so, nothing where a Fluvio profile or the default named it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterFlag(pub(super) Option<String>);

impl fmt::Display for ClusterFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |address| write!(f, " --cluster {address}"))
    }
}

/// Why a source cannot be read, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The first connection failed.
    #[error(
        "no Fluvio cluster answers at {address}: {reason}\nStart one (`isotherm-node --data DIR`, or `fluvio cluster \
         start`), or name another with --cluster HOST:PORT."
    )]
    NoCluster {
        /// The controller's address.
        address: String,
        /// What the attempt said.
        reason: String,
    },
    /// The cluster has no such topic.
    #[error(
        "the cluster at {address} has no topic `{topic}`; `isotherm-consumer deploy --topic {topic}{cluster}` creates it"
    )]
    NoTopic {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The controller's address.
        address: String,
        /// The topic.
        topic: String,
    },
    /// The topic was there, and is not any longer.
    #[error(
        "the topic `{topic}` was deleted while it was read; nothing more can come from it. Create it again with \
         `isotherm-consumer deploy --topic {topic}{cluster}` and start anew."
    )]
    TopicDeleted {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The topic.
        topic: String,
    },
    /// The cluster has no such module.
    #[error("the cluster at {address} has no SmartModule `{module}`; `isotherm-consumer deploy{cluster}` uploads it")]
    NoModule {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The controller's address.
        address: String,
        /// The module.
        module: String,
    },
    /// The module refuses its parameters or fails.
    #[error(
        "the SmartModule `{module}` on the cluster fails for partition {partition} of `{topic}`, from offset {position} on: \
         {reason}\nIt may be of another version: `isotherm-consumer deploy --replace{cluster}` uploads this one's."
    )]
    ModuleFails {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The module.
        module: String,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// What the broker said.
        reason: String,
    },
    /// The records of a batch cannot be told apart.
    #[error(
        "partition {partition} of `{topic}` is read up to offset {position}: {reason}. No client can read that batch whole, \
         and no run can go past it. Produce what can be read of the topic into another one, or count only what comes from \
         now on, with --from end: beside what is counted (--store PATH, of a file that is not there yet), or in its place \
         (--reset)."
    )]
    DamagedBatch {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// Which batch, and what the module said of it.
        reason: String,
    },
    /// What the module gives is no partial.
    #[error(
        "what the SmartModule `{module}` gave for partition {partition} of `{topic}` from offset {offset} on is no \
         partial: {reason}\nAnother module stands under that name; `isotherm-consumer deploy --replace{cluster}` puts ours there."
    )]
    NotAPartial {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The topic.
        topic: String,
        /// The module.
        module: String,
        /// Of which partition.
        partition: PartitionId,
        /// The offset that was to come.
        offset: i64,
        /// What the codec said.
        reason: String,
    },
    /// There is something to read, but nothing comes.
    #[error(
        "nothing comes from partition {partition} of `{topic}`, which is read up to offset {position} and ends at {end}: \
         another module stands under the name `{module}`; `isotherm-consumer deploy --replace{cluster}` puts ours there."
    )]
    NothingComes {
        /// How commands find the cluster.
        cluster: ClusterFlag,
        /// The topic.
        topic: String,
        /// The module.
        module: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// Where the log ends.
        end: i64,
    },
    /// The log does not reach back to where reading is to go on.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} by now, but is read up to {position} only: the \
         broker's retention has cut what lies between. Keep the log for longer, and run again: {}, with --reset it begins \
         anew. (With --store memory nothing is kept: it begins anew where the log begins.)",
        if *accept_data_loss {
            "as before it goes on without what is missing, since --accept-data-loss looks where the log begins when a run does"
        } else {
            "with --accept-data-loss it goes on without what is missing, and enters the gap in the ledger"
        }
    )]
    Evicted {
        /// Whether the run had been told to go on over gaps.
        accept_data_loss: bool,
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log begins beyond the offset at which a run before this one said to go on.
    #[error(
        "partition {partition} of `{topic}` begins at offset {start} by now, but the store says to go on at {resume}: the \
         broker's retention has cut what lies between. Go on without it with --accept-data-loss, which enters the gap in the \
         ledger, or begin anew with --reset."
    )]
    Behind {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading was to go on.
        resume: i64,
        /// Where the log begins.
        start: i64,
    },
    /// The log is shorter than what has been read of it.
    #[error(
        "partition {partition} of `{topic}` ends at offset {end}, but has been read up to {position}: it is not the log \
         that was read (deleted and created again, restored, another cluster's, or cut by a broker that lost its tail). \
         Read it with a store of its own (--store PATH), or begin anew with --reset."
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// Where the log ends.
        end: i64,
    },
    /// The log is not the one that was read.
    #[error(
        "partition {partition} of `{topic}`: since the connection was lost, another batch stands at offset {offset} than the \
         one that was counted: the topic was deleted and made again, restored, is another cluster's, or its broker lost its \
         tail. Read it with a store of its own (--store PATH), or begin anew with --reset."
    )]
    OtherLog {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where the batch stands.
        offset: i64,
    },
    /// The broker speaks too old a protocol.
    #[error(
        "the broker at {address} is too old: its stream fetch knows no SmartModules by name. Use Fluvio 0.50 or newer."
    )]
    TooOld {
        /// The SPU's address.
        address: String,
    },
    /// The broker refuses, again and again.
    #[error(
        "the SPU refuses to give partition {partition} of `{topic}` from offset {position} on: {reason}\nThe broker's own \
         log says more; run again when it is mended."
    )]
    Refused {
        /// The topic.
        topic: String,
        /// Of which partition.
        partition: PartitionId,
        /// Where reading is to go on.
        position: i64,
        /// What the broker said the last time.
        reason: String,
    },
    /// The Fluvio client's own settings cannot be used.
    #[error(
        "the settings for the cluster at {address} cannot be used: {reason}\nMend the Fluvio profile (`fluvio profile \
         list` shows it), or name a cluster without TLS with --cluster HOST:PORT."
    )]
    Settings {
        /// The controller's address.
        address: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A reader ended without saying why.
    #[error("a reader failed: {reason}; this is an error of isotherm-consumer itself: report it")]
    ReaderFailed {
        /// What is known.
        reason: String,
    },
}
