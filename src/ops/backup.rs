//! The stages of a backup: databases are cloned node by node, then everything is brought into the store.

use std::collections::BTreeMap;

use crate::model::backup::{Backup, Item, KEYRINGS, Keys, Profile};
use crate::model::facts::NodeConfig;
use crate::model::inventory::{Host, Role, ServiceId};
use crate::model::plan::{Action, Check, Needs, Shape, Stage, Step, Task};
use crate::ops::BackupOf;
use crate::ops::halt::task;
use crate::ops::scene::{Member, Scene, unit_runs};

mod hosts;

pub use hosts::{left_out, parts};

/// How long a node may take until blocks come to it again, and its vote with them, ms.
const HEALTHY_MS: u64 = 180_000;
/// How long one item may take, ms. What makes no progress ends much earlier.
const ARCHIVE_MS: u64 = 48 * 3_600_000;

/// What is kept of the scene's hosts; `None` where that isn't what was asked for.
pub fn backup(scene: &Scene<'_>) -> Option<Backup> {
    let asked = scene.request.backup.as_ref()?;
    let of_nodes = scene.members.iter().flat_map(|member| items(scene, member));
    let items = of_nodes.chain(parts(scene).into_iter().map(|part| part.item)).collect();
    Some(Backup {
        store: asked.store.clone(),
        parallel: asked.parallel,
        streams: asked.streams,
        rate: asked.rate,
        items,
    })
}

/// Whether a node has to be stopped for what is kept of it.
pub fn is_sealed(scene: &Scene<'_>, host: &Host) -> bool {
    profiles(scene, host).iter().any(|profile| profile.is_sealed())
}

/// Whether what is kept is what is usual for each role.
fn asks_for_none(asked: &BackupOf) -> bool {
    asked.profiles.is_empty() && asked.lists.is_empty()
}

/// What is kept of nodes.
fn profiles(scene: &Scene<'_>, host: &Host) -> Vec<Profile> {
    let Some(asked) = &scene.request.backup else { return Vec::new() };
    let profiles = if asks_for_none(asked) { Profile::of_role(host.role) } else { &asked.profiles };
    let spared =
        |profile: &Profile| host.role == Role::Validator && profile.is_sealed() && !asked.named.contains(&host.name);
    let of_node = profiles.iter().copied().filter(|profile| profile.is_of_node());
    let mut profiles: Vec<Profile> = of_node.filter(|profile| !spared(profile)).collect();
    profiles.sort_unstable();
    profiles.dedup();
    profiles
}

fn items(scene: &Scene<'_>, member: &Member<'_>) -> Vec<Item> {
    let config = member.config();
    let recipients = scene.request.backup.as_ref().map(|asked| asked.recipients.clone()).unwrap_or_default();
    let item = |profile: Profile| Item {
        service: member.service.id.clone(),
        profile,
        roots: roots(profile, member),
        backend: config.map(|config| config.db_backend.clone()).unwrap_or_default(),
        genesis: member.facts.and_then(|facts| facts.genesis_sha256.clone()),
        version: member.facts.and_then(|facts| facts.version.clone()),
        keys: (profile == Profile::Keys).then(|| Keys { names: key_places(member).1, recipients: recipients.clone() }),
        list: None,
        postgres: None,
    };
    let cosmovisor = member.facts.is_some_and(|facts| facts.cosmovisor);
    let has = |profile: &Profile| *profile != Profile::Cosmovisor || cosmovisor;
    profiles(scene, member.host).into_iter().filter(has).map(item).collect()
}

fn roots(profile: Profile, member: &Member<'_>) -> BTreeMap<String, String> {
    let below = |name: &str| format!("{}/{name}", member.target.home);
    let (name, path) = match profile {
        Profile::Config => ("config", below("config")),
        Profile::Data => ("data", member.target.db_dir.clone()),
        Profile::Cosmovisor => ("cosmovisor", below("cosmovisor")),
        Profile::Statesync => ("snapshots", below("data/snapshots")),
        Profile::Keys => return key_places(member).0,
        // Of hosts, and of services that are no node.
        Profile::Provider | Profile::Monitoring | Profile::Postgres | Profile::Paths => return BTreeMap::new(),
    };
    BTreeMap::from([(name.to_owned(), path)])
}

