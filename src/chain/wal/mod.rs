//! Write-ahead logs of the consensus: what is in them, and what may be done to them without stranding or forking a
//! chain.

pub mod back;
pub mod bundle;
pub mod check;
pub mod clear;
pub mod collect;
#[cfg(test)]
#[allow(missing_docs, clippy::unwrap_used)]
pub(crate) mod corpus;
pub mod facts;
pub mod found;
pub mod messages;
pub mod parts;
pub mod record;
pub mod replay;
pub mod rule;
pub mod signed;
mod steps;
pub mod survey;
pub mod tail;
pub mod validators;
pub mod view;
pub mod write;

/// The log's messages, as CometBFT v0.38 encodes them.
pub mod proto {
    pub use tendermint_proto::google::protobuf::Timestamp;
    pub use tendermint_proto::v0_38::consensus::message::Sum as Inner;
    pub use tendermint_proto::v0_38::consensus::wal_message::Sum as Entry;
    pub use tendermint_proto::v0_38::consensus::{
        BlockPart, EndHeight, Message, MsgInfo, Proposal as ProposalMessage, TimedWalMessage, TimeoutInfo,
        Vote as VoteMessage, WalMessage,
    };
    pub use tendermint_proto::v0_38::crypto::Proof;
    pub use tendermint_proto::v0_38::types::{
        Block, BlockId, CanonicalBlockId, CanonicalPartSetHeader, CanonicalProposal, CanonicalVote,
        CanonicalVoteExtension, EventDataRoundState, Part, PartSetHeader, Proposal, SignedMsgType, Vote,
    };
}
