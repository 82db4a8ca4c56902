//! Seeded random numbers: the same seed gives the same ones.
//!
//! Each purpose draws from a stream of its own, so asking for malformed messages, for example, changes nothing about the others.
//! `rand` decides how the generator's output becomes a number in a range; golden files show if that ever changes.

use rand::SeedableRng;
use rand::distr::{Bernoulli, Distribution};
use rand::rngs::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The sensors: ids, states, first temperatures.
    Sensors = 1,
    /// Which sensor reports, and the step that it takes.
    Readings = 2,
    /// How far event times jump back.
    Disorder = 3,
    /// Which readings are late, and by how much.
    Late = 4,
    /// Which messages are malformed, and how.
    Malformed = 5,
}

impl Purpose {
    /// The random numbers that `seed` gives for this purpose.
    pub fn random(self, seed: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(self as u64);
        random
    }
}

/// A share of messages: a probability.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Share(Option<Bernoulli>);

impl Share {
    /// No message.
    pub const NONE: Self = Self(None);

    /// The share `probability`, 0 to 1; `None` for any other number.
    pub fn new(probability: f64) -> Option<Self> {
        let drawn = Bernoulli::new(probability).ok()?;
        Some(Self((probability > 0.0).then_some(drawn)))
    }

    /// Whether the next message is in the share. Nothing is drawn for [`Share::NONE`].
    pub fn draw(self, random: &mut ChaCha8Rng) -> bool {
        self.0.is_some_and(|share| share.sample(random))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let drawn = |seed, purpose: Purpose| -> Vec<u32> {
            let mut random = purpose.random(seed);
            (0..6).map(|_| random.random_range(0..1000)).collect()
        };
        let numbers = drawn(7, Purpose::Readings);
        assert_eq!(drawn(7, Purpose::Readings), numbers);
        assert_ne!(drawn(7, Purpose::Late), numbers);
        assert_ne!(drawn(8, Purpose::Readings), numbers);
    }

    #[test]
    fn shares_are_probabilities() {
        let mut random = Purpose::Late.random(1);
        assert!((0..1000).all(|_| !Share::NONE.draw(&mut random)));
        assert!((0..1000).all(|_| Share::new(1.0).unwrap().draw(&mut random)));
        let half = (0..10_000).filter(|_| Share::new(0.5).unwrap().draw(&mut random)).count();
        assert!((4_800..=5_200).contains(&half), "{half}");
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::new(wrong), None);
        }
        assert_eq!((Share::default(), Share::new(0.0)), (Share::NONE, Some(Share::NONE)));
    }
}
