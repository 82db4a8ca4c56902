//! The simulator: sensors that report for ever. Pure: equal settings, seed and times give equal bytes.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedMutRandom, IndexedRandom};

use crate::clock::{EventClock, TimeWriter};
use crate::config::{Key, Simulation};
use crate::error::ProduceError;
use crate::faults::Fault;
use crate::messages::Messages;
use crate::random::Purpose;
use crate::reading::{Identity, Reading};
use crate::states::{self, State};

/// A sensor starts within this many tenths of a degree of its state's average.
pub const START_TENTHS: i32 = 50;
/// Each time it reports, a sensor moves by at most this many tenths of a degree.
pub const STEP_TENTHS: i32 = 10;
/// A late reading is set back by at least this much, beyond any sensible grace.
pub const LATE_FROM_MS: u64 = 10_000;
/// A late reading is set back by at most this much.
pub const LATE_TO_MS: u64 = 60_000;

/// No walk leaves the range of values that readings may carry.
const MAX_TENTHS: i32 = 9_999_999;

/// Memory: 32 bytes a sensor.
#[derive(Debug)]
pub struct Simulator {
    sensors: Vec<Sensor>,
    clock: EventClock,
    key: Key,
    settings: Simulation,
    readings: ChaCha8Rng,
    disorder: ChaCha8Rng,
    late: ChaCha8Rng,
    malformed: ChaCha8Rng,
    times: TimeWriter,
    scratch: Vec<u8>,
    next: u64,
}

#[derive(Debug)]
struct Sensor {
    identity: Identity,
    tenths: i32,
    state: [u8; 2],
    has_reported: bool,
}

impl Simulator {
    /// Draws the sensors.
    ///
    /// # Errors
    /// [`ProduceError::StateTable`] for a build whose state table is damaged.
    pub fn new(settings: Simulation, clock: EventClock, key: Key) -> Result<Self, ProduceError> {
        let states = states::table()?;
        let mut random = Purpose::Sensors.random(settings.seed);
        let sensors = (0..settings.sensors).map_while(|_| Sensor::draw(&mut random, &states)).collect();
        Ok(Self {
            sensors,
            clock,
            key,
            readings: Purpose::Readings.random(settings.seed),
            disorder: Purpose::Disorder.random(settings.seed),
            late: Purpose::Late.random(settings.seed),
            malformed: Purpose::Malformed.random(settings.seed),
            times: TimeWriter::default(),
            scratch: Vec::new(),
            next: 0,
            settings,
        })
    }

    /// Appends the next message, where the real clock shows `now_ms`. Cost: no allocation once `out` is large enough.
    pub fn push_next(&mut self, now_ms: i64, out: &mut Messages) {
        let Some(reading) = self.next_reading(now_ms) else {
            return;
        };
        let (key, times) = (self.key, &mut self.times);
        if !self.settings.malformed.draw(&mut self.malformed) {
            out.push_with(|bytes| reading.write(key, times, bytes));
            return;
        }
        self.scratch.clear();
        let at = reading.write(key, times, &mut self.scratch);
        let key = at.and_then(|at| self.scratch.get(at)).map(<[u8]>::to_vec);
        Fault::draw(&mut self.malformed).apply(&mut self.scratch, &mut self.malformed);
        out.push(key.as_deref(), &self.scratch);
    }

    /// The event time, before disorder, of the message that was made last, if there is one, in milliseconds since the
    /// epoch.
    pub fn last_event_ms(&self, now_ms: i64) -> Option<i64> {
        self.next.checked_sub(1).map(|last| self.clock.at(last, now_ms))
    }

    /// `None` only without any sensor.
    fn next_reading(&mut self, now_ms: i64) -> Option<Reading> {
        let sensor = self.sensors.choose_mut(&mut self.readings)?;
        let step = self.readings.random_range(-STEP_TENTHS..=STEP_TENTHS);
        if sensor.has_reported {
            sensor.tenths = (sensor.tenths + step).clamp(-MAX_TENTHS, MAX_TENTHS);
        }
        sensor.has_reported = true;
        let reading = Reading {
            sensor: sensor.identity,
            state: sensor.state,
            event_ms: self.clock.at(self.next, now_ms),
            tenths: sensor.tenths,
        };
        self.next += 1;
        Some(Reading { event_ms: reading.event_ms.saturating_sub_unsigned(self.set_back()), ..reading })
    }

    fn set_back(&mut self) -> u64 {
        if self.settings.late.draw(&mut self.late) {
            return self.late.random_range(LATE_FROM_MS..=LATE_TO_MS);
        }
        match self.settings.disorder_ms {
            0 => 0,
            max => self.disorder.random_range(0..=max),
        }
    }
}

impl Sensor {
    /// `None` only without any state.
    fn draw(random: &mut ChaCha8Rng, states: &[State]) -> Option<Self> {
        let identity = Identity::draw(random);
        let state = states.choose(random)?;
        let tenths = state.average_tenths + random.random_range(-START_TENTHS..=START_TENTHS);
        Some(Self { identity, tenths, state: state.code, has_reported: false })
    }
}
