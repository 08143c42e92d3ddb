//! The votes of the round in progress, joined over all nodes that tell.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Node, View};
use crate::model::facts::{RoundState, VoteSeen, VoteTally};

/// Addresses whose vote, for whatever, some node has seen in the round it is in.
pub fn seen<'a>(view: &'a View<'a>) -> BTreeSet<&'a str> {
    view.rounds().into_iter().flat_map(|(_, round)| seen_in(view, round)).collect()
}

/// Addresses whose vote one node has seen.
pub fn seen_in<'a>(view: &'a View<'a>, round: &'a RoundState) -> BTreeSet<&'a str> {
    let Some(set) = view.set_of(round) else { return BTreeSet::new() };
    let voted = |index: usize| [&round.prevotes, &round.precommits].iter().any(|tally| has(tally, index));
    let members = set.validators.iter().enumerate();
    members.filter(|(index, _)| voted(*index)).map(|(_, member)| member.address.as_str()).collect()
}

/// Prevotes of the last round in progress by what they are for (`nil` or the start of a hash), with their power.
pub fn prevotes(view: &View<'_>) -> BTreeMap<String, u64> {
    let rounds = view.rounds();
    let last = rounds.iter().map(|(_, round)| round.round).max();
    let mut choice: BTreeMap<&str, (String, u64)> = BTreeMap::new();
    for (_, round) in rounds.iter().filter(|(_, round)| Some(round.round) == last) {
        let members = view.set_of(round).map(|set| set.validators.as_slice()).unwrap_or_default();
        for (member, vote) in members.iter().zip(&round.prevotes.votes) {
            let what = match vote {
                VoteSeen::Missing => continue,
                VoteSeen::Nil => "nil".to_string(),
                VoteSeen::Block(hash) => hash.clone(),
            };
            choice.insert(&member.address, (what, member.power));
        }
    }
    let mut sums = BTreeMap::new();
    for (what, power) in choice.into_values() {
        let sum: &mut u64 = sums.entry(what).or_default();
        *sum = sum.saturating_add(power);
    }
    sums
}

/// Groups of our answering nodes that are connected, through each other or through peers they share. `None` when
/// some node's peers aren't known, since it may join any two.
pub fn islands<'a>(view: &'a View<'a>) -> Option<Vec<Vec<&'a Node<'a>>>> {
    let mut islands: Vec<(BTreeSet<&str>, Vec<&Node<'_>>)> = Vec::new();
    for (node, status) in view.answering() {
        let mut reach: BTreeSet<&str> = node.rpc()?.peers.as_ref()?.iter().map(|peer| peer.node_id.as_str()).collect();
        reach.insert(&status.node_id);
        let mut nodes = Vec::new();
        let (joined, apart): (Vec<_>, Vec<_>) = islands.into_iter().partition(|(other, _)| !other.is_disjoint(&reach));
        for (other, members) in joined {
            reach.extend(other);
            nodes.extend(members);
        }
        nodes.push(node);
        islands = apart;
        islands.push((reach, nodes));
    }
    Some(islands.into_iter().map(|(_, nodes)| nodes).collect())
}

fn has(tally: &VoteTally, index: usize) -> bool {
    tally.votes.get(index).is_some_and(|vote| *vote != VoteSeen::Missing)
}
