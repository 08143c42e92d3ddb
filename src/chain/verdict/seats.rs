//! The validator set with what each of its members does.

use std::collections::BTreeSet;

use super::view::{Node, View};
use super::votes;
use crate::model::facts::{SignerFacts, SignerState, VoteSeen};

/// Every member of the set once.
pub struct Seats<'a> {
    pub all: Vec<Chair<'a>>,
}

/// One member.
pub struct Chair<'a> {
    pub address: &'a str,
    pub power: u64,
    /// Our services behind the address.
    pub owners: Vec<&'a Node<'a>>,
    pub voted: bool,
    pub standing: Standing,
    by_commit: bool,
}

/// How a member stands; with several nodes behind one address, the best of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Its node answers, and nothing is wrong with it.
    Well,
    /// It has signed in this round before and won't again.
    Refusing,
    /// Its node fetches old blocks.
    CatchingUp,
    /// Its node has no peers.
    Waiting,
    /// `/consensus_state` hangs.
    Hung,
    /// The consensus has panicked, the process lives.
    Panicked,
    /// The host gave no answer: unknown, not down.
    Silent,
    /// Its host answers and its node doesn't.
    Down,
    /// Not in the inventory.
    Foreign,
}

impl Chair<'_> {
    /// Whether its power is there to vote, by what is documented at `ChainVerdict::power_online`.
    pub fn online(&self) -> bool {
        match self.standing {
            _ if self.by_commit => self.voted,
            Standing::Well | Standing::Refusing | Standing::CatchingUp | Standing::Waiting => true,
            Standing::Hung | Standing::Panicked | Standing::Down => false,
            Standing::Silent | Standing::Foreign => self.voted,
        }
    }

    /// Whether it is online and its vote was seen.
    pub fn takes_part(&self) -> bool {
        self.online() && self.voted
    }
}

impl<'a> Seats<'a> {
    /// By the votes of the round in progress.
    pub fn of_the_round(view: &'a View<'a>) -> Self {
        let voted = votes::seen(view);
        Self::new(view, false, &voted)
    }

    /// By who signed the last block; `None` where no node told. Commits are joined, since each node keeps the signatures
    /// that reached it in time; and those of nodes that are a block behind count too, for the first to have a block may
    /// have it from a bare quorum, moments before the rest have signed.
    pub fn of_the_commit(view: &'a View<'a>) -> Option<Self> {
        let commits = || view.nodes.iter().filter_map(|node| node.rpc()?.last_commit.as_ref());
        let last = commits().map(|commit| commit.height).max()?;
        let signed = commits().filter(|commit| commit.height + 1 >= last).flat_map(|commit| &commit.signed);
        Some(Self::new(view, true, &signed.map(String::as_str).collect()))
    }

    fn new(view: &'a View<'a>, by_commit: bool, voted: &BTreeSet<&str>) -> Self {
        let mut listed = BTreeSet::new();
        let members = view.set.map(|set| set.validators.as_slice()).unwrap_or_default();
        let members = members.iter().filter(|member| listed.insert(&member.address));
        let chair = |member: &'a crate::model::facts::Validator| {
            let address = member.address.as_str();
            let owners: Vec<_> = view.nodes.iter().filter(|node| node.address == Some(address)).collect();
            let standing = owners.iter().map(|node| standing(node, view)).min().unwrap_or(Standing::Foreign);
            Chair { address, power: member.power, owners, voted: voted.contains(address), standing, by_commit }
        };
        Self { all: members.map(chair).collect() }
    }

    /// The power of those that are wanted.
    pub fn power(&self, wanted: impl Fn(&Chair<'a>) -> bool) -> u64 {
        self.all.iter().filter(|seat| wanted(seat)).fold(0, |sum, seat| sum.saturating_add(seat.power))
    }

    pub fn online(&self) -> u64 {
        self.power(Chair::online)
    }
}

fn standing(node: &Node<'_>, view: &View<'_>) -> Standing {
    let healthy = |catching_up: bool| match (catching_up, refuses(node, view)) {
        (true, _) => Standing::CatchingUp,
        (false, true) => Standing::Refusing,
        (false, false) => Standing::Well,
    };
    match (node.facts.is_ok(), node.status()) {
        (false, _) => Standing::Silent,
        (true, None) => Standing::Down,
        (true, Some(status)) => sickness(node).unwrap_or_else(|| healthy(status.catching_up)),
    }
}

/// What is wrong with a node that answers.
pub fn sickness(node: &Node<'_>) -> Option<Standing> {
    node.status()?;
    if node.panicked() {
        Some(Standing::Panicked)
    } else if node.hung() {
        Some(Standing::Hung)
    } else {
        node.without_peers().then_some(Standing::Waiting)
    }
}

/// The node is at the prevote of the height in progress, its own vote isn't there, and its signer has voted there or
/// later before; a remote signer keeps its state elsewhere, so the absent vote alone must do.
fn refuses(node: &Node<'_>, view: &View<'_>) -> bool {
    let Some(round) = node.round() else { return false };
    let top = view.rounds().first().map(|(_, round)| round.height);
    let index =
        view.set_of(round).and_then(|set| set.validators.iter().position(|one| Some(&*one.address) == node.address));
    let silent = index.is_some_and(|index| round.prevotes.votes.get(index) == Some(&VoteSeen::Missing));
    if !silent || Some(round.height) != top || round.step < PREVOTE {
        return false;
    }
    match node.facts.map(|facts| &facts.signer) {
        _ if node.remote_signer() => true,
        Ok(SignerFacts::State(state)) => *state >= SignerState { height: round.height, round: round.round, step: 2 },
        _ => false,
    }
}

/// Consensus step 4.
pub const PREVOTE: u8 = 4;
