//! The table of speeds: one run, every way of reading the same readings, each as the median of interleaved rounds.
//!
//! With `--soak N` it instead runs N readings through one instance of the module and shows that its memory stays flat.

mod clock;
mod contenders;
mod engine;
mod readings;
mod soak;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Compares the speed of the native combiner, the scanner, serde_json, the module in the stock engine, and the engine's floor.
#[derive(Debug, Parser)]
#[command(version, name = "isotherm-bench")]
struct Args {
    /// How often each way reads all readings; the median counts.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// How many readings a round has, in batches as a producer sends them.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    readings: u32,
    /// The module to run [default: target/modules/window-stats.wasm].
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// Instead of the table: run this many readings through one instance of the module, and print the memory it needs.
    #[arg(long, value_name = "READINGS")]
    soak: Option<u64>,
}

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the module {file}: {reason}; run: cargo xtask wasm")]
    Module { file: PathBuf, reason: std::io::Error },
    #[error("the engine: {0}")]
    Engine(String),
    #[error("{0} gave another answer than the others: {1}")]
    Answer(&'static str, String),
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let file = args.module.clone().unwrap_or_else(|| PathBuf::from("target/modules/window-stats.wasm"));
    let module = std::fs::read(&file).map_err(|reason| Error::Module { file, reason })?;
    if let Some(readings) = args.soak {
        return soak::run(&module, readings);
    }
    let batches = readings::batches(args.readings);
    let mut contenders = contenders::all(&module)?;
    let mut seconds = vec![Vec::new(); contenders.len()];
    // Each reads everything once before anything is timed; the answers must agree.
    for contender in &mut contenders {
        contender.check(&batches)?;
    }
    for _ in 0..args.rounds {
        for (contender, seconds) in contenders.iter_mut().zip(&mut seconds) {
            let watch = clock::Watch::start();
            contender.read(&batches)?;
            seconds.push(watch.seconds());
        }
    }
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    print!("{}", table::render(&names, &mut seconds, &batches, contenders::SERDE, contenders::FLOOR));
    Ok(())
}
