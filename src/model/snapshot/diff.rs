//! What differs between two snapshots.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{FileEntry, Manifest};

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
    found
}

impl Amount {
    fn put(&mut self, file: &FileEntry) {
        self.paths.push(file.path.clone());
        self.bytes += file.size;
    }
}
