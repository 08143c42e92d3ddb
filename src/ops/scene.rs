//! The services a plan is about, with everything that is known of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::facts::{HostAnswer, KeyFacts, NodeConfig, ServiceFacts};
use crate::model::inventory::{Chain, Host, Role, Service, ServiceId};
use crate::model::plan::{LeftOut, Operation, PowerView, Target};
use crate::ops::backup;
use crate::ops::policy::Votes;
use crate::ops::powers::{Powers, answer, nodes, signs_remotely, voting};
use crate::ops::request::{Refusal, Request, Situation};
use crate::ops::rules;

/// In which stage a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A node needs it.
    Needed,
    /// A node that brings no power.
    Sentry,
    /// A node that signs.
    Validator,
}

/// One service of the plan.
pub struct Member<'a> {
    pub service: &'a Service,
    pub host: &'a Host,
    /// `None`: silent, or without the rights to see.
    pub answer: Option<&'a HostAnswer>,
    pub facts: Option<&'a ServiceFacts>,
    pub class: Class,
    /// Whether the plan starts it.
    pub starts: bool,
    pub target: Target,
}

impl Member<'_> {
    pub fn is_node(&self) -> bool {
        self.class != Class::Needed
    }

    pub fn config(&self) -> Option<&NodeConfig> {
        self.facts?.config.as_ref()
    }

    /// Whether it may sign: its power isn't known to be none.
    pub fn may_sign(&self) -> bool {
        self.class == Class::Validator && self.target.power != Some(0)
    }
}

/// Everything a plan is made from.
pub struct Scene<'a> {
    pub request: &'a Request,
    pub situation: &'a Situation<'a>,
    pub chain: &'a Chain,
    /// In the order of the inventory, what a node needs before the node.
    pub members: Vec<Member<'a>>,
    pub left_out: Vec<LeftOut>,
    pub powers: Powers<'a>,
}

impl<'a> Scene<'a> {
    /// Refused when there is nothing to act on.
    pub fn new(request: &'a Request, situation: &'a Situation<'a>) -> Result<Self, Refusal> {
        let nothing = |left_out: &[_]| Refusal { findings: vec![rules::nothing_to_do(&request.chain, left_out)] };
        let chain = situation.inventory.chain(&request.chain).ok_or_else(|| nothing(&[]))?;
        let powers = Powers::new(chain, situation);
        let mut scene = Self { request, situation, chain, members: Vec::new(), left_out: Vec::new(), powers };
        scene.members = scene.selected().flat_map(|host| scene.members_on(host)).collect();
        scene.leave_out();
        let more = backup::left_out(&scene);
        let named: BTreeSet<ServiceId> = scene.left_out.iter().map(|one| one.service.clone()).collect();
        scene.left_out.extend(more.into_iter().filter(|one| !named.contains(&one.service)));
        if scene.members.is_empty() && backup::parts(&scene).is_empty() {
            Err(nothing(&scene.left_out))
        } else {
            Ok(scene)
        }
    }

