//! The names of the store's objects.

use crate::model::snapshot::SegmentEntry;

/// What says that this is a store.
pub(super) const MARK: &str = "fleet-store.json";
pub(super) const SEGMENTS: &str = "segments";
pub(super) const MANIFESTS: &str = "manifests";
pub(super) const VERIFIED: &str = "verified";
pub(super) const PENDING: &str = "pending";
pub(super) const DAMAGED: &str = "damaged";
pub(super) const QUARANTINE: &str = "quarantine";
pub(super) const LOCKS: &str = "locks";

pub(super) fn segment(segment: &SegmentEntry) -> String {
    segment.place()
}

/// The segment of this name, wherever it lies.
pub(super) fn segment_of(name: &str) -> Option<&str> {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let bare = [".tar.zst", ".tar.age"].into_iter().find_map(|end| file.strip_suffix(end));
    bare.filter(|sha256| crate::model::snapshot::is_sha256(sha256))
}

pub(super) fn manifest(id: &str) -> String {
    format!("{MANIFESTS}/{id}.json")
}

pub(super) fn checksums(id: &str) -> String {
    format!("{MANIFESTS}/{id}.sha256")
}

pub(super) fn verified(id: &str) -> String {
    format!("{VERIFIED}/{id}.json")
}

pub(super) fn damaged(segment: &str) -> String {
    format!("{DAMAGED}/{segment}.json")
}

/// The snapshot, or the segment, whose file in `folder` this is.
pub(super) fn id_of<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    name.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".json").filter(|id| !id.contains('/'))
}

/// The snapshot whose list of checksums this is.
pub(super) fn list_of(name: &str) -> Option<&str> {
    name.strip_prefix(MANIFESTS)?.strip_prefix('/')?.strip_suffix(".sha256").filter(|id| !id.contains('/'))
}

/// The snapshot whose pending record this is.
pub(super) fn pending_of(name: &str) -> Option<&str> {
    name.strip_prefix(PENDING)?.strip_prefix('/')?.split_once('/').map(|(id, _)| id)
}

pub(super) fn pending(id: &str, segment: &str) -> String {
    format!("{PENDING}/{id}/{segment}.json")
}

/// Where `name` is set aside at this time, Unix ms.
pub(super) fn set_aside(name: &str, at_ms: i64) -> String {
    format!("{QUARANTINE}/{at_ms}/{name}")
}

/// Since when a quarantined object lies there, and what its name was.
pub(super) fn set_aside_since(name: &str) -> Option<(i64, &str)> {
    let (at_ms, name) = name.strip_prefix(QUARANTINE)?.strip_prefix('/')?.split_once('/')?;
    Some((at_ms.parse().ok()?, name))
}
