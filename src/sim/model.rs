//! The consensus of a simulated chain: who votes, when a block comes, and what each node believes. Pure: the time is an
//! argument, in Unix milliseconds.

use std::collections::BTreeMap;

use crate::model::facts::SignerState;

/// Steps of a round as `CometBFT` numbers them.
pub mod step {
    /// After a commit, before anyone proposes: the quiet window.
    pub const NEW_HEIGHT: u8 = 1;
    /// Waiting for +2/3 prevotes.
    pub const PREVOTE: u8 = 4;
    /// Waiting for +2/3 precommits.
    pub const PRECOMMIT: u8 = 6;
}

/// Blocks that can still be asked for.
const KEPT: usize = 500;

/// A committed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: u64,
    /// When it was committed, Unix ms.
    pub time_ms: i64,
    /// By index in the validator set: who signed it.
    pub signed: Vec<bool>,
}

/// A round in progress, as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// The height in progress.
    pub height: u64,
    /// One of [`step`].
    pub step: u8,
    /// Since when, Unix ms.
    pub since_ms: i64,
    /// By index in the validator set.
    pub prevotes: Vec<bool>,
    /// By index in the validator set.
    pub precommits: Vec<bool>,
}

impl Round {
    fn new(height: u64, validators: usize, now_ms: i64) -> Self {
        let none = vec![false; validators];
        Self { height, step: step::NEW_HEIGHT, since_ms: now_ms, prevotes: none.clone(), precommits: none }
    }
}

/// A node, with or without power.
#[derive(Debug, Clone)]
pub struct Node {
    /// The host's name or the foreign validator's moniker.
    pub name: String,
    /// The node's p2p id, hex.
    pub id: String,
    /// Consensus address, upper-case hex.
    pub address: String,
    /// Consensus key, base64.
    pub public_key: String,
    /// Voting power.
    pub power: u64,
    /// How long it needs from its start until it takes part, ms.
    pub join_ms: i64,
    /// When its process started; `None` while none runs.
    pub started_ms: Option<i64>,
    /// Cut off from its peers.
    pub isolated: bool,
    /// Its consensus has panicked; the process lives on.
    pub panicked: bool,
    /// Takes part in consensus now.
    pub joined: bool,
    /// The last thing it signed.
    pub signer: SignerState,
    /// Votes out of its log that it tells the others, once it takes part: by validator's address.
    pub replayed: Vec<(String, SignerState)>,
    /// The round as it sees it; one above its last block.
    pub view: Round,
}

impl Node {
    /// A node that isn't running, at the outset of a chain.
    pub fn new(name: &str, id: String, address: String, public_key: String, power: u64) -> Self {
        let view = Round::new(0, 0, 0);
        let (name, signer) = (name.to_owned(), SignerState::default());
        let (join_ms, started_ms) = (0, None);
        let (isolated, panicked, joined) = (false, false, false);
        let replayed = Vec::new();
        Self {
            name,
            id,
            address,
            public_key,
            power,
            join_ms,
            started_ms,
            isolated,
            panicked,
            joined,
            signer,
            replayed,
            view,
        }
    }

    /// Whether it has been running for this share (in quarters) of the time it needs to take part.
    fn up_for(&self, quarters: i64, now_ms: i64) -> bool {
        self.started_ms.is_some_and(|started| now_ms - started >= self.join_ms * quarters / 4)
    }

    /// Whether its RPC answers.
    pub fn rpc_open(&self, now_ms: i64) -> bool {
        self.up_for(1, now_ms)
    }

    /// Whether others can be connected to it.
    pub fn reachable(&self, now_ms: i64) -> bool {
        !self.isolated && self.up_for(2, now_ms)
    }
}

/// A chain and its nodes. Validators come first, in the set's order: power descending, then address.
#[derive(Debug, Clone)]
pub struct Model {
    /// The chain id.
    pub chain_id: String,
    /// Time between blocks, ms.
    pub block_time_ms: i64,
    /// All nodes.
    pub nodes: Vec<Node>,
    /// How many of them are validators.
    pub validators: usize,
    /// The round in progress, as all who take part see it.
    pub round: Round,
    /// Committed blocks by height.
    pub blocks: BTreeMap<u64, Block>,
}

impl Model {
    /// A chain whose last block, signed by all, is `height`, committed at `now_ms`. No node runs yet.
    pub fn new(chain_id: &str, block_time_ms: i64, height: u64, mut nodes: Vec<Node>, now_ms: i64) -> Self {
        nodes.sort_by(|a, b| b.power.cmp(&a.power).then_with(|| a.address.cmp(&b.address)));
        let validators = nodes.iter().take_while(|node| node.power > 0).count();
        let round = Round::new(height + 1, validators, now_ms);
        for node in &mut nodes {
            node.view = round.clone();
            if node.power > 0 {
                node.signer = SignerState { height, round: 0, step: 3 };
            }
        }
        let last = Block { height, time_ms: now_ms, signed: vec![true; validators] };
        let blocks = BTreeMap::from([(height, last)]);
        Self { chain_id: chain_id.to_owned(), block_time_ms, nodes, validators, round, blocks }
    }

