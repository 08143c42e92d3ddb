//! Keys become one encrypted object: they are read, proven and encrypted in memory, and nothing else is ever written.

use std::collections::BTreeMap;
use std::io::Read;

use age::x25519::Recipient;
use age::{Encryptor, stream::StreamWriter};
use tar::Header;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::archive::{Entries, Entry};
use super::intake::Expected;
use super::objects::Put;
use super::segment::{Hashed, hash};
use super::{Store, layout};
use crate::error::{Error, Result};
use crate::model::snapshot::{SegmentEntry, path_flaw};

/// The most bytes that are encrypted as one segment: keys are small, and each is in memory as a whole.
pub const LARGEST_ENCRYPTED: u64 = 16 << 20;

type Encrypted = StreamWriter<Hashed<NamedTempFile>>;

impl Store {
    /// Takes streams of tar that must have exactly the `expected` files, by path, as a segment that only the `recipients`
    /// can read: a tar, encrypted by age. Blocks: not for an async task.
    ///
    /// # Errors
    /// Anything else in a stream, a file that isn't as it was said to be, more than [`LARGEST_ENCRYPTED`], a full store.
    /// Nothing is kept then.
    pub fn encrypt<R: Read>(
        &self,
        recipients: &[String],
        mut expected: BTreeMap<String, Expected>,
        streams: Vec<R>,
    ) -> Result<SegmentEntry> {
        let content_bytes: u64 = expected.values().map(|file| file.size).sum();
        if content_bytes > LARGEST_ENCRYPTED {
            return Err(Error::failed(format!("{content_bytes} bytes are more than keys have ({LARGEST_ENCRYPTED})")));
        }
        let failed = |error: &std::io::Error| self.failed("a new segment", error);
        let staged = self.objects.stage().map_err(|error| failed(&error))?;
        let age = encryptor(recipients)?.wrap_output(Hashed::new(staged)).map_err(|error| failed(&error))?;
        let mut tar = tar::Builder::new(age);
        for stream in streams {
            self.add_all(&mut tar, &mut expected, Entries::new(stream))?;
        }
        if let Some(path) = expected.keys().next() {
            return Err(Error::failed(format!("\"{}\" did not come", path.escape_debug())));
        }
        let hashed = tar.into_inner().and_then(StreamWriter::finish).map_err(|error| failed(&error))?;
        let (file, sha256, bytes) = hashed.finish();
        let segment = SegmentEntry { sha256, bytes, content_bytes, recipients: recipients.to_vec() };
        let name = layout::segment(&segment);
        let put = self.runtime.block_on(self.objects.put(&name, file, Put::Replace));
        put.map(|()| segment).map_err(|error| self.failed(&name, &error))
    }

    fn add_all<R: Read>(
        &self,
        tar: &mut tar::Builder<Encrypted>,
        expected: &mut BTreeMap<String, Expected>,
        mut entries: Entries<R>,
    ) -> Result<()> {
        while let Some(entry) = entries.next()? {
            let file = proper(&entry, expected)?;
            let content = proven(&entry.path, &file, &mut entries)?;
            let mut header = Header::new_gnu();
            header.set_size(file.size);
            header.set_mode(file.mode & 0o7777);
            header.set_mtime(u64::try_from(file.mtime_ns.div_euclid(1_000_000_000)).unwrap_or(0));
            header.set_uid(0);
            header.set_gid(0);
            let added = tar.append_data(&mut header, &entry.path, content.as_slice());
            added.map_err(|error| self.failed("a new segment", &error))?;
        }
        Ok(())
    }
}

fn encryptor(recipients: &[String]) -> Result<Encryptor> {
    let read = |text: &String| text.parse::<Recipient>().map_err(|what| Error::failed(format!("{text}: {what}")));
    let recipients: Vec<Recipient> = recipients.iter().map(read).collect::<Result<_>>()?;
    let all = recipients.iter().map(|one| one as &dyn age::Recipient);
    Encryptor::with_recipients(all).map_err(|error| Error::failed(format!("age: {error}")))
}

/// What was said of the file that comes, if it is one that was asked for.
fn proper(entry: &Entry, expected: &mut BTreeMap<String, Expected>) -> Result<Expected> {
    let wrong = |what: &str| Error::failed(format!("{what}: \"{}\"", entry.path.escape_debug()));
    if let Some(flaw) = path_flaw(&entry.path) {
        return Err(wrong(flaw));
    }
    let file = expected.remove(&entry.path).filter(|_| !entry.is_folder);
    let file = file.ok_or_else(|| wrong("it was not asked for, or came twice"))?;
    if entry.size == file.size { Ok(file) } else { Err(wrong("it has another size than the host had said")) }
}

/// Its content, if that is what the host had hashed.
fn proven(path: &str, file: &Expected, content: &mut impl Read) -> Result<Zeroizing<Vec<u8>>> {
    let broken = |error: std::io::Error| Error::failed(format!("\"{path}\": {error}"));
    // Of its full size from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(file.size).unwrap_or_default()]);
    content.read_exact(&mut bytes).map_err(broken)?;
    let (sha256, _) = hash(bytes.as_slice()).map_err(broken)?;
    if sha256 == file.sha256 {
        return Ok(bytes);
    }
    Err(Error::failed(format!("\"{path}\" came with other bytes than the host had said")))
}
