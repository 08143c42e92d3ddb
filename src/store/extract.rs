//! Reads files of a snapshot back, segment by segment, each checked before anything of it is believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _};

use super::segment::{Hashed, entries, hash};
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{FileEntry, Manifest, SegmentEntry};

impl Store {
    /// Gives `sink` each file of `manifest` that is `wanted`, with its bytes. Blocks: not for an async task.
    ///
    /// Files come in the order of their segments, empty ones first. The segment's SHA-256 has been checked before the
    /// sink sees anything of it, and the file's own afterwards; what the sink leaves unread is read.
    ///
    /// # Errors
    /// A segment that is missing or damaged, a file that isn't in it as the manifest says, and what the sink returns.
    pub fn extract(
        &self,
        manifest: &Manifest,
        wanted: impl Fn(&FileEntry) -> bool,
        sink: &mut dyn FnMut(&FileEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        manifest.check()?;
        let mut whole: BTreeMap<u32, BTreeMap<&str, &FileEntry>> = BTreeMap::new();
        let mut in_pieces = Vec::new();
        for file in manifest.files.iter().filter(|file| wanted(file)) {
            match file.segments.as_slice() {
                [] => deliver(file, &mut io::empty(), sink)?,
                [one] => {
                    whole.entry(*one).or_default().insert(&file.path, file);
                }
                _ => in_pieces.push(file),
            }
        }
        for (number, files) in whole {
            self.of_one(segment(manifest, number)?, files, sink)?;
        }
        in_pieces.into_iter().try_for_each(|file| self.joined(manifest, file, sink))
    }

    fn of_one(
        &self,
        segment: &SegmentEntry,
        mut files: BTreeMap<&str, &FileEntry>,
        sink: &mut dyn FnMut(&FileEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let name = layout::segment(segment);
        if segment.is_encrypted() {
            return Err(self.inside(&name, Error::failed("it is encrypted; age -d -i KEY reads it")));
        }
        let mut entries = entries(self.checked(segment)?).map_err(|error| self.failed(&name, &error))?;
        while let Some(entry) = entries.next().map_err(|error| self.inside(&name, error))? {
            if let Some(file) = files.remove(entry.path.as_str()) {
                deliver(file, &mut entries, sink)?;
            }
        }
        match files.keys().next() {
            Some(path) => Err(self.inside(&name, Error::failed(format!("\"{path}\" isn't in it")))),
            None => Ok(()),
        }
    }

    /// A file that is larger than a segment.
    fn joined(
        &self,
        manifest: &Manifest,
        file: &FileEntry,
        sink: &mut dyn FnMut(&FileEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let places: Vec<(SegmentEntry, String)> = file
            .places()
            .map(|(number, name)| Ok((segment(manifest, number)?.clone(), name)))
            .collect::<Result<_>>()?;
        let mut pieces = Pieces { store: self, left: places.into_iter(), now: None };
        deliver(file, &mut pieces, sink)
    }

    /// The segment's file, once its SHA-256 has proven to be its name.
    pub(super) fn checked(&self, segment: &SegmentEntry) -> Result<File> {
        let name = layout::segment(segment);
        let failed = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => self.inside(&name, Error::failed("it is missing")),
            _ => self.failed(&name, error),
        };
        let mut file = self.runtime.block_on(self.objects.open(&name)).map_err(|error| failed(&error))?;
        let (sha256, bytes) = hash(&file).map_err(|error| failed(&error))?;
        if (sha256.as_str(), bytes) != (segment.sha256.as_str(), segment.bytes) {
            return Err(self.inside(&name, Error::failed("its bytes aren't those it is named by")));
        }
        file.rewind().map_err(|error| failed(&error))?;
        Ok(file)
    }

    pub(super) fn inside(&self, name: &str, mut error: Error) -> Error {
        error.message = format!("{}: the segment {name}: {}", self.place(), error.message);
        error.hint("fleet snapshot verify finds all that is damaged; take another snapshot, or a copy of the store")
    }
}

pub(super) fn segment(manifest: &Manifest, number: u32) -> Result<&SegmentEntry> {
    let found = usize::try_from(number).ok().and_then(|number| manifest.segments.get(number));
    found.ok_or_else(|| Error::failed(format!("segment {number} isn't listed")))
}

fn deliver(
    file: &FileEntry,
    content: &mut dyn Read,
    sink: &mut dyn FnMut(&FileEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let wrong = |what: &str| Error::failed(format!("\"{}\": {what}", file.path));
    let mut hashed = Hashed::new(content);
    sink(file, &mut hashed)?;
    io::copy(&mut hashed, &mut io::sink()).map_err(|error| wrong(&error.to_string()))?;
    let (_, sha256, bytes) = hashed.finish();
    if sha256 == file.sha256 && bytes == file.size { Ok(()) } else { Err(wrong("its bytes aren't those it had")) }
}

/// The pieces of a file, one after the other.
struct Pieces<'a> {
    store: &'a Store,
    left: std::vec::IntoIter<(SegmentEntry, String)>,
    now: Option<Box<dyn Read + 'a>>,
}

impl Pieces<'_> {
    fn open(&self, segment: &SegmentEntry, name: &str) -> Result<Box<dyn Read>> {
        let file = self.store.checked(segment)?;
        let mut entries = entries(file).map_err(|error| self.store.failed(name, &error))?;
        match entries.next()? {
            Some(entry) if entry.path == name => Ok(Box::new(entries)),
            _ => Err(Error::failed(format!("the segment {} doesn't hold \"{name}\"", segment.sha256))),
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(now) = &mut self.now {
                let length = now.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
            }
            let Some((segment, name)) = self.left.next() else { return Ok(0) };
            self.now = Some(self.open(&segment, &name).map_err(|error| io::Error::other(error.message))?);
        }
    }
}
