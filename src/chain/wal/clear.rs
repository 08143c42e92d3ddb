//! The clearing of logs: the short log of every node that is to lose its own, and whether the chain survives it.

use std::collections::{BTreeMap, BTreeSet};

use super::facts;
use super::messages::{Case, Replay};
use super::parts;
use super::proto::{Inner, Part, Timestamp};
use super::record::{Record, read};
use super::replay::{self, Outcome};
use super::rule::{Decision, decide};
use super::signed::Signed;
use super::survey::{Node, Survey, collect, last_words};
use super::validators::Validators;
use super::view::View;
use super::write::short;
use crate::model::inventory::ServiceId;

/// What becomes of a node's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The short log takes its place, and the node starts.
    Cleared,
    /// The node starts with the log that it has.
    Kept,
    /// The node runs meanwhile.
    Runs,
    /// The node is down and stays so.
    Down,
}

/// A node, and what becomes of its log.
pub struct Fated {
    /// The node with its logs as they are now.
    pub node: Node,
    /// What becomes of them.
    pub fate: Fate,
}

/// A clearing that is asked for.
pub struct Clearing<'a> {
    /// The chain. Its `voters` may be those of an earlier height, as long as a block proves that they still hold.
    pub survey: Survey<'a>,
    /// Every node of the chain whose logs can be had.
    pub nodes: &'a [Fated],
    /// Records of the height in progress are left out, too.
    pub drop_records: bool,
    /// The time that the new records bear.
    pub time: Timestamp,
}

/// The logs to write, and what the rule says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared {
    /// By the node that gets it.
    pub logs: BTreeMap<ServiceId, Vec<u8>>,
    /// The chain's height in progress.
    pub height: u64,
    /// What the chain does with what is left.
    pub decision: Decision,
}

