//! What is kept of hosts beside their nodes: a provider's daemon, the monitoring, databases, paths of the inventory.

use std::collections::BTreeMap;

use super::asks_for_none;
use crate::model::backup::{Item, PathList, Profile, root_names};
use crate::model::inventory::{Host, NODE, Service, ServiceId};
use crate::model::plan::{LeftOut, Operation, Target};
use crate::ops::powers::answer;
use crate::ops::scene::Scene;

/// Where Debian's packages and the projects' own put what the monitoring needs.
const MONITORING: [&str; 6] = [
    "/etc/prometheus",
    "/etc/grafana",
    "/etc/alertmanager",
    "/var/lib/prometheus",
    "/var/lib/grafana",
    "/var/lib/alertmanager",
];

/// One item, and what it is of.
pub struct Part {
    pub item: Item,
    pub target: Target,
}

/// All of the selected hosts that can be reached or mustn't be missing.
pub fn parts(scene: &Scene<'_>) -> Vec<Part> {
    all(scene).into_iter().filter(|part| !may_be_missed(scene, &part.target)).collect()
}

/// Those of silent hosts that may be missing.
pub fn left_out(scene: &Scene<'_>) -> Vec<LeftOut> {
    let mut found: Vec<LeftOut> = Vec::new();
    for Part { target, .. } in all(scene).into_iter().filter(|part| may_be_missed(scene, &part.target)) {
        let reason = answer(scene.situation.facts.hosts.get(&target.service.host)).err().unwrap_or_default();
        if found.iter().all(|one| one.service != target.service) {
            found.push(LeftOut { service: target.service, power: target.power, reason });
        }
    }
    found
}

fn may_be_missed(scene: &Scene<'_>, target: &Target) -> bool {
    !target.seen && scene.request.allow_missing.contains(&target.service.host)
}

fn all(scene: &Scene<'_>) -> Vec<Part> {
    if scene.request.operation != Operation::Backup {
        return Vec::new();
    }
    scene.selected().flat_map(|host| of_host(scene, host)).collect()
}

fn of_host(scene: &Scene<'_>, host: &Host) -> Vec<Part> {
    let Some(asked) = &scene.request.backup else { return Vec::new() };
    let ours = &scene.situation.inventory.backup;
    let usual = asks_for_none(asked);
    let usually = |roles: &[_]| usual && roles.contains(&host.role);
    let has =
        |profile: Profile| asked.profiles.contains(&profile) || usual && Profile::of_role(host.role).contains(&profile);
    let itself =
        |profile, roots| part(scene, ServiceId { host: host.name.clone(), service: NODE.into() }, profile, roots);
    let mut found = Vec::new();
    if has(Profile::Provider) {
        let homes = host.services.iter().filter(|service| service.chain.is_none());
        found.extend(homes.filter_map(|service| provider(scene, service)));
    }
    if has(Profile::Monitoring) {
        let usual = MONITORING.map(String::from);
        let paths = if ours.monitoring.is_empty() { &usual[..] } else { &ours.monitoring };
        found.push(itself(Profile::Monitoring, roots(paths)));
    }
    if let Some(postgres) = &ours.postgres
        && (has(Profile::Postgres) || usually(&postgres.roles))
    {
        let mut dump = itself(Profile::Postgres, BTreeMap::from([("postgres".to_owned(), "pg_dump".to_owned())]));
        dump.item.postgres = Some(postgres.clone());
        found.push(dump);
    }
    let lists = ours.profiles.iter().filter(|list| asked.lists.contains(&list.name) || usually(&list.roles));
    found.extend(lists.map(|list: &PathList| {
        let mut listed = itself(Profile::Paths, roots(&list.paths));
        listed.item.list = Some(list.clone());
        listed
    }));
    found
}

fn provider(scene: &Scene<'_>, service: &Service) -> Option<Part> {
    let home = BTreeMap::from([("home".to_owned(), service.home.clone()?)]);
    Some(part(scene, service.id.clone(), Profile::Provider, home))
}

fn roots(paths: &[String]) -> BTreeMap<String, String> {
    root_names(paths).into_iter().zip(paths.iter().cloned()).collect()
}

fn part(scene: &Scene<'_>, service: ServiceId, profile: Profile, roots: BTreeMap<String, String>) -> Part {
    let target = Target {
        unit: String::new(),
        home: String::new(),
        db_dir: String::new(),
        state_file: String::new(),
        wal_file: String::new(),
        rpc: None,
        chain_id: String::new(),
        address: None,
        power: Some(0),
        node_id: None,
        seen: answer(scene.situation.facts.hosts.get(&service.host)).is_ok(),
        service: service.clone(),
    };
    let item = Item {
        service,
        profile,
        roots,
        backend: String::new(),
        genesis: None,
        version: None,
        keys: None,
        list: None,
        postgres: None,
    };
    Part { item, target }
}
