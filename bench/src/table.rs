//! The table of speeds.

use std::fmt::Write;

use crate::readings::Batch;

/// The medians of all rounds as a table, with ratios to the two contenders that are named.
pub(crate) fn render(names: &[&str], seconds: &mut [Vec<f64>], batches: &[Batch], serde: &str, floor: &str) -> String {
    let readings: usize = batches.iter().map(|batch| batch.values.len()).sum();
    let bytes: usize = batches.iter().map(|batch| batch.values.bytes()).sum();
    let medians: Vec<f64> = seconds.iter_mut().map(|seconds| median(seconds)).collect();
    let of = |name: &str| names.iter().zip(&medians).find(|(known, _)| **known == name).map_or(f64::NAN, |(_, m)| *m);
    let rounds = seconds.first().map_or(0, Vec::len);
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(
        out,
        "{readings} readings of {} bytes in {} batches; medians of {rounds} interleaved rounds\n",
        bytes / readings.max(1),
        batches.len()
    );
    let _ = writeln!(
        out,
        "{:<22} {:>12} {:>8} {:>8} {:>9} {:>8}",
        "", "readings/s", "ns each", "MB/s", "x serde", "x floor"
    );
    for (name, median) in names.iter().zip(&medians) {
        let _ = writeln!(
            out,
            "{name:<22} {:>12.0} {:>8.0} {:>8.0} {:>9.2} {:>8.2}",
            readings as f64 / median,
            median * 1e9 / readings as f64,
            bytes as f64 / median / 1e6,
            of(serde) / median,
            of(floor) / median,
        );
    }
    out
}

/// The middle one of some numbers.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
