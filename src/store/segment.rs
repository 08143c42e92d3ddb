//! Segments: a tar of regular files, zstd, named by the SHA-256 of the compressed bytes.
//!
//! The same files in the same order give the same segment: nothing of now or of this machine is in it.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};

use sha2::{Digest as _, Sha256};
use tar::Header;
use tempfile::NamedTempFile;

use super::archive::Entries;
use crate::model::snapshot::SegmentEntry;

/// zstd's window, as a power of two: 8 MiB, what level 19 uses; a segment that wants more memory is refused.
const WINDOW: u32 = 23;
/// Levels that stay within that window.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// Counts and hashes what goes through, either way.
pub(super) struct Hashed<T> {
    inner: T,
    sha256: Sha256,
    bytes: u64,
}

impl<T> Hashed<T> {
    pub fn new(inner: T) -> Self {
        Self { inner, sha256: Sha256::new(), bytes: 0 }
    }

    /// What went through: its SHA-256, hex, and how many bytes.
    pub fn finish(self) -> (T, String, u64) {
        (self.inner, hex::encode(self.sha256.finalize()), self.bytes)
    }

    fn seen(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.seen(&buffer[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.seen(&buffer[..length]);
        Ok(length)
    }
}

/// SHA-256 and length of all that comes.
pub(super) fn hash(stream: impl Read) -> io::Result<(String, u64)> {
    let mut hashed = Hashed::new(stream);
    io::copy(&mut hashed, &mut io::sink())?;
    let (_, sha256, bytes) = hashed.finish();
    Ok((sha256, bytes))
}

/// A segment that is being filled.
pub(super) struct SegmentWriter {
    tar: tar::Builder<zstd::Encoder<'static, Hashed<NamedTempFile>>>,
    content: u64,
}

impl SegmentWriter {
    pub fn new(file: NamedTempFile, level: i32) -> io::Result<Self> {
        let mut zstd = zstd::Encoder::new(Hashed::new(file), level.clamp(*LEVELS.start(), *LEVELS.end()))?;
        zstd.include_checksum(true)?;
        Ok(Self { tar: tar::Builder::new(zstd), content: 0 })
    }

    /// Bytes of the files in it.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// Adds a file of exactly this size.
    pub fn add(&mut self, name: &str, size: u64, mode: u32, mtime_ns: i64, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(mode & 0o7777);
        header.set_mtime(u64::try_from(mtime_ns.div_euclid(1_000_000_000)).unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        self.content += size;
        self.tar.append_data(&mut header, name, content.take(size))
    }

    /// The finished file and its name.
    pub fn finish(self) -> io::Result<(NamedTempFile, SegmentEntry)> {
        let hashed = self.tar.into_inner()?.finish()?;
        let (file, sha256, bytes) = hashed.finish();
        Ok((file, SegmentEntry { sha256, bytes, content_bytes: self.content, recipients: Vec::new() }))
    }
}

/// The entries of a segment; they come uncompressed in bounded memory.
pub(super) fn entries(mut segment: File) -> io::Result<Entries<impl Read>> {
    segment.rewind()?;
    let mut zstd = zstd::Decoder::new(segment)?;
    zstd.window_log_max(WINDOW)?;
    Ok(Entries::new(zstd))
}
