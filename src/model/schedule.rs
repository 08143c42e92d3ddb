//! What is remembered of a schedule between its runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::snapshot::Summary;

/// The format that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What is remembered of a schedule. Times are Unix ms by the controller's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The format.
    pub format: u32,
    /// What its next time counts from: the start of its last run that came to an end, or when it was first seen.
    pub since_ms: i64,
    /// When its last run started.
    pub started_ms: Option<i64>,
    /// How the last one ended that did; another one goes on, or its fleet died, if it began at another time.
    pub ended: Option<Ended>,
    /// Runs that failed.
    pub failures: u64,
    /// The newest proven snapshot of each service and profile.
    pub proven: BTreeMap<String, Proven>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it had started.
    pub started_ms: i64,
    /// When it ended.
    pub at_ms: i64,
    /// The exit code.
    pub exit: u8,
    /// The last line.
    pub summary: String,
}

/// A snapshot that was read back without a flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// Its id.
    pub snapshot: String,
    /// The host's name in the inventory.
    pub host: String,
    /// The service, as it is shown.
    pub service: String,
    /// What of it was taken.
    pub profile: String,
    /// When it was made.
    pub made_ms: i64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that had to come; the rest was in the store.
    pub came: u64,
    /// How long the service was down for it, ms.
    pub down_ms: Option<u64>,
}

impl Record {
    /// Of a schedule that is seen for the first time.
    pub fn new(now_ms: i64) -> Self {
        Self { format: FORMAT, since_ms: now_ms, started_ms: None, ended: None, failures: 0, proven: BTreeMap::new() }
    }

    /// Whether its last run has no end yet: it goes on, or its fleet died.
    pub fn is_open(&self) -> bool {
        self.started_ms != self.ended.as_ref().map(|ended| ended.started_ms)
    }

    /// When the newest proven snapshot was made.
    pub fn newest_ms(&self) -> Option<i64> {
        self.proven.values().map(|one| one.made_ms).max()
    }

    /// Puts a proven snapshot in the place of the one before it.
    pub fn add(&mut self, summary: &Summary, came: u64) {
        let proven = Proven {
            snapshot: summary.id.clone(),
            host: summary.host.clone(),
            service: summary.service.clone(),
            profile: summary.profile.clone(),
            made_ms: summary.made_ms,
            bytes: summary.files.bytes,
            came,
            down_ms: summary.down_ms,
        };
        self.proven.insert(format!("{} {}", proven.service, proven.profile), proven);
    }
}

/// Whether a run with this exit code didn't get its turn (a lock, an interrupt), so that it is still due.
pub const fn is_put_off(exit: u8) -> bool {
    matches!(exit, 75 | 129 | 130 | 143)
}
