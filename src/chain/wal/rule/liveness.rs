//! Whether the chain goes on, by round.
//!
//! Every node starts in round 0 or where its log leads it. Nodes tell a peer only the votes of the round the peer is
//! in, and of no round beyond their own, so nobody is drawn over a round: each has to be left by two thirds of any
//! precommits, which are left in a log or still to be signed.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::Bench;
use super::{Forecast, Shortfall, safety};
use crate::chain::wal::messages::{Replay, Vote, VoteKind};

/// Rounds above a node's own in which it takes votes from one peer, and so from its log (`height_vote_set.go`).
const CATCHUP_ROUNDS: usize = 2;

/// What the chain does, and the witnesses it can't do it without.
pub(super) fn forecast(bench: &Bench) -> (Forecast, Vec<String>) {
    let replayed = &bench.case.replayed;
    let mut heard = vec![true; replayed.len()];
    let forecast = Road::new(bench, &heard).end();
    if !forecast.live() {
        return (forecast, Vec::new());
    }
    for index in 0..replayed.len() {
        heard[index] = false;
        heard[index] = !Road::new(bench, &heard).end().live();
    }
    let named = replayed.iter().zip(&heard).filter(|(_, heard)| **heard).map(|(replay, _)| replay.node.clone());
    (forecast, named.collect())
}

/// The rounds that the nodes go through, with the votes that reach them.
struct Road<'a> {
    bench: &'a Bench<'a>,
    replayed: Vec<&'a Replay>,
    votes: BTreeMap<(u32, VoteKind), Vec<&'a Vote>>,
}

impl<'a> Road<'a> {
    /// Of a node that isn't `heard`, only a validator's own votes count.
    fn new(bench: &'a Bench<'a>, heard: &[bool]) -> Self {
        let each = || bench.case.replayed.iter().zip(heard);
        let replayed = each().filter(|(_, heard)| **heard).map(|(replay, _)| replay).collect();
        let own = |replay: &Replay, vote: &Vote| replay.validator.as_ref() == Some(&vote.validator);
        let votes: BTreeSet<&Vote> = each()
            .flat_map(|(replay, heard)| taken(replay).into_iter().filter(move |vote| *heard || own(replay, vote)))
            .collect();
        let mut index: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for vote in votes {
            index.entry((vote.round, vote.kind)).or_default().push(vote);
        }
        Self { bench, replayed, votes: index }
    }

    fn end(&self) -> Forecast {
        if let Some((round, block)) = self.replayed.iter().find_map(|replay| safety::committed(self.bench, replay)) {
            return Forecast::Commits { block: block.into(), round };
        }
        let mut round = self.bench.case.online.iter().map(|validator| self.stands(validator).0).min().unwrap_or(0);
        loop {
            if let Some(end) = self.commit(round) {
                return end;
            }
            if self.bench.power(|validator| self.free(validator, round)) >= self.bench.quorum {
                return Forecast::Continues { round };
            }
            if let Some(shortfall) = self.shortfall(round) {
                return Forecast::Strands(shortfall);
            }
            round += 1;
        }
    }

    /// A quorum of precommits for one block of this round.
    fn commit(&self, round: u32) -> Option<Forecast> {
        let (_, block) = self.bench.majorities(self.of(round, VoteKind::Precommit), VoteKind::Precommit).pop()?;
        let block = block?;
        let proposed = (round, block.to_string());
        let whole = self.bench.case.replayed.iter().any(|replay| {
            (replay.round == round && replay.messages.blocks.contains(&proposed))
                || safety::locks(self.bench, replay, round, block)
        });
        let block = block.to_string();
        Some(if whole { Forecast::Commits { block, round } } else { Forecast::BlockMissing { block, round } })
    }

    /// What keeps the nodes in `round`, where all of them have come to it.
    fn shortfall(&self, round: u32) -> Option<Shortfall> {
        let bench = self.bench;
        let prevote = |validator: &str| self.free(validator, round) || self.left(validator, round, VoteKind::Prevote);
        let precommit = |validator: &str| self.left(validator, round, VoteKind::Precommit);
        let prompted = |validator: &str| precommit(validator) || self.prompted(validator, round);
        if bench.power(precommit) >= bench.quorum {
            return None;
        }
        if bench.power(prevote) < bench.quorum {
            return Some(self.lack(round, VoteKind::Prevote, prevote));
        }
        (bench.power(prompted) < bench.quorum).then(|| self.lack(round, VoteKind::Precommit, prompted))
    }

    fn lack(&self, round: u32, kind: VoteKind, counted: impl Fn(&str) -> bool) -> Shortfall {
        let bench = self.bench;
        let mark = (round, kind.step());
        let missing = |wanted: &dyn Fn(&str) -> bool| bench.list(|validator| !counted(validator) && wanted(validator));
        let read = |validator: &str| bench.last(validator).is_some();
        Shortfall {
            round,
            kind,
            have: bench.power(&counted),
            need: bench.quorum,
            mute: missing(&|one| bench.online(one) && read(one) && !bench.below(one, mark)),
            unprompted: missing(&|one| bench.online(one) && bench.below(one, mark)),
            unread: missing(&|one| !read(one)),
            offline: missing(&|one| !bench.online(one) && read(one)),
        }
    }

    fn of(&self, round: u32, kind: VoteKind) -> impl Iterator<Item = &'a Vote> + '_ {
        self.votes.get(&(round, kind)).into_iter().flatten().copied()
    }

    /// Whether a log that is replayed holds this vote.
    fn left(&self, validator: &str, round: u32, kind: VoteKind) -> bool {
        self.of(round, kind).any(|vote| vote.validator == validator)
    }

    /// Whether a validator can still sign both votes of a round. Its own new prevote is sure to wake its node.
    fn free(&self, validator: &str, round: u32) -> bool {
        let bench = self.bench;
        bench.online(validator) && self.stands(validator).0 <= round && bench.below(validator, (round, 2))
    }

    /// Whether a validator is sure to sign a precommit of a round once two thirds have prevoted.
    fn prompted(&self, validator: &str, round: u32) -> bool {
        let open = self.bench.online(validator) && self.bench.below(validator, (round, 3));
        self.free(validator, round) || (open && self.stands(validator) == (round, true))
    }

    /// Round and [`Replay::prevoting`] of a validator's node; the lowest where there are several.
    fn stands(&self, validator: &str) -> (u32, bool) {
        self.bench.nodes_of(validator).map(|replay| (replay.round, replay.prevoting)).min().unwrap_or((0, false))
    }
}

/// The votes of a log that its node takes.
fn taken(replay: &Replay) -> Vec<&Vote> {
    let above: BTreeSet<u32> =
        replay.messages.votes.iter().map(|vote| vote.round).filter(|round| *round > replay.round).collect();
    let above: BTreeSet<u32> = above.into_iter().take(CATCHUP_ROUNDS).collect();
    replay.messages.votes.iter().filter(|vote| vote.round <= replay.round || above.contains(&vote.round)).collect()
}
