//! Files from several places put together: from a parent, from what a cut-off backup left, from streams.

use std::collections::BTreeMap;

use super::{FileEntry, SegmentEntry};
use crate::error::{Error, Result};

/// Files with the segments they need, each segment once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// The files; their indexes are of `segments`.
    pub files: Vec<FileEntry>,
    /// The segments.
    pub segments: Vec<SegmentEntry>,
    numbers: BTreeMap<String, u32>,
}

impl Gathered {
    /// Adds a file whose indexes are of `segments`.
    pub fn add(&mut self, file: &FileEntry, segments: &[SegmentEntry]) -> Result<()> {
        let number = |index: &u32| {
            let segment = usize::try_from(*index).ok().and_then(|index| segments.get(index));
            let segment = segment.ok_or_else(|| Error::failed(format!("{}: its segment isn't listed", file.path)))?;
            Ok(self.number(segment))
        };
        let places = file.segments.iter().map(number).collect::<Result<Vec<u32>>>()?;
        self.files.push(FileEntry { segments: places, ..file.clone() });
        Ok(())
    }

    fn number(&mut self, segment: &SegmentEntry) -> u32 {
        let next = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(segment.sha256.clone()).or_insert_with(|| {
            self.segments.push(segment.clone());
            next
        })
    }
}
