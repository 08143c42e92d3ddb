//! `fleet halt`, `start` and `restart`.

use std::time::Duration;

use clap::Args;

use super::{ClearArgs, ConfirmArgs, duration};

/// What a stop needs to know.
#[derive(Debug, Clone, Default, Args)]
pub struct StopArgs {
    /// Stop at this time, zone included: 2026-02-08T14:00:00Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Go on without these hosts if they can't be armed
    #[arg(long, value_name = "SELECTOR")]
    pub allow_missing: Option<String>,
    /// Go on without hosts that can't be armed, up to this share of the voting power, e.g. 5%
    #[arg(long, value_name = "SHARE")]
    pub allow_missing_power: Option<String>,
    /// Kill a unit that hasn't stopped after this long [default: never; it is reported]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub kill_after: Option<Duration>,
    /// How long a unit may take to stop
    #[arg(long, default_value = "90s", value_parser = duration, value_name = "TIME")]
    pub stop_timeout: Duration,
    /// Stop at once, without waiting for the quiet time after a block
    #[arg(long)]
    pub no_wait: bool,
}

/// `fleet halt`
#[derive(Debug, Clone, Args)]
pub struct HaltArgs {
    /// Which hosts [default: the validators and sentries of the one chain]
    pub selector: Option<String>,
    /// How to stop.
    #[command(flatten)]
    pub stop: StopArgs,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// `fleet start`
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Which hosts [default: the validators and sentries of the one chain]
    pub selector: Option<String>,
    /// Start at this time, zone included
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}

/// How long to wait for what follows a start.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// How long to wait for blocks
    #[arg(long, default_value = "120s", value_parser = duration, value_name = "TIME")]
    pub block_timeout: Duration,
    /// How many blocks to watch once the chain advances
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub blocks: u32,
}

/// `fleet restart`
#[derive(Debug, Clone, Args)]
pub struct RestartArgs {
    /// Which hosts [default: the validators and sentries of the one chain]
    pub selector: Option<String>,
    /// Stop all at one instant, prove it, start all: brings a stopped chain back
    #[arg(long)]
    pub coordinated: bool,
    /// How to stop.
    #[command(flatten)]
    pub stop: StopArgs,
    /// Start at this time, zone included: nobody starts before all have stopped
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// Clear the write-ahead logs of these nodes before they start, if that can't harm the chain
    #[arg(long, value_name = "SELECTOR")]
    pub clear_wal: Option<String>,
    /// How to clear.
    #[command(flatten)]
    pub clear: ClearArgs,
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}
