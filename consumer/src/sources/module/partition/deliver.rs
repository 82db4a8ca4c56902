//! One partial on its way from an answer to the materializer: whether it is one, whose it is, and whether it follows.

use isotherm_engine::event::Event;
use isotherm_fluvio::RecordData;
use isotherm_model::codec;
use isotherm_model::partial::{ModuleVersion, Partial};
use tracing::{debug, info};

use super::super::policy::Verdict;
use super::{End, Last, Reader};

impl Reader {
    /// Delivers a partial.
    pub(super) async fn deliver(&mut self, value: &RecordData) -> Result<(), End> {
        let partition = self.partition;
        let room = self.context.source.room(value.len()).await.ok_or(End::NoListener)?;
        let partial = match codec::decode(value.as_ref()) {
            Ok(partial) => partial,
            Err(error) if self.policy.may_be_replaced() => return Err(End::OtherModule(error.to_string())),
            Err(error) => return Err(End::Fatal(self.not_a_partial(&error))),
        };
        let (source, digest) = (partial.source, codec::digest(value.as_ref()));
        let ours = partial.version == ModuleVersion::CURRENT && partial.fingerprint == self.context.fingerprint;
        if !ours {
            let Partial { version, fingerprint, .. } = partial;
            if self.policy.may_be_replaced() {
                let what = format!("it is version {version}, with settings of fingerprint {fingerprint}");
                return Err(End::OtherModule(what));
            }
            debug!(partition, %version, %fingerprint, "another module that stays: for the materializer to refuse");
        }
        if ours && self.position != Some(source.first) {
            self.pass_offset_gap().await?;
        }
        let expected = self.position.unwrap_or_default();
        // Asked to go on within a batch whose last records are missing, the SPU begins with that batch again.
        if let Some(last) = self.last
            && last.next < expected
            && (last.first, last.digest) == (source.first, digest)
        {
            debug!(partition, source.first, expected, "a batch that came again");
            return Ok(());
        }
        match self.policy.judge(expected, source) {
            Verdict::Accept => {
                if ours && self.lost.clear() {
                    info!(
                        "partition {partition} of `{}`: this consumer's module answers now",
                        self.context.source.topic
                    );
                }
            }
            Verdict::Refetch => {
                let found = format!("expected offset {expected}, got {} to {}", source.first, source.next);
                return Err(End::Again(found));
            }
            Verdict::Deliver => debug!(partition, expected, first = source.first, "a misfit that stays"),
        }
        let event = Event::Partial { partition, partial: Box::<Partial>::new(partial), digest };
        self.emit(event, Some(room)).await?;
        self.position = Some(source.next);
        self.last = Some(Last { first: source.first, next: source.next, digest });
        Ok(())
    }

    /// Looks up where the batch that was delivered last ends. If that is further on than its records reach, no record
    /// is between: goes on behind it, and returns true.
    pub(super) async fn pass_offset_gap(&mut self) -> Result<bool, End> {
        let (Some(last), Some(position)) = (self.last, self.position) else {
            return Ok(false);
        };
        if last.next != position || self.looked_up.replace(position) == Some(position) {
            return Ok(false);
        }
        let stored = self.api.stored(last.first).await;
        let Some(stored) = stored.filter(|stored| (stored.first, stored.digest) == (last.first, last.digest)) else {
            return Ok(false);
        };
        if stored.next <= position {
            return Ok(false);
        }
        debug!(self.partition, position, stored.next, "a batch that lacks its last records");
        self.send(Event::OffsetGap { partition: self.partition, next: stored.next }).await?;
        self.position = Some(stored.next);
        Ok(true)
    }
}
