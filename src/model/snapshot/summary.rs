//! A manifest without its files, for lists and for retention: their number and size is all that is kept of them.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{FileEntry, Manifest, NodeState, SegmentEntry, id_flaw, of_our_format};
use crate::error::{Error, Result};

/// What is known of a snapshot without its files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Summary {
    /// Its id; ids sort by time.
    pub id: String,
    /// The snapshot it was made upon.
    pub parent: Option<String>,
    /// When it was made, Unix ms.
    pub made_ms: i64,
    /// The host's name in the inventory.
    pub host: String,
    /// The service, as it is shown.
    pub service: String,
    /// What of it was taken.
    pub profile: String,
    /// Whether the service was stopped while it was cloned.
    pub sealed: bool,
    /// How long the service was down for it, ms.
    pub down_ms: Option<u64>,
    /// Where the node stood, if it is one.
    pub node: Option<NodeState>,
    /// Number and size of its files.
    pub files: Amounts,
    /// Segments that hold them.
    pub segments: Vec<SegmentEntry>,
}

/// Number and size of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Amounts {
    /// How many.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Summary {
    /// Reads what a list needs of a manifest; of its files nothing is kept but their number and size.
    pub fn read(json: &[u8]) -> Result<Self> {
        let summary: Self = of_our_format(json)?;
        match id_flaw(&summary.id) {
            Some(flaw) => Err(Error::failed(format!("\"{}\" is no id: {flaw}", summary.id.escape_debug()))),
            None => Ok(summary),
        }
    }

    /// Bytes of its segments in the store, those included that it shares with other snapshots.
    pub fn stored_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

impl From<&Manifest> for Summary {
    fn from(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id.clone(),
            parent: manifest.parent.clone(),
            made_ms: manifest.made_ms,
            host: manifest.host.clone(),
            service: manifest.service.clone(),
            profile: manifest.profile.clone(),
            sealed: manifest.sealed,
            down_ms: manifest.down_ms,
            node: manifest.node.clone(),
            files: Amounts { count: manifest.files.len() as u64, bytes: manifest.file_bytes() },
            segments: manifest.segments.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Amounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(Counting)
    }
}

struct Counting;

impl<'de> Visitor<'de> for Counting {
    type Value = Amounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<Amounts, A::Error> {
        let mut amounts = Amounts::default();
        while let Some(file) = rows.next_element::<FileEntry>()? {
            amounts.count += 1;
            amounts.bytes = amounts.bytes.saturating_add(file.size);
        }
        Ok(amounts)
    }
}
