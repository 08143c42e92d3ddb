//! The logs that a node's host has, and their ends.

use serde::{Deserialize, Serialize};

use super::replay::Log;
use super::tail::Listed;

/// What a host has of a node's logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The log's own folder, where there is one, and those that fleet has set aside.
    pub folders: Vec<Folder>,
    /// The text of the signer's state, where there is a file.
    pub signer: Option<Result<String, String>>,
}

/// A folder and its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its path.
    pub path: String,
    /// Its files.
    pub files: Vec<Listed>,
    /// Whether it was set aside by fleet and hasn't been put back.
    pub can_be_put_back: bool,
    /// The text of the signer's state when it was set aside, where there was a file.
    pub signer: Option<Result<String, String>>,
}

/// Where a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Where its node reads it.
    Live,
    /// A copy that a node made before it repaired its log.
    Corrupted,
    /// Set aside by fleet.
    Aside,
}

/// One log and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub place: Place,
    /// The path of its head.
    pub path: String,
    /// Bytes of all its files.
    pub size: u64,
    /// Its end; or why it wasn't read.
    pub log: Result<Log, String>,
}

/// The logs of one node and what its signer has signed last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeLogs {
    /// The text of the signer's state, where there is a file.
    pub signer: Option<Result<String, String>>,
    /// Its logs.
    pub logs: Vec<Found>,
}
