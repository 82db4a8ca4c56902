//! The `isotherm-producer` program; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    isotherm_producer::app::main()
}
