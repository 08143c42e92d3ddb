//! One node of the model: the steps of `consensus/state.go` at one height, with its log and its signer.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

pub use crate::chain::{Block, Chain, Record, Signed, Vote};

pub const NEW_HEIGHT: u8 = 1;
const NEW_ROUND: u8 = 2;
pub const PROPOSE: u8 = 3;
pub const PREVOTE: u8 = 4;
const PREVOTE_WAIT: u8 = 5;
const PRECOMMIT: u8 = 6;
pub const PRECOMMIT_WAIT: u8 = 7;
const COMMIT: u8 = 8;

#[derive(Clone)]
pub struct Node {
    chain: Rc<Chain>,
    /// Its seat; none for a sentry.
    pub seat: Option<usize>,
    pub round: u32,
    pub step: u8,
    pub proposal: Option<(Block, Option<u32>)>,
    pub proposal_block: Option<Block>,
    pub wanted: Option<Block>,
    pub locked: Option<(u32, Block)>,
    /// The proposal blocks it has had all parts of, with the round it was in.
    pub had: BTreeSet<(u32, Block)>,
    valid: Option<(u32, Block)>,
    pub votes: Vec<Vote>,
    tracked: u32,
    catchup: BTreeSet<u32>,
    waited: bool,
    commit_round: u32,
    pub committed: Option<(u32, Block)>,
    pub timers: BTreeSet<(u32, u8)>,
    own: VecDeque<Record>,
    pub signed: Signed,
    pub log: Vec<Record>,
    /// Whether the log has the mark of the height before, without which it isn't replayed.
    pub replayable: bool,
}

impl Node {
    pub fn new(chain: &Rc<Chain>, seat: Option<usize>) -> Self {
        Self {
            chain: chain.clone(),
            seat,
            round: 0,
            step: NEW_HEIGHT,
            proposal: None,
            proposal_block: None,
            wanted: None,
            locked: None,
            had: BTreeSet::new(),
            valid: None,
            votes: Vec::new(),
            tracked: 0,
            catchup: BTreeSet::new(),
            waited: false,
            commit_round: 0,
            committed: None,
            timers: BTreeSet::from([(0, NEW_HEIGHT)]),
            own: VecDeque::new(),
            signed: Signed::Nothing,
            log: Vec::new(),
            replayable: true,
        }
    }

    /// Starts anew from log and signer.
    pub fn restart(&mut self) {
        let fresh = Self::new(&self.chain, self.seat);
        let old = std::mem::replace(self, fresh);
        self.signed = old.signed;
        self.replayable = old.replayable;
        if old.replayable {
            for record in &old.log {
                self.apply(*record);
            }
        }
        self.log = old.log;
        self.drain();
    }

    /// A message or time-out that comes in.
    pub fn take(&mut self, record: Record) {
        if self.committed.is_none() {
            self.log.push(record);
            self.apply(record);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(record) = self.own.pop_front() {
            if self.committed.is_none() {
                self.log.push(record);
                self.apply(record);
            }
        }
    }

    fn apply(&mut self, record: Record) {
        if self.committed.is_some() {
            return;
        }
        match record {
            Record::Proposal { round, block, proof } => {
                if self.proposal.is_none() && round == self.round {
                    self.proposal = Some((block, proof));
                    self.wanted.get_or_insert(block);
                }
            }
            Record::Parts(block) => {
                if self.wanted == Some(block) && self.proposal_block != Some(block) {
                    self.proposal_block = Some(block);
                    self.had.insert((self.round, block));
                    self.whole();
                }
            }
            Record::Vote(vote) => self.add(vote),
            Record::Timeout(round, step) => self.timeout(round, step),
        }
    }

    fn timeout(&mut self, round: u32, step: u8) {
        if (round, step) < (self.round, self.step) {
            return;
        }
        match step {
            NEW_HEIGHT => self.enter_new_round(0),
            PROPOSE => self.enter_prevote(round),
            PREVOTE_WAIT => self.enter_precommit(round),
            _ => {
                self.enter_precommit(round);
                self.enter_new_round(round + 1);
            }
        }
    }

    pub fn votes_of(&self, round: u32, step: u8) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(move |vote| vote.round == round && vote.step == step)
    }

