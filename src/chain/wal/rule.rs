//! Whether logs may be cleared, or a stranded chain revived: neither may it stay without a block for ever, nor may it
//! commit another block than one that a node out of sight has committed.
//!
//! The semantics are those of CometBFT 0.38: `consensus/state.go` for the steps, `consensus/reactor.go`
//! `gossipVotesForHeight` for what peers tell each other, `privval/file.go` `CheckHRS` for what a signer refuses.

mod bench;
mod liveness;
mod safety;
mod words;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::bench::Bench;
use crate::chain::wal::messages::{Case, VoteKind};
use crate::model::facts::Validator;

/// What the rule says: both halves, each to be overruled by its own name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Liveness: what the chain does with the messages it will have.
    pub forecast: Forecast,
    /// Nodes without whose logs the forecast would be a stranded chain, by the name in their [`Replay`]: they hold votes
    /// that the validators' own logs don't.
    ///
    /// [`Replay`]: crate::chain::wal::messages::Replay
    pub witnesses: Vec<String>,
    /// Safety: blocks that may be committed out of sight and that the chain may pass over. Empty where it is safe.
    pub forks: Vec<Fork>,
}

impl Decision {
    /// Whether neither half refuses.
    pub fn allowed(&self) -> bool {
        self.forecast.live() && self.forks.is_empty()
    }
}

/// What the chain does after the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// The messages commit this block.
    Commits {
        /// Upper-case hex of its hash.
        block: String,
        /// The round of its precommits.
        round: u32,
    },
    /// It reaches this round, in which a quorum is free to vote.
    Continues {
        /// The round.
        round: u32,
    },
    /// A quorum of precommits is left for a block of which no node has all parts: every node waits for them for ever.
    BlockMissing {
        /// Upper-case hex of its hash.
        block: String,
        /// The round of its precommits.
        round: u32,
    },
    /// It never leaves this round.
    Strands(Shortfall),
}

impl Forecast {
    /// Whether the chain goes on.
    pub fn live(&self) -> bool {
        matches!(self, Self::Commits { .. } | Self::Continues { .. })
    }
}

/// What a round lacks. The validators are those whose vote is neither left nor still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The round that can't be left.
    pub round: u32,
    /// The votes that are too few.
    pub kind: VoteKind,
    /// The power whose vote is left or can still be signed.
    pub have: u64,
    /// The quorum.
    pub need: u64,
    /// Online validators that have signed this vote or a later one; it is in no log that is replayed.
    pub mute: Vec<Validator>,
    /// Online validators that may sign this precommit, but nothing is sure to make them: every prevote of the round may
    /// have reached their node while it was in its Propose step, and a node looks at its prevotes only when one more
    /// comes in. Cured by the time-outs in their logs ([`Replay::prevoting`]).
    ///
    /// [`Replay::prevoting`]: crate::chain::wal::messages::Replay::prevoting
    pub unprompted: Vec<Validator>,
    /// Validators whose signer's state isn't known.
    pub unread: Vec<Validator>,
    /// Validators that aren't online.
    pub offline: Vec<Validator>,
}

impl Shortfall {
    /// Whether it is only the order of arrival that may strand the chain, and no vote is lost.
    pub fn only_unprompted(&self) -> bool {
        let free = self.unprompted.iter().map(|one| u128::from(one.power)).sum::<u128>();
        u128::from(self.have) + free >= u128::from(self.need)
    }
}

/// A block that may be committed out of sight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The round of its precommits.
    pub round: u32,
    /// Upper-case hex of its hash; `None` where no message tells which block it would be.
    pub block: Option<String>,
    /// The power that may have precommitted it.
    pub possible: u64,
    /// The power that nothing would hold back from another block.
    pub free: u64,
    /// Of those who may have precommitted it, the ones nobody knows it of: their records would settle it.
    pub unknown: Vec<Validator>,
    /// Online validators that may still precommit otherwise; without them the round can't but commit it. Empty where that
    /// wouldn't do.
    pub open: Vec<Validator>,
}

/// Decides on a case. Both halves are computed, whatever the other says.
pub fn decide(case: &Case) -> Decision {
    let bench = Bench::new(case);
    let (forecast, witnesses) = liveness::forecast(&bench);
    Decision { forecast, witnesses, forks: safety::forks(&bench) }
}
