//! Takes a host's tar stream into segments, without ever extracting it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::archive::{Entries, Entry};
use super::objects::Put;
use super::segment::{Hashed, SegmentWriter};
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{FileEntry, Gathered, SegmentEntry, id_flaw, part_name, path_flaw};

mod stream;

/// What a host said of a file before it streamed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Bytes.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// When it was changed last, Unix ns.
    pub mtime_ns: i64,
    /// Its inode.
    pub inode: u64,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
}

/// Whose files a stream has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The snapshot that is to be.
    pub id: String,
    /// The host's name in the inventory.
    pub host: String,
    /// The service, as it is shown.
    pub service: String,
    /// What of it is taken.
    pub profile: String,
}

/// How segments are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// zstd's level, 1 to 19.
    pub level: i32,
    /// Bytes of content at which a segment is full.
    pub content: u64,
}

impl Default for Cut {
    fn default() -> Self {
        Self { level: 3, content: 256 * 1024 * 1024 }
    }
}

/// What a stream brought.
pub type Taken = Gathered;

impl Store {
    /// Takes a stream of tar that must have exactly the `expected` files, by path. Blocks: not for an async task.
    ///
    /// Names in the stream are paths of the snapshot, with a leading `./` or without; folders above the files may be
    /// there, too. `told` hears how many bytes of files have come.
    ///
    /// # Errors
    /// Anything else in the stream, a file that isn't as it was said to be, a stream that ends before its end marker,
    /// a file that didn't come, a full store. Segments that were finished before stay, with their pending records.
    pub fn take(
        &self,
        batch: &Batch,
        cut: Cut,
        expected: BTreeMap<String, Expected>,
        stream: impl Read,
        told: &mut dyn FnMut(u64),
    ) -> Result<Taken> {
        if let Some(flaw) = id_flaw(&batch.id) {
            return Err(Error::usage(format!("\"{}\" is no id: {flaw}", batch.id.escape_debug())));
        }
        if let Some((path, flaw)) = expected.keys().find_map(|path| Some((path, path_flaw(path)?))) {
            return Err(Error::failed(format!("{flaw}: \"{}\"", path.escape_debug())));
        }
        // The folder that all is in may come, too.
        let mut folders = BTreeSet::from([String::new()]);
        for path in expected.keys() {
            let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            folders.extend(above);
        }
        let mut intake = Intake {
            store: self,
            batch,
            cut,
            expected,
            folders,
            writer: None,
            here: Vec::new(),
            taken: Taken::default(),
        };
        intake.all(Entries::new(stream), told).map_err(|mut error| {
            error.message = format!("the stream from {}: {}", batch.host, error.message);
            error
        })?;
        Ok(intake.taken)
    }
}

struct Intake<'a> {
    store: &'a Store,
    batch: &'a Batch,
    cut: Cut,
    /// Files and folders that haven't come yet.
    expected: BTreeMap<String, Expected>,
    folders: BTreeSet<String>,
    /// The segment that is being filled, and its files.
    writer: Option<SegmentWriter>,
    here: Vec<FileEntry>,
    taken: Taken,
}

