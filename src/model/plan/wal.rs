//! Write-ahead logs that a plan writes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A write-ahead log to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalContent {
    /// sha256 of its bytes, hex.
    pub sha256: String,
    /// Its bytes in base64.
    pub base64: String,
}

impl WalContent {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self { sha256: hex::encode(Sha256::digest(bytes)), base64: BASE64_STANDARD.encode(bytes) }
    }
}
