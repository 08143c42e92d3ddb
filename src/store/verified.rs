//! What is known of snapshots that were read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::objects::Put;
use super::{Store, layout};
use crate::error::Result;
use crate::model::snapshot::FORMAT;

/// A part of a store: the `n`th of `of` parts, 1 to `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub n: u32,
    /// Of how many.
    pub of: u32,
}

impl Part {
    /// All of it.
    pub const ALL: Self = Self { n: 1, of: 1 };

    /// Whether the segment of this SHA-256 belongs to it.
    pub(super) fn has(self, sha256: &str) -> bool {
        let number = sha256.get(..8).and_then(|start| u32::from_str_radix(start, 16).ok()).unwrap_or(0);
        number % self.of.max(1) == self.n.saturating_sub(1)
    }
}

/// When a snapshot was read back without a flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The format of manifests.
    pub format: u32,
    /// When all of it was, Unix ms.
    pub all_ms: Option<i64>,
    /// Bytes of segments that were read then.
    pub bytes: u64,
    /// When parts of it were, as `n/of`, Unix ms.
    pub parts: BTreeMap<String, i64>,
}

impl Verified {
    /// When all of it had been read back, at once or in parts, Unix ms.
    pub fn whole_ms(&self) -> Option<i64> {
        let of = |key: &String| key.split_once('/').and_then(|(_, of)| of.parse::<u32>().ok());
        let whole = |of: u32| (1..=of).map(|n| self.parts.get(&format!("{n}/{of}")).copied()).min().flatten();
        let in_parts = self.parts.keys().filter_map(of).filter_map(|of| if of > 4096 { None } else { whole(of) });
        self.all_ms.into_iter().chain(in_parts).max()
    }
}

impl Store {
    /// What is known of a snapshot's last verifications.
    pub async fn verified(&self, id: &str) -> Result<Option<Verified>> {
        self.json(&layout::verified(id)).await
    }

    /// Records that `part` of a snapshot was good.
    pub(super) async fn was_good(&self, id: &str, part: Part, bytes: u64) -> Result<()> {
        let now = self.clock.unix_ms();
        let unknown = || Verified { format: FORMAT, all_ms: None, bytes: 0, parts: BTreeMap::new() };
        let mut known = self.verified(id).await.ok().flatten().unwrap_or_else(unknown);
        if part == Part::ALL {
            (known.all_ms, known.bytes) = (Some(now), bytes);
        } else {
            known.parts.insert(format!("{}/{}", part.n, part.of), now);
        }
        let name = layout::verified(id);
        self.put_json(&name, &known, Put::Replace).await.map_err(|error| self.failed(&name, &error))
    }

    /// What was known is so no more.
    pub(super) async fn was_bad(&self, id: &str) -> Result<()> {
        self.remove(&layout::verified(id)).await
    }
}
