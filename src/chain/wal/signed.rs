//! What a signer has signed last, rebuilt from its state file: `signbytes` and `signature` hold all of a vote but the
//! validator's address, its index and a vote extension.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde::Deserialize;

use super::proto::{
    BlockId, CanonicalBlockId, CanonicalProposal, CanonicalVote, Inner, Message, PartSetHeader, Proposal,
    ProposalMessage, SignedMsgType, Vote, VoteMessage,
};
use super::validators::{Unproven, Validators};
use crate::chain::signer;
use crate::model::facts::SignerState;

/// A message that is verified to be its signer's.
#[derive(Debug, Clone, PartialEq)]
pub enum Signed {
    /// A prevote or precommit, without a vote extension.
    Vote(Vote),
    /// A proposal.
    Proposal(Proposal),
}

impl Signed {
    /// As a log holds it.
    pub fn message(&self) -> Message {
        let inner = match self {
            Self::Vote(vote) => Inner::Vote(VoteMessage { vote: Some(vote.clone()) }),
            Self::Proposal(proposal) => Inner::Proposal(ProposalMessage { proposal: Some(proposal.clone()) }),
        };
        Message { sum: Some(inner) }
    }

    /// Its signature.
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::Vote(vote) => &vote.signature,
            Self::Proposal(proposal) => &proposal.signature,
        }
    }

    /// Its round.
    pub fn round(&self) -> i32 {
        match self {
            Self::Vote(vote) => vote.round,
            Self::Proposal(proposal) => proposal.round,
        }
    }

    /// Height, round and kind, in the order in which a signer passes them: proposal, prevote, precommit.
    pub fn place(&self) -> (i64, i32, i32) {
        let kind = match self {
            Self::Vote(vote) => vote.r#type,
            Self::Proposal(_) => 0,
        };
        (self.height(), self.round(), kind)
    }

    /// Its height.
    pub fn height(&self) -> i64 {
        match self {
            Self::Vote(vote) => vote.height,
            Self::Proposal(proposal) => proposal.height,
        }
    }
}

#[derive(Deserialize)]
struct StateFile {
    #[serde(default)]
    signature: String,
    #[serde(default)]
    signbytes: String,
}

/// The last vote or proposal of the signer with this address (upper-case hex), from the text of its
/// `priv_validator_state.json`; `None` for one that has signed nothing. An error says why the message can't be told:
/// the file is damaged or contradicts itself, it is another chain's, or the signature isn't this validator's.
pub fn last(json: &str, address: &str, validators: &Validators) -> Result<Option<Signed>, String> {
    let state = signer::state(json)?;
    let file: StateFile = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if file.signbytes.is_empty() && file.signature.is_empty() {
        return if state.step == 0 { Ok(None) } else { Err("no signbytes in it".into()) };
    }
    let bytes = hex::decode(&file.signbytes).map_err(|error| format!("signbytes: {error}"))?;
    let signature = STANDARD.decode(&file.signature).map_err(|error| format!("signature: {error}"))?;
    let signed = match state.step {
        1 => proposal(&bytes, signature, &state, validators)?,
        2 | 3 => vote(&bytes, signature, &state, address, validators)?,
        step => return Err(format!("signbytes at step {step}")),
    };
    Ok(Some(signed))
}

fn vote(
    bytes: &[u8],
    signature: Vec<u8>,
    state: &SignerState,
    address: &str,
    validators: &Validators,
) -> Result<Signed, String> {
    let canonical = CanonicalVote::decode_length_delimited(bytes).map_err(|error| format!("signbytes: {error}"))?;
    let kind = if state.step == 2 { SignedMsgType::Prevote } else { SignedMsgType::Precommit };
    same_place(state, kind, (canonical.r#type, canonical.height, canonical.round))?;
    same_chain(&canonical.chain_id, validators)?;
    let index = validators.index(address).and_then(|index| i32::try_from(index).ok());
    let vote = Vote {
        r#type: canonical.r#type,
        height: canonical.height,
        round: i32::try_from(canonical.round).map_err(|_| "signbytes: round")?,
        block_id: Some(block_id(canonical.block_id)),
        timestamp: canonical.timestamp,
        validator_address: hex::decode(address).map_err(|error| format!("address: {error}"))?,
        validator_index: index.ok_or_else(|| reason(Unproven::Unknown))?,
        signature,
        ..Vote::default()
    };
    super::check::vote(&vote).map_err(|what| format!("signbytes: {what}"))?;
    validators.voter(&vote).map_err(reason)?;
    Ok(Signed::Vote(vote))
}

fn proposal(bytes: &[u8], signature: Vec<u8>, state: &SignerState, validators: &Validators) -> Result<Signed, String> {
    let canonical = CanonicalProposal::decode_length_delimited(bytes).map_err(|error| format!("signbytes: {error}"))?;
    same_place(state, SignedMsgType::Proposal, (canonical.r#type, canonical.height, canonical.round))?;
    same_chain(&canonical.chain_id, validators)?;
    let proposal = Proposal {
        r#type: canonical.r#type,
        height: canonical.height,
        round: i32::try_from(canonical.round).map_err(|_| "signbytes: round")?,
        pol_round: i32::try_from(canonical.pol_round).map_err(|_| "signbytes: POL round")?,
        block_id: Some(block_id(canonical.block_id)),
        timestamp: canonical.timestamp,
        signature,
    };
    super::check::proposal(&proposal).map_err(|what| format!("signbytes: {what}"))?;
    validators.proposer(&proposal).map_err(reason)?;
    Ok(Signed::Proposal(proposal))
}

/// The file says height, round and step twice: in plain and in `signbytes`.
fn same_place(
    state: &SignerState,
    kind: SignedMsgType,
    (r#type, height, round): (i32, i64, i64),
) -> Result<(), String> {
    let same = r#type == kind as i32 && u64::try_from(height) == Ok(state.height) && round == i64::from(state.round);
    if same { Ok(()) } else { Err("signbytes of another height, round or step".into()) }
}

fn same_chain(chain_id: &str, validators: &Validators) -> Result<(), String> {
    if chain_id == validators.chain_id() { Ok(()) } else { Err(format!("signed for the chain {chain_id:?}")) }
}

fn block_id(canonical: Option<CanonicalBlockId>) -> BlockId {
    let canonical = canonical.unwrap_or_default();
    let header = canonical.part_set_header.unwrap_or_default();
    let header = PartSetHeader { total: header.total, hash: header.hash };
    BlockId { hash: canonical.hash, part_set_header: Some(header) }
}

fn reason(unproven: Unproven) -> String {
    match unproven {
        Unproven::Unknown | Unproven::Index => "not a validator of this height".into(),
        Unproven::Forged => "the signature isn't this validator's".into(),
        Unproven::Key => "a key of this type can't be verified".into(),
    }
}

#[cfg(test)]
mod tests;
