//! What a plan would do to a tiny fleet, written without a look at the policy.

use std::collections::{BTreeMap, BTreeSet};

use fleet::model::plan::{Action, Check, Operation, Plan};

/// A node of the tiny fleet, as a person would describe it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Which consensus key.
    pub key: usize,
    /// Behind a remote signer.
    pub remote: bool,
    /// Something of it is alive.
    pub alive: bool,
    pub has_key: bool,
    pub has_state: bool,
    /// Voting power that votes now; 0 for none.
    pub votes: u64,
}

impl Node {
    /// A start would make a new key, or forget what was signed.
    pub fn is_half(&self) -> bool {
        !self.remote && self.has_key != self.has_state
    }

    /// It signs with a key that somebody could tell.
    pub fn signs(&self) -> bool {
        self.remote || self.has_key
    }
}

/// The rules that a plan breaks, by what happens to the fleet step by step.
pub fn broken(plan: &Plan, nodes: &BTreeMap<String, Node>, quorum: u64) -> BTreeSet<&'static str> {
    let mut alive: BTreeSet<&str> = nodes.iter().filter(|(_, node)| node.alive).map(|(name, _)| &**name).collect();
    // Who votes now; what is started meanwhile doesn't vote at once.
    let voters: BTreeSet<usize> =
        alive.iter().map(|name| &nodes[*name]).filter(|node| node.signs()).map(|node| node.key).collect();
    let mut broken = BTreeSet::new();
    for task in plan.stages.iter().flat_map(|stage| &stage.tasks) {
        let name = task.service.host.as_str();
        for step in &task.steps {
            let before = voting(nodes, &alive, &voters);
            match step.action {
                Action::Observe | Action::Archive { .. } | Action::Fetch => {}
                Action::Seal => {
                    // Away for a moment, and back if it was there.
                    let was = alive.remove(name);
                    if step.verify != Check::Sealed {
                        broken.insert("unproven");
                    }
                    let declared = plan.operation != Operation::Start;
                    if !declared && before >= quorum && voting(nodes, &alive, &voters) < quorum {
                        broken.insert("quorum");
                    }
                    if was {
                        alive.insert(nodes.get_key_value(name).unwrap().0);
                        if nodes[name].is_half() {
                            broken.insert("signer-pair");
                        }
                        if double(nodes, &alive, nodes[name].key) && nodes[name].signs() {
                            broken.insert("one-signer");
                        }
                    }
                }
                Action::SetWal | Action::UndoWal => {
                    let verify = if step.action == Action::SetWal { Check::WalSet } else { Check::WalBack };
                    let content = step.action == Action::UndoWal || plan.wals.contains_key(&task.service.to_string());
                    if step.expect != Check::Stopped || step.verify != verify || !content {
                        broken.insert("unproven");
                    }
                }
                Action::Swap => {
                    if plan.restore.is_none() || step.expect != Check::Stopped || step.verify != Check::Swapped {
                        broken.insert("unproven");
                    }
                }
                Action::Stop { .. } => {
                    alive.remove(name);
                    if step.verify != Check::Stopped {
                        broken.insert("unproven");
                    }
                    let declared = plan.operation != Operation::Start;
                    if !declared && before >= quorum && voting(nodes, &alive, &voters) < quorum {
                        broken.insert("quorum");
                    }
                }
                Action::Start => {
                    alive.insert(nodes.get_key_value(name).unwrap().0);
                    if step.expect != Check::Stopped || step.verify != Check::Alive {
                        broken.insert("unproven");
                    }
                    if nodes[name].is_half() {
                        broken.insert("signer-pair");
                    }
                    if double(nodes, &alive, nodes[name].key) && nodes[name].signs() {
                        broken.insert("one-signer");
                    }
                }
            }
        }
    }
    broken
}

/// Whether two may sign with this key: every local file is a signer, all behind the remote one are one.
pub fn double(nodes: &BTreeMap<String, Node>, alive: &BTreeSet<&str>, key: usize) -> bool {
    let live = || nodes.iter().filter(|(name, node)| node.key == key && node.signs() && alive.contains(name.as_str()));
    let local = live().filter(|(_, node)| !node.remote).count();
    let remote = live().any(|(_, node)| node.remote);
    local + usize::from(remote) > 1
}

/// Power of the keys that voted at the outset and of which a node is alive.
fn voting(nodes: &BTreeMap<String, Node>, alive: &BTreeSet<&str>, voters: &BTreeSet<usize>) -> u64 {
    let counts = |node: &&Node| node.signs() && voters.contains(&node.key);
    let powers: BTreeMap<usize, u64> =
        alive.iter().map(|name| &nodes[*name]).filter(counts).map(|node| (node.key, node.votes)).collect();
    powers.values().sum()
}
