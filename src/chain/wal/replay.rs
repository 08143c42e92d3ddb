//! What a node replays of its log when it starts (CometBFT v0.38 `consensus/state.go` `OnStart`, `consensus/replay.go`
//! `catchupReplay`, `consensus/wal.go` `SearchForEndHeight`).
//!
//! 1. Nothing, where the log has the `#ENDHEIGHT` of the height in progress already.
//! 2. It looks for the `#ENDHEIGHT` of the height before (0 for a chain's first height), in the newest file first and
//!    on from there to the end, and skips damage while it looks ("Corrupted entry. Skipping..."). An older file isn't
//!    looked at when a newer one has a lower `#ENDHEIGHT` above 0. Not found: it starts with nothing replayed.
//! 3. From there it replays record by record. At the first damage it repairs once: the head is cut at the first damage
//!    **in the head**, which may be before the `#ENDHEIGHT` that was found, and everything begins again at 1.
//! 4. Damage after a repair, as where it is in an older file, which no repair touches: the node doesn't start.

use super::record::{Decoder, End, Record, read};

/// A log's files, or the end of them: whole records from the first byte on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    bytes: Vec<u8>,
    /// Where each file begins in `bytes`, the head's last.
    starts: Vec<usize>,
    /// Whether the head's first byte is there.
    head_whole: bool,
}

/// How a node takes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every record after the `#ENDHEIGHT` is replayed.
    Whole,
    /// The node cuts the head to so many bytes, and then replays what is left after the `#ENDHEIGHT`.
    Repaired(usize),
    /// The node starts and replays nothing.
    Nothing(Reason),
    /// The node doesn't start.
    Refused,
    /// The head has to be read from its beginning: the node would repair it.
    Unread,
}

/// Why nothing is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The height in progress has ended in the log.
    Ended,
    /// No `#ENDHEIGHT` of the height before.
    NoEndHeight,
}

/// What a node replays.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// How it takes its log.
    pub outcome: Outcome,
    /// The records that it replays, in order.
    pub records: Vec<Record>,
}

/// The `#ENDHEIGHT` after which a node replays for the height in progress.
pub fn marker(height: u64, initial_height: u64) -> u64 {
    if height <= initial_height { 0 } else { height - 1 }
}

impl Log {
    /// Whole files, oldest first, the head last.
    pub fn whole<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut log = Self { head_whole: true, ..Self::default() };
        for file in files {
            log.starts.push(log.bytes.len());
            log.bytes.extend_from_slice(file);
        }
        log
    }

    /// The end of a log. `starts` tells where the files begin that have their beginning in `bytes`, the head's last; it
    /// is empty where not even the head's is there.
    pub(super) fn tail(bytes: Vec<u8>, starts: Vec<usize>, head_whole: bool) -> Self {
        let cut = starts.first().is_none_or(|first| *first > 0);
        let starts = if cut { [0].into_iter().chain(starts).collect() } else { starts };
        Self { bytes, starts, head_whole }
    }

    /// Its bytes, across files.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a node replays whose height in progress is `height`.
    pub fn replay(&self, height: u64, initial_height: u64) -> Replay {
        match self.attempt(height, initial_height) {
            Some(replay) => replay,
            None if !self.head_whole => Replay { outcome: Outcome::Unread, records: Vec::new() },
            None => self.replay_repaired(height, initial_height),
        }
    }

    fn replay_repaired(&self, height: u64, initial_height: u64) -> Replay {
        let head = self.starts.last().copied().unwrap_or_default();
        let kept = match read(&self.bytes[head..]).1 {
            End::Clean => self.bytes.len() - head,
            End::Truncated(offset) => offset,
            End::Corrupted(damage) => damage.offset,
        };
        let repaired = Self { bytes: self.bytes[..head + kept].to_vec(), ..self.clone() };
        match repaired.attempt(height, initial_height) {
            None => Replay { outcome: Outcome::Refused, records: Vec::new() },
            Some(Replay { outcome: Outcome::Whole, records }) => Replay { outcome: Outcome::Repaired(kept), records },
            Some(nothing) => nothing,
        }
    }

    /// One reading; `None` where damage stops it.
    fn attempt(&self, height: u64, initial_height: u64) -> Option<Replay> {
        let nothing = |reason| Some(Replay { outcome: Outcome::Nothing(reason), records: Vec::new() });
        if self.after_end_height(height).is_some() {
            return nothing(Reason::Ended);
        }
        let Some(start) = self.after_end_height(marker(height, initial_height)) else {
            return nothing(Reason::NoEndHeight);
        };
        let records: Result<Vec<Record>, _> = Decoder::starting(&self.bytes, start).collect();
        Some(Replay { outcome: Outcome::Whole, records: records.ok()? })
    }

    /// Where reading goes on after the `#ENDHEIGHT` of `height` that a node finds.
    fn after_end_height(&self, height: u64) -> Option<usize> {
        // A node begins an empty head with `#ENDHEIGHT` 0.
        if height == 0 && self.starts.last().is_none_or(|head| *head == self.bytes.len()) {
            return Some(self.bytes.len());
        }
        for start in self.starts.iter().rev() {
            let mut decoder = Decoder::starting(&self.bytes, *start);
            let mut last = 0;
            while let Some(next) = decoder.next() {
                let Some(end) = next.ok().and_then(|record| record.end_height()) else { continue };
                if end == height {
                    return Some(decoder.offset());
                }
                last = end;
            }
            if last > 0 && last < height {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
