//! Rules that compare services with each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::facts::ServiceFacts;
use crate::model::inventory::{Role, ServiceId};
use crate::model::plan::{Finding, Operation, Severity};
use crate::ops::backup;
use crate::ops::policy::{Signer, runs, signers, too_many};
use crate::ops::powers::{answer, nodes};
use crate::ops::rules::{Found, finding};
use crate::ops::scene::{Member, Scene};

pub fn one_signer(scene: &Scene<'_>) -> Vec<Found> {
    let mut by_key: BTreeMap<(String, String), Vec<Signer>> = BTreeMap::new();
    for signer in signers(scene.situation.inventory, scene.situation.facts) {
        by_key.entry(signer.key.clone()).or_default().push(signer);
    }
    let member = |one: &Signer| scene.members.iter().find(|member| member.service.id == one.service);
    let live = |one: &&Signer| one.runs || member(one).is_some_and(|member| member.starts);
    let mut found = Vec::new();
    for ((_, address), signers) in &by_key {
        let live: Vec<&Signer> = signers.iter().filter(live).collect();
        if too_many(&live) && live.iter().any(|one| member(one).is_some()) {
            found.extend(live.iter().map(|one| Found::new(format!("each would sign for {address}")).of(&one.service)));
        }
    }
    found
}

pub fn genesis(scene: &Scene<'_>) -> Vec<Found> {
    let known = &scene.situation.genesis_content;
    let by_content =
        |facts: &ServiceFacts| facts.genesis_sha256.as_ref().is_some_and(|bytes| known.contains_key(bytes));
    let all_read =
        seen_nodes(scene).filter(|(_, facts)| facts.genesis_sha256.is_some()).all(|(_, facts)| by_content(facts));
    let text = if all_read { "another genesis than most nodes" } else { "another genesis file than most nodes" };
    unlike_most(scene, |facts| scene.genesis_of(facts).cloned())
        .map(|(service, _)| Found::new(text).of(&service))
        .collect()
}

pub fn app_version(scene: &Scene<'_>) -> Vec<Found> {
    let version =
        |facts: &ServiceFacts| facts.version.clone().or_else(|| facts.rpc.app.as_ref().map(|app| app.version.clone()));
    let unlike = unlike_most(scene, version);
    unlike.map(|(service, version)| Found::new(format!("runs {version}, unlike most nodes")).of(&service)).collect()
}

fn seen_nodes<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a Member<'a>, &'a ServiceFacts)> {
    scene.members.iter().filter(|member| member.is_node()).filter_map(|member| Some((member, member.facts?)))
}

/// Nodes whose value isn't the most frequent one, with that value.
fn unlike_most(
    scene: &Scene<'_>,
    value: impl Fn(&ServiceFacts) -> Option<String>,
) -> impl Iterator<Item = (String, String)> {
    let values: Vec<(String, String)> =
        seen_nodes(scene).filter_map(|(member, facts)| Some((member.service.id.to_string(), value(facts)?))).collect();
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for (_, value) in &values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(value, _)| value.clone());
    values.into_iter().filter(move |(_, value)| Some(value) != most.as_ref())
}

pub fn unattributed(scene: &Scene<'_>) -> Vec<Found> {
    let unknown = nodes(scene.chain, scene.situation).filter(|(service, _)| {
        let host = scene.situation.inventory.host(&service.id.host);
        host.is_some_and(|host| host.role == Role::Validator)
            && !scene.powers.addresses.contains_key(&service.id.to_string())
    });
    let text = "its consensus address is unknown: its power counts as foreign here";
    unknown.filter(|_| scene.powers.known()).map(|(service, _)| Found::new(text).of(&service.id)).collect()
}

pub fn allow_missing(scene: &Scene<'_>) -> Vec<Found> {
    let idle = scene.request.allow_missing_percent.is_some() && !scene.powers.known();
    let text = "voting powers are unknown: --allow-missing-power allows nothing";
    idle.then(|| Found::new(text)).into_iter().collect()
}

pub fn already_running(scene: &Scene<'_>) -> Vec<Found> {
    let running = scene.members.iter().filter(|one| !one.starts && scene.request.operation == Operation::Start);
    let found = |member: &Member<'_>| {
        let looping = member.facts.is_some_and(|facts| facts.unit.sub_state == "auto-restart");
        let found = if looping {
            Found::new("systemd restarts it again and again: a start would not help").severity(Severity::Warning)
        } else {
            Found::new("runs already: left as it is")
        };
        found.of(&member.service.id)
    };
    running.map(found).collect()
}

pub fn already_stopped(scene: &Scene<'_>) -> Vec<Found> {
    let halt = scene.request.operation == Operation::Halt;
    let stopped = scene.members.iter().filter(|one| halt && one.facts.is_some_and(|facts| !runs(facts)));
    stopped.map(|member| Found::new("stopped already").of(&member.service.id)).collect()
}

pub fn signers_mute(scene: &Scene<'_>) -> Vec<Found> {
    let restart = matches!(scene.request.operation, Operation::CoordinatedRestart | Operation::Start);
    scene.situation.mute.iter().filter(|_| restart).map(Found::new).collect()
}

pub fn silent(scene: &Scene<'_>) -> Vec<Found> {
    let text = "gave no facts: its key, state and config aren't checked, and it can't be armed like this";
    let nodes = silent_nodes(scene).map(|service| Found::new(text).of(service));
    let hosts = silent_parts(scene).into_iter().map(|service| Found::new("gave no facts").of(&service));
    nodes.chain(hosts).collect()
}

fn silent_nodes<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = &'a ServiceId> {
    scene.members.iter().filter(|one| one.is_node() && !one.target.seen).map(|one| &one.service.id)
}

/// What is kept of silent hosts beside their nodes.
fn silent_parts(scene: &Scene<'_>) -> BTreeSet<ServiceId> {
    let silent = backup::parts(scene).into_iter().filter(|part| !part.target.seen).map(|part| part.target.service);
    silent.filter(|service| silent_nodes(scene).all(|node| node != service)).collect()
}

/// Why silent hosts are silent, and who votes now: true for the moment only, so beside the plan.
pub fn who_votes(scene: &Scene<'_>) -> Vec<Finding> {
    let silent = silent_nodes(scene).cloned().chain(silent_parts(scene)).filter_map(|service| {
        let reason = answer(scene.situation.facts.hosts.get(&service.host)).err()?;
        Some(finding("silent", vec![service.to_string()], reason))
    });
    let planned: Vec<&str> = scene.members.iter().filter_map(|one| one.target.address.as_deref()).collect();
    let votes = scene.votes();
    let others = votes.online.iter().filter(|(address, _)| !planned.contains(&address.as_str()));
    let others: u64 = others.map(|(_, power)| power).sum();
    let view = scene.power_view();
    let brings_blocks = scene.request.operation.brings_blocks(scene.situation.advancing);
    // On a chain that advances, our nodes that are left alone go on.
    let with_ours = view.planned + if scene.situation.advancing { view.ours_elsewhere } else { 0 };
    let partial = view.quorum > 0 && with_ours < view.quorum && brings_blocks;
    let text = format!(
        "power outside this plan that votes now: {others}; with it {} of {}, quorum {}",
        view.planned + others,
        view.total,
        view.quorum
    );
    let voting = partial.then(|| finding("needs-others", Vec::new(), text));
    silent.chain(voting).collect()
}