/// The folders that a node's keys are in, and what they are called there.
fn key_places(member: &Member<'_>) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let home = &member.target.home;
    let config = format!("{home}/config");
    let of = |file: &dyn Fn(&NodeConfig) -> &String, name: &str| {
        member.config().map(file).filter(|file| !file.is_empty()).cloned().unwrap_or_else(|| format!("{config}/{name}"))
    };
    let mut roots = BTreeMap::from([("home".to_owned(), home.clone())]);
    let mut names = BTreeMap::from([("home".to_owned(), vec![KEYRINGS.to_owned()])]);
    for (alone, file) in [
        ("validator-key", of(&|config| &config.key_file, "priv_validator_key.json")),
        ("node-key", of(&|config| &config.node_key_file, "node_key.json")),
    ] {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
        let root = if folder == config { "config" } else { alone };
        roots.insert(root.to_owned(), folder.to_owned());
        names.entry(root.to_owned()).or_default().push(pattern(name));
    }
    (roots, names)
}

/// A name as a pattern of `find` that nothing else matches.
fn pattern(name: &str) -> String {
    let special = |c: char| if "*?[\\".contains(c) { vec!['\\', c] } else { vec![c] };
    name.chars().flat_map(special).collect()
}

/// Nodes without power first, then the least power: what goes wrong shows where it matters least.
pub fn stages(scene: &Scene<'_>) -> Vec<Stage> {
    let mut sealed: Vec<&Member<'_>> = scene.members.iter().filter(|member| is_sealed(scene, member.host)).collect();
    sealed.sort_by_key(|member| (member.may_sign(), member.target.power));
    let seal = Stage {
        name: "seal".into(),
        shape: Shape::Rolling,
        // What was cloned is kept, whatever became of the others.
        needs: Needs::AtLeast(1),
        timeout_ms: sealed.len() as u64 * (scene.request.stop_timeout_ms + HEALTHY_MS),
        not_before_ms: None,
        safe_point: true,
        tasks: sealed.into_iter().map(|member| sealing(scene, member)).collect(),
    };
    let items = backup(scene).map(|backup| backup.items).unwrap_or_default();
    let mut services: Vec<&ServiceId> = Vec::new();
    for item in &items {
        if !services.contains(&&item.service) {
            services.push(&item.service);
        }
    }
    let store = Stage {
        name: "store".into(),
        shape: Shape::Parallel,
        needs: Needs::All,
        timeout_ms: ARCHIVE_MS,
        safe_point: true,
        tasks: services.into_iter().map(|service| archiving(&items, service)).collect(),
        ..seal.clone()
    };
    [seal, store].into_iter().filter(|stage| !stage.tasks.is_empty()).collect()
}

/// The next node is stopped only when this one makes blocks again.
fn sealing(scene: &Scene<'_>, member: &Member<'_>) -> Task {
    let timeout_ms = scene.request.stop_timeout_ms;
    let seal = Step { expect: Check::Nothing, action: Action::Seal, verify: Check::Sealed, timeout_ms };
    let back = Step { expect: Check::Nothing, action: Action::Observe, verify: Check::Healthy, timeout_ms: HEALTHY_MS };
    let mut task = task(member, seal);
    let ran = member.facts.is_some_and(unit_runs);
    task.steps.extend((ran && scene.situation.advancing).then_some(back));
    task
}

fn archiving(items: &[Item], service: &ServiceId) -> Task {
    let of_service = items.iter().enumerate().filter(|(_, item)| item.service == *service);
    let step = |item| Step {
        expect: Check::Nothing,
        action: Action::Archive { item },
        verify: Check::Nothing,
        timeout_ms: ARCHIVE_MS,
    };
    Task { service: service.clone(), steps: of_service.map(|(item, _)| step(item)).collect() }
}
