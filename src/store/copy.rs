//! Copies snapshots to another store.

use std::io::{self, Read, Write};

use serde::Serialize;

use super::objects::Put;
use super::segment::Hashed;
use super::verify::{WRONG_NAME, why};
use super::{Flaw, Store, layout};
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
    ///
    /// What keeps it from being copied whole is no error but a flaw: others may still be copied. An error is one of the
    /// other store.
    pub async fn copy(
        &self,
        to: &Self,
        id: &str,
        told: &mut dyn FnMut(u64),
    ) -> Result<std::result::Result<Copied, Flaw>> {
        let flaw = |object: String, what: String| Flaw { what, object, files: Vec::new(), snapshots: vec![id.into()] };
        let name = layout::manifest(id);
        let manifest = match self.manifest(id).await {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Err(flaw(name, error.message))),
        };
        if to.holds(&name, &manifest.json()?).await? == Some(false) {
            return Ok(Err(flaw(name, format!("{} has another snapshot of this id", to.place()))));
        }
        let sizes = to.segment_sizes().await?;
        let mut copied = Copied::default();
        for segment in &manifest.segments {
            if sizes.get(&segment.sha256) == Some(&segment.bytes) {
                copied.there += 1;
            } else if let Some(what) = self.copy_segment(to, segment).await? {
                return Ok(Err(flaw(layout::segment(segment), what)));
            } else {
                copied.segments += 1;
                copied.bytes += segment.bytes;
            }
            told(segment.bytes);
        }
        to.commit(&manifest).await?;
        Ok(Ok(copied))
    }

    /// What is wrong with the segment here, if anything.
    async fn copy_segment(&self, to: &Self, segment: &SegmentEntry) -> Result<Option<String>> {
        let name = layout::segment(segment);
        let file = match self.objects.open(&name).await {
            Ok(file) => file,
            Err(error) => return Ok(Some(why(&error))),
        };
        let failed = |error: &io::Error| to.failed(&name, error);
        let staged = to.objects.stage().map_err(|error| failed(&error))?;
        let copying = tokio::task::spawn_blocking(move || {
            let mut hashed = Hashed::new(staged);
            let read = pour(file, &mut hashed)?;
            hashed.flush()?;
            Ok::<_, io::Error>((read, hashed.finish()))
        });
        let copied = copying.await.map_err(|error| Error::failed(error.to_string()))?;
        let (read, (staged, sha256, bytes)) = copied.map_err(|error| failed(&error))?;
        if let Err(error) = read {
            return Ok(Some(why(&error)));
        }
        if (sha256.as_str(), bytes) != (segment.sha256.as_str(), segment.bytes) {
            return Ok(Some(WRONG_NAME.to_owned()));
        }
        to.objects.put(&name, staged, Put::Replace).await.map_err(|error| failed(&error))?;
        Ok(None)
    }
}

/// Copies all bytes. What can't be written is the outer error, what can't be read the inner one.
fn pour(mut from: impl Read, to: &mut impl Write) -> io::Result<io::Result<()>> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}
