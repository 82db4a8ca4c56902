//! Very many readings through one instance of the module, within the memory that a few of them need.

use std::time::Instant;

use crate::engine::{answer, instance};
use crate::{Error, readings};

/// Bytes of a page of WASM memory.
const PAGE: usize = 1 << 16;
/// How many pages an instance may have.
const MAX_PAGES: usize = 16_384;

/// Finds the minimum memory in which the module answers to each of a few batches once, then runs the readings within it.
pub(crate) fn run(module: &[u8], readings: u64) -> Result<(), Error> {
    let batches = readings::batches(50_000);
    let few = |pages: usize| -> Result<(), Error> {
        let mut instance = instance(module, Some(pages * PAGE))?;
        batches.iter().try_for_each(|batch| answer(&mut instance, &batch.raw, 0).map(drop))
    };
    few(MAX_PAGES)?;
    let (mut too_few, mut enough) = (0, MAX_PAGES);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        match few(middle) {
            Ok(()) => enough = middle,
            Err(_) => too_few = middle,
        }
    }
    println!("50,000 readings in {} batches need {} KiB of memory, and no less", batches.len(), enough * PAGE / 1_024);
    let (mut instance, start) = (instance(module, Some(enough * PAGE))?, Instant::now());
    let mut done = 0;
    for batch in batches.iter().cycle() {
        if done >= readings {
            break;
        }
        answer(&mut instance, &batch.raw, done.cast_signed())?;
        done += batch.values.len() as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{done} readings through one instance within the same {} KiB, at {:.2} million readings a second",
        enough * PAGE / 1_024,
        done as f64 / seconds / 1e6
    );
    Ok(())
}
