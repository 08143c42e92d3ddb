//! What the facts say about a chain as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::inventory::ServiceId;

/// The verdict on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainVerdict {
    /// The chain's name in the inventory.
    pub name: String,
    /// The chain id.
    pub chain_id: String,
    /// Whether blocks come.
    pub state: ChainState,
    /// The last height known; of stopped nodes, as far as their signers and an earlier sample tell.
    pub height: Option<u64>,
    /// Power that takes part. On an advancing chain: what signed the last commit. Else: our own validators whose
    /// node answers with a consensus that is neither panicked nor hung, whether they vote or not, and of all others
    /// (foreign, or ours behind a silent host) those whose vote was seen in the round in progress.
    pub power_online: u64,
    /// The whole set's power; 0 when no node has told it.
    pub power_total: u64,
    /// The least power that commits a block.
    pub quorum: u64,
    /// Who takes no part, greatest power first.
    pub missing: Vec<Missing>,
    /// Power that isn't in the inventory, including ours of unknown address (see `notes`).
    pub foreign_total: u64,
    /// How much of it takes part.
    pub foreign_voting: u64,
    /// What fits the facts best, for programs.
    pub cause: Cause,
    /// The same in one sentence.
    pub likely: String,
    /// What to do next, where something is known.
    pub next: Option<String>,
    /// What else is worth a line: wrong chain ids, addresses that aren't known.
    pub notes: Vec<String>,
    /// Our validators by the service's shown name (`val-1`, `val-6/other`).
    pub seats: BTreeMap<String, Seat>,
}

/// Whether blocks come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainState {
    /// They do.
    Advancing,
    /// They don't, though they should.
    Stopped {
        /// The last block's time, Unix ms, where a node could tell.
        since_ms: Option<i64>,
    },
    /// The nodes make no empty blocks, and there is nothing to do.
    Idle,
    /// It can't be told: why.
    Unknown(String),
}

/// A validator of the set that takes no part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Who.
    pub who: Member,
    /// Its power.
    pub power: u64,
    /// Why, in a few words.
    pub why: String,
}

/// A member of the validator set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Member {
    /// A service of ours; the first, where several stand behind one address.
    Ours(ServiceId),
    /// The address (upper-case hex) of power outside the inventory.
    Foreign(String),
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ours(service) => service.fmt(f),
            Self::Foreign(address) => f.write_str(address.get(..12).unwrap_or(address)),
        }
    }
}

/// One of our validators in the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Upper-case hex.
    pub address: String,
    /// Voting power.
    pub power: u64,
    /// On an advancing chain: it signed the last commit. Else: its vote was seen in the round in progress.
    pub voted: bool,
}

/// What fits the facts best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing is wrong with the chain.
    None,
    /// Two live nodes sign with one key.
    DoubleSigner,
    /// Every node of the inventory is stopped.
    AllDown,
    /// The configured halt height or time was reached.
    PlannedHalt,
    /// Applications at one height have different states.
    AppHashDivergence,
    /// Groups of nodes don't see each other, none with a quorum.
    Partition,
    /// The consensus has panicked in processes that live on.
    ConsensusPanicked,
    /// The application hangs and holds the consensus.
    AppDeadlock,
    /// Nodes have no peers.
    WaitingForPeers,
    /// Signers have signed at this height and round before and refuse to do it again.
    SignerRefusing,
    /// Too little power takes part.
    PowerShort,
    /// Enough vote, but for no one block.
    Split,
    /// No rule fits.
    Unknown,
}
