//! Where a log leads the node that replays it: the round and step of CometBFT v0.38 `consensus/state.go`, by time-outs,
//! votes and proposals in the order of the records. What the node signs itself meanwhile comes after the replay.

use std::collections::{BTreeMap, BTreeSet};

use super::collect;
use super::messages::{Vote, VoteKind};
use super::parts::{self, PartSet};
use super::proto::{BlockPart, Entry, Inner, Proposal, TimeoutInfo, Vote as SignedVote};
use super::record::Record;

// The steps that decide (`consensus/types/round_state.go`).
const NEW_HEIGHT: u8 = 1;
const NEW_ROUND: u8 = 2;
const PROPOSE: u8 = 3;
const PREVOTE: u8 = 4;
const PREVOTE_WAIT: u8 = 5;
const PRECOMMIT: u8 = 6;
const PRECOMMIT_WAIT: u8 = 7;
const COMMIT: u8 = 8;

/// Rounds beyond the next that a node takes one peer's votes of (`consensus/types/height_vote_set.go`).
const CATCHUP_ROUNDS: usize = 2;

/// A block as votes name it: nil has neither.
type Named = Option<(String, PartSet)>;

/// The node's state while it replays.
pub(super) struct Steps<'a> {
    powers: &'a BTreeMap<&'a str, u64>,
    /// Votes that the node takes for malformed.
    refused: &'a BTreeSet<Vote>,
    pub round: u32,
    pub step: u8,
    /// Blocks of which it has had all parts: the round it was in, and the hash.
    pub whole: BTreeSet<(u32, String)>,
    votes: BTreeMap<(u32, VoteKind), BTreeMap<String, Named>>,
    /// The last round whose votes it takes from anyone.
    tracked: u32,
    /// Rounds above that, of which it has votes already, by the peer it has the first from.
    catchup: BTreeMap<String, BTreeSet<u32>>,
    proposal: Option<Proposal>,
    wanted: Option<PartSet>,
    parts: BTreeSet<u32>,
    /// Whether all parts of `wanted` are there and it isn't passed over.
    block: bool,
}

impl<'a> Steps<'a> {
    /// A node at the beginning of a height.
    pub fn new(powers: &'a BTreeMap<&'a str, u64>, refused: &'a BTreeSet<Vote>) -> Self {
        Self {
            powers,
            refused,
            round: 0,
            step: NEW_HEIGHT,
            whole: BTreeSet::new(),
            votes: BTreeMap::new(),
            tracked: 0,
            catchup: BTreeMap::new(),
            proposal: None,
            wanted: None,
            parts: BTreeSet::new(),
            block: false,
        }
    }

    /// The votes that the node has taken.
    pub fn taken(&self) -> BTreeSet<Vote> {
        let all = self.votes.iter().flat_map(|(slot, votes)| votes.iter().map(move |vote| (slot, vote)));
        let vote = |(&(round, kind), (validator, named)): (&(u32, VoteKind), (&String, &Named))| Vote {
            round,
            kind,
            block: named.as_ref().map(|(hash, _)| hash.clone()),
            validator: validator.clone(),
        };
        all.map(vote).collect()
    }

    /// Whether the node is sure to look at the prevotes of its round again: it does so when one more comes in at the step
    /// Prevote or later, and there may be none left to come.
    pub fn prevoting(&self) -> bool {
        self.step > PREVOTE || (self.step == PREVOTE && !self.any(self.round, VoteKind::Prevote))
    }

    /// Takes a record of the height whose signature, if it has one, is verified. A node that has committed takes none.
    pub fn take(&mut self, record: &Record) {
        if self.step == COMMIT && self.block {
            return;
        }
        match record.entry() {
            Some(Entry::TimeoutInfo(timeout)) => self.time_out(timeout),
            Some(Entry::MsgInfo(info)) => match info.msg.as_ref().and_then(|message| message.sum.as_ref()) {
                Some(Inner::Vote(inner)) => inner.vote.iter().for_each(|vote| self.vote(vote, &info.peer_id)),
                Some(Inner::Proposal(inner)) => inner.proposal.iter().for_each(|proposal| self.propose(proposal)),
                Some(Inner::BlockPart(part)) => self.part(part),
                _ => {}
            },
            _ => {}
        }
    }

