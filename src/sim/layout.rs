//! What is simulated: which hosts, with which power, and in which state they are at the outset.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::inventory::Role;

/// A simulated fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The chain id.
    pub chain_id: String,
    /// The nodes' systemd unit.
    pub unit: String,
    /// Height of the last block at the outset.
    pub height: u64,
    /// Time between blocks, ms.
    pub block_time_ms: i64,
    /// How long a started node needs until it takes part, ms; its RPC opens after a quarter, its peers after a half.
    pub join_ms: i64,
    /// The hosts.
    pub hosts: Vec<SimHost>,
    /// Validators that are no hosts of ours.
    pub foreign: Vec<Foreign>,
    /// Hosts whose node has died before the outset.
    pub down: Vec<String>,
    /// Every validator has prevoted at the height in progress, and all logs were cleared since. Signatures are real, so
    /// that logs made of them can revive the chain.
    #[serde(default)]
    pub stranded: bool,
}

/// A simulated host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimHost {
    /// Its name.
    pub name: String,
    /// Validator, sentry or full.
    pub role: Role,
    /// Voting power; 0 for a node that doesn't sign.
    pub power: u64,
}

/// A validator that is no host of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// Its moniker.
    pub name: String,
    /// Voting power.
    pub power: u64,
    /// Always votes, or never.
    pub votes: bool,
}

/// The powers of the default fleet: 100 in all, quorum 67.
pub const POWERS: [u64; 7] = [30, 20, 15, 12, 10, 8, 5];

impl Layout {
    /// A healthy chain: seven validators (30, 20, 15, 12, 10, 8, 5) and two sentries.
    pub fn healthy() -> Self {
        Self::with(&POWERS, 2)
    }

    /// The default fleet, halted: `val-2` and `val-3` (35 of 100) are down.
    pub fn lost_quorum() -> Self {
        Self { down: vec!["val-2".into(), "val-3".into()], ..Self::healthy() }
    }

    /// A healthy chain of validators with these powers and so many sentries.
    pub fn with(powers: &[u64], sentries: usize) -> Self {
        let host = |name, role, power| SimHost { name, role, power };
        let validators = powers.iter().enumerate().map(|(i, &p)| host(format!("val-{}", i + 1), Role::Validator, p));
        let sentries = (1..=sentries).map(|i| host(format!("sentry-{i}"), Role::Sentry, 0));
        Self {
            chain_id: "virtengine-1".into(),
            unit: "virtengined.service".into(),
            height: 1_204_331,
            block_time_ms: 1000,
            join_ms: 1200,
            hosts: validators.chain(sentries).collect(),
            foreign: Vec::new(),
            down: Vec::new(),
            stranded: false,
        }
    }

    /// Reads a layout from a JSON file.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |why: String| Error::usage(format!("layout {}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| bad(e.to_string()))
    }
}
