//! The one command surface: `cargo xtask demo | test | build | wasm | bench | simulate | crash`.
//!
//! Every subcommand is one file. None of Isotherm's crates is linked here, so that `cargo xtask` itself compiles in
//! seconds; the binaries and modules are built and started as processes.

mod bench;
mod build;
mod cargo;
mod crash;
mod demo;
mod groups;
mod paths;
mod process;
mod simulate;
mod test;
mod tools;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Isotherm's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the main job on an embedded node: build what it needs, produce readings, show three-second statistics
    Demo(demo::Demo),
    /// Format, lint, and run the unit, property, doc and integration tests
    Test(test::Test),
    /// Build the modules and the binaries for release, and print their paths
    Build(build::Build),
    /// Build the SmartModules alone, and print their sizes
    Wasm(wasm::Wasm),
    /// Measure the scanner, the module and the engine in one table from one run
    Bench(bench::Bench),
    /// Simulate whole histories of runs, one a seed
    Simulate(simulate::Simulate),
    /// Kill node, producer and consumer in turn under load, then compare with the log
    Crash(crash::Crash),
}

/// What went wrong and what to do, in one sentence.
pub(crate) type Error = String;

fn main() -> ExitCode {
    let task = Cli::parse().task;
    // The modules are of Rust alone.
    let ready = if matches!(task, Task::Wasm(_)) { Ok(()) } else { tools::for_build() };
    let done = ready.and_then(|()| match task {
        Task::Demo(task) => task.run(),
        Task::Test(task) => task.run().map(|()| ExitCode::SUCCESS),
        Task::Build(task) => task.run().map(|()| ExitCode::SUCCESS),
        Task::Wasm(task) => task.run().map(|()| ExitCode::SUCCESS),
        Task::Bench(task) => task.run().map(|()| ExitCode::SUCCESS),
        Task::Simulate(task) => task.run().map(|()| ExitCode::SUCCESS),
        Task::Crash(task) => task.run().map(|()| ExitCode::SUCCESS),
    });
    done.unwrap_or_else(|error| {
        process::say(&format!("xtask: {error}\n"));
        ExitCode::FAILURE
    })
}
