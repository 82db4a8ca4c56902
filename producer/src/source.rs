//! The source of messages: the simulator or a replay.

use std::sync::Arc;

use tracing::warn;

use crate::clock::{EventClock, now_ms};
use crate::config::{Config, Source};
use crate::error::ProduceError;
use crate::messages::Messages;
use crate::replay::Replay;
use crate::simulate::Simulator;
use crate::summary::Counters;

/// At most this many messages are made at once.
const CHUNK: usize = 512;

pub(crate) enum OpenSource {
    Simulated { simulator: Box<Simulator>, warn_when_ahead: bool },
    Replayed(Box<Replay>),
}

impl OpenSource {
    /// Opens what the configuration names. Returns the length of the input in bytes too, if it has one.
    pub(crate) async fn open(config: &Config, counters: &Arc<Counters>) -> Result<(Self, Option<u64>), ProduceError> {
        match &config.source {
            Source::Simulate { simulation, clock } => {
                let simulator = Box::new(Simulator::new(*simulation, *clock, config.key)?);
                let warn_when_ahead = matches!(clock, EventClock::Simulated { .. });
                Ok((Self::Simulated { simulator, warn_when_ahead }, None))
            }
            Source::Replay { input, pointers } => {
                let (replay, length) = Replay::open(input, config.key, pointers, Arc::clone(counters)).await?;
                Ok((Self::Replayed(Box::new(replay)), length))
            }
        }
    }

    /// Appends at least one and at most `max` messages. Returns whether there was one.
    pub(crate) async fn fill(&mut self, max: u64, out: &mut Messages) -> Result<bool, ProduceError> {
        let max = usize::try_from(max).unwrap_or(CHUNK).min(CHUNK);
        match self {
            Self::Replayed(replay) => replay.fill(max, out).await,
            Self::Simulated { simulator, warn_when_ahead } => {
                let now_ms = now_ms();
                for _ in 0..max {
                    simulator.push_next(now_ms, out);
                }
                if *warn_when_ahead && simulator.last_event_ms(now_ms).is_some_and(|last| last > now_ms) {
                    *warn_when_ahead = false;
                    warn!(
                        "the simulated times run ahead of the real clock: the consumer rejects readings that are \
                         further ahead than its max-ahead as `future`; an earlier --start avoids that"
                    );
                }
                Ok(!out.is_empty())
            }
        }
    }
}
