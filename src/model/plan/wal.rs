//! Write-ahead logs that a plan writes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::plan::Target;

/// The clearing of logs, of the services that the plan's decide stage acts on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearing {
    /// Records of the height in progress are left out, too.
    pub drop_records: bool,
    /// The chain's nodes here that the plan leaves alone: their logs are read.
    pub others: Vec<Target>,
    /// The chain has its quorum without the plan's nodes, and those that are cleared are too few to fork it.
    pub goes_on_without: bool,
    /// Rules of the decision that were overruled by name.
    pub accepted: Vec<String>,
    /// Bundles of other operators, as they are in their files.
    pub bundles: Vec<String>,
}

/// What must not have changed since a log was read, else it isn't replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaces {
    /// Bytes of all its files.
    pub size: u64,
    /// sha256 of the signer's state file, hex; empty where there is none.
    pub signer: String,
}

/// A write-ahead log to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalContent {
    /// sha256 of its bytes, hex.
    pub sha256: String,
    /// Its bytes in base64.
    pub base64: String,
    /// What it replaces, where it was made from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaces>,
}

impl WalContent {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self { sha256: hex::encode(Sha256::digest(bytes)), base64: BASE64_STANDARD.encode(bytes), replaces: None }
    }
}