    fn time_out(&mut self, timeout: &TimeoutInfo) {
        let (Ok(round), Ok(step)) = (u32::try_from(timeout.round), u8::try_from(timeout.step)) else { return };
        if (round, step) < (self.round, self.step) {
            return;
        }
        match step {
            NEW_HEIGHT => self.enter_new_round(0),
            NEW_ROUND => self.enter_propose(round),
            PROPOSE => self.enter(round, PREVOTE),
            PREVOTE_WAIT => self.enter_precommit(round),
            PRECOMMIT_WAIT => {
                self.enter_precommit(round);
                self.enter_new_round(round.saturating_add(1));
            }
            _ => {}
        }
    }

    fn enter(&mut self, round: u32, step: u8) {
        if (round, step) > (self.round, self.step) {
            (self.round, self.step) = (round, step);
        }
    }

    fn enter_new_round(&mut self, round: u32) {
        if round < self.round || (round == self.round && self.step != NEW_HEIGHT) {
            return;
        }
        (self.round, self.step) = (round, NEW_ROUND);
        if round != 0 {
            (self.proposal, self.block) = (None, false);
            self.want(None);
        }
        self.tracked = round.saturating_add(1);
        self.enter_propose(round);
    }

    fn enter_propose(&mut self, round: u32) {
        self.enter(round, PROPOSE);
        self.prevote_if_complete();
    }

    fn enter_precommit(&mut self, round: u32) {
        if (round, PRECOMMIT) <= (self.round, self.step) {
            return;
        }
        (self.round, self.step) = (round, PRECOMMIT);
        if let Some(Some((_, set))) = self.majority(round, VoteKind::Prevote)
            && self.wanted.as_ref() != Some(&set)
        {
            self.want(Some(set));
        }
    }

    fn want(&mut self, set: Option<PartSet>) {
        (self.wanted, self.block) = (set, false);
        self.parts.clear();
    }

    fn complete(&self) -> bool {
        let Some(proposal) = self.proposal.as_ref().filter(|_| self.block) else { return false };
        u32::try_from(proposal.pol_round).is_ok_and(|round| self.majority(round, VoteKind::Prevote).is_some())
            || proposal.pol_round < 0
    }

    fn prevote_if_complete(&mut self) {
        if self.step <= PROPOSE && self.complete() {
            self.enter(self.round, PREVOTE);
        }
    }

    fn propose(&mut self, proposal: &Proposal) {
        if self.proposal.is_some() || u32::try_from(proposal.round) != Ok(self.round) {
            return;
        }
        self.proposal = Some(proposal.clone());
        if self.wanted.is_none() {
            self.wanted = collect::named(proposal.block_id.as_ref()).map(|(_, set)| set);
        }
    }

    fn part(&mut self, part: &BlockPart) {
        let Some(part) = part.part.as_ref() else { return };
        if self.wanted.is_none() || self.wanted != parts::part_set(part) || !self.parts.insert(part.index) {
            return;
        }
        let total = self.wanted.as_ref().map_or(0, |(total, _)| *total);
        if u32::try_from(self.parts.len()) == Ok(total) {
            self.block = true;
            self.note_whole();
            let polka = self.majority(self.round, VoteKind::Prevote).is_some();
            if self.step <= PROPOSE && self.complete() {
                self.enter(self.round, PREVOTE);
                if polka {
                    self.enter_precommit(self.round);
                }
            }
        }
    }