impl Intake<'_> {
    fn all<R: Read>(&mut self, mut entries: Entries<R>, told: &mut dyn FnMut(u64)) -> Result<()> {
        while let Some(entry) = entries.next().map_err(|error| self.before_end(error))? {
            let size = entry.size;
            self.one(entry, &mut entries)?;
            told(size);
        }
        if let Some(path) = self.expected.keys().next() {
            let count = self.expected.len();
            return Err(Error::failed(format!("\"{}\" did not come ({count} missing)", path.escape_debug())));
        }
        self.flush()
    }

    /// Names the first file that is missing when a stream breaks off between two.
    fn before_end(&self, mut error: Error) -> Error {
        if let Some(path) = self.expected.keys().next() {
            error.message = format!("{}; \"{}\" had not come", error.message, path.escape_debug());
        }
        error
    }

    fn one(&mut self, entry: Entry, content: &mut impl Read) -> Result<()> {
        let path = entry.path;
        if entry.is_folder {
            let known = self.folders.remove(if path == "." { "" } else { &path });
            return if known { Ok(()) } else { Err(unasked(&path)) };
        }
        if let Some(flaw) = path_flaw(&path) {
            return Err(Error::failed(format!("{flaw}: \"{}\"", path.escape_debug())));
        }
        let Some(expected) = self.expected.remove(&path) else { return Err(unasked(&path)) };
        if entry.size != expected.size {
            let (came, said) = (entry.size, expected.size);
            return Err(Error::failed(format!("\"{path}\" came with {came} bytes, the host had said {said}")));
        }
        let file = FileEntry {
            path,
            size: expected.size,
            mode: expected.mode,
            mtime_ns: expected.mtime_ns,
            inode: expected.inode,
            sha256: expected.sha256,
            segments: Vec::new(),
        };
        match file.size {
            size if size > self.cut.content => self.large(file, content),
            size => self.small(file, size, content),
        }
    }

    fn small(&mut self, mut file: FileEntry, size: u64, content: &mut impl Read) -> Result<()> {
        if self.writer.as_ref().is_some_and(|writer| writer.content() + size > self.cut.content) {
            self.flush()?;
        }
        let mut hashed = Hashed::new(content);
        if size > 0 {
            let name = file.path.clone();
            self.add(&name, size, &file, &mut hashed)?;
            file.segments = vec![0];
        }
        proven(&file, hashed)?;
        if size == 0 {
            return self.taken.add(&file, &[]);
        }
        self.here.push(file);
        Ok(())
    }

    /// A file that is larger than a segment: each piece has its own, and none counts before all are proven.
    fn large(&mut self, mut file: FileEntry, content: &mut impl Read) -> Result<()> {
        self.flush()?;
        let mut hashed = Hashed::new(content);
        let (mut left, mut segments) = (file.size, Vec::new());
        while left > 0 {
            let size = left.min(self.cut.content);
            self.add(&part_name(&file.path, segments.len()), size, &file, &mut hashed)?;
            segments.extend(self.close()?);
            left -= size;
        }
        file.segments = (0..).take(segments.len()).collect();
        proven(&file, hashed)?;
        self.keep(&segments, &[file])
    }

    fn add(&mut self, name: &str, size: u64, file: &FileEntry, content: &mut impl Read) -> Result<()> {
        let failed = |error: &io::Error| self.store.failed("a new segment", error);
        let mut writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let staged = self.store.objects.stage().map_err(|error| failed(&error))?;
            SegmentWriter::new(staged, self.cut.level).map_err(|error| failed(&error))?
        };
        writer.add(name, size, file.mode, file.mtime_ns, content).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => failed(&error),
            _ => Error::failed(format!("\"{}\": {error}", file.path)),
        })?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Puts the segment that is being filled into the store.
    fn close(&mut self) -> Result<Option<SegmentEntry>> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let (file, entry) = writer.finish().map_err(|error| self.store.failed("a new segment", &error))?;
        let name = layout::segment(&entry);
        // One of that name that is there may be damaged; this one isn't.
        let put = self.store.runtime.block_on(self.store.objects.put(&name, file, Put::Replace));
        put.map_err(|error| self.store.failed(&name, &error))?;
        self.store.runtime.block_on(self.store.is_new(&entry.sha256))?;
        Ok(Some(entry))
    }

    fn flush(&mut self) -> Result<()> {
        let segment = self.close()?;
        let files = std::mem::take(&mut self.here);
        segment.map_or(Ok(()), |segment| self.keep(&[segment], &files))
    }

    fn keep(&mut self, segments: &[SegmentEntry], files: &[FileEntry]) -> Result<()> {
        self.store.runtime.block_on(self.store.put_pending(self.batch, segments, files))?;
        files.iter().try_for_each(|file| self.taken.add(file, segments))
    }
}

fn unasked(path: &str) -> Error {
    Error::failed(format!("\"{}\" was not asked for, or came twice", path.escape_debug()))
}

/// Whether what came is what the host had said.
fn proven<R>(file: &FileEntry, came: Hashed<R>) -> Result<()> {
    let (_, sha256, _) = came.finish();
    if sha256 == file.sha256 {
        return Ok(());
    }
    Err(Error::failed(format!("\"{}\" came with other bytes than the host had said", file.path))
        .hint("was it changed meanwhile? if not, the host's disk or memory, or the link, alters bytes"))
}
