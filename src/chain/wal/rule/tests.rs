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

#[test]
fn a_quorum_of_precommits_commits_a_block_that_a_node_still_has() {
    let precommits = all(0, VoteKind::Precommit, Some("X"));
    let mut case = case(&precommits);
    let commits = Forecast::Commits { block: "X".into(), round: 0 };
    let missing = Forecast::BlockMissing { block: "X".into(), round: 0 };
    // No log has the quorum.
    case.replayed = vec![replay(None, &precommits[..2], &[]), replay(None, &precommits[2..], &[])];
    assert_eq!(decide(&case).forecast, missing);
    case.replayed[0].messages.blocks.insert((0, "Y".into()));
    assert_eq!(decide(&case).forecast, missing);
    case.replayed[0].messages.blocks.insert((0, "X".into()));
    assert_eq!(decide(&case).forecast, commits);
    // It drops the block with the round, unless it has a lock on it.
    case.replayed[0].round = 1;
    assert_eq!(decide(&case).forecast, missing);
    case.replayed[0].validator = Some("A".into());
    case.replayed[0].messages.votes.extend(all(0, VoteKind::Prevote, Some("X")));
    assert_eq!(decide(&case).forecast, commits);
    // The log alone has the quorum, and the same holds.
    case.replayed = vec![replay(None, &precommits, &[(0, "X")])];
    assert_eq!(decide(&case).forecast, commits);
    case.replayed[0].round = 1;
    assert_eq!(decide(&case).forecast, missing);
    // A round later it has had it again.
    case.replayed[0].messages.blocks.insert((1, "X".into()));
    assert_eq!(decide(&case).forecast, commits);
}

/// The rounds in which a fork is possible.
fn forked(case: &Case) -> Vec<u32> {
    decide(case).forks.iter().map(|fork| fork.round).collect()
}

#[test]
fn a_round_that_nobody_can_leave_holds_its_block() {
    let all = case(&all(0, VoteKind::Precommit, Some("X")));
    assert_eq!(forked(&all), [0; 0]);
    let but_d = |spoken: Spoken, online: bool| {
        let mut case = all.clone();
        case.signers.insert("D".into(), spoken);
        case.online.retain(|name| name != "D" || online);
        case
    };
    let prevoted = || Spoken::Vote(vote("D", 0, VoteKind::Prevote, Some("X")));
    assert_eq!(forked(&but_d(prevoted(), false)), [0; 0], "it isn't there to precommit");
    assert_eq!(forked(&but_d(prevoted(), true)), [0], "it may precommit nil");
    assert_eq!(forked(&but_d(Spoken::Vote(vote("D", 0, VoteKind::Precommit, None)), false)), [0], "it has done so");
    assert_eq!(forked(&but_d(Spoken::Unread, false)), [0]);

    let mut beyond = but_d(Spoken::Proposal { round: 1 }, true);
    beyond.known.votes.insert(vote("D", 0, VoteKind::Precommit, Some("X")));
    assert_eq!(forked(&beyond), [0], "a signer is a round further");

    let mut left = all.clone();
    left.replayed = vec![replay(None, &[vote("A", 0, VoteKind::Precommit, Some("X"))], &[])];
    assert_eq!(forked(&left), [0; 0]);
    left.replayed[0].round = 1;
    assert_eq!(forked(&left), [0], "a node is a round further");
    left.replayed[0] = replay(None, &[vote("A", 1, VoteKind::Prevote, None)], &[]);
    assert_eq!(forked(&left), [0], "a log may lead others a round further");
}

/// Three have precommitted X, D can't be read: it takes the locks of A and of B to hold the block. A's log has its own;
/// B has said `own`, of which the last is its last vote, and its log has that and two thirds of the prevotes.
fn lock_of_b(own: &[(u32, VoteKind, Option<&str>)]) -> Case {
    let mut case = case(&all(0, VoteKind::Precommit, Some("X")));
    case.signers.insert("D".into(), Spoken::Unread);
    let prevotes = ["A", "C", "D"].map(|name| vote(name, 0, VoteKind::Prevote, Some("X")));
    let a = vote("A", 0, VoteKind::Precommit, Some("X"));
    let own: Vec<Vote> = own.iter().map(|&(round, kind, block)| vote("B", round, kind, block)).collect();
    case.replayed = vec![
        replay(Some("A"), &[&prevotes[..], &[a]].concat(), &[(0, "X")]),
        replay(Some("B"), &[&prevotes[..], &own].concat(), &[(0, "X")]),
    ];
    case.signers.extend(own.last().cloned().map(|last| ("B".into(), Spoken::Vote(last))));
    case.known.votes.extend(own);
    case
}

