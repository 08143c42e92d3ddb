//! From logs and signer states to what the rule decides on.

use std::collections::{BTreeMap, BTreeSet};

use super::collect::{self, Collector};
use super::messages::{Messages, Replay, Spoken, Vote};
use super::record::Record;
use super::signed::Signed;
use super::steps::Steps;
use super::validators::Validators;

/// What a signer has said at `height`, by its state ([`signed::last`]). One that is beyond the height contradicts it,
/// and counts as unread.
///
/// [`signed::last`]: super::signed::last
pub fn spoken(last: &Result<Option<Signed>, String>, height: u64) -> Spoken {
    let Ok(last) = last else { return Spoken::Unread };
    let Some(signed) = last else { return Spoken::Nothing };
    match u64::try_from(signed.height()).map(|signed| signed.cmp(&height)) {
        Ok(std::cmp::Ordering::Less) => Spoken::Nothing,
        Ok(std::cmp::Ordering::Equal) => match signed {
            Signed::Vote(vote) => Spoken::Vote(collect::known(vote)),
            Signed::Proposal(_) => Spoken::Proposal { round: signed.round().max(0).unsigned_abs() },
        },
        _ => Spoken::Unread,
    }
}

/// What `node` gives back at `height` when it starts with a log of which it replays `records` (none, where it replays
/// nothing). `validator` is the address of its signer. Only what is verified counts, and of it only what the node takes
/// at its place in the log: the first vote of each validator, round and kind, and blocks that it completes.
pub fn replay(node: &str, validator: Option<&str>, records: &[Record], validators: &Validators, height: u64) -> Replay {
    let mut collector = Collector::new(validators, height);
    let verified = |record: &&Record| match record.consensus() {
        Some(message) => collector.take(node, message).is_ok(),
        None => record.height() == Some(height),
    };
    let records: Vec<&Record> = records.iter().filter(verified).collect();
    let collected = collector.finish();
    let refused: BTreeSet<Vote> = collected.unwritten;
    let powers: BTreeMap<&str, u64> =
        validators.list().iter().map(|validator| (validator.address.as_str(), validator.power)).collect();
    let mut steps = Steps::new(&powers, &refused);
    for record in records {
        steps.take(record);
    }
    let proven: BTreeSet<&String> = collected.messages.blocks.iter().map(|(_, block)| block).collect();
    let blocks = steps.whole.iter().filter(|(_, block)| proven.contains(block)).cloned().collect();
    Replay {
        node: node.into(),
        validator: validator.map(Into::into),
        round: steps.round,
        prevoting: steps.prevoting(),
        messages: Messages { votes: steps.taken(), blocks },
    }
}

#[cfg(test)]
mod tests;