    pub fn any(&self, round: u32, step: u8) -> bool {
        self.chain.many(self.votes_of(round, step).map(|vote| self.chain.powers[vote.who]).sum())
    }

    fn majority(&self, round: u32, step: u8) -> Option<Option<Block>> {
        let power = |block| {
            let votes = self.votes_of(round, step).filter(|vote| vote.block == block);
            votes.map(|vote| self.chain.powers[vote.who]).sum()
        };
        self.votes_of(round, step).map(|vote| vote.block).find(|block| self.chain.many(power(*block)))
    }

    fn complete(&self) -> bool {
        let Some((_, proof)) = self.proposal else { return false };
        self.proposal_block.is_some() && proof.is_none_or(|round| self.majority(round, 2).is_some())
    }

    fn enter_new_round(&mut self, round: u32) {
        if round < self.round || (round == self.round && self.step != NEW_HEIGHT) {
            return;
        }
        (self.round, self.step) = (round, NEW_ROUND);
        if round != 0 {
            (self.proposal, self.proposal_block, self.wanted) = (None, None, None);
        }
        self.tracked = round + 1;
        self.waited = false;
        self.enter_propose(round);
    }

    fn enter_propose(&mut self, round: u32) {
        if (round, PROPOSE) <= (self.round, self.step) {
            return;
        }
        self.timers.insert((round, PROPOSE));
        if self.seat.is_some_and(|seat| self.chain.proposers[round as usize % 64] == seat) {
            self.propose(round);
        }
        self.step = PROPOSE;
        if self.complete() {
            self.enter_prevote(round);
        }
    }

    fn propose(&mut self, round: u32) {
        let fresh = || Block::try_from(round * 16).unwrap() + Block::try_from(self.seat.unwrap()).unwrap() + 1;
        // A new block differs from an earlier one of the same proposer: it has another time.
        let again = self.log.iter().any(|record| *record == Record::Parts(fresh()));
        let block = self.valid.map_or_else(|| fresh() + if again { 1000 } else { 0 }, |(_, block)| block);
        let proof = self.valid.map(|(round, _)| round);
        let signed = Signed::Proposal(round, block, proof);
        if signed.mark() > self.signed.mark() || signed == self.signed {
            self.signed = signed;
            self.own.push_back(Record::Proposal { round, block, proof });
            self.own.push_back(Record::Parts(block));
        }
    }

    fn sign(&mut self, step: u8, block: Option<Block>) {
        let Some(who) = self.seat else { return };
        let signed = Signed::Vote(Vote { round: self.round, step, block, who });
        if signed.mark() > self.signed.mark() || signed == self.signed {
            self.signed = signed;
            let Signed::Vote(vote) = signed else { return };
            self.own.push_back(Record::Vote(vote));
        }
    }

    fn enter_prevote(&mut self, round: u32) {
        if (round, PREVOTE) <= (self.round, self.step) {
            return;
        }
        self.sign(2, self.locked.map(|(_, block)| block).or(self.proposal_block));
        (self.round, self.step) = (round, PREVOTE);
    }

    fn enter_precommit(&mut self, round: u32) {
        if (round, PRECOMMIT) <= (self.round, self.step) {
            return;
        }
        let mut vote = None;
        match self.majority(round, 2) {
            Some(Some(block)) if self.locked.is_some_and(|(_, locked)| locked == block) => {
                (self.locked, vote) = (Some((round, block)), Some(block));
            }
            Some(Some(block)) if self.proposal_block == Some(block) => {
                (self.locked, vote) = (Some((round, block)), Some(block));
            }
            Some(Some(block)) => {
                self.locked = None;
                self.want(block);
            }
            Some(None) => self.locked = None,
            None => {}
        }
        self.sign(3, vote);
        (self.round, self.step) = (round, PRECOMMIT);
    }

