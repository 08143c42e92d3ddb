//! `fleet restore`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfirmArgs, StoreArgs, duration, examples};

/// `fleet restore`
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RestoreArgs {
    /// Another verb than restoring.
    #[command(subcommand)]
    pub command: Option<RestoreCommand>,
    /// A snapshot of databases: its id or the beginning of it, 'latest' or 'HOST:latest'
    #[arg(required = true)]
    pub snapshot: Option<String>,
    /// Which hosts get its databases
    #[arg(required = true, value_name = "SELECTOR")]
    pub hosts: Vec<String>,
    /// Where the snapshot is.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Hosts that are sent to at once
    #[arg(long, value_name = "NUMBER", default_value = "4")]
    pub parallel: NonZeroUsize,
    /// How long a unit may take to stop
    #[arg(long, default_value = "90s", value_parser = duration, value_name = "TIME")]
    pub stop_timeout: Duration,
    /// How long a node may take to reach the chain again
    #[arg(long, default_value = "12h", value_parser = duration, value_name = "TIME")]
    pub catch_up: Duration,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// Another verb than restoring.
#[derive(Debug, Clone, Subcommand)]
pub enum RestoreCommand {
    /// Remove the old databases that restores have kept
    #[command(after_help = examples::RESTORE_RELEASE)]
    Release(ReleaseArgs),
}

/// `fleet restore release`
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// Of which hosts
    pub selector: String,
    /// Only what this run has kept
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// How long a host may take to tell where its databases are
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "TIME")]
    pub facts_timeout: Duration,
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
}
