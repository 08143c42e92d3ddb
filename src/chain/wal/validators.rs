//! Whose signature a message has. What is signed is the length-delimited canonical form of a message (CometBFT v0.38
//! `types/canonical.go`).

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use tendermint::crypto::default::signature::Verifier;
use tendermint::crypto::signature::Verifier as _;
use tendermint::validator::{Info, Set};
use tendermint::{Hash, PublicKey, Signature};

use super::check;
use super::proto::{
    BlockId, CanonicalBlockId, CanonicalPartSetHeader, CanonicalProposal, CanonicalVote, CanonicalVoteExtension,
    Proposal, Vote,
};
use crate::model::facts::{self, ValidatorSet};

/// A consensus key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// One that verifies.
    Ed25519(Box<PublicKey>),
    /// Of a type that can't be verified here, which is named.
    Other(String),
}

impl Key {
    /// From its type, as `tendermint/PubKeyEd25519`, and its bytes in base64, as genesis and RPC give them.
    pub fn new(kind: &str, base64: &str) -> Result<Self, String> {
        if kind != "tendermint/PubKeyEd25519" {
            return Ok(Self::Other(kind.into()));
        }
        let bytes = STANDARD.decode(base64).map_err(|error| format!("public key: {error}"))?;
        let key = PublicKey::from_raw_ed25519(&bytes).ok_or("public key: not of ed25519")?;
        Ok(Self::Ed25519(Box::new(key)))
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Unproven> {
        let Self::Ed25519(key) = self else { return Err(Unproven::Key) };
        let signature = Signature::try_from(signature).map_err(|_| Unproven::Forged)?;
        Verifier.verify(**key, signed, &signature).map_err(|_| Unproven::Forged)
    }
}

/// A validator of the height in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// Consensus address, upper-case hex.
    pub address: String,
    /// Its key.
    pub key: Key,
    /// Voting power.
    pub power: u64,
}

/// Why a message isn't taken for its validator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// No validator of the set has this address.
    Unknown,
    /// The signature isn't the validator's over this message on this chain: a message of another chain looks the same.
    Forged,
    /// The place in the set is another's: a node refuses it.
    Index,
    /// The key is of a type that can't be verified here.
    Key,
}

/// A chain's validator set at one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validators {
    chain_id: String,
    /// In the order of votes' indexes.
    list: Vec<Validator>,
}

impl Validators {
    /// A set in any order: CometBFT sorts it by power, then by address.
    pub fn new(chain_id: &str, mut list: Vec<Validator>) -> Self {
        list.sort_by_cached_key(|validator| (Reverse(validator.power), validator.address.clone()));
        Self { chain_id: chain_id.into(), list }
    }

    /// The chain's id.
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// The validators, in the order of votes' indexes.
    pub fn list(&self) -> &[Validator] {
        &self.list
    }

    /// The place of an address in the set.
    pub fn index(&self, address: &str) -> Option<usize> {
        self.list.iter().position(|validator| validator.address == address)
    }

    /// The powers of the set of `height`.
    pub fn powers(&self, height: u64) -> ValidatorSet {
        let one = |one: &Validator| facts::Validator { address: one.address.clone(), power: one.power };
        ValidatorSet { height, validators: self.list.iter().map(one).collect() }
    }

    /// The hash that a block's header has of the set (CometBFT `types/validator_set.go` `Hash`); `None` where a key is of
    /// a type that isn't known here.
    pub fn hash(&self) -> Option<Hash> {
        let info = |one: &Validator| match &one.key {
            Key::Ed25519(key) => Some(Info::new(**key, one.power.try_into().ok()?)),
            Key::Other(_) => None,
        };
        let infos: Option<Vec<Info>> = self.list.iter().map(info).collect();
        Some(Set::without_proposer(infos?).hash())
    }

    /// The validator whose vote this provably is. An extension's signature is verified where there is one.
    pub fn voter(&self, vote: &Vote) -> Result<&Validator, Unproven> {
        let index = self.index(&hex::encode_upper(&vote.validator_address)).ok_or(Unproven::Unknown)?;
        let validator = &self.list[index];
        validator.key.verify(&vote_sign_bytes(vote, &self.chain_id), &vote.signature)?;
        if !vote.extension_signature.is_empty() {
            validator.key.verify(&extension_sign_bytes(vote, &self.chain_id), &vote.extension_signature)?;
        }
        if usize::try_from(vote.validator_index) != Ok(index) {
            return Err(Unproven::Index);
        }
        Ok(validator)
    }

    /// The validator whose proposal this provably is. A proposal doesn't name its proposer, so any of the set will do;
    /// a node takes it only from the round's own.
    pub fn proposer(&self, proposal: &Proposal) -> Result<&Validator, Unproven> {
        let signed = proposal_sign_bytes(proposal, &self.chain_id);
        let proven = |validator: &&Validator| validator.key.verify(&signed, &proposal.signature).is_ok();
        let other = self.list.iter().any(|validator| matches!(validator.key, Key::Other(_)));
        self.list.iter().find(proven).ok_or(if other { Unproven::Key } else { Unproven::Forged })
    }
}

fn canonical_block_id(id: Option<&BlockId>) -> Option<CanonicalBlockId> {
    let id = id.filter(|id| !check::is_nil(id))?;
    let header = id.part_set_header.clone().unwrap_or_default();
    let header = CanonicalPartSetHeader { total: header.total, hash: header.hash };
    Some(CanonicalBlockId { hash: id.hash.clone(), part_set_header: Some(header) })
}

/// What is signed of a vote.
pub fn vote_sign_bytes(vote: &Vote, chain_id: &str) -> Vec<u8> {
    let canonical = CanonicalVote {
        r#type: vote.r#type,
        height: vote.height,
        round: vote.round.into(),
        block_id: canonical_block_id(vote.block_id.as_ref()),
        timestamp: Some(vote.timestamp.unwrap_or_default()),
        chain_id: chain_id.into(),
    };
    canonical.encode_length_delimited_to_vec()
}

/// What is signed of a proposal.
pub(super) fn proposal_sign_bytes(proposal: &Proposal, chain_id: &str) -> Vec<u8> {
    let canonical = CanonicalProposal {
        r#type: proposal.r#type,
        height: proposal.height,
        round: proposal.round.into(),
        pol_round: proposal.pol_round.into(),
        block_id: canonical_block_id(proposal.block_id.as_ref()),
        timestamp: Some(proposal.timestamp.unwrap_or_default()),
        chain_id: chain_id.into(),
    };
    canonical.encode_length_delimited_to_vec()
}

fn extension_sign_bytes(vote: &Vote, chain_id: &str) -> Vec<u8> {
    let canonical = CanonicalVoteExtension {
        extension: vote.extension.clone(),
        height: vote.height,
        round: vote.round.into(),
        chain_id: chain_id.into(),
    };
    canonical.encode_length_delimited_to_vec()
}
