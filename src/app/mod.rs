//! Composition: each command gathers, plans, confirms, executes and reports with the layers below.

pub mod context;
pub mod gather;
pub mod inventory;
pub mod load;
pub mod scope;
pub mod signals;
pub mod sim;
pub mod status;
pub mod when;

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, InventoryCommand};
use crate::error::{Error, Result};
use context::Context;

/// Runs a command; the exit code.
pub fn run(cli: Cli) -> u8 {
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            error.kind.exit_code()
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8> {
    let mut out = std::io::stdout();
    match cli.command {
        Command::Sim(args) => sim::sim(&args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "fleet", &mut out);
            Ok(0)
        }
        Command::Inventory { command } => {
            let fleet = load::inventory(cli.global.inventory.as_deref())?;
            match command {
                InventoryCommand::Check => inventory::check(&fleet, cli.global.output, &mut out)?,
                InventoryCommand::Show { selector } => {
                    let selector = selector.or(cli.global.limit);
                    inventory::show(&fleet, selector.as_deref(), cli.global.output, &mut out)?;
                }
            }
            Ok(0)
        }
        Command::Status(args) => {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::failed(error.to_string()))?;
            runtime.block_on(async { status::status(&Context::new(cli.global)?, &args).await })
        }
    }
}
