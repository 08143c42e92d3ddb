//! The messages of the height in progress out of many logs and signer states: each one verified, each once.

use std::collections::{BTreeMap, BTreeSet};

use super::check;
use super::messages::{Messages, Vote as KnownVote, VoteKind};
use super::parts::{self, PartSet};
use super::proto::{BlockId, BlockPart, Inner, Message, Part, Proposal, SignedMsgType, Vote};
use super::record::{Record, height_of};
use super::validators::{Unproven, Validators};

/// Why a message was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is of this height.
    Height(i64),
    /// Its validator can't be proven.
    Unproven(Unproven),
    /// It fails CometBFT's basic validation.
    Malformed(&'static str),
    /// The part's proof doesn't hold, or no proposal and no vote names its part set.
    Part,
    /// All parts are there and make no block of this chain and height with the hash that was proposed.
    Block,
    /// A precommit of a chain that extends votes, without its extension: a state file keeps none. Its validator did
    /// sign it, so the rule counts it, but a node refuses it.
    NoExtension,
}

/// A message that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose it was, as it was named to [`Collector::add`].
    pub source: String,
    /// What it says it is: `prevote`, `precommit`, `proposal`, `block part` or `message`.
    pub what: &'static str,
    /// Why.
    pub why: Why,
}

/// Who proposed what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposed {
    /// The round.
    pub round: u32,
    /// Upper-case hex of the block's hash.
    pub block: String,
    /// The validator that signed it, upper-case hex: the round's proposer, unless a validator lied.
    pub proposer: String,
}

/// What was collected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// For the rule.
    pub messages: Messages,
    /// Who proposed what.
    pub proposed: BTreeSet<Proposed>,
    /// Votes of one validator, round and kind that aren't for the same block; both are in everything.
    pub conflicts: Vec<[KnownVote; 2]>,
    /// Votes of `messages` that aren't in `rounds`, for [`Why::NoExtension`].
    pub unwritten: BTreeSet<KnownVote>,
    /// What to write, by round, in the order in which a node takes it.
    pub rounds: BTreeMap<u32, Vec<Message>>,
    /// What was left out, in the order in which it was found.
    pub left_out: Vec<LeftOut>,
}

/// A kind of vote in one round by the validator at an index.
type Slot = (u32, VoteKind, usize);

/// Collects the messages of one height.
#[derive(Debug, Clone)]
pub struct Collector<'a> {
    validators: &'a Validators,
    height: u64,
    votes: BTreeMap<Slot, Vec<(String, Vote)>>,
    proposals: BTreeMap<Proposed, (String, Proposal)>,
    parts: BTreeMap<PartSet, BTreeMap<u32, (String, Part)>>,
    left_out: Vec<LeftOut>,
}

impl<'a> Collector<'a> {
    /// A collector of the messages of `height`, whose validator set this is.
    pub fn new(validators: &'a Validators, height: u64) -> Self {
        let (votes, proposals, parts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { validators, height, votes, proposals, parts, left_out: Vec::new() }
    }

    /// Takes the messages of a log's records; `source` names the log.
    pub fn add_records<'r>(&mut self, source: &str, records: impl IntoIterator<Item = &'r Record>) {
        records.into_iter().filter_map(Record::consensus).for_each(|message| self.add(source, message));
    }

    /// Takes a message; `source` names where it is from.
    pub fn add(&mut self, source: &str, message: &Message) {
        if let Err(why) = self.take(source, message) {
            self.left_out.push(LeftOut { source: source.into(), what: what(message), why });
        }
    }

    /// As [`Self::add`], but the caller is told why a message is left out.
    pub(super) fn take(&mut self, source: &str, message: &Message) -> Result<(), Why> {
        let height = height_of(message).ok_or(Why::Malformed("neither proposal, part nor vote"))?;
        if u64::try_from(height) != Ok(self.height) {
            return Err(Why::Height(height));
        }
        check::consensus(message).map_err(Why::Malformed)?;
        match message.sum.as_ref() {
            Some(Inner::Vote(vote)) => vote.vote.as_ref().map_or(Ok(()), |vote| self.take_vote(source, vote)),
            Some(Inner::Proposal(inner)) => {
                inner.proposal.as_ref().map_or(Ok(()), |proposal| self.take_proposal(source, proposal))
            }
            Some(Inner::BlockPart(part)) => part.part.as_ref().map_or(Ok(()), |part| self.take_part(source, part)),
            _ => Ok(()),
        }
    }

