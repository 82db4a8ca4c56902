//! Chooses a record's partition as Fluvio's own clients do, so that equal keys meet in one partition whichever client produces
//! them.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher;

/// The partitions of a topic, and whose turn it is.
#[derive(Debug)]
pub struct Partitioner {
    /// How many partitions there are; never 0.
    partitions: usize,
    /// The ones that records without a key take in turn.
    online: Vec<usize>,
    turn: usize,
}

impl Partitioner {
    /// For partitions `0..partitions`. If none is said to be online, all are taken to be.
    pub fn new(partitions: usize, online: Vec<usize>) -> Self {
        let partitions = partitions.max(1);
        let online = if online.is_empty() { (0..partitions).collect() } else { online };
        Self { partitions, online, turn: 0 }
    }

    /// The partition of a record with this key.
    pub fn partition(&mut self, key: Option<&[u8]>) -> usize {
        let Some(key) = key else {
            let partition = self.online.get(self.turn).copied().unwrap_or(0);
            self.turn = (self.turn + 1) % self.online.len().max(1);
            return partition;
        };
        let mut hasher = SipHasher::new();
        key.hash(&mut hasher);
        usize::try_from(hasher.finish() % self.partitions as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_without_a_key_take_online_partitions_in_turn() {
        let mut partitioner = Partitioner::new(4, vec![0, 2, 3]);
        let taken: Vec<_> = (0..5).map(|_| partitioner.partition(None)).collect();
        assert_eq!(taken, [0, 2, 3, 0, 2]);
        let mut partitioner = Partitioner::new(2, Vec::new());
        assert_eq!([partitioner.partition(None), partitioner.partition(None), partitioner.partition(None)], [0, 1, 0]);
    }

    #[test]
    fn a_key_always_goes_to_the_same_partition() {
        let mut partitioner = Partitioner::new(5, vec![1]);
        let taken: Vec<_> = ["AK", "AL", "AR", "AZ", "CA", "CO", "AK"]
            .iter()
            .map(|key| partitioner.partition(Some(key.as_bytes())))
            .collect();
        assert_eq!(taken, EXPECTED);
    }

    /// SipHash-2-4 with a zero key over the key's length (eight bytes, little-endian) and the key, modulo 5.
    const EXPECTED: [usize; 7] = [0, 3, 1, 4, 0, 1, 0];
}
