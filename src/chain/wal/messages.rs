//! The messages of the height in progress, as the rule sees them: each one verified, none of them raw bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::facts::ValidatorSet;

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
    /// Blocks that are whole. Of what is known of the height: the round of a proposal and the hash of the block it
    /// proposes, where the proposal and every part of the block are there. Of one node: the round in which it had the
    /// proposed block, which it drops when it leaves the round without a lock on it.
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

/// What one node gives back to the chain when it starts, or gives already where it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The node's name, for the reader.
    pub node: String,
    /// The validator whose signer the node runs, by address.
    pub validator: Option<String>,
    /// The round in which the node stands when the replay ends: 0, unless its log has the time-outs and votes that led
    /// it further.
    pub round: u32,
    /// Whether the node has then left the Propose step of that round and is sure to look at its prevotes again: not
    /// where two thirds of them came in before and it has not. A log without time-outs doesn't do that.
    pub prevoting: bool,
    /// The verified messages of the log it will replay, in the order in which the node wrote them where they are its own
    /// records. Empty for a node whose log isn't replayed.
    pub messages: Messages,
}

/// Everything the rule decides on: what is known of the height in progress, and what will be left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The whole validator set of the height in progress.
    pub set: ValidatorSet,
    /// By address; one that isn't here is [`Spoken::Unread`].
    pub signers: BTreeMap<String, Spoken>,
    /// Validators whose nodes run after the start, by address.
    pub online: BTreeSet<String>,
    /// Everything known from any WAL, set-aside file, bundle or signer state: what proves who did what.
    pub known: Messages,
    /// One entry for each node that starts, or runs.
    pub replayed: Vec<Replay>,
    /// Whether records of the height in progress are missing or will be dropped anywhere: what locks rest on may be
    /// lost. False only where every signer's node replays its own whole WAL.
    pub records_lost: bool,
}
