//! Writing and reading manifests. A manifest's presence is the commit of its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use super::objects::Put;
use super::segment::hash;
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{Manifest, SegmentEntry, Summary, id_flaw};

impl Store {
    /// Finishes a snapshot: checks that all it needs is there, then writes its manifest, last of all, and removes the
    /// pending records it makes needless.
    ///
    /// Doing so again with the same manifest is no error; another one of that id is.
    pub async fn commit(&self, manifest: &Manifest) -> Result<()> {
        manifest.check()?;
        self.require(&manifest.segments).await?;
        let json = manifest.json()?;
        let name = layout::manifest(&manifest.id);
        let sums = checksums(manifest, &json)?;
        if let Some(same) = self.holds(&name, &json).await? {
            if !same {
                return Err(Error::failed(format!("{}: there is another snapshot {}", self.place(), manifest.id)));
            }
        } else {
            self.begin_commit(manifest).await?;
            let beside = layout::checksums(&manifest.id);
            let put = self.put_bytes(&beside, sums.as_bytes(), Put::Replace).await;
            put.map_err(|error| self.failed(&beside, &error))?;
            let put = self.put_bytes(&name, &json, Put::New).await;
            put.map_err(|error| self.failed(&name, &error))?;
        }
        self.drop_pending(manifest).await
    }

    /// Whether an object that is there has these bytes; `None` where there is none.
    pub(super) async fn holds(&self, name: &str, bytes: &[u8]) -> Result<Option<bool>> {
        Ok(self.bytes(name).await?.map(|there| there == bytes))
    }

    /// Refuses when a segment is missing or hasn't its size; one that a prune has set aside is brought back.
    async fn require(&self, segments: &[SegmentEntry]) -> Result<()> {
        let sizes = self.segment_sizes().await?;
        let missing = segments.iter().any(|segment| !sizes.contains_key(&segment.sha256));
        let aside = if missing { self.segments_aside().await? } else { BTreeMap::new() };
        for segment in segments {
            let name = layout::segment(segment);
            let mut size = sizes.get(&segment.sha256).copied();
            if let (None, Some(from)) = (size, aside.get(&segment.sha256)) {
                self.move_to(from, &name).await?;
                size = Some(self.objects.size(&name).await.map_err(|error| self.failed(&name, &error))?);
            }
            if size != Some(segment.bytes) {
                let what = if size.is_some() { "has another size" } else { "is missing" };
                return Err(Error::failed(format!(
                    "{}: the segment {name} {what}; nothing was committed",
                    self.place()
                ))
                .hint("fleet snapshot verify names the snapshots that need it; the next backup brings its files"));
            }
        }
        Ok(())
    }

    /// Refuses when a segment of a snapshot is missing or hasn't its size. What is in it is not looked at.
    pub async fn has_segments(&self, manifest: &Manifest) -> Result<()> {
        let sizes = self.segment_sizes().await?;
        let bad = manifest.segments.iter().find(|segment| sizes.get(&segment.sha256) != Some(&segment.bytes));
        let Some(segment) = bad else { return Ok(()) };
        let what = if sizes.contains_key(&segment.sha256) { "has another size" } else { "is missing" };
        let name = layout::segment(segment);
        Err(Error::failed(format!("{}: the segment {name} of {} {what}", self.place(), manifest.id))
            .hint("bring it back from a copy of the store, or choose another snapshot: fleet snapshot verify"))
    }

    /// Sizes of all segments by their SHA-256.
    pub(super) async fn segment_sizes(&self) -> Result<BTreeMap<String, u64>> {
        let objects = self.names(layout::SEGMENTS).await?;
        let of = |object: &super::Object| Some((layout::segment_of(&object.name)?.to_owned(), object.size));
        Ok(objects.iter().filter_map(of).collect())
    }

    /// Where segments lie that a prune has set aside.
    pub(super) async fn segments_aside(&self) -> Result<BTreeMap<String, String>> {
        let objects = self.names(layout::QUARANTINE).await?;
        let of = |object: super::Object| Some((layout::segment_of(&object.name)?.to_owned(), object.name));
        Ok(objects.into_iter().filter_map(of).collect())
    }

    /// The ids of all snapshots, oldest first.
    pub async fn ids(&self) -> Result<BTreeSet<String>> {
        let objects = self.names(layout::MANIFESTS).await?;
        let ids = objects.iter().filter_map(|object| layout::id_of(&object.name, layout::MANIFESTS));
        Ok(ids.map(str::to_owned).collect())
    }

    /// A snapshot's manifest, if its bytes are those that its checksum list names.
    pub async fn manifest(&self, id: &str) -> Result<Manifest> {
        let json = self.manifest_bytes(id).await?;
        let manifest = Manifest::read(&json).map_err(|error| self.spoilt(id, error))?;
        self.of_its_name(id, &manifest.id).map(|()| manifest)
    }

