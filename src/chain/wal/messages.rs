//! The messages of the height in progress, as the rule sees them: each one verified, none of them raw bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The two kinds of vote, in the order in which a round asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteKind {
    /// Step 2 of the signer's state.
    Prevote,
    /// Step 3.
    Precommit,
}

/// A vote of the height in progress whose signature is known to be its validator's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// Its round.
    pub round: u32,
    /// Its kind.
    pub kind: VoteKind,
    /// Upper-case hex of the block's hash; `None` for nil.
    pub block: Option<String>,
    /// The validator's consensus address, upper-case hex.
    pub validator: String,
}

/// Verified messages of the height in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// Each once.
    pub votes: BTreeSet<Vote>,
    /// Blocks that are whole: the round of a proposal and the hash of the block it proposes, where the proposal and
    /// every part of the block are there.
    pub blocks: BTreeSet<(u32, String)>,
}

/// What a signer has signed last, as its state file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// Not known: the state can't be read, its host is silent, or it is foreign and its bundle isn't in hand.
    Unread,
    /// Nothing above the committed height.
    Nothing,
    /// A proposal of the height in progress and no vote after it.
    Proposal {
        /// Its round.
        round: u32,
    },
    /// This vote of the height in progress.
    Vote(Vote),
}

/// A validator of the height in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// Consensus address, upper-case hex.
    pub address: String,
    /// Voting power.
    pub power: u64,
}

/// Everything the rule decides on: what is known of the height in progress, and what will be left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The whole validator set.
    pub seats: Vec<Seat>,
    /// By address; one that isn't here is [`Spoken::Unread`].
    pub signers: BTreeMap<String, Spoken>,
    /// Validators whose nodes run after the start, by address.
    pub online: BTreeSet<String>,
    /// Everything known from any WAL, set-aside file, bundle or signer state: what proves who did what.
    pub known: Messages,
    /// What each node that starts, or runs, gives back to the chain: the verified messages of the WAL it will replay. A
    /// node whose WAL isn't replayed gives nothing.
    pub replayed: Vec<Messages>,
    /// Whether records of the height in progress are missing or will be dropped anywhere: what locks rest on may be
    /// lost. False only where every signer's node replays its own whole WAL.
    pub records_lost: bool,
}
