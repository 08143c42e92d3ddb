//! What the lab has shown, and what must be refused whatever it has shown.

use std::collections::BTreeSet;
use std::rc::Rc;

use fleet::chain::wal::messages::{Case, VoteKind};
use fleet::chain::wal::rule::{Decision, Forecast, decide};

use crate::history::{self, Clearing, Scene, address, name, union};
use crate::net::Net;
use crate::node::{Block, Chain, Node, Record, Signed, Vote};
use crate::{End, end};

const LAB: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

/// Validators and a sentry that have exchanged these votes of round 0, with the proposal of block 1.
fn net(chain: &Rc<Chain>, votes: &[(usize, u8, u32, Option<Block>)]) -> Net {
    let seats = chain.powers.len();
    let mut net = Net::new((0..seats).map(Some).chain([None]).map(|seat| Node::new(chain, seat)).collect());
    for node in &mut net.nodes {
        node.log = vec![Record::Proposal { round: 0, block: 1, proof: None }, Record::Parts(1)];
    }
    for &(who, step, round, block) in votes {
        let vote = Vote { round, step, block, who };
        net.nodes[who].signed = Signed::Vote(vote);
        net.nodes.iter_mut().for_each(|node| node.log.push(Record::Vote(vote)));
    }
    net
}

fn judged(chain: &Chain, before: &Net, after: Net, unread: &[usize], committed: Option<Block>) -> (Decision, Vec<End>) {
    let unread = unread.iter().copied().collect::<BTreeSet<_>>();
    let case: Case = history::case(chain, &before.nodes, &after, &unread);
    let decision = decide(&case);
    let scene = Scene { net: after, case, committed };
    (decision, (0..40).map(|order| end(&scene, order)).collect())
}

fn cleared(net: &Net, way: Clearing) -> Net {
    let mut net = net.clone();
    net.nodes.iter_mut().for_each(|node| history::apply(node, way));
    net
}

fn prevotes(of: impl Fn(usize) -> Option<Block>) -> Vec<(usize, u8, u32, Option<Block>)> {
    (0..7).map(|who| (who, 2, 0, of(who))).collect()
}

#[test]
fn a_third_down_and_all_cleared_outright_strands() {
    let chain = Chain::new(LAB.into());
    let before = net(
        &chain,
        &[(0, 2, 0, Some(1)), (3, 2, 0, Some(1)), (4, 2, 0, Some(1)), (5, 2, 0, Some(1)), (6, 2, 0, Some(1))],
    );
    let (decision, ends) = judged(&chain, &before, cleared(&before, Clearing::Outright), &[], None);
    let Forecast::Strands(shortfall) = decision.forecast else { panic!("{decision:?}") };
    assert_eq!((shortfall.round, shortfall.kind, shortfall.have, shortfall.need), (0, VoteKind::Prevote, 35, 67));
    assert_eq!(shortfall.mute.iter().map(|one| one.power).sum::<u64>(), 65);
    assert!(decision.forks.is_empty() && ends.iter().all(|end| *end == End::Strands), "{ends:?}");
}

#[test]
fn the_own_vote_with_its_time_outs_is_enough_and_without_them_it_hangs_on_the_order() {
    let chain = Chain::new(LAB.into());
    let before = net(&chain, &prevotes(|who| if who < 3 { Some(1) } else { None }));
    let (decision, ends) = judged(&chain, &before, cleared(&before, Clearing::Timed), &[], None);
    assert_eq!(decision.forecast, Forecast::Continues { round: 1 });
    assert!(
        decision.allowed() && decision.witnesses.is_empty() && ends.iter().all(|end| *end == End::Goes),
        "{ends:?}"
    );

    let (decision, ends) = judged(&chain, &before, cleared(&before, Clearing::LastVote), &[], None);
    let Forecast::Strands(shortfall) = decision.forecast else { panic!("{decision:?}") };
    assert!(shortfall.only_unprompted() && shortfall.mute.is_empty());
    assert_eq!(shortfall.unprompted.len(), 7);
    assert!(ends.contains(&End::Strands) && ends.contains(&End::Goes), "{ends:?}");
}

