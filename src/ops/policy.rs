//! The safety invariants, over any plan. They look at the plan's own steps, one after the other, and trust no planner.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::facts::{Facts, HostFacts, KeyFacts, ServiceFacts, SignerFacts};
use crate::model::inventory::{Inventory, ServiceId};
use crate::model::plan::{Action, Check, Finding, Operation, Plan, Step, Target};
use crate::ops::powers::signs_remotely;
use crate::ops::rules::finding;
use crate::ops::scene::unit_runs;

/// Who votes now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Votes {
    /// Power by address, upper-case hex.
    pub online: BTreeMap<String, u64>,
    /// What a block needs; 0 when unknown.
    pub quorum: u64,
}

/// What a plan would do against the invariants; empty for a safe one.
///
/// 1. Never two live signers for one consensus key (`one-signer`).
/// 2. Nothing is started whose key or signer state stands alone (`signer-pair`).
/// 5. Outside a declared halt, no stop takes the voting power under the quorum (`quorum`).
/// 6. What stops is proven stopped, and what starts was proven stopped just before (`unproven`).
pub fn violations(plan: &Plan, inventory: &Inventory, facts: &Facts, votes: &Votes) -> Vec<Finding> {
    let mut world = World { plan, signers: signers(inventory, facts), facts, live: BTreeSet::new(), votes };
    world.live = facts.services().filter(|(_, one)| runs(one)).map(|(service, _)| service).collect();
    let tasks = plan.stages.iter().flat_map(|stage| &stage.tasks);
    let steps = tasks.flat_map(|task| task.steps.iter().map(move |step| (&task.service, step)));
    steps.flat_map(|(service, step)| world.after(service, step)).collect()
}

/// A node and the key it signs with.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    pub service: ServiceId,
    /// Chain id and address: one consensus key on two chains is no double sign.
    pub key: (String, String),
    /// The key is a file of the node; else it is behind a remote signer.
    pub local: bool,
    pub runs: bool,
}

/// Every node whose key is known.
pub(super) fn signers(inventory: &Inventory, facts: &Facts) -> Vec<Signer> {
    let services = inventory.hosts.iter().flat_map(|host| &host.services);
    let signer = |service: &crate::model::inventory::Service| {
        let chain = inventory.chains.get(service.chain.as_ref()?)?;
        let known = facts.service(&service.id)?;
        let (address, local) = match &known.key {
            KeyFacts::Present { address, .. } if !signs_remotely(known) => (address.clone(), true),
            _ => (known.rpc.status.as_ref()?.address.clone(), !signs_remotely(known)),
        };
        let key = (chain.chain_id.clone(), address);
        (!key.1.is_empty()).then(|| Signer { service: service.id.clone(), key, local, runs: runs(known) })
    };
    services.filter_map(signer).collect()
}

/// Whether anything of the service may be alive and sign.
pub(super) fn runs(facts: &ServiceFacts) -> bool {
    let stopping = facts.unit.active_state == "deactivating";
    unit_runs(facts) || stopping || !facts.processes.is_empty() || facts.database_locked
}

/// Whether these signers of one key, all live, are more than one. All behind a remote signer count as one.
pub(super) fn too_many(live: &[&Signer]) -> bool {
    let local = live.iter().filter(|one| one.local).count();
    let remote = usize::from(live.len() > local);
    local + remote > 1
}

/// What is wrong with the key and the state of a node's local signer.
pub(super) fn lone_half(facts: &ServiceFacts) -> Option<&'static str> {
    if signs_remotely(facts) {
        return None;
    }
    match (&facts.key, &facts.signer) {
        (KeyFacts::Present { .. } | KeyFacts::Unreadable(_), SignerFacts::Missing) => {
            Some("a consensus key without the signer's state")
        }
        (KeyFacts::Missing, SignerFacts::State(_) | SignerFacts::Unreadable(_)) => {
            Some("a signer's state without the consensus key")
        }
        _ => None,
    }
}

/// The fleet as it would be at one point of the plan.
struct World<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    signers: Vec<Signer>,
    live: BTreeSet<ServiceId>,
    votes: &'a Votes,
}

