//! What nodes told by their RPC.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a node's RPC answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RpcFacts {
    /// Why there is no answer.
    pub error: Option<String>,
    /// `/status`.
    pub status: Option<NodeStatus>,
    /// Number of peers, by `/net_info`.
    pub peers: Option<Vec<Peer>>,
    /// `/consensus_state`; `None` with an error below when it hangs.
    pub round: Option<RoundState>,
    /// Why `/consensus_state` gave nothing while `/status` answered.
    pub round_error: Option<String>,
    /// `/validators`, whole, in the set's order.
    pub validators: Option<ValidatorSet>,
    /// `/abci_info`.
    pub app: Option<AppInfo>,
    /// Addresses that signed the last commit the node has.
    pub last_commit: Option<Commit>,
}

/// `/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Node id.
    pub node_id: String,
    /// Chain id.
    pub chain_id: String,
    /// CometBFT's version.
    pub comet_version: String,
    /// Moniker.
    pub moniker: String,
    /// Height of the last block.
    pub height: u64,
    /// Its time, Unix ms.
    pub block_time_ms: i64,
    /// The header's app hash, upper-case hex.
    pub app_hash: String,
    /// Still catching up.
    pub catching_up: bool,
    /// The node's own consensus address, upper-case hex.
    pub address: String,
    /// Its own voting power as it sees it.
    pub voting_power: u64,
}

/// A peer by `/net_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Node id.
    pub node_id: String,
    /// Moniker.
    pub moniker: String,
}

/// `/abci_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppInfo {
    /// The application's version string.
    pub version: String,
    /// Its protocol version.
    pub app_version: u64,
    /// Height of the application.
    pub height: u64,
    /// base64.
    pub app_hash: String,
}

/// The validator set at a height, in the set's own order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorSet {
    /// At which height.
    pub height: u64,
    /// In the set's order.
    pub validators: Vec<Validator>,
}

/// What an earlier gather told of a chain, for a time when no node answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The validator set, where one was told.
    pub set: Option<ValidatorSet>,
    /// Consensus addresses by a service's display name, upper-case hex.
    pub addresses: BTreeMap<String, String>,
}

/// One validator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Upper-case hex.
    pub address: String,
    /// Voting power.
    pub power: u64,
}

/// Who signed a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Height.
    pub height: u64,
    /// Addresses that signed for the block, upper-case hex.
    pub signed: Vec<String>,
}

/// Where a node's consensus stands, by `/consensus_state`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundState {
    /// The height in progress.
    pub height: u64,
    /// The round.
    pub round: u32,
    /// 1 `NewHeight` … 8 Commit.
    pub step: u8,
    /// Prevotes of that round.
    pub prevotes: VoteTally,
    /// Precommits of that round.
    pub precommits: VoteTally,
}

/// The votes of one kind that a node has seen in one round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteTally {
    /// By index in the validator set: what was voted.
    pub votes: Vec<VoteSeen>,
    /// Power that voted, as the node sums it.
    pub power: u64,
    /// Power of the whole set.
    pub total: u64,
}

/// One validator's vote as another node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteSeen {
    /// Not seen.
    #[default]
    Missing,
    /// For no block.
    Nil,
    /// For the block whose hash starts so (upper-case hex).
    Block(String),
}
