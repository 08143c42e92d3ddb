//! Records of a log: crc32c and length (4 bytes each, big endian), then a `TimedWALMessage`. Sources are CometBFT
//! v0.38's `consensus/wal.go` and `libs/autofile/group.go`.

use prost::Message as _;

use super::check;
use super::proto::{EndHeight, Entry, Inner, Message, MsgInfo, TimedWalMessage, Timestamp, WalMessage};

/// The most bytes that a record's message may have: a consensus message of 1 MiB and 24 bytes for its time.
pub const LARGEST: usize = 1_048_576 + 24;

/// Bytes of a record before its message.
pub const HEADER: usize = 8;

/// A record that reads well.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where it begins, in bytes from where reading began.
    pub offset: usize,
    /// What it says.
    pub message: TimedWalMessage,
}

/// A record's time from Unix ms.
pub fn time(unix_ms: i64) -> Timestamp {
    let nanos = i32::try_from(unix_ms.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    Timestamp { seconds: unix_ms.div_euclid(1000), nanos }
}

impl Record {
    /// Its entry. Every record that [`Decoder`] gives has one.
    pub fn entry(&self) -> Option<&Entry> {
        self.message.msg.as_ref()?.sum.as_ref()
    }

    /// The height it ends, where it is an `#ENDHEIGHT`.
    pub fn end_height(&self) -> Option<u64> {
        match self.entry()? {
            Entry::EndHeight(end) => u64::try_from(end.height).ok(),
            _ => None,
        }
    }

    /// The consensus message in it: a proposal, block part or vote.
    pub fn consensus(&self) -> Option<&Message> {
        match self.entry()? {
            Entry::MsgInfo(info) => info.msg.as_ref(),
            _ => None,
        }
    }

    /// The height it is about; the ended one for an `#ENDHEIGHT`.
    pub fn height(&self) -> Option<u64> {
        let height = match self.entry()? {
            Entry::EventDataRoundState(state) => state.height,
            Entry::TimeoutInfo(timeout) => timeout.height,
            Entry::EndHeight(end) => end.height,
            Entry::MsgInfo(info) => height_of(info.msg.as_ref()?)?,
        };
        u64::try_from(height).ok()
    }
}

/// The height of a proposal, block part or vote.
pub(super) fn height_of(message: &Message) -> Option<i64> {
    match message.sum.as_ref()? {
        Inner::Proposal(proposal) => proposal.proposal.as_ref().map(|proposal| proposal.height),
        Inner::BlockPart(part) => Some(part.height),
        Inner::Vote(vote) => vote.vote.as_ref().map(|vote| vote.height),
        _ => None,
    }
}

/// Why a node can't read on at a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The bytes end inside it.
    Truncated,
    /// It has no bytes, or more than [`LARGEST`].
    Length(u32),
    /// The checksum isn't that of the message.
    Checksum,
    /// The message isn't one, or fails CometBFT's basic validation.
    Message(String),
}

/// A record that doesn't read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, in bytes from where reading began.
    pub offset: usize,
    /// What is wrong.
    pub cause: Cause,
}

/// Where reading ended, in bytes from where it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// After the last record.
    Clean,
    /// Inside the record that begins here.
    Truncated(usize),
    /// Before a damaged record.
    Corrupted(Damage),
}

/// Decodes as a node does (`WALDecoder`): after a damaged record it goes on where the node's reader stands then, which
/// is behind that record only if its length is right.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder of whole records.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A decoder that begins `at` bytes in.
    pub fn starting(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    /// Where the next record begins, in bytes from where `bytes` begin.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn decode(&mut self) -> Result<TimedWalMessage, Cause> {
        let rest = &self.bytes[self.at..];
        let header = parse_header(rest).ok_or(Cause::Truncated);
        let (checksum, length) = header.inspect_err(|_| self.at = self.bytes.len())?;
        self.at += HEADER;
        let size = length as usize;
        if size == 0 || size > LARGEST {
            return Err(Cause::Length(length));
        }
        let Some(data) = rest[HEADER..].get(..size) else {
            self.at = self.bytes.len();
            return Err(Cause::Truncated);
        };
        self.at += size;
        if crc32c::crc32c(data) != checksum {
            return Err(Cause::Checksum);
        }
        let message = TimedWalMessage::decode(data).map_err(|error| Cause::Message(error.to_string()))?;
        check::message(&message).map_err(|why| Cause::Message(why.into()))?;
        Ok(message)
    }
}

impl Iterator for Decoder<'_> {
    type Item = Result<Record, Damage>;

    /// Up to three stray bytes at the end are an end to a node, not damage: it reads a checksum's four bytes first.
    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.at;
        if self.bytes.len() - offset < 4 {
            return None;
        }
        let record = |message| Record { offset, message };
        Some(self.decode().map(record).map_err(|cause| Damage { offset, cause }))
    }
}

/// Checksum and length, where `bytes` hold them.
pub(super) fn parse_header(bytes: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((word(0)?, word(4)?))
}

/// The records of `bytes` up to the first that doesn't read, and why there are no more.
pub fn read(bytes: &[u8]) -> (Vec<Record>, End) {
    let mut decoder = Decoder::new(bytes);
    let mut records = Vec::new();
    loop {
        let offset = decoder.offset();
        match decoder.next() {
            Some(Ok(record)) => records.push(record),
            Some(Err(Damage { cause: Cause::Truncated, .. })) => return (records, End::Truncated(offset)),
            Some(Err(damage)) => return (records, End::Corrupted(damage)),
            None if offset < bytes.len() => return (records, End::Truncated(offset)),
            None => return (records, End::Clean),
        }
    }
}

/// A message that no record may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes, {LARGEST} at most")]
pub struct TooLarge(pub usize);

/// Appends a record.
pub fn write(log: &mut Vec<u8>, message: &TimedWalMessage) -> Result<(), TooLarge> {
    let data = message.encode_to_vec();
    let length = u32::try_from(data.len()).ok().filter(|length| *length as usize <= LARGEST);
    let length = length.ok_or(TooLarge(data.len()))?;
    log.extend_from_slice(&crc32c::crc32c(&data).to_be_bytes());
    log.extend_from_slice(&length.to_be_bytes());
    log.extend_from_slice(&data);
    Ok(())
}

/// An `#ENDHEIGHT` of this height.
pub fn end_height(height: i64, time: Timestamp) -> TimedWalMessage {
    timed(Entry::EndHeight(EndHeight { height }), time)
}

/// A proposal, block part or vote as it came from `peer`.
pub fn from_peer(message: Message, peer: String, time: Timestamp) -> TimedWalMessage {
    timed(Entry::MsgInfo(MsgInfo { msg: Some(message), peer_id: peer }), time)
}

/// An entry and when it was written.
pub(super) fn timed(entry: Entry, time: Timestamp) -> TimedWalMessage {
    TimedWalMessage { time: Some(time), msg: Some(WalMessage { sum: Some(entry) }) }
}

#[cfg(test)]
mod tests;