    fn want(&mut self, block: Block) {
        if self.wanted != Some(block) {
            (self.proposal_block, self.wanted) = (None, Some(block));
        }
    }

    fn wait_prevotes(&mut self, round: u32) {
        if (round, PREVOTE_WAIT) > (self.round, self.step) {
            self.timers.insert((round, PREVOTE_WAIT));
            self.step = PREVOTE_WAIT;
        }
    }

    fn wait_precommits(&mut self, round: u32) {
        if round >= self.round && !(round == self.round && self.waited) {
            self.timers.insert((round, PRECOMMIT_WAIT));
            self.waited = true;
        }
    }

    fn enter_commit(&mut self, round: u32, block: Block) {
        if self.step >= COMMIT {
            return;
        }
        if self.locked.is_some_and(|(_, locked)| locked == block) {
            (self.proposal_block, self.wanted) = (Some(block), Some(block));
        }
        if self.proposal_block != Some(block) {
            self.want(block);
        }
        (self.step, self.commit_round) = (COMMIT, round);
        self.finalize();
    }

    fn finalize(&mut self) {
        if let Some(Some(block)) = self.majority(self.commit_round, 3)
            && self.proposal_block == Some(block)
        {
            self.committed = Some((self.commit_round, block));
        }
    }

    fn whole(&mut self) {
        let majority = self.majority(self.round, 2);
        if let (Some(Some(block)), true) = (majority, self.valid.is_none_or(|(round, _)| round < self.round))
            && self.proposal_block == Some(block)
        {
            self.valid = Some((self.round, block));
        }
        if self.step <= PROPOSE && self.complete() {
            self.enter_prevote(self.round);
            if majority.is_some() {
                self.enter_precommit(self.round);
            }
        } else if self.step == COMMIT {
            self.finalize();
        }
    }

    fn add(&mut self, vote: Vote) {
        if self.votes.contains(&vote) {
            return;
        }
        if vote.round > self.tracked && !self.catchup.contains(&vote.round) {
            if self.catchup.len() >= 2 {
                return;
            }
            self.catchup.insert(vote.round);
        }
        self.votes.push(vote);
        if vote.step == 2 { self.prevoted(vote.round) } else { self.precommitted(vote.round) }
    }

    fn prevoted(&mut self, round: u32) {
        let majority = self.majority(round, 2);
        if let Some(block) = majority {
            if self.locked.is_some_and(|(locked, of)| locked < round && round <= self.round && Some(of) != block) {
                self.locked = None;
            }
            if let Some(block) = block
                && self.valid.is_none_or(|(valid, _)| valid < round)
                && round == self.round
            {
                if self.proposal_block == Some(block) {
                    self.valid = Some((round, block));
                } else {
                    self.proposal_block = None;
                }
                self.wanted = Some(block);
            }
        }
        if self.round < round && self.any(round, 2) {
            self.enter_new_round(round);
        } else if self.round == round && self.step >= PREVOTE {
            if majority.is_some_and(|block| block.is_none() || self.complete()) {
                self.enter_precommit(round);
            } else if self.any(round, 2) {
                self.wait_prevotes(round);
            }
        } else if self.proposal.is_some_and(|(_, proof)| proof == Some(round)) && self.complete() {
            self.enter_prevote(self.round);
        }
    }

    fn precommitted(&mut self, round: u32) {
        if let Some(block) = self.majority(round, 3) {
            self.enter_new_round(round);
            self.enter_precommit(round);
            match block {
                Some(block) => self.enter_commit(round, block),
                None => self.wait_precommits(round),
            }
        } else if self.round <= round && self.any(round, 3) {
            self.enter_new_round(round);
            self.wait_precommits(round);
        }
    }
}
