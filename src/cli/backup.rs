//! `fleet backup`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::{ConfirmArgs, StoreArgs, duration};

/// `fleet backup`
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Which hosts [default: the validators, sentries and full nodes of the one chain, or with profiles of other hosts
    /// those for whose roles these are usual]
    pub selector: Option<String>,
    /// What to keep: config, cosmovisor, data, statesync, keys, provider, monitoring, postgres, or a profile of the
    /// inventory [default: what is usual for each role]
    #[arg(short, long, value_name = "PROFILES", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// Where to; it is made if it isn't there.
    #[command(flatten)]
    pub store: StoreArgs,
    /// Hosts that stream at once [default: `parallel` of the inventory's [backup], or 4]
    #[arg(long, value_name = "NUMBER")]
    pub parallel: Option<NonZeroUsize>,
    /// Streams from each of them at once [default: `streams` of the inventory's [backup], or 4]
    #[arg(long, value_name = "NUMBER")]
    pub streams: Option<NonZeroUsize>,
    /// The most that comes from all of them together, e.g. 20MiB/s [default: `rate` of the inventory's [backup]]
    #[arg(long, value_name = "RATE")]
    pub limit_rate: Option<String>,
    /// Go on without these hosts if they can't be reached
    #[arg(long, value_name = "SELECTOR")]
    pub allow_missing: Option<String>,
    /// How long a unit may take to stop
    #[arg(long, default_value = "90s", value_parser = duration, value_name = "TIME")]
    pub stop_timeout: Duration,
    /// How to confirm.
    #[command(flatten)]
    pub confirm: ConfirmArgs,
}
