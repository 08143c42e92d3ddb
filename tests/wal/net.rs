//! The nodes together: what they tell each other (`consensus/reactor.go`), in an order that a seed decides.

use crate::node::{Node, Record};

/// `SplitMix64`.
#[derive(Clone)]
pub struct Seed(pub u64);

impl Seed {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[derive(Clone)]
pub struct Net {
    pub nodes: Vec<Node>,
    pub up: Vec<bool>,
    /// Nodes are in touch where these are the same.
    pub side: Vec<u8>,
}

impl Net {
    pub fn new(nodes: Vec<Node>) -> Self {
        let count = nodes.len();
        Self { nodes, up: vec![true; count], side: vec![0; count] }
    }

    /// Everything that one node would tell another now.
    fn offers(&self, from: usize, to: usize) -> Vec<Record> {
        let (teller, peer) = (&self.nodes[from], &self.nodes[to]);
        let mut offers = Vec::new();
        let touch = self.up[from] && self.up[to] && self.side[from] == self.side[to];
        if from == to || !touch || peer.committed.is_some() {
            return offers;
        }
        if let Some((round, block)) = teller.committed {
            offers.extend(teller.votes_of(round, 3).copied().map(Record::Vote));
            offers.push(Record::Parts(block));
        } else {
            if peer.round <= teller.round {
                offers.extend((2..=3).flat_map(|step| teller.votes_of(peer.round, step)).copied().map(Record::Vote));
                let proof = peer.proposal.and_then(|(_, proof)| proof);
                offers.extend(proof.into_iter().flat_map(|round| teller.votes_of(round, 2)).copied().map(Record::Vote));
            }
            if let (Some((block, proof)), None, true) = (teller.proposal, peer.proposal, teller.round == peer.round) {
                offers.push(Record::Proposal { round: teller.round, block, proof });
            }
            offers.extend(teller.proposal_block.map(Record::Parts));
        }
        offers.retain(|record| match record {
            Record::Vote(vote) => !peer.votes.contains(vote),
            Record::Parts(block) => peer.wanted == Some(*block) && peer.proposal_block != Some(*block),
            _ => true,
        });
        offers
    }

    /// One message from anyone to anyone; false where there is none to tell.
    pub fn tell(&mut self, seed: &mut Seed) -> bool {
        let count = self.nodes.len();
        let start = seed.below(count * count);
        for pair in (0..count * count).map(|offset| (start + offset) % (count * count)) {
            let (from, to) = (pair / count, pair % count);
            let offers = self.offers(from, to);
            if !offers.is_empty() {
                self.nodes[to].take(offers[seed.below(offers.len())]);
                return true;
            }
        }
        false
    }

    /// One time-out of any node; false where none is running.
    pub fn tick(&mut self, seed: &mut Seed) -> bool {
        let count = self.nodes.len();
        let start = seed.below(count);
        for index in (0..count).map(|offset| (start + offset) % count) {
            let node = &mut self.nodes[index];
            if self.up[index]
                && node.committed.is_none()
                && let Some((round, step)) = node.timers.pop_first()
            {
                node.take(Record::Timeout(round, step));
                return true;
            }
        }
        false
    }

    /// Runs on until nothing happens any more. Messages may come late at first, in good time in the end.
    pub fn settle(&mut self, seed: &mut Seed) {
        let (late, unruly) = (seed.below(100), 200 + seed.below(400));
        // Some node starts when the others have come to a rest, or nearly.
        let sleeper = if seed.chance(40) { Some(seed.below(self.nodes.len())) } else { None };
        let sleeper = sleeper.filter(|node| self.up[*node]);
        if let Some(node) = sleeper {
            self.up[node] = false;
            self.run(seed, late, unruly / 4);
            self.up[node] = true;
        }
        self.run(seed, late, unruly);
        for _ in 0..20_000 {
            if !self.tell(seed) && !self.tick(seed) {
                return;
            }
        }
        panic!("no rest");
    }

    pub fn run(&mut self, seed: &mut Seed, late: usize, events: usize) {
        for _ in 0..events {
            if !(seed.chance(late) && self.tick(seed) || self.tell(seed) || self.tick(seed)) {
                return;
            }
        }
    }
}
