//! Flow control: whoever has a backlog and is far ahead waits for the slowest, so that open windows stay bounded.
//!
//! A partition waits while it has a backlog and its watermark is more than ten windows plus grace ahead of the slowest
//! partition that holds the topic's watermark back. The slowest never waits: it is not ahead of itself. It moves on,
//! falls quiet or reaches its target, so that nobody waits for ever. While a partition is lost, or not heard from yet,
//! nothing can close: then whoever is so far ahead waits, with a backlog or without.
//!
//! A partition that has been read to the end of the run waits too: nothing more is wanted of it. In a run that leaves windows
//! open it may hold the watermark back all the same; it is waited for as long as it may fall quiet, and no longer: it does
//! not move on.

use std::collections::BTreeSet;

use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;

use super::watermark::Clocks;
use crate::event::Effect;
use crate::view::PartitionPhase;

/// How many windows a partition may be ahead.
const WINDOWS_AHEAD: i64 = 10;

/// Who waits.
#[derive(Debug, Clone)]
pub(super) struct Alignment {
    span: Millis,
    paused: BTreeSet<PartitionId>,
}

impl Alignment {
    /// Nobody waits. Both in milliseconds.
    pub(super) fn new(window: Millis, grace: Millis) -> Self {
        Self { span: window.saturating_mul(WINDOWS_AHEAD).saturating_add(grace), paused: BTreeSet::new() }
    }

    /// Whether the partition waits.
    pub(super) fn is_paused(&self, partition: PartitionId) -> bool {
        self.paused.contains(&partition)
    }

    /// Decides anew who waits, and answers with the changes. Cost: linear in the partitions.
    pub(super) fn review(&mut self, clocks: &Clocks, effects: &mut Vec<Effect>) {
        let slowest = (clocks.partitions.values())
            .filter(|clock| match clocks.phase(clock) {
                PartitionPhase::HoldingOpen => clock.may_become_idle(),
                standing => standing.blocks_watermark(),
            })
            .filter_map(|clock| clocks.place(clock))
            .min();
        let lost = |standing| {
            matches!(standing, PartitionPhase::Discovered | PartitionPhase::Detached | PartitionPhase::Restoring)
        };
        let stuck = clocks.partitions.values().any(|clock| lost(clocks.phase(clock)));
        for (&partition, clock) in &clocks.partitions {
            let standing = clocks.phase(clock);
            let far = clock.watermark.zip(slowest).is_some_and(|(own, least)| own.saturating_sub(least) > self.span);
            let waits = match standing {
                PartitionPhase::CatchingUp => far,
                PartitionPhase::CaughtUp | PartitionPhase::Idle => far && stuck,
                PartitionPhase::HoldingOpen | PartitionPhase::AtTarget => true,
                PartitionPhase::Discovered | PartitionPhase::Detached | PartitionPhase::Restoring => false,
            };
            if waits && self.paused.insert(partition) {
                effects.push(Effect::Pause { partition });
            } else if !waits && self.paused.remove(&partition) {
                effects.push(Effect::Resume { partition });
            }
        }
    }
}
