//! One chain's nodes as the facts show them.

use std::collections::BTreeMap;

use super::Identities;
use crate::chain::quorum;
use crate::model::facts::{
    Facts, HostFacts, KeyFacts, NodeStatus, RoundState, RpcFacts, ServiceFacts, SignerFacts, ValidatorSet,
};
use crate::model::inventory::{Chain, Inventory, Service, ServiceId};

/// The nodes of one chain, its validator set and its height.
pub struct View<'a> {
    pub chain: &'a Chain,
    pub at_ms: i64,
    pub nodes: Vec<Node<'a>>,
    pub set: Option<&'a ValidatorSet>,
    /// 0 without a set.
    pub total: u64,
    pub quorum: u64,
    /// The inventory has other chains too, so commands must name this one.
    pub one_of_many: bool,
    /// The greatest height of an earlier sample, and its time.
    pub earlier: Option<(u64, i64)>,
}

/// One node.
pub struct Node<'a> {
    pub id: &'a ServiceId,
    pub unit: &'a str,
    /// `Err` says why there are none.
    pub facts: Result<&'a ServiceFacts, &'a str>,
    pub address: Option<&'a str>,
    /// The chain id it reports, where that is another chain's.
    pub stray: Option<&'a str>,
    /// Its round stood still between two samples while others moved on.
    pub frozen: bool,
}

impl<'a> View<'a> {
    pub fn new(
        chain: &'a Chain,
        inventory: &'a Inventory,
        facts: &'a Facts,
        earlier: Option<&'a Facts>,
        addresses: &'a Identities,
        known: Option<&'a ValidatorSet>,
    ) -> Self {
        let mut nodes: Vec<_> =
            services(inventory, chain).map(|service| Node::new(service, chain, facts, addresses)).collect();
        let now = nodes.iter().filter_map(|node| Some(node.status()?.height)).max();
        for node in &mut nodes {
            node.frozen = earlier.is_some_and(|earlier| node.stands_still(earlier, now.unwrap_or(0)));
        }
        let before: Vec<_> = earlier
            .map(|earlier| services(inventory, chain).map(|one| Node::new(one, chain, earlier, addresses)).collect())
            .unwrap_or_default();
        let set = newest_set(&nodes).or_else(|| newest_set(&before)).or(known);
        let total = set.map_or(0, quorum::total);
        Self {
            chain,
            at_ms: facts.at_ms,
            set,
            total,
            quorum: quorum::quorum(total),
            one_of_many: inventory.chains.len() > 1,
            earlier: earlier.and_then(|earlier| {
                let height = before.iter().filter_map(|node| Some(node.status()?.height)).max()?;
                Some((height, earlier.at_ms))
            }),
            nodes,
        }
    }

    /// Nodes whose `/status` answered, on this chain.
    pub fn answering(&self) -> impl Iterator<Item = (&Node<'a>, &'a NodeStatus)> {
        self.nodes.iter().filter_map(|node| Some((node, node.status()?)))
    }

    /// The status of the node with the newest block.
    pub fn newest(&self) -> Option<&'a NodeStatus> {
        self.answering().map(|(_, status)| status).max_by_key(|status| (status.height, status.block_time_ms))
    }

    /// The last height known: by RPC, else one below what a signer worked on, else the earlier sample's.
    pub fn height(&self) -> Option<u64> {
        let signed = self.nodes.iter().filter_map(|node| match node.facts.ok()?.signer {
            SignerFacts::State(state) => state.height.checked_sub(1),
            _ => None,
        });
        self.newest().map(|status| status.height).or_else(|| signed.chain(self.earlier.map(|(height, _)| height)).max())
    }

    /// Rounds at the greatest height in progress, of nodes whose consensus lives.
    pub fn rounds(&self) -> Vec<(&Node<'a>, &'a RoundState)> {
        let living = |node: &&Node<'a>| !node.panicked();
        let all: Vec<_> = self.nodes.iter().filter(living).filter_map(|node| Some((node, node.round()?))).collect();
        let top = all.iter().map(|(_, round)| round.height).max();
        all.into_iter().filter(|(_, round)| Some(round.height) == top).collect()
    }

    /// The set that a round's votes are counted in: of that height, else one that has the same shape and power.
    pub fn set_of(&self, round: &RoundState) -> Option<&'a ValidatorSet> {
        let sets = || self.nodes.iter().filter_map(|node| node.rpc()?.validators.as_ref()).chain(self.set);
        let fits = |set: &&ValidatorSet| {
            set.validators.len() == round.prevotes.votes.len() && quorum::total(set) == round.prevotes.total
        };
        sets().filter(fits).find(|set| set.height == round.height).or_else(|| sets().find(fits))
    }
}

