//! `fleet snapshot`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::examples;

/// Where the snapshots are.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// The store, a folder or `s3://BUCKET/FOLDER` [default: `store` of the inventory's [backup]]
    #[arg(long, value_name = "PLACE")]
    pub store: Option<PathBuf>,
}

/// `fleet snapshot`
#[derive(Debug, Clone, Subcommand)]
pub enum SnapshotCommand {
    /// List the snapshots, oldest first
    #[command(after_help = examples::SNAPSHOT_LIST)]
    List {
        /// Where they are.
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show what a snapshot is and what is in it
    #[command(after_help = examples::SNAPSHOT_ID)]
    Show {
        /// Its id or the beginning of it, 'latest' or 'HOST:latest'
        id: String,
        /// List its files, too
        #[arg(long)]
        files: bool,
        /// Where it is.
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Read snapshots back and prove every file
    #[command(after_help = examples::SNAPSHOT_VERIFY)]
    Verify(SnapshotVerifyArgs),
    /// Remove the snapshots that no rule keeps
    #[command(after_help = examples::SNAPSHOT_PRUNE)]
    Prune(SnapshotPruneArgs),
    /// Show what differs between two snapshots
    #[command(after_help = examples::SNAPSHOT_ID)]
    Diff {
        /// The first
        from: String,
        /// The second
        to: String,
        /// Where they are.
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Copy snapshots to another store
    #[command(after_help = examples::SNAPSHOT_COPY)]
    Copy {
        /// The other store, a folder or `s3://BUCKET/FOLDER`; it is made where nothing is yet
        to: PathBuf,
        /// Which [default: all]
        ids: Vec<String>,
        /// Where they are.
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// `fleet snapshot verify`
#[derive(Debug, Clone, Args)]
pub struct SnapshotVerifyArgs {
    /// Which [default: all]
    pub ids: Vec<String>,
    /// Only the n-th of t parts, so that t runs read all of it
    #[arg(long, value_name = "n/t", value_parser = part)]
    pub subset: Option<(u32, u32)>,
    /// Where they are.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `fleet snapshot prune`
#[derive(Debug, Clone, Args)]
pub struct SnapshotPruneArgs {
    /// Rules; without any those of the inventory's [backup.keep].
    #[command(flatten)]
    pub keep: KeepArgs,
    /// How long what was set aside is kept before it is removed for good
    #[arg(long, default_value = "24h", value_parser = super::duration, value_name = "TIME")]
    pub grace: Duration,
    /// Say why each stays or goes, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Where they are.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What to keep of each host, service and profile; what any rule keeps stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct KeepArgs {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u32>,
    /// Keep the newest of each of N hours
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<u32>,
    /// Keep the newest of each of N days
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u32>,
    /// Keep the newest of each of N weeks
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u32>,
    /// Keep the newest of each of N months
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u32>,
    /// Keep all that are no older than the newest by this
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub keep_within: Option<Duration>,
}

/// `n/t`, n from 1 to t.
fn part(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(n, of)| Some((n.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((n, of)) if (1..=of).contains(&n) && of <= 4096 => Ok((n, of)),
        _ => Err(format!("'{text}' is no part; write 1/7 to 7/7 for the parts of seven")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        assert_eq!(["1/1", "7/7", "2/4096"].map(|text| part(text).unwrap()), [(1, 1), (7, 7), (2, 4096)]);
        for text in ["", "0/7", "8/7", "1", "1/0", "a/b", "1/4097", "-1/2"] {
            assert!(part(text).is_err(), "{text}");
        }
    }
}
