//! What the log's retention cuts: batches at the beginning of a partition go, and a run that needs them is refused or goes on
//! over the gap. What no window can hold any more then is in the book.

use std::sync::atomic::Ordering;

use isotherm_engine::event::Event;
use isotherm_engine::materializer::fault::Fault;

use super::life::{End, Life};
use super::world::World;

impl World<'_> {
    /// Retention removes the oldest batches of a partition.
    pub(super) fn cut(&mut self) {
        let partition = self.random.below(self.log.partitions.len());
        let more = 1 + self.random.below(3);
        let place = &mut self.log.partitions[partition];
        place.cut = place.shown.min(place.cut + more);
        let start = place.start();
        self.note(format!("p{partition} is cut, and begins at {start}"));
    }

    /// A reader finds that what comes next has been cut: its run ends, in good order.
    pub(super) fn evicted(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        self.note(format!("p{partition} has been cut before it was read"));
        self.tally.cut.fetch_add(1, Ordering::Relaxed);
        if self.random.in_thousand(500) {
            self.commit(life)?;
        }
        Err(End::Failed)
    }

    /// The log begins behind the place where the run is to go on: it is refused, or goes on over the gap. Where, then.
    pub(super) fn behind(&mut self, life: &mut Life, partition: usize) -> Result<i64, End> {
        let (start, end) = (self.log.partitions[partition].start(), self.log.partitions[partition].end());
        if life.lines[partition].saved.is_some_and(|saved| start <= saved.restore_from) {
            self.note(format!("p{partition} lacks nothing but what it was to be known by"));
            self.tally.unneeded.fetch_add(1, Ordering::Relaxed);
            return Ok(start);
        }
        if life.flags.run.accept_data_loss {
            self.note(format!("p{partition} goes on over a gap, at {start}"));
            return Ok(start);
        }
        // The source says so; and if it does not, the materializer.
        if self.random.in_thousand(500) {
            let before = format!("{:?}", life.materializer.commit(&[]));
            let attached = Event::Attached { partition: partition as u32, position: start, end };
            let fault = self.take(life, attached)?.expect_err("a gap is refused");
            assert!(matches!(fault, Fault::Behind { .. }), "a gap is refused with {fault:?}");
            assert_eq!(before, format!("{:?}", life.materializer.commit(&[])), "a refused gap changes nothing");
        }
        self.evicted(life, partition).map(|()| start)
    }
}
