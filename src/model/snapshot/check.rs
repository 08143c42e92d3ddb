//! What a manifest must be like before anything of it is believed.

use std::collections::BTreeSet;

use super::{FORMAT, FileEntry, Manifest, PART, SegmentEntry};
use crate::error::{Error, Result};

/// The longest path, bytes: Linux takes no longer one.
const LONGEST: usize = 4096;

/// Why `path` can't be one of a snapshot: it must be relative, UTF-8, without control characters and without an
/// empty, `.` or `..` part, and must not look like a piece of a large file.
pub fn path_flaw(path: &str) -> Option<&'static str> {
    let piece = path
        .rsplit_once(PART)
        .is_some_and(|(_, number)| number.len() >= 6 && number.bytes().all(|digit| digit.is_ascii_digit()));
    match path {
        "" => Some("an empty path"),
        _ if path.starts_with('/') => Some("an absolute path"),
        _ if path.len() > LONGEST => Some("a path longer than 4096 bytes"),
        _ if path.contains(char::is_control) => Some("a path with a control character"),
        _ if path.split('/').any(|part| part == "..") => Some("a path with \"..\""),
        _ if path.split('/').any(|part| part.is_empty() || part == ".") => Some("a path with an empty part or \".\""),
        _ if piece => Some("a path that ends like a piece of a large file"),
        _ => None,
    }
}

/// Why `target` can't be what a symbolic link of a snapshot holds: it is UTF-8 without control characters. Where it leads
/// doesn't matter, for nothing follows it.
pub fn target_flaw(target: &str) -> Option<&'static str> {
    match target {
        "" => Some("a symbolic link to nothing"),
        _ if target.len() > LONGEST => Some("a symbolic link to more than 4096 bytes"),
        _ if target.contains(char::is_control) => Some("a symbolic link to what has a control character"),
        _ => None,
    }
}

/// Why `id` can't be a snapshot's: it becomes a file's name.
pub fn id_flaw(id: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let good = (1..=64).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with('-');
    (!good).then_some("an id has letters, digits and -, 64 at most")
}

/// Whether `text` is a SHA-256 in lower case hex.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The folders that `path` is in.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

impl Manifest {
    /// Refuses one that contradicts itself, or that names what could harm a host it is restored on.
    pub fn check(&self) -> Result<()> {
        if self.format != FORMAT {
            return Err(Error::failed(format!("format {}, not {FORMAT}", self.format)));
        }
        if let Some(flaw) = id_flaw(&self.id) {
            return Err(Error::failed(format!("\"{}\" is no id: {flaw}", self.id.escape_debug())));
        }
        let bad = self.segments.iter().find(|segment| !is_sha256(&segment.sha256));
        if let Some(SegmentEntry { sha256, .. }) = bad {
            return Err(Error::failed(format!("\"{}\" is no segment", sha256.escape_debug())));
        }
        self.check_paths()?;
        self.files.iter().try_for_each(|file| self.check_file(file))
    }

    fn check_paths(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let links: BTreeSet<&str> = self.links.iter().map(|link| link.path.as_str()).collect();
        for path in self.paths() {
            let root = path.split('/').next().unwrap_or_default();
            let flaw = path_flaw(path)
                .or_else(|| (!self.roots.contains_key(root)).then_some("a path in no root"))
                .or_else(|| (!seen.insert(path)).then_some("a path that is there twice"))
                .or_else(|| above(path).any(|path| links.contains(path)).then_some("a path below a symbolic link"));
            if let Some(flaw) = flaw {
                return Err(Error::failed(format!("{flaw}: \"{}\"", path.escape_debug())));
            }
        }
        match self.links.iter().find_map(|link| Some((link, target_flaw(&link.target)?))) {
            Some((link, flaw)) => Err(Error::failed(format!("{flaw}: \"{}\"", link.path.escape_debug()))),
            None => Ok(()),
        }
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| file.path.as_str());
        let folders = self.folders.iter().map(|folder| folder.path.as_str());
        files.chain(folders).chain(self.links.iter().map(|link| link.path.as_str()))
    }

    fn check_file(&self, file: &FileEntry) -> Result<()> {
        let wrong = |what: &str| Err(Error::failed(format!("\"{}\": {what}", file.path.escape_debug())));
        let segments: Option<Vec<&SegmentEntry>> =
            file.segments.iter().map(|index| self.segments.get(usize::try_from(*index).ok()?)).collect();
        let Some(segments) = segments else { return wrong("its segment isn't listed") };
        if let Some(encrypted) = segments.iter().find(|segment| segment.is_encrypted()) {
            let one = segments.len() == 1 && file.sha256 == encrypted.sha256 && file.size <= encrypted.content_bytes;
            return if one { Ok(()) } else { wrong("it isn't in its encrypted segment") };
        }
        let held: u64 = segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.content_bytes));
        match segments.len() {
            _ if !is_sha256(&file.sha256) => wrong("its checksum is no SHA-256"),
            0 if file.size > 0 => wrong("it is in no segment"),
            1.. if file.size == 0 => wrong("it is empty and in a segment"),
            1 if file.size > held => wrong("it is larger than what its segment holds"),
            2.. if file.size != held => wrong("its pieces don't have its size"),
            _ => Ok(()),
        }
    }
}
