//! What the write-ahead logs of a chain tell, for the operator.

use serde::{Deserialize, Serialize};

use crate::model::inventory::ServiceId;

/// The logs of a chain's nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalReport {
    /// Its chain id.
    pub chain_id: String,
    /// The height in progress; `None` where neither a log, nor a signer, nor RPC tells.
    pub height: Option<u64>,
    /// Every log, in the order of hosts.
    pub logs: Vec<WalRow>,
    /// Validators that have signed for the height in progress, by their service's or else their own address's name.
    pub spoken: Vec<String>,
    /// Those of them whose last vote is in no log that would be replayed if all nodes were started now: they could not
    /// vote in its round again.
    pub mute: Vec<String>,
    /// Validators whose last vote isn't known: their host is silent, their signer's state can't be read, or they aren't
    /// in the inventory.
    pub unknown: Vec<String>,
    /// What could not be told, and why.
    pub notes: Vec<String>,
}

impl WalReport {
    /// What `again`, a second look, leaves of this one. A signer's state and its log are read one after the other, so on a
    /// chain that advances somebody always seems mute; who is, is so in both, and at one height.
    #[must_use]
    pub fn looked_at_again(&self, mut again: Self) -> Self {
        if let (Some(before), Some(now)) = (self.height, again.height)
            && before != now
        {
            again.mute.clear();
            again.notes.push(format!("blocks come: height {before} was in progress, then {now}"));
        }
        again.mute.retain(|name| self.mute.contains(name));
        again
    }
}

/// One log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalRow {
    /// Whose.
    pub service: Option<ServiceId>,
    /// `live`, `corrupted`, or `aside` and the run that set it aside; empty where there is none.
    pub kind: String,
    /// The path of its head.
    pub path: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// The last height that ended in it.
    pub last_end_height: Option<u64>,
    /// The furthest point noted in it: height, round and step.
    pub furthest: Option<(u64, u32, u8)>,
    /// Whether it holds what its node's signer has signed last; `None` where that is nothing, or isn't known.
    pub own_vote: Option<bool>,
    /// What its node would replay of it, in a few words.
    pub replayed: String,
    /// Where and why reading ended, or why there is nothing to read.
    pub flaw: Option<String>,
}

/// What a revival would give a stranded chain, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevivalReport {
    /// The height in progress.
    pub height: u64,
    /// The node that would hand out the messages.
    pub on: ServiceId,
    /// Votes whose signature is proven, each once.
    pub votes: usize,
    /// Blocks that are whole.
    pub blocks: usize,
    /// What the chain will do with them, one line.
    pub forecast: String,
    /// Whether that is to go on.
    pub goes_on: bool,
    /// What was left out, and why, one line each.
    pub left_out: Vec<String>,
    /// Validators that have signed for two blocks in one round, one line each.
    pub conflicts: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(height: u64, mute: &[&str]) -> WalReport {
        WalReport {
            chain_id: "c-1".into(),
            height: Some(height),
            logs: Vec::new(),
            spoken: Vec::new(),
            mute: mute.iter().map(|&name| name.into()).collect(),
            unknown: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn mute_is_who_is_so_in_both_looks() {
        let left = report(9, &["a", "b"]).looked_at_again(report(9, &["b", "c"]));
        assert_eq!((left.mute, left.notes), (vec!["b".to_owned()], Vec::new()));
    }

    #[test]
    fn nobody_is_mute_where_blocks_come() {
        let left = report(9, &["a"]).looked_at_again(report(10, &["a"]));
        assert!(left.mute.is_empty() && left.notes[0].contains("height 9 was in progress, then 10"), "{left:?}");
    }
}