#[test]
fn seven_signers_that_have_precommitted_go_on_with_a_witness() {
    let chain = Chain::new(LAB.into());
    let mut votes = prevotes(|_| Some(1));
    votes.extend((0..7).map(|who| (who, 3, 0, if who < 3 { Some(1) } else { None })));
    let before = net(&chain, &votes);
    let mut after = cleared(&before, Clearing::Outright);
    let stranded = judged(&chain, &before, after.clone(), &[], None);
    assert!(!stranded.0.allowed() && stranded.1.iter().all(|end| *end == End::Strands));
    (after.nodes[7].log, after.nodes[7].replayable) = (union(&before), true);
    after.nodes[7].restart();
    let (decision, ends) = judged(&chain, &before, after, &[], None);
    assert!(decision.allowed() && ends.iter().all(|end| *end == End::Goes), "{decision:?} {ends:?}");
    assert_eq!((decision.forecast, decision.witnesses), (Forecast::Continues { round: 1 }, vec!["h7".to_string()]));
}

#[test]
fn a_block_that_all_have_precommitted_is_taken_up() {
    let chain = Chain::new(LAB.into());
    let mut votes = prevotes(|_| Some(1));
    votes.extend((0..7).map(|who| (who, 3, 0, Some(1))));
    let before = net(&chain, &votes);
    let mut after = cleared(&before, Clearing::Timed);
    let (decision, _) = judged(&chain, &before, after.clone(), &[], None);
    assert_eq!(decision.forecast, Forecast::BlockMissing { block: name(1), round: 0 });
    (after.nodes[7].log, after.nodes[7].replayable) = (union(&before), true);
    after.nodes[7].restart();
    let (decision, ends) = judged(&chain, &before, after, &[], None);
    assert_eq!(decision.forecast, Forecast::Commits { block: name(1), round: 0 });
    assert!(decision.allowed() && ends.iter().all(|end| *end == End::Goes), "{decision:?} {ends:?}");
}

#[test]
fn a_block_that_its_only_holder_has_dropped_with_its_round_is_missing() {
    let chain = Chain::new(vec![25; 4]);
    let before = net(&chain, &[(0, 3, 1, Some(1)), (1, 3, 1, Some(1)), (2, 3, 1, Some(1)), (3, 3, 1, Some(1))]);
    let mut after = cleared(&before, Clearing::Timed);
    after.nodes[4] = before.nodes[4].clone();
    after.nodes[4].restart();
    let (decision, ends) = judged(&chain, &before, after.clone(), &[], None);
    assert_eq!(decision.forecast, Forecast::BlockMissing { block: name(1), round: 1 });
    assert!(ends.iter().all(|end| *end == End::Strands), "{ends:?}");
    // Read once more behind the votes, it is there in their round.
    after.nodes[4].log = union(&before);
    after.nodes[4].restart();
    let (decision, ends) = judged(&chain, &before, after, &[], None);
    assert_eq!(decision.forecast, Forecast::Commits { block: name(1), round: 1 });
    assert!(ends.iter().all(|end| *end == End::Goes), "{ends:?}");
}

#[test]
fn a_block_committed_out_of_sight_is_refused_as_a_possible_fork() {
    let chain = Chain::new(vec![25; 4]);
    let mut before = net(&chain, &[(0, 3, 1, None), (1, 3, 1, None), (2, 3, 1, None)]);
    before.nodes.iter_mut().for_each(|node| (node.log, node.replayable) = (Vec::new(), false));
    before.nodes[3].committed = Some((0, 1));
    let mut after = cleared(&before, Clearing::Timed);
    after.up[3] = false;
    let (decision, ends) = judged(&chain, &before, after, &[3], Some(1));
    let [fork] = &decision.forks[..] else { panic!("{decision:?}") };
    assert_eq!((fork.round, &fork.block, fork.possible, fork.free), (0, &None, 100, 100));
    assert!(decision.forecast.live() && ends.contains(&End::Forks), "{decision:?} {ends:?}");
    assert_eq!(fork.unknown[3].address, address(3));
}

#[test]
fn votes_spread_over_rounds_strand_a_chain_that_has_lost_none_of_them() {
    let chain = Chain::new(vec![25; 4]);
    let before = net(&chain, &[(0, 3, 0, None), (1, 3, 1, None), (2, 3, 2, None), (3, 3, 3, None)]);
    let (decision, ends) = judged(&chain, &before, cleared(&before, Clearing::LastVote), &[], None);
    let Forecast::Strands(shortfall) = decision.forecast else { panic!("{decision:?}") };
    assert_eq!((shortfall.round, shortfall.kind, shortfall.have), (0, VoteKind::Prevote, 0));
    assert!(ends.iter().all(|end| *end == End::Strands), "{ends:?}");
}
