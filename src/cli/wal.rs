//! `fleet wal`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfirmArgs, WatchArgs, duration, examples};

/// `fleet wal`
#[derive(Debug, Clone, Subcommand)]
pub enum WalCommand {
    /// Show each node's logs, what they would give back, and which validators could not vote again
    #[command(after_help = examples::WAL_SHOW)]
    Show(WalShowArgs),
    /// Bring back a chain that stands because validators' votes were lost with their logs
    #[command(after_help = examples::WAL_REVIVE)]
    Revive(WalReviveArgs),
    /// Write nodes' logs and signer states into a file, for an operator who has no access to them
    #[command(after_help = examples::WAL_BUNDLE)]
    Bundle(WalBundleArgs),
    /// Restart nodes with the logs that fleet has set aside
    #[command(after_help = examples::WAL_RESTORE)]
    Restore(WalRestoreArgs),
}

/// `fleet wal bundle`
#[derive(Debug, Clone, Args)]
pub struct WalBundleArgs {
    /// Whose logs; without it those of all nodes of the chain
    pub selector: Option<String>,
    /// The file to write; one that is there is not overwritten
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// The most that a host may take
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
}

/// `fleet wal revive`
#[derive(Debug, Clone, Args)]
pub struct WalReviveArgs {
    /// The node without power that hands out the messages; without it a sentry is chosen
    #[arg(long, value_name = "HOST")]
    pub on: Option<String>,
    /// Bundles of other operators, by `fleet wal bundle`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// How the run is confirmed
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// How long blocks are waited for, and watched
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// `fleet wal restore`
#[derive(Debug, Clone, Args)]
pub struct WalRestoreArgs {
    /// Whose logs
    pub selector: String,
    /// How the run is confirmed
    #[command(flatten)]
    pub confirm: ConfirmArgs,
    /// How long blocks are waited for, and watched
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// `fleet wal show`
#[derive(Debug, Clone, Args)]
pub struct WalShowArgs {
    /// Whose logs; without it those of all nodes of the chain. What the chain has signed is read from all of them
    pub selector: Option<String>,
    /// Bundles of other operators, by `fleet wal bundle`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// The most that a host may take
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
}