    pub fn selected(&self) -> impl Iterator<Item = &'a Host> {
        let request = self.request;
        self.situation.inventory.hosts.iter().filter(move |host| request.hosts.contains(&host.name))
    }

    fn members_on(&self, host: &'a Host) -> Vec<Member<'a>> {
        let mut members: Vec<Member<'a>> = Vec::new();
        for node in host.services.iter().filter(|service| service.chain.as_ref() == Some(&self.chain.name)) {
            let mut needed = Vec::new();
            self.needed_by(host, &node.id.service, &mut needed);
            // What only pauses for a moment keeps what it needs.
            needed.retain(|one| {
                self.request.operation != Operation::Backup && members.iter().all(|member| member.service.id != one.id)
            });
            members.extend(needed.into_iter().map(|service| self.member(host, service, Class::Needed)));
            members.push(self.member(host, node, self.class(host, node)));
        }
        members
    }

    /// What this service needs, the deepest first.
    fn needed_by(&self, host: &'a Host, name: &str, found: &mut Vec<&'a Service>) {
        let direct = host.services.iter().filter(|service| service.needed_by.as_deref() == Some(name));
        for service in direct.filter(|service| service.chain.as_ref() != Some(&self.chain.name)) {
            if !found.contains(&service) {
                found.push(service);
                let at = found.len() - 1;
                self.needed_by(host, &service.id.service, found);
                found[at..].rotate_left(1);
            }
        }
    }

    fn class(&self, host: &Host, node: &Service) -> Class {
        let address = self.powers.addresses.get(&node.id.to_string());
        let power = address.and_then(|address| self.powers.of(address));
        if host.role == Role::Validator || power > Some(0) { Class::Validator } else { Class::Sentry }
    }

    fn member(&self, host: &'a Host, service: &'a Service, class: Class) -> Member<'a> {
        let answer = answer(self.situation.facts.hosts.get(&host.name)).ok();
        let facts = answer.and_then(|answer| answer.services.get(&service.id.service));
        let starts = match self.request.operation {
            Operation::Halt => false,
            Operation::CoordinatedRestart | Operation::ReviveWal | Operation::RestoreWal | Operation::Restore => true,
            Operation::Start => !facts.is_some_and(unit_runs),
            Operation::Backup => backup::is_sealed(self, host) && facts.is_some_and(unit_runs),
        };
        Member { service, host, answer, facts, class, starts, target: self.target(service, facts, class) }
    }

    /// The chain's nodes here that the plan leaves alone.
    pub fn others(&self) -> Vec<Target> {
        let ours = |id: &ServiceId| self.members.iter().any(|member| member.service.id == *id);
        let others = nodes(self.chain, self.situation).filter(|(service, _)| !ours(&service.id));
        others.map(|(service, facts)| self.target(service, facts, Class::Validator)).collect()
    }

    fn target(&self, service: &Service, facts: Option<&ServiceFacts>, class: Class) -> Target {
        let config = facts.and_then(|facts| facts.config.as_ref());
        let chain = service.chain.as_ref().and_then(|name| self.situation.inventory.chains.get(name));
        let home = chain.and(service.home.clone()).unwrap_or_default();
        let default_db = if home.is_empty() { String::new() } else { format!("{home}/data") };
        let local = config.filter(|_| !facts.is_some_and(signs_remotely));
        let address = (class != Class::Needed).then(|| self.powers.addresses.get(&service.id.to_string()).cloned());
        let restores = self.request.operation == Operation::Restore;
        // A key without power that is seen to be gone isn't expected to come back with the databases.
        let gone = restores && facts.is_some_and(|facts| facts.key == KeyFacts::Missing && !signs_remotely(facts));
        let address = address.flatten().filter(|address| !(gone && self.powers.of(address) == Some(0)));
        Target {
            service: service.id.clone(),
            unit: service.unit.clone(),
            home,
            db_dir: config.map_or(default_db, |config| config.db_dir.clone()),
            state_file: local.map(|config| config.state_file.clone()).unwrap_or_default(),
            wal_file: config.map(|config| config.wal_file.clone()).unwrap_or_default(),
            rpc: service.rpc.clone().or_else(|| config?.rpc.clone()),
            chain_id: chain.map(|chain| chain.chain_id.clone()).unwrap_or_default(),
            power: if class == Class::Needed { Some(0) } else { address.as_ref().and_then(|one| self.powers.of(one)) },
            address,
            node_id: facts
                .and_then(|facts| facts.rpc.status.as_ref())
                .map(|status| status.node_id.clone())
                .filter(|id| restores && !id.is_empty()),
            seen: facts.is_some(),
        }
    }

    /// Takes out silent hosts that may be missing: those named, and the others if their power together is known to
    /// be small enough.
    fn leave_out(&mut self) {
        if self.request.operation == Operation::Start {
            return;
        }
        let hosts = &self.situation.facts.hosts;
        let silent: BTreeMap<String, String> = self
            .members
            .iter()
            .filter_map(|one| Some((one.host.name.clone(), answer(hosts.get(&one.host.name)).err()?)))
            .collect();
        let (named, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            silent.into_iter().partition(|(host, _)| self.request.allow_missing.contains(host));
        let allowed = self.powers.share(self.request.allow_missing_percent);
        let small = self.powers.known() && self.greatest_power(&others) <= allowed && allowed > 0;
        let out: BTreeMap<String, String> = if small { named.into_iter().chain(others).collect() } else { named };
        for member in self.members.iter().filter(|one| one.is_node()) {
            if let Some(reason) = out.get(&member.host.name) {
                let (service, power) = (member.service.id.clone(), member.target.power);
                self.left_out.push(LeftOut { service, power, reason: reason.clone() });
            }
        }
        self.members.retain(|member| !out.contains_key(&member.host.name));
    }

    /// The most power that these silent hosts can have: where an address is unknown, all power that is nobody's.
    fn greatest_power(&self, hosts: &BTreeMap<String, String>) -> u64 {
        let nodes = || self.members.iter().filter(|one| one.is_node() && hosts.contains_key(&one.host.name));
        let known: BTreeSet<&str> = nodes().filter_map(|one| one.target.address.as_deref()).collect();
        let unknown = nodes().any(|one| one.target.address.is_none());
        self.powers.sum(&known) + if unknown { self.powers.foreign() } else { 0 }
    }

    pub fn power_view(&self) -> PowerView {
        let planned: BTreeSet<&str> = self.members.iter().filter_map(|one| one.target.address.as_deref()).collect();
        let planned = self.powers.sum(&planned);
        let ours = self.powers.sum(&self.powers.ours());
        PowerView {
            total: self.powers.total(),
            quorum: self.powers.quorum(),
            planned,
            ours_elsewhere: ours - planned,
            foreign: self.powers.foreign(),
            source: self.powers.source.clone(),
        }
    }

    pub fn allowed_hosts(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.request.allow_missing.iter().collect();
        self.selected().map(|host| host.name.clone()).filter(|name| names.contains(name)).collect()
    }

    /// Who votes now, with the power behind each.
    pub fn votes(&self) -> Votes {
        let voting = voting(self.chain, self.situation);
        let power = |address: String| self.powers.of(&address).map(|power| (address, power));
        Votes { online: voting.into_iter().filter_map(power).collect(), quorum: self.powers.quorum() }
    }

    /// The content of a node's genesis: its hash by content, else by bytes.
    pub fn genesis_of<'b>(&'b self, facts: &'b ServiceFacts) -> Option<&'b String> {
        let bytes = facts.genesis_sha256.as_ref()?;
        Some(self.situation.genesis_content.get(bytes).unwrap_or(bytes))
    }

    /// The genesis of most nodes, by content.
    pub fn genesis(&self) -> Option<String> {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for (_, facts) in nodes(self.chain, self.situation) {
            let bytes = facts.and_then(|facts| facts.genesis_sha256.as_ref());
            if let Some(content) = bytes.and_then(|bytes| self.situation.genesis_content.get(bytes)) {
                *counts.entry(content).or_default() += 1;
            }
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(content, _)| content.clone())
    }
}

/// Whether the unit runs or is about to: it needs no start.
pub fn unit_runs(facts: &ServiceFacts) -> bool {
    matches!(facts.unit.active_state.as_str(), "active" | "activating" | "reloading")
}
