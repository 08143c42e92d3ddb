//! Takes one file whose size nobody knows before it has come: a dump that is made while it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::{Batch, Cut, Intake, Taken};
use crate::error::{Error, Result};
use crate::model::snapshot::{FileEntry, id_flaw, part_name, path_flaw};
use crate::store::Store;
use crate::store::segment::Hashed;

/// Permissions of what was streamed: it has none of its own.
const MODE: u32 = 0o600;

impl Store {
    /// Takes a stream to its end as the file `path`, in pieces of a segment each; two of them are held in memory. Its
    /// checksum is of what came. It has no time of its own, so that the same bytes make the same segments.
    ///
    /// # Errors
    /// A stream that breaks off, whose error is told as it is; an empty one; a full store. Segments that were finished
    /// before stay, and no record leads to them.
    pub fn take_stream(
        &self,
        batch: &Batch,
        cut: Cut,
        path: &str,
        stream: impl Read,
        told: &mut dyn FnMut(u64),
    ) -> Result<Taken> {
        if let Some(flaw) = id_flaw(&batch.id).or_else(|| path_flaw(path)) {
            return Err(Error::usage(format!("\"{}\" of {}: {flaw}", path.escape_debug(), batch.id.escape_debug())));
        }
        let mut intake = Intake {
            store: self,
            batch,
            cut,
            expected: BTreeMap::new(),
            folders: BTreeSet::new(),
            writer: None,
            here: Vec::new(),
            taken: Taken::default(),
        };
        intake.stream(path, stream, told)?;
        Ok(intake.taken)
    }
}

impl Intake<'_> {
    fn stream(&mut self, path: &str, stream: impl Read, told: &mut dyn FnMut(u64)) -> Result<()> {
        let (path, sha256) = (path.to_owned(), String::new());
        let mut file = FileEntry { path, size: 0, mode: MODE, mtime_ns: 0, inode: 0, sha256, segments: Vec::new() };
        let (mut hashed, mut segments) = (Hashed::new(stream), Vec::new());
        let mut piece = self.piece(&mut hashed)?;
        while !piece.is_empty() {
            // Only the next one tells whether this is all.
            let next = self.piece(&mut hashed)?;
            let whole = segments.is_empty() && next.is_empty();
            let name = if whole { file.path.clone() } else { part_name(&file.path, segments.len()) };
            let size = piece.len() as u64;
            self.add(&name, size, &file, &mut piece.as_slice())?;
            segments.extend(self.close()?);
            told(size);
            piece = next;
        }
        (_, file.sha256, file.size) = hashed.finish();
        if file.size == 0 {
            return Err(Error::failed(format!("\"{}\": nothing came from {}", file.path, self.batch.host)));
        }
        file.segments = (0..).take(segments.len()).collect();
        self.keep(&segments, &[file])
    }

    fn piece(&self, stream: &mut impl Read) -> Result<Vec<u8>> {
        let mut piece = Vec::new();
        let read = stream.take(self.cut.content).read_to_end(&mut piece);
        read.map_err(|error| Error::failed(error.to_string()))?;
        Ok(piece)
    }
}
