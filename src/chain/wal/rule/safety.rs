//! Whether a block that a node out of sight may have committed could be passed over.
//!
//! A block is committed at a round by a quorum of precommits, and each of these rests on a quorum of prevotes of that
//! round. Which of them may exist is told by the signers' states, which never go back, and by the messages that are
//! known. What keeps the chain on such a block is the locks that the validators' own logs give back, and nothing else:
//! a commit or a proof of prevotes on one node may come too late for those who have no lock.

use std::collections::BTreeSet;

use super::Fork;
use super::bench::Bench;
use crate::chain::wal::messages::{Replay, Spoken, Vote, VoteKind};
use crate::model::facts::Validator;

/// The blocks that may be committed and passed over.
pub(super) fn forks(bench: &Bench) -> Vec<Fork> {
    if !bench.case.records_lost {
        return Vec::new();
    }
    let possible = (0..=last_round(bench)).flat_map(|round| possible(bench, round));
    possible.filter(|fork| !taken_up(bench, fork)).collect()
}

/// One above the last round of which anything is known: above it all rounds are alike.
fn last_round(bench: &Bench) -> u32 {
    let signed = bench.case.set.validators.iter().filter_map(|one| bench.last(&one.address)).map(|(round, _)| round);
    let voted = bench.known().map(|vote| vote.round);
    signed.chain(voted).max().map_or(0, |round| round.saturating_add(1))
}

/// Blocks that may have a quorum of precommits at `round`. The one without a hash stands for any that isn't named.
fn possible(bench: &Bench, round: u32) -> Vec<Fork> {
    let named: BTreeSet<&str> =
        bench.known().filter(|vote| vote.round == round).filter_map(|vote| vote.block.as_deref()).collect();
    let candidates = named.into_iter().map(Some).chain([None]);
    candidates.filter_map(|block| candidate(bench, round, block)).collect()
}

fn candidate(bench: &Bench, round: u32, block: Option<&str>) -> Option<Fork> {
    let may = |kind| bench.power(|validator| may_have_voted(bench, validator, round, kind, block));
    let possible = may(VoteKind::Precommit);
    if possible.min(may(VoteKind::Prevote)) < bench.quorum {
        return None;
    }
    let free = bench.power(|validator| block.is_none_or(|block| !held(bench, validator, round, block)));
    let unknown = bench.list(|validator| {
        may_have_voted(bench, validator, round, VoteKind::Precommit, block)
            && known(bench, validator, round, VoteKind::Precommit).next().is_none()
    });
    Some(Fork { round, block: block.map(Into::into), possible, free, unknown, open: open(bench, round, block) })
}

fn may_have_voted(bench: &Bench, validator: &str, round: u32, kind: VoteKind, block: Option<&str>) -> bool {
    let mut known = known(bench, validator, round, kind).peekable();
    match known.peek() {
        Some(_) => block.is_some() && known.any(|vote| vote.block.as_deref() == block),
        None => !bench.below(validator, (round, kind.step())),
    }
}

/// The votes of one kind known of a validator.
fn known<'a>(bench: &'a Bench, validator: &'a str, round: u32, kind: VoteKind) -> impl Iterator<Item = &'a Vote> {
    bench.known().filter(move |vote| vote.validator == validator && vote.round == round && vote.kind == kind)
}

/// Whether the chain can't but take this block.
fn taken_up(bench: &Bench, fork: &Fork) -> bool {
    let Some(block) = fork.block.as_deref() else { return false };
    fork.free < bench.quorum || shut(bench, fork.round, block, |validator| !bench.online(validator))
}

/// Who would have to be stopped for the round to be shut.
fn open(bench: &Bench, round: u32, block: Option<&str>) -> Vec<Validator> {
    let commits =
        |block: &str| bench.case.replayed.iter().any(|replay| committed(bench, replay) == Some((round, block)));
    match block.filter(|block| commits(block) && shut(bench, round, block, |_| true)) {
        Some(_) => bench.list(|validator| bench.online(validator) && bench.below(validator, (round, 3))),
        None => Vec::new(),
    }
}

/// Whether nothing can leave the round without committing its block: all precommits that may turn up there are for it,
/// and nothing stands beyond it. Those who haven't spoken there must be `stopped`.
fn shut(bench: &Bench, round: u32, block: &str, stopped: impl Fn(&str) -> bool) -> bool {
    let beyond = |replay: &Replay| replay.round > round || replay.messages.votes.iter().any(|vote| vote.round > round);
    let signed_beyond = |validator: &str| bench.last(validator).is_some_and(|last| last > (round, 3));
    let away = |validator: &str| stopped(validator) && bench.below(validator, (round, 3));
    let precommitted = |validator: &str| {
        known(bench, validator, round, VoteKind::Precommit).any(|vote| vote.block.as_deref() == Some(block))
    };
    let seats = &bench.case.set.validators;
    !bench.case.replayed.iter().any(beyond)
        && seats.iter().all(|one| !signed_beyond(&one.address) && (precommitted(&one.address) || away(&one.address)))
}

/// Whether every node that runs a validator's signer stays on the block that `round` may have committed.
fn held(bench: &Bench, validator: &str, round: u32, block: &str) -> bool {
    let mut nodes = bench.nodes_of(validator).peekable();
    let stays = |replay: &Replay| {
        committed(bench, replay).is_some_and(|(_, committed)| committed == block) || locks(bench, replay, round, block)
    };
    nodes.peek().is_some() && nodes.all(stays)
}

/// The block that a node commits by its own log alone, with the round.
pub(super) fn committed<'a>(bench: &Bench, replay: &'a Replay) -> Option<(u32, &'a str)> {
    let majorities = bench.majorities(&replay.messages.votes, VoteKind::Precommit);
    // A block of an earlier round was dropped with it.
    let whole = |block: &&str| replay.messages.blocks.contains(&(replay.round, (*block).to_string()));
    majorities.into_iter().find_map(|(round, block)| Some((round, block.filter(whole)?)))
}

/// Whether a validator's own log gives it back a lock on `block`, from `round` or later, that nothing has opened.
pub(super) fn locks(bench: &Bench, replay: &Replay, round: u32, block: &str) -> bool {
    let Some(validator) = replay.validator.as_deref() else { return false };
    let proofs = bench.majorities(&replay.messages.votes, VoteKind::Prevote);
    // The last proof decides: a later one for anything else opens the lock.
    let Some(&(locked, Some(proven))) = proofs.last() else { return false };
    let own = |vote: &&Vote| vote.validator == validator;
    let precommitted =
        replay.messages.votes.iter().filter(own).any(|vote| {
            vote.round == locked && vote.kind == VoteKind::Precommit && vote.block.as_deref() == Some(block)
        });
    let whole = replay.messages.blocks.contains(&(locked, block.to_string()));
    let to_the_end = matches!(bench.spoken(validator), Spoken::Vote(last) if replay.messages.votes.contains(last));
    // A signer that had lost its lock once may have voted for another block since.
    let faithful = bench.known().filter(own).all(|vote| {
        vote.round <= locked
            || vote.block.as_deref() == Some(block)
            || (vote.block.is_none() && vote.kind == VoteKind::Precommit)
    });
    proven == block && locked >= round && replay.round >= locked && precommitted && whole && to_the_end && faithful
}
