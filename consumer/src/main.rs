//! `isotherm-consumer`: see `isotherm-consumer --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    isotherm_consumer::cli::main()
}
