//! The command line: definitions only, parsing never does anything.

mod backup;
mod coordinated;
mod examples;
mod restore;
mod schedule;
mod snapshot;
mod wal;

pub use backup::*;
pub use coordinated::*;
pub use restore::*;
pub use schedule::*;
pub use snapshot::*;
pub use wal::*;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Operates a fleet of bare-metal blockchain validators over plain SSH
#[derive(Debug, Parser)]
#[command(name = "fleet", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = examples::FLEET)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EVERYWHERE: &str = "Options of every command";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The inventory
    #[arg(short, long, global = true, help_heading = EVERYWHERE, env = "FLEET_INVENTORY", hide_env_values = true)]
    #[arg(value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Only these hosts, e.g. 'role:validator and not val-3'
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_name = "SELECTOR")]
    pub limit: Option<String>,
    /// For people (text), or for programs: one document (json), a line for each event or row (jsonl)
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Output::Text)]
    #[arg(hide_possible_values = true, value_name = "FORMAT")]
    pub output: Output,
    /// When to use colour
    #[arg(help = "Colour: auto (on a terminal and without NO_COLOR), always or never")]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Color::Auto)]
    #[arg(hide_possible_values = true, value_name = "WHEN")]
    pub color: Color,
    /// In a run and its report, a line for each step of each host
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    pub verbose: bool,
    /// Say nothing of a plan and its run: nobody is there to read it.
    #[arg(skip)]
    pub quiet: bool,
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
    #[command(after_help = examples::STATUS)]
    Status(StatusArgs),
    /// Run a command on hosts and fold equal answers
    #[command(after_help = examples::EXEC)]
    Exec(ExecArgs),
    /// Stop all selected nodes at one instant
    #[command(after_help = examples::HALT)]
    Halt(HaltArgs),
    /// Start nodes: sentries first, then validators by voting power
    #[command(after_help = examples::START)]
    Start(StartArgs),
    /// Stop and start nodes, and watch for the first block
    #[command(after_help = examples::RESTART)]
    Restart(RestartArgs),
    /// Copy nodes into a store, by sentries and full nodes where that will do
    #[command(after_help = examples::BACKUP)]
    Backup(BackupArgs),
    /// Bring nodes' databases back from a snapshot
    #[command(after_help = examples::RESTORE)]
    Restore(RestoreArgs),
    /// Go on with a run whose fleet died
    #[command(after_help = examples::RESUME)]
    Resume(ResumeArgs),
    /// Take a dead run's lock off hosts (the last resort)
    #[command(after_help = examples::UNLOCK)]
    Unlock(UnlockArgs),
    /// Show the locks that hosts hold
    Lock {
        /// What to do with them.
        #[command(subcommand)]
        command: LockCommand,
    },
    /// Check or show the inventory
    Inventory {
        /// Which.
        #[command(subcommand)]
        command: InventoryCommand,
    },
    /// Show the SSH host keys of hosts and record them
    #[command(after_help = examples::TRUST)]
    Trust(TrustArgs),
    /// List, show and report on past runs
    #[command(after_help = examples::RUNS)]
    Runs {
        /// Which.
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// List, prove, compare, copy and prune the snapshots of a store
    #[command(after_help = examples::SNAPSHOT)]
    Snapshot {
        /// Which.
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// Make backups that come again, by a clock of this machine
    #[command(after_help = examples::SCHEDULE)]
    Schedule {
        /// Which.
        #[command(subcommand)]
        command: ScheduleCommand,
    },
    /// Show nodes' write-ahead logs
    Wal {
        /// Which.
        #[command(subcommand)]
        command: WalCommand,
    },
    /// List the safety rules, or explain one
    #[command(after_help = examples::RULES)]
    Rules {
        /// The rule's name
        rule: Option<String>,
    },
    /// Show fleet on simulated hosts: a stopped chain, and the way back
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// Serve simulated hosts until standard input ends
    #[command(hide = true)]
    Sim(SimArgs),
    /// Print a shell's completion script
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = examples::MAN)]
    Man,
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

/// `fleet exec`
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// Which hosts
    pub selector: String,
    /// The command; a single argument is taken as shell, several are quoted
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
    /// How long the command may take on a host
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
    /// Run it as root, by the inventory's `become`
    #[arg(long)]
    pub sudo: bool,
}

/// How a plan is made and confirmed.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfirmArgs {
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Go without asking if the plan has this digest
    #[arg(long, value_name = "DIGEST")]
    pub plan_digest: Option<String>,
    /// Overrule a safety rule by its name (see 'fleet rules')
    #[arg(long, value_name = "RULE")]
    pub accept: Vec<String>,
    /// What the run is for, shown to others who meet its lock
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How long a host may take to tell its facts before the plan is made
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub facts_timeout: Duration,
}

/// `fleet resume`
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The run [default: the last one that isn't finished, if it was under way within a day]
    pub run: Option<String>,
    /// Go on without hosts that don't answer
    #[arg(long)]
    pub give_up: bool,
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
}

/// `fleet unlock`
#[derive(Debug, Clone, Args)]
pub struct UnlockArgs {
    /// Which hosts
    pub selector: String,
    /// The run whose lock it is, as 'fleet lock show' names it
    #[arg(long, value_name = "RUN")]
    pub run: String,
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
}

/// `fleet lock`
#[derive(Debug, Clone, Subcommand)]
pub enum LockCommand {
    /// Show who holds which host
    Show {
        /// Only these hosts
        selector: Option<String>,
    },
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

/// `fleet trust`
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    /// Which hosts [default: all]
    pub selector: Option<String>,
    /// Record new keys without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Replace recorded keys that have changed; the old lines are kept beside
    #[arg(long)]
    pub replace: bool,
}

/// `fleet runs`
#[derive(Debug, Clone, Subcommand)]
pub enum RunsCommand {
    /// List the runs, newest first
    List,
    /// Show the events of a run
    Show {
        /// The run, or the start of its id
        run: String,
        /// Go on showing them as they come
        #[arg(long)]
        follow: bool,
    },
    /// Show the plan and the outcome of a run
    Report {
        /// The run, or the start of its id
        run: String,
    },
}

/// `fleet demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Keep the folder of the simulated hosts and say where it is
    #[arg(long)]
    pub keep: bool,
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
