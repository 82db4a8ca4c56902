//! Watermark alignment: a partition far ahead in event time is paused until the slowest partition that blocks the watermark
//! advances or becomes idle. This bounds the number of open windows, and so the memory.
//!
//! Far ahead means: it is catching up, and its watermark is more than ten windows plus grace ahead of the slowest partition. The
//! slowest is never paused. It advances, becomes idle or reaches its target, so no pause lasts for ever. While a partition is
//! detached, restoring, or its end is unknown, no window can close: then every partition so far ahead is paused, also one that has been
//! read to its end.
//!
//! In a bounded run event time plays no part: a partition at its target is paused, because the run needs nothing more of it.

use std::collections::BTreeSet;

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;

use super::watermark::Clocks;
use crate::event::Effect;
use crate::view::PartitionPhase;

/// How many windows a partition may be ahead of the slowest.
const WINDOWS_AHEAD: i64 = 10;

/// The paused partitions.
#[derive(Debug, Clone)]
pub(super) struct Alignment {
    span: Millis,
    paused: BTreeSet<PartitionId>,
}

impl Alignment {
    /// No partition is paused. Both arguments are in milliseconds.
    pub(super) fn new(window: Millis, grace: Millis) -> Self {
        Self { span: window.saturating_mul(WINDOWS_AHEAD).saturating_add(grace), paused: BTreeSet::new() }
    }

    pub(super) fn is_paused(&self, partition: PartitionId) -> bool {
        self.paused.contains(&partition)
    }

    /// Pauses and resumes partitions. Cost: linear in the partitions.
    pub(super) fn review(&mut self, clocks: &Clocks, bounded: bool, effects: &mut Vec<Effect>) {
        let slowest = (clocks.partitions.values())
            .filter(|clock| clocks.phase(clock).blocks_watermark())
            .filter_map(|clock| clocks.place(clock))
            .min();
        let lost =
            |phase| matches!(phase, PartitionPhase::Discovered | PartitionPhase::Detached | PartitionPhase::Restoring);
        let stuck = clocks.partitions.values().any(|clock| lost(clocks.phase(clock)));
        for (&partition, clock) in &clocks.partitions {
            let phase = clocks.phase(clock);
            let far = !bounded
                && clock.watermark.zip(slowest).is_some_and(|(own, slowest)| own.saturating_sub(slowest) > self.span);
            let pauses = match phase {
                PartitionPhase::CatchingUp => far,
                PartitionPhase::CaughtUp | PartitionPhase::Idle => far && stuck,
                PartitionPhase::AtTarget => true,
                PartitionPhase::Discovered | PartitionPhase::Detached | PartitionPhase::Restoring => false,
            };
            if pauses && self.paused.insert(partition) {
                effects.push(Effect::Pause { partition });
            } else if !pauses && self.paused.remove(&partition) {
                effects.push(Effect::Resume { partition });
            }
        }
    }
}