    fn take_vote(&mut self, source: &str, vote: &Vote) -> Result<(), Why> {
        let voter = self.validators.voter(vote).map_err(Why::Unproven)?;
        let index = self.validators.index(&voter.address).unwrap_or_default();
        let slot = self.votes.entry((round(vote.round), kind(vote), index)).or_default();
        let vote = (source.to_string(), vote.clone());
        match slot.iter_mut().find(|(_, kept)| same_block(kept, &vote.1)) {
            // A signer's state has the vote without its extension.
            Some(kept) if !vote.1.extension_signature.is_empty() => *kept = vote,
            Some(_) => {}
            None => slot.push(vote),
        }
        Ok(())
    }

    fn take_proposal(&mut self, source: &str, proposal: &Proposal) -> Result<(), Why> {
        let signer = self.validators.proposer(proposal).map_err(Why::Unproven)?;
        let block = block_hash(proposal.block_id.as_ref()).unwrap_or_default();
        let proposed = Proposed { round: round(proposal.round), block, proposer: signer.address.clone() };
        self.proposals.entry(proposed).or_insert_with(|| (source.into(), proposal.clone()));
        Ok(())
    }

    fn take_part(&mut self, source: &str, part: &Part) -> Result<(), Why> {
        let set = parts::part_set(part).ok_or(Why::Part)?;
        let part = (source.to_string(), part.clone());
        self.parts.entry(set).or_default().entry(part.1.index).or_insert(part);
        Ok(())
    }

    /// What was collected.
    pub fn finish(mut self) -> Collected {
        self.drop_strange_parts();
        let unwritten = self.unextended();
        Collected {
            messages: Messages { votes: self.known_votes().collect(), blocks: self.blocks() },
            proposed: self.proposals.keys().cloned().collect(),
            conflicts: self.conflicts(),
            rounds: self.rounds(&unwritten),
            unwritten,
            left_out: self.left_out,
        }
    }

    /// Leaves out the parts that nothing signed tells of.
    fn drop_strange_parts(&mut self) {
        let proposed = self.proposals.values().filter_map(|(_, proposal)| part_set(proposal.block_id.as_ref()));
        let voted = self.votes.values().flatten().filter_map(|(_, vote)| part_set(vote.block_id.as_ref()));
        let named: BTreeSet<PartSet> = proposed.chain(voted).collect();
        let (kept, strange) = std::mem::take(&mut self.parts).into_iter().partition(|(set, _)| named.contains(set));
        self.parts = kept;
        for parts in BTreeMap::into_values(strange) {
            let strange = parts.into_values().map(|(source, _)| LeftOut { source, what: "block part", why: Why::Part });
            self.left_out.extend(strange);
        }
    }

    /// Notes the votes that a node refuses for want of an extension, which the chain's other precommits have.
    fn unextended(&mut self) -> BTreeSet<KnownVote> {
        let extended = |vote: &Vote| !vote.extension_signature.is_empty();
        let for_block = |vote: &Vote| kind(vote) == VoteKind::Precommit && block_hash(vote.block_id.as_ref()).is_some();
        if !self.votes.values().flatten().any(|(_, vote)| extended(vote)) {
            return BTreeSet::new();
        }
        let bare = self.votes.values().flatten().filter(|(_, vote)| for_block(vote) && !extended(vote));
        let left_out = bare.clone().map(|(source, _)| LeftOut {
            source: source.clone(),
            what: "precommit",
            why: Why::NoExtension,
        });
        self.left_out.extend(left_out.collect::<Vec<_>>());
        bare.map(|(_, vote)| known(vote)).collect()
    }

    fn known_votes(&self) -> impl Iterator<Item = KnownVote> {
        self.votes.values().flatten().map(|(_, vote)| known(vote))
    }

    fn conflicts(&self) -> Vec<[KnownVote; 2]> {
        let pairs = self.votes.values().flat_map(|slot| slot.windows(2));
        pairs.filter_map(|pair| Some([known(&pair.first()?.1), known(&pair.get(1)?.1)])).collect()
    }

    /// The proposed blocks that are whole; what turns out to be another block is left out.
    fn blocks(&mut self) -> BTreeSet<(u32, String)> {
        let mut blocks = BTreeSet::new();
        for (proposed, (source, proposal)) in &self.proposals {
            let Some(set) = part_set(proposal.block_id.as_ref()) else { continue };
            let Some(parts) = self.parts.get(&set).filter(|parts| parts.len() == set.0 as usize) else { continue };
            if self.is_block(&proposed.block, &set, parts) {
                blocks.insert((proposed.round, proposed.block.clone()));
            } else {
                self.left_out.push(LeftOut { source: source.clone(), what: "proposal", why: Why::Block });
            }
        }
        blocks
    }