#[test]
fn a_lock_is_what_a_precommit_made_and_no_later_vote_contradicts() {
    use VoteKind::{Precommit, Prevote};
    let locked = (0, Precommit, Some("X"));
    let held = |own: &[_]| !forked(&lock_of_b(own)).contains(&0);
    assert!(held(&[locked]));
    assert!(held(&[(0, Prevote, None), locked]), "it had prevoted nil before it saw the proof");
    assert!(held(&[locked, (1, Prevote, Some("X"))]));
    assert!(held(&[locked, (1, Prevote, Some("X")), (1, Precommit, None)]), "without a new proof one precommits nil");
    assert!(!held(&[(0, Prevote, Some("X"))]), "a prevote doesn't lock");
    assert!(!held(&[(0, Prevote, Some("X")), (0, Precommit, None)]));
    assert!(!held(&[locked, (1, Prevote, None)]), "who has a lock prevotes its block");
    assert!(!held(&[locked, (1, Precommit, Some("Y"))]));
}

#[test]
fn a_validator_that_commits_by_its_own_log_keeps_the_block() {
    let mut case = lock_of_b(&[(0, VoteKind::Precommit, Some("X"))]);
    case.replayed[1] = replay(Some("B"), &all(0, VoteKind::Precommit, Some("X")), &[(0, "X")]);
    assert_eq!(forked(&case), [0; 0]);
    case.replayed[1].messages.blocks.clear();
    assert_eq!(forked(&case), [0]);
    case.replayed.remove(1);
    assert_eq!(forked(&case), [0], "nobody runs B");
}

#[test]
fn a_commit_is_possible_with_a_quorum_and_in_any_round_that_was_reached() {
    let mut case = case(&[vote("A", 3, VoteKind::Precommit, None)]);
    case.signers.retain(|name, _| name == "A");
    let mut powers = |powers: [u64; 4]| {
        case.set.validators.iter_mut().zip(powers).for_each(|(one, power)| one.power = power);
        forked(&case)
    };
    assert_eq!(powers([33, 33, 17, 17]), [0, 1, 2, 3, 4], "67 of 100 may have");
    assert_eq!(powers([34, 32, 17, 17]), [0, 1, 2]);
}

#[test]
fn whose_records_would_settle_it_is_told() {
    let mut case = case(&[vote("A", 0, VoteKind::Precommit, Some("X")), vote("B", 0, VoteKind::Precommit, Some("X"))]);
    case.signers.insert("C".into(), Spoken::Unread);
    let forks = decide(&case).forks;
    let unknown: Vec<_> = forks[0].unknown.iter().map(|one| one.address.as_str()).collect();
    assert_eq!((forks[0].possible, unknown), (75, vec!["C"]));
}

#[test]
fn votes_that_are_left_and_votes_to_come_add_up_to_a_quorum() {
    let prevote = vote("A", 0, VoteKind::Prevote, Some("X"));
    let mut case = case(std::slice::from_ref(&prevote));
    case.online = ["A", "B"].map(Into::into).into();
    case.replayed = vec![Replay { prevoting: true, ..replay(Some("A"), &[prevote], &[]) }];
    let powers = |case: &mut Case, powers: [u64; 4]| {
        case.set.validators.iter_mut().zip(powers).for_each(|(one, power)| one.power = power);
    };
    powers(&mut case, [34, 33, 17, 16]);
    assert_eq!(decide(&case).forecast, Forecast::Continues { round: 1 });
    let mut less = case.clone();
    powers(&mut less, [34, 32, 17, 17]);
    let Forecast::Strands(shortfall) = decide(&less).forecast else { panic!("goes on") };
    assert_eq!((shortfall.round, shortfall.kind, shortfall.have), (0, VoteKind::Prevote, 66));
    case.replayed[0].prevoting = false;
    let Forecast::Strands(shortfall) = decide(&case).forecast else { panic!("goes on") };
    assert_eq!((shortfall.round, shortfall.kind, shortfall.have), (0, VoteKind::Precommit, 33));
    assert!(shortfall.only_unprompted() && shortfall.unprompted[..] == case.set.validators[..1]);
    // Nothing prompts a signer to a precommit that it has signed already.
    case.replayed[0].prevoting = true;
    case.signers.insert("A".into(), Spoken::Vote(vote("A", 0, VoteKind::Precommit, None)));
    let Forecast::Strands(shortfall) = decide(&case).forecast else { panic!("goes on") };
    assert_eq!((shortfall.round, shortfall.kind, shortfall.have), (0, VoteKind::Precommit, 33));
    assert_eq!(shortfall.mute[..], case.set.validators[..1]);
}