impl World<'_> {
    fn after(&mut self, service: &ServiceId, step: &Step) -> Vec<Finding> {
        match step.action {
            Action::Observe | Action::Archive { .. } | Action::Fetch => Vec::new(),
            Action::Seal => self.after_seal(service, step),
            Action::SetWal | Action::UndoWal | Action::Swap => self.unproven(service, step).into_iter().collect(),
            Action::Stop { .. } => {
                let before = self.online();
                self.live.remove(service);
                [self.unproven(service, step), self.quorum_lost(service, before)].into_iter().flatten().collect()
            }
            Action::Start => {
                self.live.insert(service.clone());
                [self.unproven(service, step), self.second_signer(service), self.half_signer(service)]
                    .into_iter()
                    .flatten()
                    .collect()
            }
        }
    }

    /// The node is away for a moment, and back if it ran before.
    fn after_seal(&mut self, service: &ServiceId, step: &Step) -> Vec<Finding> {
        let before = self.online();
        let ran = self.live.remove(service);
        let mut found: Vec<Finding> =
            [self.unproven(service, step), self.quorum_lost(service, before)].into_iter().flatten().collect();
        if ran {
            self.live.insert(service.clone());
            found.extend([self.second_signer(service), self.half_signer(service)].into_iter().flatten());
        }
        found
    }

    fn unproven(&self, service: &ServiceId, step: &Step) -> Option<Finding> {
        let proven = match step.action {
            Action::Observe | Action::Archive { .. } | Action::Fetch => true,
            Action::Seal => step.verify == Check::Sealed,
            Action::Stop { .. } => step.verify == Check::Stopped,
            Action::Start => step.expect == Check::Stopped && step.verify == Check::Alive,
            Action::SetWal => {
                let content = self.plan.clearing.is_some() || self.plan.wals.contains_key(&service.to_string());
                content && step.expect == Check::Stopped && step.verify == Check::WalSet
            }
            Action::UndoWal => step.expect == Check::Stopped && step.verify == Check::WalBack,
            Action::Swap => {
                self.plan.restore.is_some() && step.expect == Check::Stopped && step.verify == Check::Swapped
            }
        };
        let text = "a step that changes something isn't checked before or after";
        (!proven && self.plan.target(service).is_some()).then(|| about("unproven", [service], text))
    }

    fn second_signer(&self, service: &ServiceId) -> Option<Finding> {
        let key = &self.signers.iter().find(|one| one.service == *service)?.key;
        let live: Vec<&Signer> =
            self.signers.iter().filter(|one| one.key == *key && self.live.contains(&one.service)).collect();
        let text = format!("would both sign for {}", key.1);
        too_many(&live).then(|| about("one-signer", live.iter().map(|one| &one.service), text))
    }

    fn half_signer(&self, service: &ServiceId) -> Option<Finding> {
        let target = self.plan.target(service)?;
        let node = !target.chain_id.is_empty();
        let seen = match self.facts.hosts.get(&service.host) {
            Some(HostFacts::Answered(_)) => self.facts.service(service),
            _ => None,
        };
        match seen {
            Some(facts) if node => lone_half(facts).map(|text| about("signer-pair", [service], text)),
            None if target.seen => Some(about("signer-pair", [service], "nothing is known of its key and state")),
            _ => None,
        }
    }

    /// Power of the addresses that vote now and that the plan hasn't silenced.
    fn online(&self) -> u64 {
        let silenced = |address: &String| {
            let mut mine = self.signers.iter().filter(|one| one.key == (self.plan.chain_id.clone(), address.clone()));
            let behind: Vec<&Signer> = mine.by_ref().collect();
            !behind.is_empty() && behind.iter().all(|one| !self.live.contains(&one.service))
        };
        self.votes.online.iter().filter(|(address, _)| !silenced(address)).map(|(_, power)| power).sum()
    }

    fn quorum_lost(&self, service: &ServiceId, before: u64) -> Option<Finding> {
        let declared = match self.plan.operation {
            Operation::Halt | Operation::CoordinatedRestart => true,
            // All that we have, and enough to bring blocks again without anybody else.
            Operation::Restore => self.plan.power.ours_elsewhere == 0 && self.plan.power_short() == Some(0),
            _ => false,
        };
        let quorum = self.votes.quorum;
        let lost = !declared && quorum > 0 && before >= quorum && self.online() < quorum;
        // Those that voted and that the plan has stopped by then take part in it.
        let voted = |one: &Target| one.address.as_ref().is_some_and(|address| self.votes.online.contains_key(address));
        let taken = |one: &Target| voted(one) && !self.live.contains(&one.service);
        let stopped = self.plan.targets.values().filter(|one| one.service == *service || taken(one));
        let down: Vec<&ServiceId> = stopped.map(|one| &one.service).collect();
        let (whose, who) =
            if down.len() == 1 { ("its stop takes", "it votes") } else { ("their stops together take", "they vote") };
        let text =
            format!("{whose} the voting power under the quorum ({quorum}): the chain would stand until {who} again");
        lost.then(|| about("quorum", down, text))
    }
}

fn about<'a>(rule: &str, services: impl IntoIterator<Item = &'a ServiceId>, text: impl Into<String>) -> Finding {
    finding(rule, services.into_iter().map(ToString::to_string).collect(), text)
}
