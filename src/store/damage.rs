//! Segments that can't be built on: damaged by the last look at them, cut off, or gone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::objects::Put;
use super::{Store, layout};
use crate::error::Result;
use crate::model::snapshot::{FORMAT, SegmentEntry};

/// That a segment was found damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Damaged {
    format: u32,
    /// When, Unix ms.
    at_ms: i64,
}

/// What a new snapshot may be made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usable {
    sizes: BTreeMap<String, u64>,
    damaged: BTreeSet<String>,
}

impl Usable {
    /// These.
    #[cfg(test)]
    pub fn all(segments: &[SegmentEntry]) -> Self {
        let sizes = segments.iter().map(|segment| (segment.sha256.clone(), segment.bytes)).collect();
        Self { sizes, damaged: BTreeSet::new() }
    }

    /// Whether a segment is there in its size, and wasn't found damaged.
    pub fn has(&self, segment: &SegmentEntry) -> bool {
        self.sizes.get(&segment.sha256) == Some(&segment.bytes) && !self.damaged.contains(&segment.sha256)
    }
}

impl Store {
    /// What a new snapshot may be made of; what is in the segments is not looked at.
    pub async fn usable(&self) -> Result<Usable> {
        Ok(Usable { sizes: self.segment_sizes().await?, damaged: self.damaged().await? })
    }

    /// The SHA-256 names of segments that were found damaged.
    pub(super) async fn damaged(&self) -> Result<BTreeSet<String>> {
        let objects = self.names(layout::DAMAGED).await?;
        let names = objects.iter().filter_map(|object| layout::id_of(&object.name, layout::DAMAGED));
        Ok(names.map(str::to_owned).collect())
    }

    /// Remembers what a look at a segment has shown: the next backup brings the files of a damaged one anew.
    pub(super) async fn looked_at(&self, segment: &str, damaged: bool, known: &BTreeSet<String>) -> Result<()> {
        match (damaged, known.contains(segment)) {
            (true, false) => {
                let (name, record) =
                    (layout::damaged(segment), Damaged { format: FORMAT, at_ms: self.clock.unix_ms() });
                self.put_json(&name, &record, Put::Replace).await.map_err(|error| self.failed(&name, &error))
            }
            (false, true) => self.is_new(segment).await,
            _ => Ok(()),
        }
    }

    /// A segment whose bytes are those of its name again.
    pub(super) async fn is_new(&self, segment: &str) -> Result<()> {
        self.remove(&layout::damaged(segment)).await
    }
}
