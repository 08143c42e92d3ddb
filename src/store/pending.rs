//! What a backup that isn't finished has put into the store, so that the next one needn't stream it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::intake::Batch;
use super::objects::Put;
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{FORMAT, FileEntry, Manifest, SegmentEntry};

/// Segments that are in the store, with files that are whole in them and proven by their checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The format of manifests.
    pub format: u32,
    /// Whose they are.
    #[serde(flatten)]
    pub batch: Batch,
    /// When this was written, Unix ms.
    pub made_ms: i64,
    /// The segments: one, or those of the pieces of one large file.
    pub segments: Vec<SegmentEntry>,
    /// The files; their indexes are of `segments`.
    pub files: Vec<FileEntry>,
}

/// What the record of a commit is called.
const COMMIT: &str = "commit";

impl Store {
    pub(super) async fn put_pending(
        &self,
        batch: &Batch,
        segments: &[SegmentEntry],
        files: &[FileEntry],
    ) -> Result<()> {
        let Some(last) = segments.last() else { return Ok(()) };
        let record = Pending {
            format: FORMAT,
            batch: batch.clone(),
            made_ms: self.clock.unix_ms(),
            segments: segments.to_vec(),
            files: files.to_vec(),
        };
        let name = layout::pending(&batch.id, &last.sha256);
        self.put_json(&name, &record, Put::Replace).await.map_err(|error| self.failed(&name, &error))
    }

    /// Notes that the snapshot's list of checksums comes before its manifest: without such a record a list alone is that
    /// of a manifest that was lost. A backup that brought nothing new, and a copy, have no other record.
    pub(super) async fn begin_commit(&self, manifest: &Manifest) -> Result<()> {
        let (id, host) = (manifest.id.clone(), manifest.host.clone());
        let (service, profile) = (manifest.service.clone(), manifest.profile.clone());
        let batch = Batch { id, host, service, profile };
        let (made_ms, segments, files) = (self.clock.unix_ms(), Vec::new(), Vec::new());
        let record = Pending { format: FORMAT, batch, made_ms, segments, files };
        let name = layout::pending(&manifest.id, COMMIT);
        self.put_json(&name, &record, Put::Replace).await.map_err(|error| self.failed(&name, &error))
    }

    /// The records of unfinished backups whose segments are there.
    pub async fn pending(&self) -> Result<Vec<Pending>> {
        let sizes = self.segment_sizes().await?;
        let mut all: Vec<Pending> = self.pending_records().await?.into_values().collect();
        all.retain(|record| !record.segments.is_empty());
        all.retain(|record| record.segments.iter().all(|one| sizes.get(&one.sha256) == Some(&one.bytes)));
        Ok(all)
    }

    /// All records by their names. One that can't be read is an error.
    pub(super) async fn pending_records(&self) -> Result<BTreeMap<String, Pending>> {
        let mut records = BTreeMap::new();
        for object in self.names(layout::PENDING).await? {
            let read = self.json::<Pending>(&object.name).await.map_err(|error| {
                Error { kind: error.kind, message: error.message, hints: Vec::new() }
                    .hint("it only spares an unfinished backup some streaming; remove it if its disk is sound")
            })?;
            records.extend(read.map(|record| (object.name, record)));
        }
        Ok(records)
    }

    /// Removes the records that a finished snapshot makes needless: its own, and those of earlier attempts.
    pub(super) async fn drop_pending(&self, manifest: &Manifest) -> Result<()> {
        for (name, record) in self.pending_records().await? {
            let batch = &record.batch;
            let same =
                (&batch.host, &batch.service, &batch.profile) == (&manifest.host, &manifest.service, &manifest.profile);
            // The list of one that was cut off at its commit is there until a prune sets it aside.
            let commits = record.segments.is_empty();
            if batch.id == manifest.id || same && !commits && batch.id < manifest.id {
                self.remove(&name).await?;
            }
        }
        Ok(())
    }
}
