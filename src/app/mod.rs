//! Composition: each command gathers, plans, confirms, executes and reports with the layers below.

pub mod context;
pub mod demo;
pub mod exec;
pub mod gather;
pub mod inventory;
pub mod load;
pub mod scope;
pub mod signals;
pub mod sim;
pub mod status;
pub mod trust;
mod waiting;
pub mod when;

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, Global, InventoryCommand};
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
    let Cli { global, command } = cli;
    match command {
        Command::Sim(args) => sim::sim(&args),
        Command::Demo(args) => demo::demo(&global, &args),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "fleet", &mut out);
            Ok(0)
        }
        Command::Man => {
            let page = clap_mangen::Man::new(Cli::command());
            page.render(&mut out).map_err(|error| Error::failed(format!("can't write: {error}")))?;
            Ok(0)
        }
        Command::Inventory { command } => {
            let fleet = load::inventory(global.inventory.as_deref())?;
            match command {
                InventoryCommand::Check => inventory::check(&fleet, global.output, &mut out)?,
                InventoryCommand::Show { selector } => {
                    let selector = selector.or(global.limit);
                    inventory::show(&fleet, selector.as_deref(), global.output, &mut out)?;
                }
            }
            Ok(0)
        }
        command => {
            let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::failed(error.to_string()))?;
            let code = runtime.block_on(on_hosts(global, command));
            // What still hangs on a dead host must not keep the process.
            runtime.shutdown_background();
            code
        }
    }
}

/// The commands that need the hosts.
async fn on_hosts(global: Global, command: Command) -> Result<u8> {
    let context = &Context::new(global)?;
    match command {
        Command::Status(args) => status::status(context, &args).await,
        Command::Exec(args) => exec::exec(context, &args).await,
        Command::Trust(args) => trust::trust(context, &args).await,
        other => Err(Error::failed(format!("{other:?} needs no hosts"))),
    }
}