impl Clearing<'_> {
    /// The short log of each node that is cleared, whatever the rule says. A node whose signer's state can't be read has
    /// none: what it has signed would be forgotten.
    pub fn logs(&self) -> Result<BTreeMap<ServiceId, Vec<u8>>, String> {
        let (_, voters) = self.voters()?;
        let chain = self.height()?;
        let words = last_words(self.nodes.iter().map(|one| &one.node), voters);
        let cleared = self.nodes.iter().filter(|one| one.fate == Fate::Cleared);
        cleared.map(|one| Ok((one.node.service.clone(), self.log(&one.node, &words, chain)?))).collect()
    }

    /// The logs, judged.
    pub fn judge(&self) -> Result<Cleared, String> {
        let logs = self.logs()?;
        let (of, voters) = self.voters()?;
        let height = self.height()?;
        if *of != height && !self.still_holds(voters, height) {
            return Err(format!(
                "the validators of height {height} aren't known: those that a node told are of height {of}, and no log \
                 has a block that proves them"
            ));
        }
        let words = last_words(self.nodes.iter().map(|one| &one.node), voters);
        let collected = collect(self.nodes.iter().map(|one| &one.node), &words, voters, height);
        let case = Case {
            set: voters.powers(height),
            signers: words.iter().map(|(address, last)| (address.clone(), facts::spoken(last, height))).collect(),
            online: self.online(),
            known: collected.messages,
            replayed: self.nodes.iter().filter_map(|one| self.replay(one, &logs, voters, height)).collect(),
            records_lost: !self.all_keep(voters, height),
        };
        Ok(Cleared { logs, height, decision: decide(&case) })
    }

    fn height(&self) -> Result<u64, String> {
        let nodes = self.nodes.iter().map(|one| &one.node);
        self.survey.height(nodes).ok_or_else(|| "nobody tells the height in progress".into())
    }

    fn voters(&self) -> Result<&(u64, Validators), String> {
        self.survey.voters.as_ref().ok_or_else(|| "no node's RPC told the validators before the stop".into())
    }

    fn log(
        &self,
        node: &Node,
        words: &BTreeMap<String, Result<Option<Signed>, String>>,
        chain: u64,
    ) -> Result<Vec<u8>, String> {
        let word = node.address.as_ref().and_then(|address| words.get(address));
        let last = match word {
            Some(Err(reason)) => {
                return Err(format!("{}: what it has signed last isn't known: {reason}", node.service));
            }
            Some(Ok(last)) => last.as_ref(),
            None => None,
        };
        let view = node.live().and_then(|found| Some(View::of(found.log.as_ref().ok()?)));
        let height = self.own_height(view.as_ref(), last, chain);
        let own = view.map(|view| view.records).filter(|_| !self.drop_records).unwrap_or_default();
        short(height, self.survey.initial_height, &own, last, self.time)
            .map_err(|_| format!("{}: a message is too large", node.service))
    }

    /// The height that a node is at: it may lag, and its log ends no height that it got as a whole block from others.
    fn own_height(&self, view: Option<&View>, last: Option<&Signed>, chain: u64) -> u64 {
        let ended = view.and_then(|view| view.last_end_height).map(|ended| ended + 1);
        let signed = last.and_then(|signed| u64::try_from(signed.height()).ok());
        ended.max(signed).unwrap_or(chain).clamp(self.survey.initial_height, chain)
    }

    fn online(&self) -> BTreeSet<String> {
        let runs = |one: &&Fated| one.fate != Fate::Down;
        self.nodes.iter().filter(runs).filter_map(|one| one.node.address.clone()).collect()
    }

    fn replay(
        &self,
        one: &Fated,
        logs: &BTreeMap<ServiceId, Vec<u8>>,
        voters: &Validators,
        height: u64,
    ) -> Option<Replay> {
        let before = replay::marker(height, self.survey.initial_height);
        let (view, log) = match one.node.live().and_then(|found| found.log.as_ref().ok()) {
            Some(log) => (Some(View::of(log)), Some(log)),
            None => (None, None),
        };
        let records: Vec<Record> = match one.fate {
            Fate::Down => return None,
            Fate::Runs => view.map(|view| view.records).unwrap_or_default(),
            Fate::Kept => log.map(|log| log.replay(height, self.survey.initial_height).records).unwrap_or_default(),
            // One that lags gets blocks first, and then replays nothing.
            Fate::Cleared if view.and_then(|view| view.last_end_height).is_some_and(|ended| ended < before) => {
                Vec::new()
            }
            Fate::Cleared => logs.get(&one.node.service).map(|log| read(log).0).unwrap_or_default(),
        };
        Some(facts::replay(&one.node.service.to_string(), one.node.address.as_deref(), &records, voters, height))
    }

    /// Whether every validator's node keeps its log, whole.
    fn all_keep(&self, voters: &Validators, height: u64) -> bool {
        let keeps = |one: &Fated| {
            let log = one.node.live().and_then(|found| found.log.as_ref().ok());
            let whole = |log: &replay::Log| log.replay(height, self.survey.initial_height).outcome == Outcome::Whole;
            one.fate == Fate::Runs || (one.fate == Fate::Kept && log.is_some_and(whole))
        };
        voters.list().iter().all(|validator| {
            let mut of =
                self.nodes.iter().filter(|one| one.node.address.as_ref() == Some(&validator.address)).peekable();
            of.peek().is_some() && of.all(keeps)
        })
    }

    /// Whether a block says that these are the validators of `height`: its own, or that of the height before.
    fn still_holds(&self, voters: &Validators, height: u64) -> bool {
        let Some(hash) = voters.hash() else { return false };
        let logs = self.nodes.iter().filter_map(|one| one.node.live()?.log.as_ref().ok());
        logs.flat_map(|log| headers(&View::of(log).records)).any(|header| {
            header.chain_id.as_str() == voters.chain_id()
                && ((header.height.value() == height && header.validators_hash == hash)
                    || (header.height.value() + 1 == height && header.next_validators_hash == hash))
        })
    }
}

/// The headers of the blocks whose parts are all there.
fn headers(records: &[Record]) -> Vec<tendermint::block::Header> {
    let mut sets: BTreeMap<parts::PartSet, BTreeMap<u32, Part>> = BTreeMap::new();
    for record in records {
        if let Some(Inner::BlockPart(part)) = record.consensus().and_then(|message| message.sum.as_ref())
            && let Some(part) = &part.part
            && let Some(set) = parts::part_set(part)
        {
            sets.entry(set).or_default().insert(part.index, part.clone());
        }
    }
    sets.iter().filter_map(|((total, _), parts)| parts::header(*total, parts)).collect()
}

#[cfg(test)]
mod tests;
