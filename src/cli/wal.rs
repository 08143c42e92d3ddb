//! `fleet wal`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ConfirmArgs, StopArgs, WatchArgs, duration, examples};

/// `fleet wal`
#[derive(Debug, Clone, Subcommand)]
pub enum WalCommand {
    /// Show each node's logs, what they would give back, and which validators could not vote again
    #[command(after_help = examples::WAL_SHOW)]
    Show(WalShowArgs),
    /// Restart nodes with the shortest log that forgets nothing signed, if that can't harm the chain
    #[command(after_help = examples::WAL_CLEAR)]
    Clear(WalClearArgs),
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

/// How logs are cleared.
#[derive(Debug, Clone, Default, Args)]
pub struct ClearArgs {
    /// Leave the records of the height in progress out of the new log, too: only the signer's last vote stays
    #[arg(long)]
    pub drop_records: bool,
    /// Bundles of other operators who clear as well, by `fleet wal bundle`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
}

/// `fleet wal clear`
#[derive(Debug, Clone, Args)]
pub struct WalClearArgs {
    /// Whose logs
    pub selector: String,
    /// How to clear.
    #[command(flatten)]
    pub clear: ClearArgs,
    /// How to stop.
    #[command(flatten)]
    pub stop: StopArgs,
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
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
