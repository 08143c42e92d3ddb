//! How to read only the end of a log that may be a gigabyte large: its last `#ENDHEIGHT` and what follows.
//!
//! Reading goes backwards in growing steps. A window that begins inside a file has to find where records begin. The
//! checksum tells a record, but a transaction in a block part may hold bytes that pass for one, so what is found is
//! believed only [`MARGIN`] bytes on: by then the record that the window began in has ended, whatever it is, and only
//! its own bytes can have been chosen to mislead.

use super::record::{Decoder, HEADER, LARGEST, parse_header};
use super::replay::{Log, Outcome};

/// The largest record.
pub const MARGIN: usize = HEADER + LARGEST;

const FIRST: u64 = MARGIN as u64 + 256 * 1024;

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written to last, Unix s by its host's clock.
    pub modified_s: i64,
}

/// The files of one log, oldest first, the head last (`libs/autofile/group.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    files: Vec<Listed>,
}

/// A stretch of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The file's name.
    pub file: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read this and put it before what there is ([`Window::prepend`]).
    Read(Stretch),
    /// This will do.
    Enough(Log),
    /// It won't do, and more would be above the limit.
    TooLong,
}

/// What has been read so far: the last bytes of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    bytes: Vec<u8>,
}

impl Window {
    /// Puts a stretch that was read before the others.
    pub fn prepend(&mut self, mut stretch: Vec<u8>) {
        stretch.append(&mut self.bytes);
        self.bytes = stretch;
    }
}

impl Group {
    /// The files of the log whose head is called `head`, out of all files of its folder. Set-aside copies, such as
    /// `wal.CORRUPTED`, aren't of it.
    pub fn new(head: &str, listed: &[Listed]) -> Self {
        let index = |name: &str| {
            let digits = name.strip_prefix(head)?.strip_prefix('.')?;
            let number = digits.len() >= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            number.then(|| digits.parse::<u64>().ok()).flatten()
        };
        let mut chunks: Vec<_> = listed.iter().filter_map(|file| Some((index(&file.name)?, file))).collect();
        chunks.sort_by_key(|(index, _)| *index);
        let size = listed.iter().find(|file| file.name == head).map_or(0, |file| file.size);
        let files = chunks.into_iter().map(|(_, file)| file.clone());
        Self { files: files.chain([Listed { name: head.into(), size, modified_s: 0 }]).collect() }
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether `window`, the last bytes of the files, tells what a node replays whose committed height is `committed`
    /// (whichever height ended last, where that isn't known), or what to read next. A window never has more than
    /// `limit` bytes.
    pub fn step(&self, window: &Window, committed: Option<u64>, limit: u64) -> Step {
        let have = window.bytes.len() as u64;
        let begin = self.size().saturating_sub(have);
        match self.log(&window.bytes, begin) {
            Some(log) if begin == 0 || tells(&log, committed) => Step::Enough(log),
            _ if have >= limit => Step::TooLong,
            _ => self.before(begin, have.max(FIRST).min(limit - have)),
        }
    }

    /// The stretch of at most `length` bytes before `end`, in one file.
    fn before(&self, end: u64, length: u64) -> Step {
        let (file, start) = self.starts().rfind(|(_, start)| *start < end).unwrap_or((&self.files[0], 0));
        let from = end.saturating_sub(length).max(start);
        Step::Read(Stretch { file: file.name.clone(), offset: from - start, length: end - from })
    }

    /// The window's records from the first that can be believed; `begin` is where it begins in the whole log.
    fn log(&self, bytes: &[u8], begin: u64) -> Option<Log> {
        let starts = self.starts().filter_map(|(_, start)| usize::try_from(start.checked_sub(begin)?).ok());
        let starts: Vec<usize> = starts.collect();
        let first = match starts.first() {
            Some(0) => 0,
            start => start.copied().into_iter().chain(resynchronise(bytes)).min()?,
        };
        let inside = starts.iter().filter_map(|start| start.checked_sub(first)).collect();
        Some(Log::tail(bytes[first..].to_vec(), inside, !starts.is_empty()))
    }

    fn starts(&self) -> impl DoubleEndedIterator<Item = (&Listed, u64)> {
        let mut at = 0;
        let starts = self.files.iter().map(move |file| {
            at += file.size;
            (file, at - file.size)
        });
        starts.collect::<Vec<_>>().into_iter()
    }
}

/// Whether a log holds all that decides what its node replays.
fn tells(log: &Log, committed: Option<u64>) -> bool {
    let ends = Decoder::new(log.bytes()).filter_map(|next| next.ok()?.end_height());
    let last = match committed {
        Some(committed) => ends.filter(|height| *height <= committed).last(),
        None => ends.last(),
    };
    let height = |last| committed.unwrap_or(last) + 1;
    last.is_some_and(|last| log.replay(height(last), 1).outcome != Outcome::Unread)
}

/// Where records begin that can be believed, in bytes that begin anywhere.
fn resynchronise(bytes: &[u8]) -> Option<usize> {
    let (mut from, mut believed) = (0, MARGIN);
    loop {
        let first = (from..bytes.len()).find(|at| is_record(bytes, *at))?;
        let mut decoder = Decoder::starting(bytes, first);
        loop {
            if decoder.offset() >= believed {
                return Some(decoder.offset());
            }
            if let Err(damage) = decoder.next()? {
                (from, believed) = (damage.offset + 1, damage.offset + MARGIN);
                break;
            }
        }
    }
}

/// Whether a whole record begins here. The cheap looks come first: a window has a million places.
fn is_record(bytes: &[u8], at: usize) -> bool {
    // The first field of every message is its time.
    const TIME: u8 = 0x0a;
    let plausible = |(_, length): (u32, u32)| {
        let length = length as usize;
        (1..=LARGEST).contains(&length) && bytes.get(at + HEADER) == Some(&TIME) && bytes.len() - at - HEADER >= length
    };
    parse_header(&bytes[at..]).is_some_and(plausible)
        && Decoder::starting(bytes, at).next().is_some_and(|record| record.is_ok())
}

#[cfg(test)]
mod tests;