    /// Height of the last block.
    pub fn height(&self) -> u64 {
        self.round.height - 1
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The node of this name, to change it.
    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    /// The process of a node starts. What it knew of the round comes back with its WAL when it takes part again.
    pub fn start(&mut self, name: &str, now_ms: i64) {
        if let Some(node) = self.node_mut(name) {
            node.started_ms = Some(now_ms);
            node.panicked = false;
        }
    }

    /// A node that starts finds these votes in its log, by validator's address.
    pub fn replay(&mut self, name: &str, votes: Vec<(String, SignerState)>) {
        if let Some(node) = self.node_mut(name) {
            node.replayed = votes;
        }
    }

    /// Every validator has prevoted and its log has gone since: no node has a vote, and no signer gives one anew.
    pub fn strand(&mut self) {
        self.round.step = step::PREVOTE;
        let vote = SignerState { height: self.round.height, round: 0, step: 2 };
        for node in &mut self.nodes {
            node.view.clone_from(&self.round);
            if node.power > 0 {
                node.signer = vote;
            }
        }
    }

    /// The process of a node is gone.
    pub fn stop(&mut self, name: &str) {
        if let Some(node) = self.node_mut(name) {
            node.started_ms = None;
            node.joined = false;
        }
    }

    /// Power of the whole set.
    pub fn total(&self) -> u64 {
        self.nodes.iter().map(|node| node.power).sum()
    }

    /// The least power that makes a block.
    pub fn quorum(&self) -> u64 {
        self.total() * 2 / 3 + 1
    }

    /// Power of the validators whose bit is set.
    pub fn power_of(&self, bits: &[bool]) -> u64 {
        self.nodes.iter().zip(bits).filter(|(_, bit)| **bit).map(|(node, _)| node.power).sum()
    }

    /// The peers of a node, none while it is cut off or still starting.
    pub fn peers(&self, name: &str, now_ms: i64) -> Vec<&Node> {
        let up = self.node(name).is_some_and(|node| node.reachable(now_ms));
        self.nodes.iter().filter(|node| up && node.name != name && node.reachable(now_ms)).collect()
    }

    /// Moves the chain on to `now_ms`: who takes part, votes, and perhaps a block.
    pub fn step(&mut self, now_ms: i64) {
        self.join(now_ms);
        self.tell();
        let quiet = now_ms - self.round.since_ms < self.block_time_ms * 8 / 10;
        match self.round.step {
            step::NEW_HEIGHT if quiet => {}
            step::NEW_HEIGHT if self.nodes.iter().any(|node| node.joined) => self.enter(step::PREVOTE, now_ms),
            step::PREVOTE if self.settled(now_ms) => self.enter(step::PRECOMMIT, now_ms),
            step::PRECOMMIT if self.settled(now_ms) => self.commit(now_ms),
            _ => {}
        }
        self.vote();
        for node in self.nodes.iter_mut().filter(|node| node.joined) {
            node.view.clone_from(&self.round);
        }
    }

    fn enter(&mut self, step: u8, now_ms: i64) {
        self.round.step = step;
        self.round.since_ms = now_ms;
    }

    /// A node takes part once it is up long enough and has a peer, or holds a third of the power itself.
    fn join(&mut self, now_ms: i64) {
        let (total, reachable) = (self.total(), self.nodes.iter().filter(|node| node.reachable(now_ms)).count());
        for node in &mut self.nodes {
            let company = reachable > usize::from(node.reachable(now_ms)) || node.power * 3 >= total;
            node.joined = node.up_for(4, now_ms) && !node.panicked && !node.isolated && company;
        }
    }

    /// Those who take part tell the votes that they have replayed.
    fn tell(&mut self) {
        let joined = self.nodes.iter_mut().filter(|node| node.joined);
        let told: Vec<_> = joined.flat_map(|node| std::mem::take(&mut node.replayed)).collect();
        for (address, vote) in told.into_iter().filter(|(_, vote)| vote.height == self.round.height && vote.round == 0)
        {
            let votes = if vote.step == 2 { &mut self.round.prevotes } else { &mut self.round.precommits };
            let validators = self.nodes.iter().zip(votes);
            validators.filter(|(node, _)| node.address == address).for_each(|(_, bit)| *bit = true);
        }
    }

    /// The votes of this step are a quorum, and stragglers had their time.
    fn settled(&self, now_ms: i64) -> bool {
        let votes = if self.round.step == step::PREVOTE { &self.round.prevotes } else { &self.round.precommits };
        self.power_of(votes) >= self.quorum() && now_ms - self.round.since_ms >= self.block_time_ms / 10
    }

    /// Everyone who takes part signs what this step asks for, never below what it signed before.
    fn vote(&mut self) {
        let height = self.round.height;
        for (votes, pv_step, from) in [
            (&mut self.round.prevotes, 2, step::PREVOTE), // a late prevote still counts
            (&mut self.round.precommits, 3, step::PRECOMMIT),
        ] {
            if self.round.step < from {
                continue;
            }
            let vote = SignerState { height, round: 0, step: pv_step };
            for (node, bit) in self.nodes.iter_mut().zip(votes).filter(|(node, _)| node.joined && node.signer < vote) {
                node.signer = vote;
                *bit = true;
            }
        }
    }

    fn commit(&mut self, now_ms: i64) {
        let height = self.round.height;
        let next = Round::new(height + 1, self.validators, now_ms);
        let done = std::mem::replace(&mut self.round, next);
        self.blocks.insert(height, Block { height, time_ms: now_ms, signed: done.precommits });
        if self.blocks.len() > KEPT {
            self.blocks.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
