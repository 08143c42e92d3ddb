//! Composition: each command gathers, plans, confirms, executes and reports with the layers below.

pub mod backup;
pub mod confirm;
pub mod context;
pub mod demo;
pub mod exec;
pub mod execute;
pub mod gather;
pub mod inventory;
pub mod load;
pub mod lock;
pub mod memory;
pub mod operate;
pub mod restore;
pub mod resume;
pub mod rules;
pub mod runs;
pub mod schedule;
pub mod scope;
pub mod screen;
pub mod signals;
pub mod sim;
pub mod snapshot;
pub mod status;
pub mod trust;
mod waiting;
pub mod wal;
pub mod watch;
pub mod when;

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, Global, InventoryCommand, LockCommand, WalCommand};
use crate::error::{Error, Kind, Result};
use crate::journal::Places;
use crate::render::words::wrapped;
use context::Context;

/// Runs a command; the exit code.
pub fn run(cli: Cli) -> u8 {
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            // A refusal is an answer, and begins with its own word.
            let what = if error.kind == Kind::Refused { "" } else { "error: " };
            let _ = writeln!(std::io::stderr(), "{what}{}", laid_out(&error));
            error.kind.exit_code()
        }
    }
}

/// On a terminal what to do next is broken between words; the error's own lines may be columns.
fn laid_out(error: &Error) -> String {
    let Ok(size) = rustix::termios::tcgetwinsize(std::io::stderr()) else { return error.to_string() };
    let text = error.to_string();
    let lines = text.lines().flat_map(|line| match line.strip_prefix("next: ") {
        Some(_) => wrapped(line, usize::from(size.ws_col).max(40), 6),
        None => vec![line.to_owned()],
    });
    lines.collect::<Vec<_>>().join("\n")
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
                InventoryCommand::Check => {
                    // Where it can't be read twice, what is wrong is told without its line.
                    schedule::check(&fleet, &load::read(&fleet.source).unwrap_or_default())?;
                    inventory::check(&fleet, global.output, &mut out)?;
                }
                InventoryCommand::Show { selector } => {
                    let selector = selector.or(global.limit);
                    inventory::show(&fleet, selector.as_deref(), global.output, &mut out)?;
                }
            }
            Ok(0)
        }
        Command::Rules { rule } => rules::rules(&global, rule.as_deref()),
        Command::Snapshot { command } => snapshot::snapshot(&global, &command),
        Command::Runs { command } => {
            let places = Places::from_env(|name| std::env::var_os(name))?;
            runs::runs(&global, &places, &command)
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
        Command::Halt(args) => operate::halt(context, &args).await,
        Command::Start(args) => operate::start(context, &args).await,
        Command::Restart(args) => operate::restart(context, &args).await,
        Command::Backup(args) => backup::backup(context, &args).await,
        Command::Restore(args) => restore::restore(context, &args).await,
        Command::Schedule { command } => schedule::schedule(context, &command).await,
        Command::Resume(args) => resume::resume(context, &args).await,
        Command::Unlock(args) => lock::unlock(context, &args).await,
        Command::Wal { command } => match command {
            WalCommand::Show(args) => wal::show(context, &args).await,
            WalCommand::Clear(args) => operate::clear(context, &args).await,
            WalCommand::Bundle(args) => wal::bundle::bundle(context, &args).await,
            WalCommand::Revive(args) => wal::revive::revive(context, &args).await,
            WalCommand::Restore(args) => wal::restore::restore(context, &args).await,
        },
        Command::Lock { command: LockCommand::Show { selector } } => lock::show(context, selector.as_deref()).await,
        other => Err(Error::failed(format!("{other:?} needs no hosts"))),
    }
}
