//! What happens next.

use std::sync::atomic::Ordering;
use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_store::error::StoreFault;

use super::life::{End, Life};
use super::world::{Kind, World};

impl World<'_> {
    /// One thing happens, or none, if what was drawn is not possible.
    pub(super) fn step(&mut self, life: &mut Life) -> Result<(), End> {
        life.elapsed += Duration::from_millis(self.random.below(80) as u64);
        self.copy(life)?;
        match self.random.below(1_000) {
            0..8 => {
                self.look(life);
                Ok(())
            }
            8..400 => self.deliver_any(life),
            400..430 => self.watch(life),
            430..560 => {
                self.write();
                Ok(())
            }
            560..690 => self.tick(life),
            690..760 => self.news(life),
            760..785 => self.detach_any(life),
            785..900 => self.attach_any(life),
            900..950 => self.hostile(life),
            950..965 => self.add_partition(life),
            965..975 => {
                self.wake();
                Ok(())
            }
            975..980 => self.sound(life, Event::Stop),
            980..985 => self.sound(life, Event::Finish),
            985..991 => Err(End::Crash),
            991..994 => Err(End::Zombie),
            _ => {
                self.cut();
                Ok(())
            }
        }
    }

    /// Something happens before all partitions are listed.
    pub(super) fn step_unlisted(&mut self, life: &mut Life) -> Result<(), End> {
        match self.random.below(100) {
            0..35 => self.attach_any(life),
            35..70 => self.deliver_any(life),
            70..80 => self.tick(life),
            80..88 => self.news(life),
            88..92 => self.detach_any(life),
            92..95 => self.hostile(life),
            95..98 => self.add_partition(life),
            _ => {
                self.write();
                Ok(())
            }
        }
    }

    fn any(&mut self, life: &Life, fits: impl Fn(&super::life::Line) -> bool) -> Option<usize> {
        let fit: Vec<usize> = (0..life.lines.len()).filter(|p| life.lines[*p].found && fits(&life.lines[*p])).collect();
        (!fit.is_empty()).then(|| self.random.pick(&fit))
    }

    /// More of a partition is written.
    fn write(&mut self) {
        let partition = self.random.below(self.log.partitions.len());
        let more = 1 + self.random.below(3);
        let place = &mut self.log.partitions[partition];
        if place.exists {
            place.shown = place.batches.len().min(place.shown + more);
            let end = place.end();
            self.note(format!("p{partition} is written up to {end}"));
        }
    }

    fn add_partition(&mut self, life: &mut Life) -> Result<(), End> {
        let Some(partition) = self.log.partitions.iter().position(|partition| !partition.exists) else {
            return Ok(());
        };
        self.log.partitions[partition].exists = true;
        life.lines[partition].left_alone = life.kind != Kind::Live && life.listed;
        self.find(life, partition)
    }

    fn tick(&mut self, life: &mut Life) -> Result<(), End> {
        if self.random.in_thousand(60) {
            return self.tick_back(life);
        }
        let step = match self.random.below(20) {
            0 => 30_000,
            1..4 => 5_000,
            4..8 => 1_000,
            _ => self.random.below(300) as u64,
        };
        self.pass(life, Duration::from_millis(step))
    }

    /// A clock that goes back tells nothing.
    fn tick_back(&mut self, life: &mut Life) -> Result<(), End> {
        let now = life.now.mul_f64(self.random.below(1_000) as f64 / 1_000.0);
        self.note(format!("tick {now:?}, back from {:?}", life.now));
        self.sound(life, Event::Tick { now })
    }

    fn pass(&mut self, life: &mut Life, step: Duration) -> Result<(), End> {
        life.now += step;
        life.elapsed = life.now.max(life.elapsed + step);
        self.note(format!("tick {:?}", life.now));
        self.sound(life, Event::Tick { now: life.now })
    }

    /// News of a partition's end; now and then they are old.
    fn news(&mut self, life: &mut Life) -> Result<(), End> {
        let Some(partition) = self.any(life, |line| line.attached) else {
            return Ok(());
        };
        let end = self.log.partitions[partition].end();
        let end = if self.random.in_thousand(50) { self.random.between(0, end) } else { end };
        self.note(format!("p{partition} ends at {end}"));
        self.sound(life, Event::End { partition: partition as u32, end })
    }

    /// As a source goes on: the ends of all that is attached are told again and again while time passes, and now and then
    /// something comes.
    fn watch(&mut self, life: &mut Life) -> Result<(), End> {
        for _ in 0..1 + self.random.below(8) {
            self.pass(life, life.flags.run.idle / 3)?;
            for partition in 0..life.lines.len() {
                if life.lines[partition].attached {
                    let end = self.log.partitions[partition].end();
                    self.sound(life, Event::End { partition: partition as u32, end })?;
                }
            }
            if self.random.in_thousand(600) {
                self.deliver_any(life)?;
            }
        }
        Ok(())
    }

    fn detach_any(&mut self, life: &mut Life) -> Result<(), End> {
        match self.any(life, |line| line.attached) {
            Some(partition) => self.detach(life, partition),
            None => Ok(()),
        }
    }

    fn detach(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        self.note(format!("p{partition} is lost"));
        life.lines[partition].attached = false;
        self.sound(life, Event::Detached { partition: partition as u32 })
    }

    fn attach_any(&mut self, life: &mut Life) -> Result<(), End> {
        match self.any(life, |line| !line.attached) {
            Some(partition) => self.attach(life, partition),
            None => Ok(()),
        }
    }

    /// Connects at the last good boundary.
    pub(super) fn attach(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        let mut position = life.lines[partition].position(&self.log, partition);
        let (start, line) = (self.log.partitions[partition].start(), &mut life.lines[partition]);
        if line.is_untouched() {
            (position, line.index) = (start, line.index.filter(|_| position == start));
        } else if position < start && line.index.is_some() {
            return self.evicted(life, partition);
        } else if position < start {
            position = self.behind(life, partition)?;
        }
        let log = &self.log.partitions[partition];
        let line = &mut life.lines[partition];
        if line.index.is_none() {
            let place = log.batches.iter().position(|batch| batch.first >= position);
            let mut place = place.unwrap_or(log.batches.len()).max(log.cut);
            // A batch without records may not come again.
            while log.batches.get(place).is_some_and(|b| b.next == position) && self.random.in_thousand(500) {
                place += 1;
            }
            line.index = Some(place);
            line.target = line.target.or((life.kind != Kind::Live).then_some(log.end()));
        }
        line.attached = true;
        let end = log.end();
        self.note(format!("p{partition} is attached at {position}, ends at {end}"));
        self.sound(life, Event::Attached { partition: partition as u32, position, end })
    }

    /// Reads on from the last good boundary, over a new connection.
    pub(super) fn reconnect(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        self.detach(life, partition)?;
        self.attach(life, partition)
    }

    fn deliver_any(&mut self, life: &mut Life) -> Result<(), End> {
        // What is under way comes although it is to wait.
        let under_way = self.random.in_thousand(50);
        match self.any(life, |line| line.attached && (!line.paused || under_way)) {
            Some(partition) => self.deliver(life, partition).map(drop),
            None => Ok(()),
        }
    }

    /// The partition's next batch; false if there is none by now.
    fn deliver(&mut self, life: &mut Life, partition: usize) -> Result<bool, End> {
        let (line, log) = (&mut life.lines[partition], &self.log.partitions[partition]);
        let Some(index) = line.index.filter(|index| *index < log.shown) else {
            return Ok(false);
        };
        if index < log.cut {
            // A reader to whom nothing has come yet begins where the log does.
            let told =
                if line.is_untouched() { self.reconnect(life, partition) } else { self.evicted(life, partition) };
            return told.map(|()| false);
        }
        let batch = &log.batches[index];
        line.index = Some(index + 1);
        line.touched |= batch.next > batch.first;
        if !line.left_alone && line.target.is_none_or(|target| batch.first < target) {
            line.merged = line.merged.max(batch.next);
            if batch.reach > batch.first {
                line.known = line.known.filter(|known| known.first != batch.first);
            }
        }
        self.note(format!("p{partition} {}..{}, next {}", batch.first, batch.reach, batch.next));
        for event in self.log.events(partition as u32, batch) {
            self.sound(life, event)?;
        }
        Ok(true)
    }

    /// A consumer that was taken for dead wakes, and tries to go on: nothing of it may be stored or said.
    pub(super) fn wake(&mut self) {
        let Some(mut zombie) = self.zombie.take() else {
            return;
        };
        self.wake_copier(&mut zombie);
        let _ = zombie.turns.handle(&mut zombie.materializer, Event::Finish, zombie.elapsed);
        let done = zombie.turns.commit(&mut zombie.materializer, &mut zombie.store, zombie.elapsed);
        let fenced = done.as_ref().is_err_and(|error| matches!(error.downcast_ref(), Some(StoreFault::Fenced { .. })));
        self.note("the one that was taken for dead wakes".to_owned());
        assert!(fenced, "another one has taken over, and yet: {done:?}");
        self.tally.fenced.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads everything, then lets time pass until everything has closed.
    pub(super) fn drain(&mut self, life: &mut Life) -> End {
        let mut drain = || {
            // The farthest reading is a minute ahead; a round passes half a second at least.
            for _ in 0..1_000 {
                while let Some(partition) = self.any(life, |line| !line.attached) {
                    self.attach(life, partition)?;
                }
                let mut left: Vec<usize> = (0..life.lines.len()).collect();
                while !left.is_empty() {
                    let place = self.random.below(left.len());
                    let partition = left[place];
                    if life.lines[partition].paused || !self.deliver(life, partition)? {
                        left.swap_remove(place);
                    }
                }
                self.pass(life, life.flags.run.idle / 2)?;
                for partition in 0..life.lines.len() {
                    let end = self.log.partitions[partition].end();
                    self.sound(life, Event::End { partition: partition as u32, end })?;
                }
                let status = life.materializer.view();
                if status.caught_up && status.open_windows.is_empty() {
                    self.sound(life, Event::Stop)?;
                }
            }
            Ok(())
        };
        match drain() {
            Err(end) => end,
            Ok(()) => panic!("a run hangs: {:?}", life.materializer.view()),
        }
    }
}
