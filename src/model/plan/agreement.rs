//! What operators who see different hosts must share.

use serde::{Deserialize, Serialize};

use crate::model::plan::Digest;

/// What operators who see different hosts must share and read out to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Chain id.
    pub chain_id: String,
    /// sha256 of the genesis by content, where it could be read.
    pub genesis: Option<String>,
    /// Last height and its app hash, on a chain that has stopped; `None` where no own node tells. In no digest: nodes
    /// that are down tell nothing, and others may be a block behind.
    pub last: Option<(u64, String)>,
    /// The operation.
    pub operation: String,
    /// What happens to write-ahead logs.
    pub wal: String,
    /// Hashes of the binaries that the operation brings in.
    pub binaries: Vec<String>,
    /// Heights whose upgrade is skipped.
    pub skip_heights: Vec<u64>,
    /// When all stop, Unix ms.
    pub at_ms: Option<i64>,
    /// When all start, Unix ms.
    pub start_at_ms: Option<i64>,
    /// Accepted rules that touch others.
    pub accepted: Vec<String>,
}

impl Agreement {
    /// The digest that operators read out to each other.
    pub fn digest(&self) -> Digest {
        Digest::of(&Self { last: None, ..self.clone() })
    }
}
