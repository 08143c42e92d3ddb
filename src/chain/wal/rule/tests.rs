//! The edges of the rule. `tests/wal` holds it against a model of the consensus.

use super::*;
use crate::chain::wal::messages::{Replay, Spoken, Vote};
use crate::model::facts::ValidatorSet;

const NAMES: [&str; 4] = ["A", "B", "C", "D"];

fn vote(validator: &str, round: u32, kind: VoteKind, block: Option<&str>) -> Vote {
    Vote { round, kind, block: block.map(Into::into), validator: validator.into() }
}

/// Four equal validators, all online, of which some have spoken; nothing is replayed.
fn case(last: &[Vote]) -> Case {
    let mut case = Case { records_lost: true, ..Case::default() };
    let validators = NAMES.map(|name| Validator { address: name.into(), power: 25 });
    case.set = ValidatorSet { height: 7, validators: validators.into() };
    case.online = NAMES.map(Into::into).into();
    case.signers = NAMES.map(|name| (name.into(), Spoken::Nothing)).into();
    case.signers.extend(last.iter().map(|vote| (vote.validator.clone(), Spoken::Vote(vote.clone()))));
    case
}

fn replay(validator: Option<&str>, votes: &[Vote], blocks: &[(u32, &str)]) -> Replay {
    let mut replay = Replay { node: "n".into(), validator: validator.map(Into::into), ..Replay::default() };
    replay.messages.votes = votes.iter().cloned().collect();
    replay.messages.blocks = blocks.iter().map(|&(round, block)| (round, block.into())).collect();
    replay
}

fn all(round: u32, kind: VoteKind, block: Option<&str>) -> Vec<Vote> {
    NAMES.map(|name| vote(name, round, kind, block)).into()
}

#[test]
fn a_quorum_that_has_not_spoken_goes_on_and_less_does_not() {
    let spoken = vote("A", 0, VoteKind::Prevote, None);
    let decision = decide(&case(std::slice::from_ref(&spoken)));
    assert!(decision.allowed());
    assert_eq!(decision.forecast, Forecast::Continues { round: 0 });
    let Forecast::Strands(shortfall) = decide(&case(&[spoken, vote("B", 0, VoteKind::Precommit, None)])).forecast
    else {
        panic!("goes on")
    };
    assert_eq!((shortfall.have, shortfall.need, shortfall.mute.len()), (50, 67, 2));
    assert!(!shortfall.only_unprompted());
}

#[test]
fn unread_and_offline_validators_are_told_apart() {
    let mut case = case(&[vote("A", 2, VoteKind::Prevote, None)]);
    case.signers.remove("B");
    case.online.remove("C");
    let Forecast::Strands(shortfall) = decide(&case).forecast else { panic!("goes on") };
    let names = |of: &[Validator]| of.iter().map(|one| one.address.clone()).collect::<String>();
    assert_eq!((&*names(&shortfall.mute), &*names(&shortfall.unread), &*names(&shortfall.offline)), ("A", "B", "C"));
}

#[test]
fn a_quorum_of_unread_signers_may_have_committed_at_any_round() {
    let mut case = case(&[vote("A", 0, VoteKind::Precommit, None)]);
    case.signers.retain(|name, _| name == "A");
    let forks = decide(&case).forks;
    assert_eq!(forks.iter().map(|fork| (fork.round, fork.possible)).collect::<Vec<_>>(), [(0, 75), (1, 75)]);
    case.signers.insert("D".into(), Spoken::Proposal { round: 0 });
    assert_eq!(decide(&case).forks, []);
}

#[test]
fn prevotes_known_of_a_round_rule_a_commit_out() {
    let mut case = case(&all(1, VoteKind::Precommit, None));
    assert_eq!(decide(&case).forks.iter().map(|fork| (fork.round, fork.possible)).collect::<Vec<_>>(), [(0, 100)]);
    case.known.votes.extend([vote("A", 0, VoteKind::Prevote, None), vote("B", 0, VoteKind::Prevote, None)]);
    assert_eq!(decide(&case).forks, []);
}

