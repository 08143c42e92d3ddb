//! What a decision says, for people.

use super::{Decision, Forecast, Fork, Shortfall};
use crate::chain::wal::messages::VoteKind;
use crate::model::facts::Validator;

/// Hex digits of a hash that are shown.
const SHOWN: usize = 12;

impl Decision {
    /// What stands against it, each by its rule's name; `name` names a validator by its address.
    pub fn refusals(&self, height: u64, name: &dyn Fn(&str) -> String) -> Vec<(&'static str, String)> {
        let lacks = self.forecast.lacks(height, name).map(|text| ("wal-strands", text));
        lacks.into_iter().chain(self.forks.iter().map(|fork| ("possible-fork", fork.words(height, name)))).collect()
    }
}

impl Forecast {
    /// What the chain will do, one line.
    pub fn words(&self, height: u64) -> String {
        match self {
            Self::Commits { block, round } => {
                format!("block {height} ({}) is committed at round {round}", short(block))
            }
            Self::Continues { round } => format!("height {height} goes on in round {round}"),
            Self::BlockMissing { .. } | Self::Strands(_) => format!("height {height} stays where it is"),
        }
    }

    fn lacks(&self, height: u64, name: &dyn Fn(&str) -> String) -> Option<String> {
        match self {
            Self::Commits { .. } | Self::Continues { .. } => None,
            Self::BlockMissing { block, round } => Some(format!(
                "more than two thirds have precommitted block {} at {height}/{round}, and no log has all of its parts",
                short(block)
            )),
            Self::Strands(lack) => Some(lack.words(height, name)),
        }
    }
}

impl Shortfall {
    fn words(&self, height: u64, name: &dyn Fn(&str) -> String) -> String {
        let kind = match self.kind {
            VoteKind::Prevote => "prevote",
            VoteKind::Precommit => "precommit",
        };
        format!(
            "the messages there are don't lead out of {height}/{}: {} of {} needed {kind}s{}{}{}{}",
            self.round,
            self.have,
            self.need,
            listed("; mute", &self.mute, name),
            listed("; unknown", &self.unread, name),
            listed("; not running", &self.offline, name),
            listed("; not sure to vote", &self.unprompted, name),
        )
    }
}

impl Fork {
    fn words(&self, height: u64, name: &dyn Fn(&str) -> String) -> String {
        let block = self.block.as_deref().map_or_else(|| "a block".into(), |block| format!("block {}", short(block)));
        format!(
            "{block} may have been committed out of sight at {height}/{}, with up to {} of the power{}{}",
            self.round,
            self.possible,
            listed("; unknown of", &self.unknown, name),
            listed("; sure to be taken while these, who may still vote otherwise, are stopped:", &self.open, name),
        )
    }
}

fn short(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}

fn listed(label: &str, validators: &[Validator], name: &dyn Fn(&str) -> String) -> String {
    let names: Vec<String> = validators.iter().map(|one| format!("{} ({})", name(&one.address), one.power)).collect();
    if names.is_empty() { String::new() } else { format!("{label} {}", names.join(", ")) }
}
