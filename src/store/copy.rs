//! Copies snapshots to another store.

use std::io::{self, Write as _};

use serde::Serialize;

use super::objects::Put;
use super::segment::Hashed;
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::SegmentEntry;

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Copied {
    /// Segments that were copied.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that were there already.
    pub there: u64,
}

impl std::ops::AddAssign for Copied {
    fn add_assign(&mut self, more: Self) {
        self.segments += more.segments;
        self.bytes += more.bytes;
        self.there += more.there;
    }
}

impl Store {
    /// Copies the snapshot `id` to another store; every segment is checked on its way. `told` hears the bytes of each.
    pub async fn copy(&self, to: &Self, id: &str, told: &mut dyn FnMut(u64)) -> Result<Copied> {
        let manifest = self.manifest(id).await?;
        let sizes = to.segment_sizes().await?;
        let mut copied = Copied::default();
        for segment in &manifest.segments {
            if sizes.get(&segment.sha256) == Some(&segment.bytes) {
                copied.there += 1;
            } else {
                self.copy_segment(to, segment).await?;
                copied.segments += 1;
                copied.bytes += segment.bytes;
            }
            told(segment.bytes);
        }
        to.commit(&manifest).await?;
        Ok(copied)
    }

    async fn copy_segment(&self, to: &Self, segment: &SegmentEntry) -> Result<()> {
        let name = layout::segment(segment);
        let mut file = self.objects.open(&name).await.map_err(|error| self.failed(&name, &error))?;
        let failed = |error: &io::Error| to.failed(&name, error);
        let staged = to.objects.stage().map_err(|error| failed(&error))?;
        let copying = tokio::task::spawn_blocking(move || {
            let mut hashed = Hashed::new(staged);
            io::copy(&mut file, &mut hashed)?;
            hashed.flush()?;
            Ok::<_, io::Error>(hashed.finish())
        });
        let copied = copying.await.map_err(|error| Error::failed(error.to_string()))?;
        let (staged, sha256, bytes) = copied.map_err(|error| failed(&error))?;
        if (sha256.as_str(), bytes) != (segment.sha256.as_str(), segment.bytes) {
            return Err(self.inside(&name, Error::failed("its bytes aren't those it is named by")));
        }
        to.objects.put(&name, staged, Put::Replace).await.map_err(|error| failed(&error))
    }
}
