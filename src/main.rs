//! Parses the command line, runs it, and ends with its exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match fleet::cli::Cli::try_parse() {
        Ok(cli) => ExitCode::from(fleet::app::run(cli)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
