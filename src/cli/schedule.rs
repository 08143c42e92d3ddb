//! `fleet schedule`.

use clap::{Args, Subcommand};

use super::examples;

/// `fleet schedule`
#[derive(Debug, Clone, Subcommand)]
pub enum ScheduleCommand {
    /// Let a clock of this machine make what is due
    #[command(after_help = examples::SCHEDULE_INSTALL)]
    Install(ScheduleInstallArgs),
    /// Show each schedule: when it is due, how its last run ended, what is proven
    List,
    /// Take away what install wrote
    Remove,
    /// Make the backups that are due
    #[command(after_help = examples::SCHEDULE_RUN_DUE)]
    RunDue {
        /// Make these, due or not
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        now: Vec<String>,
    },
}

/// `fleet schedule install`
#[derive(Debug, Clone, Args)]
pub struct ScheduleInstallArgs {
    /// A timer of the system, in /etc/systemd/system, that runs fleet as this user [default: a timer of your own]
    #[arg(long, value_name = "USER", conflicts_with = "cron")]
    pub system: Option<String>,
    /// A line in your crontab, where there is no systemd
    #[arg(long)]
    pub cron: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}
