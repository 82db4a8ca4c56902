//! What to do about an error of the log or of a source, in terms of this program's commands and flags.

use std::error::Error;
use std::fmt;

use super::hints;
use crate::log::LogError;
use crate::log::kafka::address::SCHEME;
use crate::sources::{ModuleError, SourceError};
use crate::{delivery, deploy, run, verify};

/// What a command that a hint advises needs in order to find the cluster: ` --cluster HOST:PORT` where the cluster was named so,
/// nothing where a Fluvio profile or the default named it.
#[derive(Debug, Clone, Copy)]
struct ClusterFlag<'a>(Option<&'a str>);

impl fmt::Display for ClusterFlag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| write!(f, " --cluster {address}"))
    }
}

/// An error's text and what to do about it; `cluster` is what --cluster says.
pub(crate) fn text(error: &(dyn Error + 'static), cluster: Option<&str>) -> String {
    let cluster = ClusterFlag(cluster);
    let hint = if let Some(run::Error::Source(error)) = error.downcast_ref() {
        source(error, cluster)
    } else if let Some(error) = error.downcast_ref::<SourceError>() {
        source(error, cluster)
    } else if let Some(error) = error.downcast_ref::<LogError>() {
        log(error, cluster)
    } else if let Some(deploy::Error::Cluster(error)) = error.downcast_ref() {
        log(error, cluster)
    } else if let Some(delivery::Error::Target(error)) = error.downcast_ref() {
        log(error, cluster)
    } else if let Some(verify::Error::Log(error)) = error.downcast_ref() {
        log(error, cluster)
    } else {
        None
    };
    hint.map_or_else(|| hints::described(error), |hint| format!("{error}{hint}"))
}

fn log(error: &LogError, cluster: ClusterFlag<'_>) -> Option<String> {
    Some(match error {
        LogError::NoAnswer { reason, .. } if LogError::is_of_open_files(reason) => {
            "; raise the limit of open files with `ulimit -n 1024`".to_owned()
        }
        LogError::NoAnswer { address, .. } if address.starts_with(SCHEME) => {
            "; see whether its brokers run, and whether --source names them".to_owned()
        }
        LogError::NoAnswer { .. } => {
            "\nStart one (`isotherm-node --data DIR`, or `fluvio cluster start`), or name another \
                                      with --cluster HOST:PORT."
                .to_owned()
        }
        LogError::NoTopic { address, .. } if address.starts_with(SCHEME) => {
            "; create it with Kafka's own tools, or name another with --topic".to_owned()
        }
        LogError::NoTopic { topic, .. } => format!("; `isotherm-consumer deploy --topic {topic}{cluster}` creates it"),
        LogError::Fatal(reason) if LogError::is_of_open_files(reason) => {
            "; raise the limit of open files with `ulimit -n 1024`".to_owned()
        }
        LogError::Replaced { .. } => {
            ". Read it with a store of its own (--store PATH), or start over with --reset.".to_owned()
        }
        LogError::Retry { .. } => "; see whether its broker runs, and run again".to_owned(),
        _ => return None,
    })
}

fn source(error: &SourceError, cluster: ClusterFlag<'_>) -> Option<String> {
    Some(match error {
        SourceError::Log(error) => return log(error, cluster),
        SourceError::Combiner(error) => return module(error.downcast_ref()?, cluster),
        SourceError::TopicDeleted { topic } => {
            format!(". Create it again with `isotherm-consumer deploy --topic {topic}{cluster}` and start again.")
        }
        SourceError::DamagedBatch { .. } => ". Produce what can be read of the topic into another one, or count only what \
                                             comes from now on, with --from end: beside what is counted (--store PATH, of a \
                                             file that is not there yet), or in its place (--reset)."
            .to_owned(),
        SourceError::Evicted { accept_data_loss, .. } => {
            let next = if *accept_data_loss {
                "as before it goes on without what is missing, since --accept-data-loss looks where the log begins when a run does"
            } else {
                "with --accept-data-loss it goes on without what is missing, and enters the gap in the ledger"
            };
            format!(
                ". Keep the log for longer, and run again: {next}, with --reset it starts over. (With --store memory nothing \
                 is kept: it starts over where the log begins.)"
            )
        }
        SourceError::Behind { .. } | SourceError::GoneFile { .. } => ". Go on without it with --accept-data-loss, which enters the gap in the ledger, or begin \
                                       anew with --reset."
            .to_owned(),
        SourceError::Shorter { .. } | SourceError::OtherLog { .. } => {
            ". Read it with a store of its own (--store PATH), or start over with --reset.".to_owned()
        }
        SourceError::CutFile { .. } | SourceError::OtherFile { .. } => {
            ". Put the file back, read this one with a store of its own (--store PATH), or start over with --reset.".to_owned()
        }
        SourceError::ReaderFailed { .. } => return None,
    })
}

fn module(error: &ModuleError, cluster: ClusterFlag<'_>) -> Option<String> {
    Some(match error {
        ModuleError::Missing { .. } => {
            format!("; `isotherm-consumer deploy{cluster}` uploads it, and with --combine consumer none is needed")
        }
        ModuleError::Fails { .. } => {
            format!("\nIt may be of another version: `isotherm-consumer deploy --replace{cluster}` uploads this one's.")
        }
        ModuleError::NotAPartial { .. } => format!(
            "\nAnother module stands under that name; `isotherm-consumer deploy --replace{cluster}` puts ours there."
        ),
        ModuleError::NothingComes { .. } => format!("; `isotherm-consumer deploy --replace{cluster}` puts ours there."),
        ModuleError::Refused { reason, .. } if reason.contains("no memory") || reason.contains("mmap failed") => {
            " With --combine consumer the broker runs no module.".to_owned()
        }
        ModuleError::Refused { .. } | ModuleError::TooOld { .. } => return None,
    })
}
