//! Reads a tar stream that nobody vouches for: regular files and folders only, in bounded memory, to its end marker.
//!
//! The crate `tar` keeps a long name whole however long it says it is, and takes the end of the stream for the end of
//! the archive; so its headers are used here, but not its iterator.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use crate::error::{Error, Result};

const BLOCK: usize = 512;
/// Bytes of a long name or of PAX records; a path has 4096 at most.
const LONGEST: u64 = 5 * 1024;
/// Padding after the end marker: tar fills up its last record, of 10 KiB as a rule.
const PADDING: u64 = 1024 * 1024;
/// PAX records that change nothing here.
const HARMLESS: [&[u8]; 8] = [b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"];

/// The entries of an archive, one after the other.
pub(super) struct Entries<R> {
    stream: R,
    /// Bytes of the entry's content that weren't read yet, and of the padding behind it.
    left: u64,
    padding: u64,
    done: bool,
}

/// The head of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it stands there, without a leading `./` and a folder's `/` at the end.
    pub path: String,
    /// Bytes of content, which [`Entries`] then reads.
    pub size: u64,
    pub is_folder: bool,
}

impl<R: Read> Entries<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, left: 0, padding: 0, done: false }
    }

    /// The next entry; what was not read of the last one is passed over. `None` after the end marker, and nothing but
    /// padding behind it.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        if self.done {
            return Ok(None);
        }
        self.pass(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut name = None;
        loop {
            let block = self.block()?;
            if block == [0; BLOCK] {
                self.end(name.is_some())?;
                return Ok(None);
            }
            let header = header(&block)?;
            let size = header.entry_size().map_err(|error| Error::failed(format!("a size that can't be: {error}")))?;
            let given = match header.entry_type() {
                EntryType::GNULongName => self.long_name(size)?,
                EntryType::XHeader => self.records(size)?,
                kind => return self.entry(header, kind, size, name).map(Some),
            };
            if given.is_some() && name.is_some() {
                return Err(Error::failed("two long names for one entry"));
            }
            name = given.or(name);
        }
    }

    fn entry(&mut self, header: &Header, kind: EntryType, size: u64, name: Option<Vec<u8>>) -> Result<Entry> {
        let path = name.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = match String::from_utf8(path) {
            Ok(path) => path,
            Err(error) => {
                let shown = error.into_bytes().escape_ascii().to_string();
                return Err(Error::failed(format!("a name that isn't UTF-8: \"{shown}\"")));
            }
        };
        let is_folder = kind == EntryType::Directory;
        if !is_folder && kind != EntryType::Regular {
            return Err(Error::failed(format!(
                "neither a file nor a folder ({}): \"{}\"",
                word(kind),
                path.escape_debug()
            )));
        }
        if is_folder && size > 0 {
            return Err(Error::failed(format!("a folder with content: \"{}\"", path.escape_debug())));
        }
        let bare = path.strip_prefix("./").unwrap_or(&path);
        let bare = if is_folder { bare.strip_suffix('/').unwrap_or(bare) } else { bare };
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        Ok(Entry { path: bare.to_owned(), size, is_folder })
    }

    /// Everything that an extension holds, which is little.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST {
            return Err(Error::failed(format!("an extended header of {size} bytes")));
        }
        let mut bytes = Vec::new();
        let padded = size.next_multiple_of(BLOCK as u64);
        (&mut self.stream).take(padded).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        if (bytes.len() as u64) < padded {
            return Err(ends_early());
        }
        bytes.truncate(usize::try_from(size).unwrap_or_default());
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Option<Vec<u8>>> {
        let mut name = self.extension(size)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(Some(name))
    }

    /// The path in PAX records; any that would change more than that is refused.
    fn records(&mut self, size: u64) -> Result<Option<Vec<u8>>> {
        let bytes = self.extension(size)?;
        let mut path = None;
        for record in PaxExtensions::new(&bytes) {
            let record = record.map_err(|error| Error::failed(format!("a PAX record that can't be read: {error}")))?;
            match record.key_bytes() {
                b"path" => path = Some(record.value_bytes().to_vec()),
                key if HARMLESS.contains(&key) => {}
                key => return Err(Error::failed(format!("the PAX record \"{}\"", key.escape_ascii()))),
            }
        }
        Ok(path)
    }

    fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        match self.stream.read_exact(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ends_early()),
            read => read.map(|()| block).map_err(|error| broken(&error)),
        }
    }

    /// Behind the first block of the end marker: the second one, and padding to the end of the stream.
    fn end(&mut self, in_between: bool) -> Result<()> {
        if in_between || self.block()? != [0; BLOCK] {
            return Err(Error::failed("an archive that ends in the middle"));
        }
        let (mut buffer, mut seen) = ([0; BLOCK], 0);
        loop {
            let length = self.stream.read(&mut buffer).map_err(|error| broken(&error))?;
            seen += length as u64;
            if buffer[..length].iter().any(|byte| *byte != 0) || seen > PADDING {
                return Err(Error::failed("something follows the end of the archive"));
            }
            if length == 0 {
                self.done = true;
                return Ok(());
            }
        }
    }

    fn pass(&mut self, length: u64) -> Result<()> {
        let passed = io::copy(&mut (&mut self.stream).take(length), &mut io::sink()).map_err(|error| broken(&error))?;
        if passed < length { Err(ends_early()) } else { Ok(()) }
    }
}

/// The content of the entry that came last. A stream that ends in it is an error, not an end.
impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.stream.read(&mut buffer[..most])?;
        if length == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ENDS_EARLY));
        }
        self.left -= length as u64;
        Ok(length)
    }
}

const ENDS_EARLY: &str = "the archive ends before its end marker";

fn ends_early() -> Error {
    Error::failed(ENDS_EARLY)
}

fn broken(error: &io::Error) -> Error {
    Error::failed(error.to_string())
}

fn header(block: &[u8; BLOCK]) -> Result<&Header> {
    let header = Header::from_byte_slice(block);
    let mut right = header.clone();
    right.set_cksum();
    match (header.cksum(), right.cksum()) {
        (Ok(given), Ok(right)) if given == right => Ok(header),
        _ => Err(Error::failed("a header with a wrong checksum")),
    }
}

fn word(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::GNULongLink => "a long link",
        EntryType::XGlobalHeader => "a global header",
        _ => "of an unknown kind",
    }
}