    /// The same without its files.
    pub async fn summary(&self, id: &str) -> Result<Summary> {
        let json = self.manifest_bytes(id).await?;
        let summary = Summary::read(&json).map_err(|error| self.spoilt(id, error))?;
        self.of_its_name(id, &summary.id).map(|()| summary)
    }

    /// The ids of snapshots whose manifest is gone while its list of checksums is still there.
    ///
    /// Not so those whose commit is under way or was cut off, as their pending records say, and those whose manifest a
    /// prune has set aside.
    pub async fn lost(&self) -> Result<BTreeSet<String>> {
        let objects = self.names(layout::MANIFESTS).await?;
        let listed = objects.iter().filter_map(|object| layout::list_of(&object.name));
        let ids = objects.iter().filter_map(|object| layout::id_of(&object.name, layout::MANIFESTS)).collect();
        let mut lost: BTreeSet<String> =
            listed.collect::<BTreeSet<&str>>().difference(&ids).map(|id| (*id).to_owned()).collect();
        if lost.is_empty() {
            return Ok(lost);
        }
        for object in self.names(layout::PENDING).await? {
            lost.retain(|id| layout::pending_of(&object.name) != Some(id));
        }
        for object in self.names(layout::QUARANTINE).await? {
            let name = layout::set_aside_since(&object.name).map_or("", |(_, name)| name);
            lost.retain(|id| layout::manifest(id) != name);
        }
        // Whose records went in between is committed by now.
        let now = self.ids().await?;
        lost.retain(|id| !now.contains(id));
        Ok(lost)
    }

    /// All snapshots, oldest first, each with what keeps it from being read.
    pub async fn summaries(&self) -> Result<Vec<(String, Result<Summary>)>> {
        let mut all = Vec::new();
        let mut ids = self.ids().await?;
        ids.extend(self.lost().await?);
        for id in ids {
            let summary = self.summary(&id).await;
            all.push((id, summary));
        }
        Ok(all)
    }

    pub(super) async fn manifest_bytes(&self, id: &str) -> Result<Vec<u8>> {
        if let Some(flaw) = id_flaw(id) {
            return Err(Error::usage(format!("\"{}\" is no id of a snapshot: {flaw}", id.escape_debug())));
        }
        let name = layout::manifest(id);
        let json = self.bytes(&name).await?;
        let sums = self.bytes(&layout::checksums(id)).await?;
        let Some(json) = json else {
            return Err(match sums {
                Some(_) => self.missing(id),
                None => Error::usage(format!("there is no snapshot {id} in {}", self.place())),
            });
        };
        let sums = sums.unwrap_or_default();
        let sums = String::from_utf8_lossy(&sums);
        let listed = sums.lines().find_map(|line| line.strip_suffix(&name)?.strip_suffix("  "));
        let spoilt = |what: &str| Err(self.spoilt(id, Error::failed(what)));
        match listed {
            None => spoilt("its checksum isn't in its list"),
            Some(listed) if listed != digest(&json)? => spoilt("its checksum is wrong"),
            Some(_) => Ok(json),
        }
    }

    fn of_its_name(&self, id: &str, inside: &str) -> Result<()> {
        if inside == id {
            return Ok(());
        }
        Err(self.spoilt(id, Error::failed(format!("it is that of {}", inside.escape_debug()))))
    }

    /// The manifest of this snapshot is lost.
    pub fn missing(&self, id: &str) -> Error {
        let (name, list) = (layout::manifest(id), layout::checksums(id));
        Error::failed(format!("{}: the manifest of {id} is lost: {name} is missing", self.place())).hint(format!(
            "bring it back from a copy of the store, or give the snapshot up and remove {list}; nothing is pruned before"
        ))
    }

    pub(super) fn spoilt(&self, id: &str, mut error: Error) -> Error {
        error.message = format!("{}: the manifest of {id} can't be read: {}", self.place(), error.message);
        error.hint("bring it back from a copy of the store; nothing is pruned as long as it is there")
    }
}

fn digest(bytes: &[u8]) -> Result<String> {
    let hashed = hash(bytes).map_err(|error: io::Error| Error::failed(error.to_string()))?;
    Ok(hashed.0)
}

/// For `sha256sum -c` in the store's root.
pub(super) fn checksums(manifest: &Manifest, json: &[u8]) -> Result<String> {
    let mut lines = String::new();
    let segments: BTreeMap<&str, &SegmentEntry> =
        manifest.segments.iter().map(|segment| (segment.sha256.as_str(), segment)).collect();
    for (sha256, segment) in segments {
        let _ = writeln!(lines, "{sha256}  {}", layout::segment(segment));
    }
    let _ = writeln!(lines, "{}  {}", digest(json)?, layout::manifest(&manifest.id));
    Ok(lines)
}
