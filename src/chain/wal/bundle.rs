//! Bundles: one operator's logs and signer states in a file, for another who shares no access.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::chain::wal::found::{Found, NodeLogs, Place};
use crate::chain::wal::replay::Log;
use crate::chain::wal::survey::Node;
use crate::model::inventory::ServiceId;

/// The format number written into bundles; another one is refused.
const FORMAT: u32 = 1;

/// What one operator's nodes have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    format: u32,
    /// The chain's id.
    pub chain_id: String,
    /// Who made it.
    pub owner: String,
    nodes: Vec<Bundled>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundled {
    name: String,
    address: Option<String>,
    /// The text of `priv_validator_state.json`: what was signed last, no secret.
    signer: Option<String>,
    logs: Vec<BundledLog>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundledLog {
    place: Place,
    path: String,
    size: u64,
    /// The log's end in base64.
    end: String,
}

impl Bundle {
    /// Of these nodes; those whose logs weren't read are left out.
    pub fn new(chain_id: &str, owner: &str, nodes: &[Node]) -> Self {
        let nodes = nodes.iter().filter_map(bundled).collect();
        Self { format: FORMAT, chain_id: chain_id.into(), owner: owner.into(), nodes }
    }

    /// Reads a bundle of this chain; an error says why it is none.
    pub fn parse(text: &str, chain_id: &str) -> Result<Self, String> {
        let bundle: Self = serde_json::from_str(text).map_err(|error| format!("not a bundle of fleet: {error}"))?;
        if bundle.format != FORMAT {
            return Err(format!("a bundle of format {}, this fleet reads {FORMAT}", bundle.format));
        }
        if bundle.chain_id != chain_id {
            return Err(format!("a bundle of chain {}, not {chain_id}", bundle.chain_id));
        }
        Ok(bundle)
    }

    /// How many nodes are in it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Its nodes, named with their owner.
    pub fn nodes(&self) -> Result<Vec<Node>, String> {
        self.nodes.iter().map(|node| unbundled(&self.owner, node)).collect()
    }
}

fn bundled(node: &Node) -> Option<Bundled> {
    let logs = node.logs.as_ref().ok()?;
    let log = |found: &Found| {
        let end = BASE64_STANDARD.encode(found.log.as_ref().ok()?.bytes());
        Some(BundledLog { place: found.place, path: found.path.clone(), size: found.size, end })
    };
    Some(Bundled {
        name: node.service.to_string(),
        address: node.address.clone(),
        signer: logs.signer.clone().and_then(Result::ok),
        logs: logs.logs.iter().filter_map(log).collect(),
    })
}

fn unbundled(owner: &str, node: &Bundled) -> Result<Node, String> {
    let log = |log: &BundledLog| {
        let end = BASE64_STANDARD.decode(&log.end).map_err(|error| format!("{} {}: {error}", node.name, log.path))?;
        Ok(Found { place: log.place, path: log.path.clone(), size: log.size, log: Ok(Log::whole([&*end])) })
    };
    let logs: Result<Vec<Found>, String> = node.logs.iter().map(log).collect();
    Ok(Node {
        service: ServiceId { host: format!("{owner}:{}", node.name), service: "node".into() },
        address: node.address.clone(),
        logs: Ok(NodeLogs { signer: node.signer.clone().map(Ok), logs: logs? }),
    })
}
