//! The shapes of CometBFT's JSON. Go leaves out or nulls what is empty, so nearly everything has a default.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::model::facts::Validator;

/// An integer that JSON carries as a number or as a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Text(String),
        }
        match Raw::deserialize(deserializer).map_err(|_| D::Error::custom("not a whole number of 64 bits"))? {
            Raw::Number(number) => Ok(Self(number)),
            Raw::Text(text) => text.parse().map(Self).map_err(|_| D::Error::custom(format!("not a number: {text:?}"))),
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct Envelope<T> {
    pub result: Option<T>,
    pub error: Option<RpcError>,
}

#[derive(Deserialize)]
pub struct RpcError {
    #[serde(default)]
    message: String,
    data: Option<String>,
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // "Internal error" is the message of nearly all; what happened stands in the data.
        let text = self.data.as_deref().filter(|data| !data.is_empty()).unwrap_or(&self.message);
        write!(f, "RPC error: {}", text.lines().next().unwrap_or("without a message"))
    }
}

#[derive(Deserialize)]
pub struct StatusBody {
    #[serde(rename = "node_info")]
    pub node: NodeInfo,
    #[serde(rename = "sync_info")]
    pub sync: SyncInfo,
    #[serde(rename = "validator_info", default)]
    pub validator: ValidatorInfo,
}

#[derive(Deserialize)]
pub struct NodeInfo {
    pub id: String,
    #[serde(default)]
    pub network: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub moniker: String,
}

#[derive(Deserialize)]
pub struct SyncInfo {
    pub latest_block_height: Number,
    pub latest_block_time: String,
    #[serde(default)]
    pub latest_app_hash: String,
    pub catching_up: bool,
}

#[derive(Deserialize, Default)]
pub struct ValidatorInfo {
    pub address: String,
    #[serde(default)]
    pub voting_power: Number,
    #[serde(default)]
    pub pub_key: KeyBody,
}

#[derive(Default, Deserialize)]
pub struct KeyBody {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub value: String,
}

impl From<ValidatorInfo> for Validator {
    fn from(info: ValidatorInfo) -> Self {
        Self { address: info.address.to_uppercase(), power: info.voting_power.0 }
    }
}

#[derive(Deserialize)]
pub struct NetInfoBody {
    pub peers: Option<Vec<PeerBody>>,
}

#[derive(Deserialize)]
pub struct PeerBody {
    pub node_info: NodeInfo,
}

#[derive(Deserialize)]
pub struct ConsensusBody {
    pub round_state: RoundBody,
}

#[derive(Deserialize)]
pub struct RoundBody {
    #[serde(rename = "height/round/step")]
    pub height_round_step: String,
    pub height_vote_set: Option<Vec<RoundVotes>>,
}

#[derive(Deserialize)]
pub struct RoundVotes {
    #[serde(default)]
    pub round: Number,
    pub prevotes: Option<Vec<String>>,
    pub prevotes_bit_array: String,
    pub precommits: Option<Vec<String>>,
    pub precommits_bit_array: String,
}

#[derive(Deserialize)]
pub struct ValidatorsBody {
    #[serde(default)]
    pub block_height: Number,
    pub validators: Option<Vec<ValidatorInfo>>,
    #[serde(default)]
    pub total: Number,
}

#[derive(Deserialize)]
pub struct AbciBody {
    pub response: AbciInfo,
}

#[derive(Deserialize)]
pub struct AbciInfo {
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub app_version: Number,
    #[serde(default)]
    pub last_block_height: Number,
    pub last_block_app_hash: Option<String>,
}

#[derive(Deserialize)]
pub struct CommitBody {
    pub signed_header: SignedHeader,
}

#[derive(Deserialize)]
pub struct SignedHeader {
    pub header: Option<HeaderInner>,
    pub commit: CommitInner,
}

#[derive(Deserialize)]
pub struct HeaderInner {
    pub chain_id: String,
    pub height: Number,
    #[serde(default)]
    pub app_hash: String,
}

#[derive(Deserialize)]
pub struct CommitInner {
    pub height: Number,
    pub signatures: Option<Vec<Signature>>,
}

#[derive(Deserialize)]
pub struct Signature {
    pub block_id_flag: Number,
    #[serde(default)]
    pub validator_address: String,
}