impl<'a> Node<'a> {
    fn new(service: &'a Service, chain: &Chain, facts: &'a Facts, addresses: &'a Identities) -> Self {
        let told = match facts.hosts.get(&service.id.host) {
            Some(HostFacts::Answered(host)) => host.services.get(&service.id.service).ok_or("nothing about this unit"),
            Some(HostFacts::Silent(silence)) => Err(silence.reason.as_str()),
            None => Err("not asked"),
        };
        let told_chain = told.ok().and_then(|facts| facts.rpc.status.as_ref()).map(|status| status.chain_id.as_str());
        Self {
            id: &service.id,
            unit: &service.unit,
            facts: told,
            address: addresses.get(&service.id.to_string()).map(String::as_str),
            stray: told_chain.filter(|told| *told != chain.chain_id),
            frozen: false,
        }
    }

    /// What its RPC said, unless it is on another chain.
    pub fn rpc(&self) -> Option<&'a RpcFacts> {
        if self.stray.is_some() { None } else { self.facts.ok().map(|facts| &facts.rpc) }
    }

    pub fn status(&self) -> Option<&'a NodeStatus> {
        self.rpc()?.status.as_ref()
    }

    pub fn round(&self) -> Option<&'a RoundState> {
        self.rpc()?.round.as_ref()
    }

    pub fn panicked(&self) -> bool {
        self.status().is_some() && (self.frozen || self.facts.is_ok_and(|facts| facts.consensus_failure))
    }

    /// `/status` answers and `/consensus_state` doesn't: the application holds the consensus.
    pub fn hung(&self) -> bool {
        self.status().is_some() && self.rpc().is_some_and(|rpc| rpc.round_error.is_some())
    }

    pub fn without_peers(&self) -> bool {
        self.rpc().is_some_and(|rpc| rpc.peers.as_ref().is_some_and(Vec::is_empty))
    }

    /// Whether anything of it runs.
    pub fn runs(&self) -> bool {
        self.facts.is_ok_and(|facts| {
            facts.unit.main_pid != 0
                || facts.unit.cgroup_processes > 0
                || !facts.processes.is_empty()
                || facts.rpc.status.is_some()
        })
    }

    pub fn remote_signer(&self) -> bool {
        self.facts.is_ok_and(|facts| facts.config.as_ref().is_some_and(|config| !config.remote_signer.is_empty()))
    }

    /// Its round is the same in both samples, though others are at least two blocks further by now.
    fn stands_still(&self, earlier: &Facts, now: u64) -> bool {
        let before = earlier.service(self.id).and_then(|facts| facts.rpc.round.as_ref());
        match (self.status(), self.round(), before) {
            (Some(status), Some(round), Some(before)) => {
                !status.catching_up && round == before && now >= round.height.saturating_add(1)
            }
            _ => false,
        }
    }
}

/// Whose consensus address is whose, as far as these facts tell. A running node's word goes before its key file,
/// which a remote signer leaves unused.
pub fn identities(inventory: &Inventory, facts: &Facts) -> Identities {
    let services = inventory.hosts.iter().flat_map(|host| &host.services);
    let address = |service: &Service| {
        let facts = facts.service(&service.id)?;
        let told = facts.rpc.status.as_ref().map(|status| &status.address).filter(|address| !address.is_empty());
        let remote = facts.config.as_ref().is_some_and(|config| !config.remote_signer.is_empty());
        match &facts.key {
            _ if told.is_some() => told.cloned(),
            KeyFacts::Present { address, .. } if !remote => Some(address.clone()),
            _ => None,
        }
    };
    services.filter_map(|service| Some((service.id.to_string(), address(service)?))).collect::<BTreeMap<_, _>>()
}

fn services<'a>(inventory: &'a Inventory, chain: &'a Chain) -> impl Iterator<Item = &'a Service> {
    let all = inventory.hosts.iter().flat_map(|host| &host.services);
    all.filter(|service| service.chain.as_deref() == Some(&chain.name))
}

fn newest_set<'a>(nodes: &[Node<'a>]) -> Option<&'a ValidatorSet> {
    let sets = nodes.iter().filter_map(|node| node.rpc()?.validators.as_ref());
    sets.filter(|set| !set.validators.is_empty()).max_by_key(|set| set.height)
}
