//! Whose voting power is whose, from the chain's own answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::quorum;
use crate::model::facts::{HostFacts, KeyFacts, RpcFacts, ServiceFacts, ValidatorSet, VoteSeen};
use crate::model::inventory::{Chain, Service};
use crate::ops::request::Situation;

/// The validator set, and the addresses our services sign for.
pub struct Powers<'a> {
    /// The set; `None` when nobody ever told.
    set: Option<&'a ValidatorSet>,
    /// Where it comes from, as the plan says it.
    pub source: String,
    /// By a service's display name, upper-case hex.
    pub addresses: BTreeMap<String, String>,
}

impl<'a> Powers<'a> {
    pub(super) fn new(chain: &Chain, situation: &Situation<'a>) -> Self {
        let told = rpc_facts(chain, situation).filter_map(|rpc| rpc.validators.as_ref()).max_by_key(|set| set.height);
        let (set, source) = match (told, situation.cached_set) {
            (Some(set), _) => (Some(set), "the chain".into()),
            (None, Some(set)) => (Some(set), format!("the last gather at height {}", set.height)),
            (None, None) => (None, "unknown".into()),
        };
        Self { set, source, addresses: addresses(chain, situation) }
    }

    pub(super) fn known(&self) -> bool {
        self.set.is_some()
    }

    pub(super) fn total(&self) -> u64 {
        self.set.map_or(0, quorum::total)
    }

    pub(super) fn quorum(&self) -> u64 {
        self.set.map_or(0, |set| quorum::quorum(quorum::total(set)))
    }

    /// The power of an address: 0 when it isn't in the set, `None` when the set is unknown.
    pub(super) fn of(&self, address: &str) -> Option<u64> {
        self.set.map(|set| quorum::power_of(set, |one| one == address))
    }

    /// The power behind these addresses.
    pub(super) fn sum(&self, addresses: &BTreeSet<&str>) -> u64 {
        self.set.map_or(0, |set| quorum::power_of(set, |one| addresses.contains(one)))
    }

    /// Power that isn't behind any address we know to be ours.
    pub(super) fn foreign(&self) -> u64 {
        self.total().saturating_sub(self.sum(&self.ours()))
    }

    pub(super) fn ours(&self) -> BTreeSet<&str> {
        self.addresses.values().map(String::as_str).collect()
    }

    /// This share of the whole power, rounded down.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // a share of a total
    pub(super) fn share(&self, percent: Option<f64>) -> u64 {
        percent.map_or(0, |percent| (self.total() as f64 * percent / 100.0).floor() as u64)
    }
}

/// Addresses that vote now: on a chain that advances who signed one of the last two commits that any node has seen, and
/// whose vote any node has seen at the height after these, for a commit may lack votes that came a moment late; else whose
/// vote any node has seen in the round under way.
pub(super) fn voting(chain: &Chain, situation: &Situation<'_>) -> BTreeSet<String> {
    let all = || rpc_facts(chain, situation);
    if !situation.advancing {
        return all().flat_map(voters).collect();
    }
    let commits = || all().filter_map(|rpc| rpc.last_commit.as_ref());
    let newest = commits().map(|commit| commit.height).max().unwrap_or(0);
    let signers =
        commits().filter(|commit| commit.height + 1 >= newest).flat_map(|commit| commit.signed.iter().cloned());
    // A node that stands still shows votes of long ago.
    let under_way = |rpc: &&RpcFacts| rpc.round.as_ref().is_some_and(|round| round.height == newest + 1);
    signers.chain(all().filter(under_way).flat_map(voters)).collect()
}

fn voters(rpc: &RpcFacts) -> Vec<String> {
    let (Some(round), Some(set)) = (&rpc.round, &rpc.validators) else { return Vec::new() };
    // Asked one after the other: the set may be that of another height by now.
    if set.validators.len() != round.prevotes.votes.len() || quorum::total(set) != round.prevotes.total {
        return Vec::new();
    }
    let seen = |(index, one): (usize, &crate::model::facts::Validator)| {
        let vote = |votes: &[VoteSeen]| votes.get(index).is_some_and(|vote| *vote != VoteSeen::Missing);
        (vote(&round.prevotes.votes) || vote(&round.precommits.votes)).then(|| one.address.clone())
    };
    set.validators.iter().enumerate().filter_map(seen).collect()
}

/// What the nodes of this chain answered; a node that reports another chain tells nothing about this one.
fn rpc_facts<'a>(chain: &Chain, situation: &Situation<'a>) -> impl Iterator<Item = &'a RpcFacts> {
    nodes(chain, situation)
        .filter_map(|(_, facts)| facts.map(|facts| &facts.rpc))
        .filter(|rpc| rpc.status.as_ref().is_none_or(|status| status.chain_id == chain.chain_id))
}

/// The chain's nodes in the inventory's order, with their facts.
pub(super) fn nodes<'a>(
    chain: &Chain,
    situation: &Situation<'a>,
) -> impl Iterator<Item = (&'a Service, Option<&'a ServiceFacts>)> {
    let services = situation.inventory.hosts.iter().flat_map(|host| &host.services);
    let facts = situation.facts;
    services
        .filter(|service| service.chain.as_ref() == Some(&chain.name))
        .map(|service| (service, facts.service(&service.id)))
}

fn addresses(chain: &Chain, situation: &Situation<'_>) -> BTreeMap<String, String> {
    let address = |(service, facts): (&Service, Option<&ServiceFacts>)| {
        let name = service.id.to_string();
        let cached = situation.cached_addresses.and_then(|known| known.get(&name)).cloned();
        facts.and_then(|facts| address(facts, &chain.chain_id)).or(cached).map(|address| (name, address))
    };
    nodes(chain, situation).filter_map(address).collect()
}

/// The address a node signs for: of its own key, or what it reports of its remote signer.
fn address(facts: &ServiceFacts, chain_id: &str) -> Option<String> {
    let status = facts.rpc.status.as_ref().filter(|status| status.chain_id == chain_id);
    let reported = status.map(|status| status.address.clone()).filter(|address| !address.is_empty());
    match &facts.key {
        KeyFacts::Present { address, .. } if !signs_remotely(facts) => Some(address.clone()),
        _ => reported,
    }
}

/// Whether a remote signer holds the node's key.
pub(super) fn signs_remotely(facts: &ServiceFacts) -> bool {
    facts.config.as_ref().is_some_and(|config| !config.remote_signer.is_empty())
}

/// The host's answer, where it gave one with the rights to see everything; else why not and what may help.
pub(super) fn answer(facts: Option<&HostFacts>) -> Result<&crate::model::facts::HostAnswer, String> {
    match facts {
        Some(HostFacts::Answered(answer)) => match &answer.privilege_error {
            Some(error) => Err(error.clone()),
            None => Ok(answer),
        },
        Some(HostFacts::Silent(silence)) => Err(match &silence.hint {
            Some(hint) => format!("{}; {hint}", silence.reason),
            None => silence.reason.clone(),
        }),
        None => Err("was not asked".into()),
    }
}
