//! What differs between two snapshots.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{FileEntry, LinkEntry, Manifest};

/// Files of one kind in a [`Difference`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Amount {
    /// Their paths, sorted.
    pub paths: Vec<String>,
    /// Their bytes, in the later snapshot where they are in both.
    pub bytes: u64,
}

/// What differs between two snapshots, by path and content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Difference {
    /// Only in the second.
    pub added: Amount,
    /// Only in the first.
    pub removed: Amount,
    /// In both, with other content.
    pub changed: Amount,
    /// In both with the same content: how many.
    pub same: u64,
    /// Their bytes.
    pub same_bytes: u64,
    /// Symbolic links.
    pub links: Links,
}

/// Symbolic links that differ, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Links {
    /// Only in the second.
    pub added: Vec<LinkEntry>,
    /// Only in the first.
    pub removed: Vec<LinkEntry>,
    /// In both, with another target.
    pub changed: Vec<ChangedLink>,
}

/// A symbolic link with two targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedLink {
    /// Its path.
    pub path: String,
    /// Its target in the first.
    pub from: String,
    /// Its target in the second.
    pub to: String,
}

/// What was added, removed and changed from `first` to `second`.
pub fn diff(first: &Manifest, second: &Manifest) -> Difference {
    let mut before: BTreeMap<&str, &FileEntry> = first.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut found = Difference::default();
    for file in &second.files {
        match before.remove(file.path.as_str()) {
            None => found.added.put(file),
            Some(old) if old.sha256 == file.sha256 && old.size == file.size => {
                found.same += 1;
                found.same_bytes += file.size;
            }
            Some(_) => found.changed.put(file),
        }
    }
    for file in before.into_values() {
        found.removed.put(file);
    }
    found.added.paths.sort();
    found.changed.paths.sort();
    found.links = links(first, second);
    found
}

fn links(first: &Manifest, second: &Manifest) -> Links {
    let mut before = by_path(&first.links);
    let mut found = Links::default();
    for (path, link) in by_path(&second.links) {
        match before.remove(path) {
            None => found.added.push(link.clone()),
            Some(old) if old.target == link.target => {}
            Some(old) => {
                let (from, to) = (old.target.clone(), link.target.clone());
                found.changed.push(ChangedLink { path: path.to_owned(), from, to });
            }
        }
    }
    found.removed = before.into_values().cloned().collect();
    found
}

fn by_path(links: &[LinkEntry]) -> BTreeMap<&str, &LinkEntry> {
    links.iter().map(|link| (link.path.as_str(), link)).collect()
}

impl Amount {
    fn put(&mut self, file: &FileEntry) {
        self.paths.push(file.path.clone());
        self.bytes += file.size;
    }
}
