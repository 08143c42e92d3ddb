//! The command line: definitions only, parsing never does anything.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Operates a fleet of bare-metal blockchain validators over plain SSH.
///
/// Nothing is installed on the hosts, and none of today's commands changes anything there.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage or inventory, 3 refused by a safety rule, 4 incomplete or \
                        unknown, 5 not armed (nothing changed), 75 locked, 129/130/143 interrupted.\n\
                        status: 0 advancing, 1 not. exec: 0, or 4 when a host failed."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The inventory [default: ./inventory.toml, then fleet/inventory.toml in the user's config folder]
    #[arg(short, long, global = true, env = "FLEET_INVENTORY", value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Only these hosts, e.g. 'role:validator and not val-3'
    #[arg(short, long, global = true, value_name = "SELECTOR")]
    pub limit: Option<String>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// People
    Text,
    /// One JSON document
    Json,
    /// JSON Lines, one an event or a row
    Jsonl,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what every host and chain is doing, and why a chain stands
    Status(StatusArgs),
    /// Check or show the inventory
    Inventory {
        /// Which.
        #[command(subcommand)]
        command: InventoryCommand,
    },
    /// Print a shell's completion script
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Serve simulated hosts until standard input ends
    #[command(hide = true)]
    Sim(SimArgs),
}

/// `fleet status`
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Only these hosts
    pub selector: Option<String>,
    /// How long to wait for a host
    #[arg(long, default_value = "5s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
}

/// `fleet inventory`
#[derive(Debug, Clone, Subcommand)]
pub enum InventoryCommand {
    /// Read it whole and say what it holds
    Check,
    /// Show the hosts, defaults filled in
    Show {
        /// Only these hosts
        selector: Option<String>,
    },
}

/// `fleet sim`
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// A new folder, taken away at the end
    #[arg(long, required_unless_present = "call")]
    pub dir: Option<PathBuf>,
    /// What to simulate, as JSON [default: the demo's halted chain]
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Answer as this program of a simulated host
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["dir", "layout"])]
    pub call: Option<String>,
    /// The program's arguments
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// A span of time: `500ms`, `10s`, `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("'{text}' is not a span of time; write 500ms, 10s or 1m30s"))?;
    match Duration::try_from(span) {
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err(format!("'{text}' must be more than zero")),
    }
}