#[test]
fn only_whole_logs_make_lost_locks_harmless() {
    let mut case = case(&all(0, VoteKind::Precommit, Some("X")));
    case.signers.insert("D".into(), Spoken::Unread);
    let forks = decide(&case).forks;
    assert_eq!((forks[0].round, forks[0].block.as_deref(), forks[0].possible, forks[0].free), (0, Some("X"), 100, 100));
    assert_eq!(forks[0].unknown.len(), 1);
    case.records_lost = false;
    assert_eq!(decide(&case).forks, []);
}

#[test]
fn locks_in_the_own_logs_hold_the_block() {
    let prevotes = all(0, VoteKind::Prevote, Some("X"));
    let mut case = case(&all(0, VoteKind::Precommit, Some("X")));
    case.signers.insert("D".into(), Spoken::Unread);
    let log = |name: &str| {
        let own = vote(name, 0, VoteKind::Precommit, Some("X"));
        replay(Some(name), &[&prevotes[..], &[own]].concat(), &[(0, "X")])
    };
    case.replayed = vec![log("A")];
    assert!(!decide(&case).forks.is_empty(), "one lock leaves a quorum free");
    case.replayed.push(log("B"));
    assert_eq!(decide(&case).forks, []);
    case.replayed[1].messages.blocks.clear();
    assert!(!decide(&case).forks.is_empty(), "no lock without the block");
    case.replayed[1] = log("B");
    let last = vote("B", 1, VoteKind::Precommit, None);
    let mut later = case.clone();
    later.signers.insert("B".into(), Spoken::Vote(last));
    assert!(!decide(&later).forks.is_empty(), "the log ends before its signer's last vote");
    case.known.votes.insert(vote("B", 1, VoteKind::Prevote, Some("Y")));
    assert!(!decide(&case).forks.is_empty(), "it has voted for another block since");
}

#[test]
fn locks_hold_only_when_less_than_a_quorum_is_free() {
    let prevotes = all(0, VoteKind::Prevote, Some("X"));
    let mut case = case(&all(0, VoteKind::Precommit, Some("X")));
    case.signers.insert("D".into(), Spoken::Unread);
    let own = vote("A", 0, VoteKind::Precommit, Some("X"));
    case.replayed = vec![replay(Some("A"), &[&prevotes[..], &[own]].concat(), &[(0, "X")])];
    let mut free = |powers: [u64; 4]| {
        case.set.validators.iter_mut().zip(powers).for_each(|(one, power)| one.power = power);
        decide(&case).forks.iter().map(|fork| fork.free).collect::<Vec<_>>()
    };
    assert_eq!(free([33, 33, 17, 17]), [67], "just a quorum is free");
    assert_eq!(free([34, 32, 17, 17]), [0; 0]);
}

#[test]
fn a_lock_of_a_round_that_the_node_does_not_reach_holds_nothing() {
    let mut case = case(&all(1, VoteKind::Precommit, Some("X")));
    case.signers.insert("D".into(), Spoken::Unread);
    let prevotes = all(1, VoteKind::Prevote, Some("X"));
    case.replayed = ["A", "B"]
        .map(|name| {
            let own = vote(name, 1, VoteKind::Precommit, Some("X"));
            replay(Some(name), &[&prevotes[..], &[own]].concat(), &[(1, "X")])
        })
        .into();
    let at_one = |case: &Case| decide(case).forks.iter().any(|fork| fork.round == 1);
    assert!(at_one(&case));
    case.replayed.iter_mut().for_each(|replay| replay.round = 1);
    assert!(!at_one(&case));
}

#[test]
fn a_node_takes_two_rounds_above_its_own_from_its_log() {
    let votes: Vec<Vote> = (0..4).map(|round| vote("A", round, VoteKind::Precommit, None)).collect();
    let others = (0..4).flat_map(|round| ["B", "C"].map(|name| vote(name, round, VoteKind::Precommit, None)));
    let union: Vec<Vote> = votes.iter().cloned().chain(others).collect();
    let mut case = case(&["A", "B", "C", "D"].map(|name| vote(name, 3, VoteKind::Precommit, None)));
    case.replayed = vec![replay(None, &union, &[])];
    let Forecast::Strands(shortfall) = decide(&case).forecast else { panic!("goes on") };
    assert_eq!(shortfall.round, 3);
    case.replayed[0].round = 1;
    let decision = decide(&case);
    assert_eq!((decision.forecast, decision.witnesses), (Forecast::Continues { round: 4 }, vec!["n".to_string()]));
}
