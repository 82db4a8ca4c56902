//! What a reader does when a session has ended: what it means, what is said of it, and when it tries again.

use std::time::Duration;

use fluvio::dataplane::link::ErrorCode;
use isotherm_model::codec;
use isotherm_model::partial::ModuleVersion;
use isotherm_smartmodule_abi::DAMAGED;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::SourceError;
use super::link::LinkError;
use super::partition::{End, Reader};
use super::policy::{Next, Trouble};

/// How long a loss that stays is not said again.
const SAY_AGAIN: Duration = Duration::from_secs(30);

impl Reader {
    /// Decides what to do after a session; `Err` when the reader is to end, with what to tell.
    pub(super) async fn mend(&mut self, end: End) -> Result<(), Option<SourceError>> {
        let mut last_word = None;
        let (trouble, reason) = match end {
            End::Unheard => return Err(None),
            End::Fatal(error) => return Err(Some(error)),
            End::Again(reason) => {
                warn!(
                    "partition {} of `{}`: {reason}; reading again from offset {} with answers of up to {} bytes",
                    self.partition,
                    self.terms.topic,
                    self.position.unwrap_or_default(),
                    self.policy.max_bytes()
                );
                return Ok(());
            }
            End::OtherModule(reason) => (Trouble::OtherModule, reason),
            End::NoController(reason) => (Trouble::Connection, reason),
            End::NoLeader => (Trouble::Connection, "the controller knows no leader for it".to_owned()),
            End::Unchecked(reason) => {
                (Trouble::Connection, format!("what was read last of it cannot be looked at again: {reason}"))
            }
            End::Lagging(error) => {
                last_word = Some(error);
                (Trouble::Lagging, "it ends before what has been read of it, as far as its leader knows yet".to_owned())
            }
            End::Broken(LinkError::TooOld(address)) => return Err(Some(SourceError::TooOld { address })),
            End::Broken(LinkError::Code(code)) => (self.judge_code(&code).map_err(Some)?, code.to_string()),
            End::Broken(error) => (Trouble::Connection, error.to_string()),
        };
        let Next::After(pause) = self.policy.after(trouble, jitter()) else {
            return Err(Some(last_word.unwrap_or_else(|| self.given_up(trouble, reason))));
        };
        self.say(trouble, &reason, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// What an error code means; `Err` if it ends the run.
    fn judge_code(&self, code: &ErrorCode) -> Result<Trouble, SourceError> {
        match code {
            // An SPU says so once it has been told to remove the partition. Under the same name another log may stand soon.
            ErrorCode::TopicDeleted => {
                Err(SourceError::TopicDeleted { cluster: self.terms.cluster.clone(), topic: self.terms.topic.clone() })
            }
            // A leader that moved, or an SPU that has not heard yet that it leads. (Whether there still is such a topic,
            // `Discovery` finds out.)
            ErrorCode::TopicNotFound
            | ErrorCode::NotLeaderForPartition
            | ErrorCode::PartitionNotLeader
            | ErrorCode::PartitionPendingInitialization
            | ErrorCode::SpuOffline => Ok(Trouble::Connection),
            ErrorCode::SmartModuleNotFound { .. } => Ok(Trouble::ModuleUnknown),
            // The log's beginning moved between the question and the fetch.
            ErrorCode::OffsetEvicted { .. } if self.is_untouched() => Ok(Trouble::Connection),
            ErrorCode::OffsetEvicted { offset, next_available } => {
                let position = self.position.unwrap_or(*offset);
                // Some brokers do not say where the log begins.
                Err(self.evicted(position, (*next_available).max(position.saturating_add(1))))
            }
            // It is our module that says so, of whatever version: it does not pass.
            ErrorCode::SmartModuleRuntimeError(error) if error.hint.starts_with(DAMAGED) => {
                let (topic, partition) = (self.terms.topic.clone(), self.partition);
                let position = self.position.unwrap_or_default();
                Err(SourceError::DamagedBatch { topic, partition, position, reason: error.hint.clone() })
            }
            ErrorCode::SmartModuleInvalid { .. }
            | ErrorCode::SmartModuleInvalidExports { .. }
            | ErrorCode::SmartModuleRuntimeError(_)
            | ErrorCode::SmartModuleChainInitError(_)
            | ErrorCode::SmartModuleInitError(_)
            | ErrorCode::SmartModuleLookBackError(_)
            | ErrorCode::SmartModuleMemoryLimitExceeded { .. } => {
                if self.policy.may_be_replaced() {
                    return Ok(Trouble::OtherModule);
                }
                Err(self.module_fails(code.to_string()))
            }
            _ => Ok(Trouble::Refusal),
        }
    }

    fn given_up(&self, trouble: Trouble, reason: String) -> SourceError {
        match trouble {
            Trouble::ModuleUnknown => SourceError::NoModule {
                address: self.terms.address.clone(),
                cluster: self.terms.cluster.clone(),
                module: self.terms.module.clone(),
            },
            Trouble::OtherModule => self.module_fails(reason),
            Trouble::Connection | Trouble::Lagging | Trouble::Refusal => SourceError::Refused {
                topic: self.terms.topic.clone(),
                partition: self.partition,
                position: self.position.unwrap_or_default(),
                reason,
            },
        }
    }

    fn module_fails(&self, reason: String) -> SourceError {
        let (cluster, module) = (self.terms.cluster.clone(), self.terms.module.clone());
        let (topic, partition, position) =
            (self.terms.topic.clone(), self.partition, self.position.unwrap_or_default());
        SourceError::ModuleFails { cluster, module, topic, partition, position, reason }
    }

    pub(super) fn evicted(&self, position: i64, start: i64) -> SourceError {
        let (accept_data_loss, topic) = (self.terms.accept_data_loss, self.terms.topic.clone());
        SourceError::Evicted { accept_data_loss, topic, partition: self.partition, position, start }
    }

    pub(super) fn not_a_partial(&self, error: &codec::DecodeError) -> SourceError {
        SourceError::NotAPartial {
            cluster: self.terms.cluster.clone(),
            topic: self.terms.topic.clone(),
            module: self.terms.module.clone(),
            partition: self.partition,
            offset: self.position.unwrap_or_default(),
            reason: error.to_string(),
        }
    }

    pub(super) fn nothing_comes(&self, end: i64) -> SourceError {
        SourceError::NothingComes {
            cluster: self.terms.cluster.clone(),
            topic: self.terms.topic.clone(),
            module: self.terms.module.clone(),
            partition: self.partition,
            position: self.position.unwrap_or_default(),
            end,
        }
    }

    /// Says what went wrong; while it stays so, not at each attempt.
    fn say(&mut self, trouble: Trouble, reason: &str, pause: Duration) {
        let (partition, topic) = (self.partition, &self.terms.topic);
        let seconds = pause.as_secs_f64();
        if self.said_lost.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            debug!("partition {partition} of `{topic}`: {reason}; trying again in {seconds:.1} s");
            return;
        }
        self.said_lost = Some(Instant::now());
        match (trouble, self.position) {
            (Trouble::ModuleUnknown, _) => info!(
                "the SPU does not know the SmartModule `{}` yet; trying again in {seconds:.1} s and on",
                self.terms.module
            ),
            (Trouble::OtherModule, _) => warn!(
                "the SPU runs another module as `{}`: {reason}; this consumer wants version {}. It may have been replaced \
                 a moment ago: trying for some seconds",
                self.terms.module,
                ModuleVersion::CURRENT
            ),
            (_, Some(position)) => warn!(
                "lost partition {partition} of `{topic}`: {reason}; reading on from offset {position} as soon as it is \
                 back, trying in {seconds:.1} s and on"
            ),
            (_, None) => {
                warn!("cannot read partition {partition} of `{topic}` yet: {reason}; trying in {seconds:.1} s and on")
            }
        }
    }
}

/// A fraction that differs between readers: seed, not secrecy, is what it is for.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(Instant::now().elapsed());
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
