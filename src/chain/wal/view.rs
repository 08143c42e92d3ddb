//! What one log tells, for people and for the rule.

use super::proto::{Entry, Inner};
use super::record::{Damage, Decoder, End, Record, read};
use super::replay::Log;

/// A point of the consensus, in the order in which a chain passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// 1 to 8, as CometBFT counts them (`consensus/types/round_state.go`); 0 for one that isn't known.
    pub step: u8,
}

/// A log's summary.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The last height that ended in it.
    pub last_end_height: Option<u64>,
    /// The furthest point that its node notes.
    pub furthest: Option<Point>,
    /// Every record that doesn't read.
    pub damage: Vec<Damage>,
    /// Where reading ended after the last `#ENDHEIGHT`, or from the start where there is none; offsets are of the log's
    /// bytes.
    pub end: End,
    /// Every record that reads.
    pub records: Vec<Record>,
}

impl View {
    /// Reads a log.
    pub fn of(log: &Log) -> Self {
        let (mut records, mut damage) = (Vec::new(), Vec::new());
        for next in Decoder::new(log.bytes()) {
            match next {
                Ok(record) => records.push(record),
                Err(broken) => damage.push(broken),
            }
        }
        let marker = records.iter().rfind(|record| record.end_height().is_some());
        let start = marker.map_or(0, |record| record.offset);
        Self {
            last_end_height: marker.and_then(Record::end_height),
            furthest: records.iter().filter_map(point).max(),
            damage,
            end: moved(read(&log.bytes()[start..]).1, start),
            records,
        }
    }

    /// Whether a vote or a proposal in it has this signature.
    pub fn holds(&self, signature: &[u8]) -> bool {
        self.records.iter().filter_map(signature_of).any(|found| found == signature)
    }
}

/// The signature of a vote or proposal.
pub fn signature_of(record: &Record) -> Option<&[u8]> {
    match record.consensus()?.sum.as_ref()? {
        Inner::Vote(vote) => Some(&vote.vote.as_ref()?.signature),
        Inner::Proposal(proposal) => Some(&proposal.proposal.as_ref()?.signature),
        _ => None,
    }
}

fn moved(end: End, by: usize) -> End {
    match end {
        End::Clean => End::Clean,
        End::Truncated(offset) => End::Truncated(offset + by),
        End::Corrupted(damage) => End::Corrupted(Damage { offset: damage.offset + by, ..damage }),
    }
}

fn point(record: &Record) -> Option<Point> {
    let Entry::EventDataRoundState(state) = record.entry()? else { return None };
    let (height, round) = (u64::try_from(state.height).ok()?, u32::try_from(state.round).ok()?);
    Some(Point { height, round, step: step(&state.step) })
}

fn step(name: &str) -> u8 {
    const NAMES: [&str; 8] =
        ["NewHeight", "NewRound", "Propose", "Prevote", "PrevoteWait", "Precommit", "PrecommitWait", "Commit"];
    let name = name.strip_prefix("RoundStep").unwrap_or(name);
    (1..).zip(NAMES).find(|(_, known)| *known == name).map_or(0, |(step, _)| step)
}

#[cfg(test)]
mod tests;
