//! The basic validation that CometBFT v0.38 gives a message when it reads it from a log (`consensus/msgs.go`
//! `WALFromProto`, and `ValidateBasic` of each type): what fails here is a corrupted record to a node.

use super::proto::{
    BlockId, Entry, Inner, Message, Part, PartSetHeader, Proposal, SignedMsgType, TimedWalMessage, Vote,
};

type Checked = Result<(), &'static str>;

const HASH: usize = 32;
const ADDRESS: usize = 20;
const LONGEST_SIGNATURE: usize = 64;
const PART: usize = 65_536;
const MOST_AUNTS: usize = 100;

/// A whole entry.
pub fn message(message: &TimedWalMessage) -> Checked {
    match message.msg.as_ref().and_then(|message| message.sum.as_ref()) {
        None => Err("no entry"),
        Some(Entry::MsgInfo(info)) => consensus(info.msg.as_ref().ok_or("no message")?),
        Some(Entry::TimeoutInfo(timeout)) => require(u8::try_from(timeout.step).is_ok(), "step"),
        Some(Entry::EventDataRoundState(_) | Entry::EndHeight(_)) => Ok(()),
    }
}

/// A proposal, block part or vote; a node writes no other kind.
pub fn consensus(message: &Message) -> Checked {
    match message.sum.as_ref().ok_or("no message")? {
        Inner::Proposal(inner) => proposal(inner.proposal.as_ref().ok_or("no proposal")?),
        Inner::Vote(inner) => vote(inner.vote.as_ref().ok_or("no vote")?),
        Inner::BlockPart(inner) => {
            require(inner.height >= 0 && inner.round >= 0, "height or round")?;
            part(inner.part.as_ref().ok_or("no part")?)
        }
        _ => Ok(()),
    }
}

/// A proposal's fields; its signature isn't verified.
pub fn proposal(proposal: &Proposal) -> Checked {
    require(proposal.r#type == SignedMsgType::Proposal as i32, "type")?;
    require(proposal.height >= 0 && proposal.round >= 0 && proposal.pol_round >= -1, "height or round")?;
    block_id(proposal.block_id.as_ref())?;
    require(proposal.block_id.as_ref().is_some_and(is_complete), "block id")?;
    signature(&proposal.signature)
}

/// A vote's fields; its signature isn't verified.
pub fn vote(vote: &Vote) -> Checked {
    let precommit = vote.r#type == SignedMsgType::Precommit as i32;
    require(precommit || vote.r#type == SignedMsgType::Prevote as i32, "type")?;
    require(vote.height > 0 && vote.round >= 0, "height or round")?;
    block_id(vote.block_id.as_ref())?;
    let nil = vote.block_id.as_ref().is_none_or(is_nil);
    require(nil || vote.block_id.as_ref().is_some_and(is_complete), "block id")?;
    require(vote.validator_address.len() == ADDRESS && vote.validator_index >= 0, "validator")?;
    signature(&vote.signature)?;
    let signed = !vote.extension_signature.is_empty();
    require(vote.extension_signature.len() <= LONGEST_SIGNATURE, "extension's signature")?;
    require(signed || vote.extension.is_empty(), "extension without a signature")?;
    require((precommit && !nil) || !signed, "extension of a vote that has none")
}

fn part(part: &Part) -> Checked {
    let proof = part.proof.as_ref().ok_or("no proof")?;
    require(part.bytes.len() <= PART, "part's size")?;
    require(i64::from(part.index) >= proof.total - 1 || part.bytes.len() == PART, "part's size")?;
    require(i64::from(part.index) == proof.index && proof.total >= 0, "proof's index")?;
    require(proof.leaf_hash.len() == HASH && proof.aunts.len() <= MOST_AUNTS, "proof's hashes")?;
    require(proof.aunts.iter().all(|aunt| aunt.len() == HASH), "proof's hashes")
}

fn signature(signature: &[u8]) -> Checked {
    require(!signature.is_empty() && signature.len() <= LONGEST_SIGNATURE, "signature")
}

fn block_id(id: Option<&BlockId>) -> Checked {
    let hash = |hash: &[u8]| require(hash.is_empty() || hash.len() == HASH, "hash");
    let Some(id) = id else { return Ok(()) };
    hash(&id.hash)?;
    id.part_set_header.as_ref().map_or(Ok(()), |header| hash(&header.hash))
}

/// Whether a block id is that of nil.
pub fn is_nil(id: &BlockId) -> bool {
    let empty = |header: &PartSetHeader| header.total == 0 && header.hash.is_empty();
    id.hash.is_empty() && id.part_set_header.as_ref().is_none_or(empty)
}

fn is_complete(id: &BlockId) -> bool {
    let whole = |header: &PartSetHeader| header.total > 0 && header.hash.len() == HASH;
    id.hash.len() == HASH && id.part_set_header.as_ref().is_some_and(whole)
}

fn require(good: bool, what: &'static str) -> Checked {
    if good { Ok(()) } else { Err(what) }
}
