//! The validators of a case and their power.

use std::collections::BTreeMap;

use crate::chain::quorum;
use crate::chain::wal::messages::{Case, Replay, Spoken, Vote, VoteKind};
use crate::model::facts::Validator;

/// Round and step of a signature, in the signer's own order; `(0, 0)` is before all of them.
pub(super) type Mark = (u32, u8);

impl VoteKind {
    /// The step under which a signer records it.
    pub(super) fn step(self) -> u8 {
        match self {
            Self::Prevote => 2,
            Self::Precommit => 3,
        }
    }
}

/// A case with its quorum.
pub(super) struct Bench<'a> {
    pub case: &'a Case,
    pub quorum: u64,
}

impl<'a> Bench<'a> {
    pub fn new(case: &'a Case) -> Self {
        let quorum = quorum::quorum(quorum::total(&case.set));
        Self { case, quorum }
    }

    pub fn power(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        quorum::power_of(&self.case.set, wanted)
    }

    pub fn list(&self, wanted: impl Fn(&str) -> bool) -> Vec<Validator> {
        self.case.set.validators.iter().filter(|one| wanted(&one.address)).cloned().collect()
    }

    pub fn spoken(&self, validator: &str) -> &Spoken {
        self.case.signers.get(validator).unwrap_or(&Spoken::Unread)
    }

    /// What a signer has signed last; `None` where that isn't known.
    pub fn last(&self, validator: &str) -> Option<Mark> {
        match self.spoken(validator) {
            Spoken::Unread => None,
            Spoken::Nothing => Some((0, 0)),
            Spoken::Proposal { round } => Some((*round, 1)),
            Spoken::Vote(vote) => Some((vote.round, vote.kind.step())),
        }
    }

    /// Whether a signer is known not to have signed `mark` or anything after it.
    pub fn below(&self, validator: &str, mark: Mark) -> bool {
        self.last(validator).is_some_and(|last| last < mark)
    }

    pub fn online(&self, validator: &str) -> bool {
        self.case.online.contains(validator)
    }

    /// Every vote that is known, the signers' last ones among them.
    pub fn known(&self) -> impl Iterator<Item = &Vote> {
        let last = self.case.signers.values().filter_map(|spoken| match spoken {
            Spoken::Vote(vote) => Some(vote),
            _ => None,
        });
        self.case.known.votes.iter().chain(last)
    }

    /// The nodes that run a validator's signer.
    pub fn nodes_of<'b>(&'b self, validator: &'b str) -> impl Iterator<Item = &'a Replay> + 'b {
        self.case.replayed.iter().filter(move |replay| replay.validator.as_deref() == Some(validator))
    }

    /// Blocks with a quorum of votes of a kind among `votes`, by round; `None` is nil.
    pub fn majorities<'v>(
        &self,
        votes: impl IntoIterator<Item = &'v Vote>,
        kind: VoteKind,
    ) -> Vec<(u32, Option<&'v str>)> {
        let mut tally: BTreeMap<(u32, Option<&str>), Vec<&str>> = BTreeMap::new();
        for vote in votes.into_iter().filter(|vote| vote.kind == kind) {
            tally.entry((vote.round, vote.block.as_deref())).or_default().push(&vote.validator);
        }
        let enough = |who: &[&str]| self.power(|validator| who.contains(&validator)) >= self.quorum;
        tally.into_iter().filter(|(_, who)| enough(who)).map(|(what, _)| what).collect()
    }
}