    /// Notes the hash under which the block is proposed or voted for.
    fn note_whole(&mut self) {
        let proposed = self.proposal.as_ref().and_then(|proposal| collect::named(proposal.block_id.as_ref()));
        let voted = self.votes.values().flat_map(BTreeMap::values).flatten().cloned();
        let named = proposed.into_iter().chain(voted).filter(|(_, set)| self.wanted.as_ref() == Some(set));
        let hashes: Vec<_> = named.map(|(hash, _)| (self.round, hash)).collect();
        self.whole.extend(hashes);
    }

    fn vote(&mut self, vote: &SignedVote, peer: &str) {
        let known = collect::known(vote);
        if self.refused.contains(&known) || !self.tracks(known.round, peer) {
            return;
        }
        let Vote { round, kind, validator, .. } = known;
        let slot = self.votes.entry((round, kind)).or_default();
        if slot.contains_key(&validator) {
            return;
        }
        slot.insert(validator, collect::named(vote.block_id.as_ref()));
        match kind {
            VoteKind::Prevote => self.prevoted(round),
            VoteKind::Precommit => self.precommitted(round),
        }
    }

    /// Whether the node keeps votes of this round from this peer.
    fn tracks(&mut self, round: u32, peer: &str) -> bool {
        if round <= self.tracked || self.catchup.values().any(|rounds| rounds.contains(&round)) {
            return true;
        }
        let rounds = self.catchup.entry(peer.into()).or_default();
        rounds.len() < CATCHUP_ROUNDS && rounds.insert(round)
    }

    fn prevoted(&mut self, round: u32) {
        let majority = self.majority(round, VoteKind::Prevote);
        if let Some(Some((hash, set))) = majority.as_ref().filter(|_| round == self.round) {
            self.pass_over(hash, set);
        }
        if self.round < round && self.any(round, VoteKind::Prevote) {
            self.enter_new_round(round);
        } else if self.round == round && self.step >= PREVOTE {
            if majority.is_some_and(|block| block.is_none() || self.complete()) {
                self.enter_precommit(round);
            } else if self.any(round, VoteKind::Prevote) {
                self.enter(round, PREVOTE_WAIT);
            }
        } else {
            self.prevote_if_complete();
        }
    }

    /// Two thirds have prevoted for this block: the node drops another.
    fn pass_over(&mut self, hash: &str, set: &PartSet) {
        if self.wanted.as_ref() != Some(set) {
            self.want(Some(set.clone()));
        } else if !self.whole.contains(&(self.round, hash.to_string())) {
            self.block = false;
        }
    }

    fn precommitted(&mut self, round: u32) {
        if let Some(block) = self.majority(round, VoteKind::Precommit) {
            self.enter_new_round(round);
            self.enter_precommit(round);
            if let Some((_, set)) = block.filter(|_| self.step < COMMIT) {
                self.step = COMMIT;
                if self.wanted.as_ref() != Some(&set) {
                    self.want(Some(set));
                }
            }
        } else if self.round <= round && self.any(round, VoteKind::Precommit) {
            self.enter_new_round(round);
        }
    }

    fn any(&self, round: u32, kind: VoteKind) -> bool {
        self.votes.get(&(round, kind)).is_some_and(|votes| self.many(votes.keys()))
    }

    fn majority(&self, round: u32, kind: VoteKind) -> Option<Named> {
        let votes = self.votes.get(&(round, kind))?;
        let blocks: BTreeSet<&Named> = votes.values().collect();
        let enough = |named: &Named| self.many(votes.iter().filter(|(_, one)| *one == named).map(|(who, _)| who));
        blocks.into_iter().find(|named| enough(named)).cloned()
    }

    /// More than two thirds.
    fn many<'v>(&self, who: impl Iterator<Item = &'v String>) -> bool {
        let power = |power: &u64| u128::from(*power);
        let voted: u128 = who.filter_map(|who| self.powers.get(who.as_str())).map(power).sum();
        3 * voted > 2 * self.powers.values().map(power).sum::<u128>()
    }
}

#[cfg(test)]
mod tests;
