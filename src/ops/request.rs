//! What is asked of a planner and what it answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::model::backup::Profile;
use crate::model::facts::{Facts, ValidatorSet};
use crate::model::inventory::Inventory;
use crate::model::plan::{Finding, Operation, Plan, WalContent};
use crate::model::restore::Restore;
use crate::model::snapshot::NodeState;
use crate::ops::rules;

/// How long a unit may take to stop where nothing is said, ms.
const STOP_MS: u64 = 90_000;

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is to be done.
    pub operation: Operation,
    /// The chain's name in the inventory; empty where none is meant.
    pub chain: String,
    /// The selected hosts, by name.
    pub hosts: Vec<String>,
    /// Stop at this time, Unix ms.
    pub at_ms: Option<i64>,
    /// Start at this time, Unix ms.
    pub start_at_ms: Option<i64>,
    /// Now, Unix ms; only to tell a time that is past. It never reaches the plan.
    pub now_ms: i64,
    /// Hosts that may be missing, by name.
    pub allow_missing: Vec<String>,
    /// Hosts of at most this share of the voting power may be missing, percent.
    pub allow_missing_percent: Option<f64>,
    /// Kill what hasn't stopped after so many ms.
    pub kill_after_ms: Option<u64>,
    /// How long a unit may take to stop, ms.
    pub stop_timeout_ms: u64,
    /// Stop at once, without waiting for the quiet time after a block.
    pub no_wait: bool,
    /// Rules overruled by name.
    pub accept: Vec<String>,
    /// How long to wait for blocks, ms.
    pub block_timeout_ms: u64,
    /// Logs to write, by the service's display name.
    pub wals: BTreeMap<String, WalContent>,
    /// Logs to clear.
    pub clear: Option<Clear>,
    /// What to keep.
    pub backup: Option<BackupOf>,
    /// What to bring back.
    pub restore: Option<RestoreOf>,
}

/// What is to be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOf {
    /// The snapshot's databases.
    pub restore: Restore,
    /// Where the node stood of which they are.
    pub node: NodeState,
    /// How long a node may take to reach the chain again, ms.
    pub catch_up_ms: u64,
}

/// What is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOf {
    /// In which store.
    pub store: String,
    /// These profiles; none, and no lists either: what is usual for each role.
    pub profiles: Vec<Profile>,
    /// Profiles of the inventory, by name.
    pub lists: Vec<String>,
    /// The hosts that were named; a validator that wasn't is never stopped for it.
    pub named: BTreeSet<String>,
    /// Hosts that stream at once.
    pub parallel: usize,
    /// Streams from each of them.
    pub streams: usize,
    /// The most that comes from all of them together, bytes in a second.
    pub rate: Option<u64>,
    /// Who can read keys that are kept.
    pub recipients: Vec<String>,
}

/// Logs that are to be cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// Of the nodes on these hosts, by name.
    pub hosts: Vec<String>,
    /// Leave records of the height in progress out.
    pub drop_records: bool,
    /// Bundles of other operators, as they are in their files.
    pub bundles: Vec<String>,
}

impl Request {
    /// An operation on these hosts, and nothing else asked for.
    pub fn of(operation: Operation, chain: &str, hosts: Vec<String>, now_ms: i64, accept: &[String]) -> Self {
        Self {
            operation,
            chain: chain.into(),
            hosts,
            at_ms: None,
            start_at_ms: None,
            now_ms,
            allow_missing: Vec::new(),
            allow_missing_percent: None,
            kill_after_ms: None,
            stop_timeout_ms: STOP_MS,
            no_wait: true,
            accept: accept.to_vec(),
            block_timeout_ms: 0,
            wals: BTreeMap::new(),
            clear: None,
            backup: None,
            restore: None,
        }
    }

    /// Whether the request makes sense by itself: times, shares and the names of accepted rules. To be asked before
    /// any host is. A usage error says what to write instead.
    pub fn check(&self) -> Result<()> {
        rules::check_accepted(&self.accept)?;
        for (option, time) in [("--at", self.at_ms), ("--start-at", self.start_at_ms)] {
            if time.is_some_and(|time| time <= self.now_ms) {
                return Err(Error::usage(format!("{option} is in the past")).hint("name a time to come, zone included"));
            }
        }
        if let (Some(at), Some(start)) = (self.at_ms, self.start_at_ms)
            && start <= at
        {
            return Err(Error::usage("--start-at is not after --at").hint("nobody may start before all have stopped"));
        }
        match self.allow_missing_percent {
            Some(share) if !(0.0..=100.0).contains(&share) => {
                Err(Error::usage(format!("--allow-missing-power {share}% is not a share from 0% to 100%")))
            }
            _ => Ok(()),
        }
    }
}

/// What is true when the plan is made.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// The whole fleet.
    pub inventory: &'a Inventory,
    /// Facts about the selected hosts, and about any other that was asked.
    pub facts: &'a Facts,
    /// The chain makes blocks now.
    pub advancing: bool,
    /// Why it doesn't, where that is that signers have lost votes with their logs: one line.
    pub mute: Option<String>,
    /// The last height and its app hash, on a chain that has stopped.
    pub last: Option<(u64, String)>,
    /// The validator set of an earlier gather.
    pub cached_set: Option<&'a ValidatorSet>,
    /// Consensus addresses of an earlier gather, by a service's display name: they give silent hosts their power.
    pub cached_addresses: Option<&'a BTreeMap<String, String>>,
    /// sha256 of a genesis by content, by the sha256 of its bytes, for each distinct genesis in the facts.
    pub genesis_content: BTreeMap<String, String>,
}

/// A plan, and what is worth saying beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan: nothing in it changes by itself.
    pub plan: Plan,
    /// Numbers that change by the minute (offsets, disk, who votes now); for the screen, in no digest.
    pub remarks: Vec<Finding>,
}

/// Why there is no plan: at least one finding that refuses, and the others for context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The worst first.
    pub findings: Vec<Finding>,
}
