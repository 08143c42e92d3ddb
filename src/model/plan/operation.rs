//! What a plan does.

use serde::{Deserialize, Serialize};

/// What a plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Stop all at one instant.
    Halt,
    /// Start in order of power.
    Start,
    /// Stop all at one instant, then start in order of power.
    CoordinatedRestart,
    /// Restart one node without power with a log that gives a stranded chain its votes back.
    ReviveWal,
    /// Restart nodes with the logs that fleet has set aside.
    RestoreWal,
    /// Bring copies into a store, of nodes that stand still only as long as their databases are cloned.
    Backup,
    /// Exchange nodes' databases for those of a snapshot, and start them.
    Restore,
}

impl Operation {
    /// Whether it means to bring blocks by the power that it starts; a start on a chain that advances doesn't.
    pub const fn brings_blocks(self, advancing: bool) -> bool {
        match self {
            Self::CoordinatedRestart => true,
            Self::Start => !advancing,
            Self::Halt | Self::ReviveWal | Self::RestoreWal | Self::Backup | Self::Restore => false,
        }
    }

    /// As the operator reads it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::Start => "start",
            Self::CoordinatedRestart => "coordinated restart",
            Self::ReviveWal => "revival",
            Self::RestoreWal => "restoring of write-ahead logs",
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}