    fn is_block(&self, hash: &str, set: &PartSet, parts: &BTreeMap<u32, (String, Part)>) -> bool {
        let parts = parts.iter().map(|(index, (_, part))| (*index, part.clone())).collect();
        parts::header(set.0, &parts).is_some_and(|header| {
            header.hash().to_string() == hash
                && header.height.value() == self.height
                && header.chain_id.as_str() == self.validators.chain_id()
        })
    }

    /// Per round: proposals, each with its parts; prevotes; precommits; parts of blocks that were voted for and whose
    /// proposal isn't there, which a node asks for once it has the quorum's precommits.
    fn rounds(&self, unwritten: &BTreeSet<KnownVote>) -> BTreeMap<u32, Vec<Message>> {
        let mut rounds: BTreeMap<u32, Vec<Message>> = BTreeMap::new();
        let mut sets: BTreeSet<(u32, PartSet)> = BTreeSet::new();
        for (proposed, (_, proposal)) in &self.proposals {
            let messages = rounds.entry(proposed.round).or_default();
            messages.push(proposal_message(proposal));
            let set = part_set(proposal.block_id.as_ref()).filter(|set| sets.insert((proposed.round, set.clone())));
            messages.extend(set.iter().flat_map(|set| self.part_messages(proposed.round, set)));
        }
        for (slot, (_, vote)) in self.votes.iter().flat_map(|(slot, votes)| votes.iter().map(move |vote| (slot, vote)))
        {
            if !unwritten.contains(&known(vote)) {
                rounds.entry(slot.0).or_default().push(vote_message(vote));
            }
        }
        for ((round, kind, _), votes) in &self.votes {
            let voted = votes.iter().filter(|_| *kind == VoteKind::Precommit);
            for set in voted.filter_map(|(_, vote)| part_set(vote.block_id.as_ref())) {
                if sets.insert((*round, set.clone())) {
                    rounds.entry(*round).or_default().extend(self.part_messages(*round, &set));
                }
            }
        }
        rounds
    }

    /// A part set's parts, as of this round: a block that is proposed again has the same parts, and they aren't signed.
    fn part_messages(&self, round: u32, set: &PartSet) -> impl Iterator<Item = Message> {
        let (height, round) = (self.height.cast_signed(), round.cast_signed());
        let parts = self.parts.get(set).into_iter().flat_map(BTreeMap::values);
        parts.map(move |(_, part)| Message {
            sum: Some(Inner::BlockPart(BlockPart { height, round, part: Some(part.clone()) })),
        })
    }
}

fn what(message: &Message) -> &'static str {
    match message.sum.as_ref() {
        Some(Inner::Vote(vote)) => vote.vote.as_ref().map_or("message", |vote| match kind(vote) {
            VoteKind::Prevote => "prevote",
            VoteKind::Precommit => "precommit",
        }),
        Some(Inner::Proposal(_)) => "proposal",
        Some(Inner::BlockPart(_)) => "block part",
        _ => "message",
    }
}

fn proposal_message(proposal: &Proposal) -> Message {
    Message { sum: Some(Inner::Proposal(super::proto::ProposalMessage { proposal: Some(proposal.clone()) })) }
}

fn vote_message(vote: &Vote) -> Message {
    Message { sum: Some(Inner::Vote(super::proto::VoteMessage { vote: Some(vote.clone()) })) }
}

/// Basic validation refuses negative rounds before.
fn round(round: i32) -> u32 {
    round.max(0).unsigned_abs()
}

fn kind(vote: &Vote) -> VoteKind {
    if vote.r#type == SignedMsgType::Precommit as i32 { VoteKind::Precommit } else { VoteKind::Prevote }
}

fn block_hash(id: Option<&BlockId>) -> Option<String> {
    id.filter(|id| !check::is_nil(id)).map(|id| hex::encode_upper(&id.hash))
}

fn part_set(id: Option<&BlockId>) -> Option<PartSet> {
    let header = id.filter(|id| !check::is_nil(id))?.part_set_header.as_ref()?;
    Some((header.total, header.hash.clone()))
}

/// The hash and the part set of a block id; `None` for nil.
pub(super) fn named(id: Option<&BlockId>) -> Option<(String, PartSet)> {
    block_hash(id).zip(part_set(id))
}

fn same_block(one: &Vote, other: &Vote) -> bool {
    named(one.block_id.as_ref()) == named(other.block_id.as_ref())
}

/// A verified vote as the rule sees it.
pub(super) fn known(vote: &Vote) -> KnownVote {
    KnownVote {
        round: round(vote.round),
        kind: kind(vote),
        block: block_hash(vote.block_id.as_ref()),
        validator: hex::encode_upper(&vote.validator_address),
    }
}

#[cfg(test)]
mod tests;
