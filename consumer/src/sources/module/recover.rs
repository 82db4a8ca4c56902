//! What a reader does when a session has ended: what it means, what is logged of it, and when the reader tries again.

use std::time::Duration;

use isotherm_fluvio::DAMAGED;
use isotherm_fluvio::{ConnectionError, ErrorCode, jitter};
use isotherm_model::codec;
use isotherm_model::partial::ModuleVersion;
use tracing::{info, warn};

use super::super::error::SourceError;
use super::error::ModuleError;
use super::partition::{End, Reader};
use super::policy::{FailureKind, Retry};

impl Reader {
    /// Decides what to do after a session; `Err` when the reader must end, with the error to emit.
    pub(super) async fn recover(&mut self, end: End) -> Result<(), Option<SourceError>> {
        let mut last_word = None;
        let (kind, reason) = match end {
            End::NoListener => return Err(None),
            End::Fatal(error) => return Err(Some(error)),
            End::Again(reason) => {
                warn!(
                    "partition {} of `{}`: {reason}; reading again from offset {} with answers of up to {} bytes",
                    self.partition,
                    self.context.source.topic,
                    self.position.unwrap_or_default(),
                    self.policy.max_bytes()
                );
                return Ok(());
            }
            End::OtherModule(reason) => (FailureKind::OtherModule, reason),
            End::NoController(reason) => (FailureKind::Connection, reason),
            End::NoLeader => (FailureKind::Connection, "the controller knows no leader for it".to_owned()),
            End::Unchecked(reason) => {
                (FailureKind::Connection, format!("what was read last of it cannot be looked at again: {reason}"))
            }
            End::Lagging(error) => {
                last_word = Some(error);
                (
                    FailureKind::Lagging,
                    "it ends before what has been read of it, as far as its leader knows yet".to_owned(),
                )
            }
            End::Broken(ConnectionError::TooOld(address)) => return Err(Some(ModuleError::TooOld { address }.into())),
            End::Broken(ConnectionError::Code(code)) => (self.judge_code(&code).map_err(Some)?, code.to_string()),
            End::Broken(error) => (FailureKind::Connection, error.to_string()),
        };
        let Retry::After(pause) = self.policy.after(kind, jitter()) else {
            return Err(Some(last_word.unwrap_or_else(|| self.given_up(kind, reason))));
        };
        self.log_failure(kind, &reason, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// What an error code means; `Err` if it ends the run.
    fn judge_code(&self, code: &ErrorCode) -> Result<FailureKind, SourceError> {
        match code {
            // An SPU says so once it has been told to remove the partition. Under the same name another log may stand soon.
            ErrorCode::TopicDeleted => Err(SourceError::TopicDeleted { topic: self.context.source.topic.clone() }),
            // A leader that moved, or an SPU that has not heard yet that it leads. (Whether there still is such a topic,
            // `Discovery` finds out.)
            ErrorCode::TopicNotFound
            | ErrorCode::NotLeaderForPartition
            | ErrorCode::PartitionNotLeader
            | ErrorCode::PartitionPendingInitialization
            | ErrorCode::SpuOffline => Ok(FailureKind::Connection),
            ErrorCode::SmartModuleNotFound { .. } => Ok(FailureKind::ModuleUnknown),
            // The log's beginning moved between the question and the fetch.
            ErrorCode::OffsetEvicted { .. } if self.progress().is_untouched() => Ok(FailureKind::Connection),
            ErrorCode::OffsetEvicted { offset, next_available } => {
                let position = self.position.unwrap_or(*offset);
                // Some brokers do not say where the log begins.
                Err(self.progress().evicted(position, (*next_available).max(position.saturating_add(1))))
            }
            // It is our module that says so, of whatever version: it does not pass.
            ErrorCode::SmartModuleRuntimeError(error) if error.hint.starts_with(DAMAGED) => {
                let (topic, partition) = (self.context.source.topic.clone(), self.partition);
                let position = self.position.unwrap_or_default();
                Err(SourceError::DamagedBatch { topic, partition, position, reason: error.hint.clone() })
            }
            // The SPU has no memory to run any module: that passes, and is no fault of the module.
            ErrorCode::SmartModuleChainInitError(reason) if reason.contains("mmap failed") => Ok(FailureKind::Refusal),
            ErrorCode::SmartModuleInvalid { .. }
            | ErrorCode::SmartModuleInvalidExports { .. }
            | ErrorCode::SmartModuleRuntimeError(_)
            | ErrorCode::SmartModuleChainInitError(_)
            | ErrorCode::SmartModuleInitError(_)
            | ErrorCode::SmartModuleLookBackError(_)
            | ErrorCode::SmartModuleMemoryLimitExceeded { .. } => {
                if self.policy.may_be_replaced() {
                    return Ok(FailureKind::OtherModule);
                }
                Err(self.module_fails(code.to_string()))
            }
            _ => Ok(FailureKind::Refusal),
        }
    }

    fn given_up(&self, kind: FailureKind, reason: String) -> SourceError {
        match kind {
            FailureKind::ModuleUnknown => {
                ModuleError::Missing { address: self.context.address.clone(), module: self.context.module.clone() }
                    .into()
            }
            FailureKind::OtherModule => self.module_fails(reason),
            FailureKind::Connection | FailureKind::Lagging | FailureKind::Refusal => {
                let (topic, position) = (self.context.source.topic.clone(), self.position.unwrap_or_default());
                ModuleError::Refused { topic, partition: self.partition, position, reason }.into()
            }
        }
    }

    fn module_fails(&self, reason: String) -> SourceError {
        let (module, topic) = (self.context.module.clone(), self.context.source.topic.clone());
        let position = self.position.unwrap_or_default();
        ModuleError::Fails { module, topic, partition: self.partition, position, reason }.into()
    }

    pub(super) fn not_a_partial(&self, error: &codec::DecodeError) -> SourceError {
        let (module, topic) = (self.context.module.clone(), self.context.source.topic.clone());
        let (offset, reason) = (self.position.unwrap_or_default(), error.to_string());
        ModuleError::NotAPartial { module, topic, partition: self.partition, offset, reason }.into()
    }

    pub(super) fn nothing_comes(&self, end: i64) -> SourceError {
        let (module, topic) = (self.context.module.clone(), self.context.source.topic.clone());
        let position = self.position.unwrap_or_default();
        ModuleError::NothingComes { module, topic, partition: self.partition, position, end }.into()
    }

    /// Logs what went wrong; while it stays so, not at each attempt.
    fn log_failure(&mut self, kind: FailureKind, reason: &str, pause: Duration) {
        let (module, seconds) = (&self.context.module, pause.as_secs_f64());
        match kind {
            FailureKind::ModuleUnknown if self.lost.is_due(reason, pause) => {
                info!("the SPU does not know the SmartModule `{module}` yet; trying again in {seconds:.1} s and on");
            }
            FailureKind::OtherModule if self.lost.is_due(reason, pause) => warn!(
                "the SPU runs another module as `{module}`: {reason}; this consumer wants version {}. It may have been replaced \
                 a moment ago: trying for some seconds",
                ModuleVersion::CURRENT
            ),
            FailureKind::ModuleUnknown | FailureKind::OtherModule => {}
            FailureKind::Connection | FailureKind::Lagging | FailureKind::Refusal => {
                self.lost.lost(reason, self.position, pause);
            }
        }
    }
}
