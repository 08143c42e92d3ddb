//! Backups of hosts that run no node, beside nodes and alone.

use fleet::model::backup::Profile;
use fleet::model::event::{Event, RunState, What};
use fleet::model::facts::{RoundState, VoteSeen, VoteTally};
use fleet::model::inventory::ServiceId;
use fleet::model::plan::{Action, Operation};
use fleet::ops::{self, BackupOf};
use fleet::render::paint::Paint;
use fleet::render::plan::plan_text;
use fleet::render::run::Teller;

use crate::world::{HEIGHT, World, address, hosts};

const POWERS: [u64; 4] = [10, 10, 10, 10];

/// Four validators, a sentry, a monitoring host and a provider's.
fn world(chain: &str, names: &[&str]) -> World {
    let more = "[hosts.mon]\naddress = \"mon\"\nrole = \"monitoring\"\n[hosts.prov]\naddress = \"prov\"\nrole = \"provider\"\n\
                [[hosts.prov.services]]\nname = \"daemon\"\nunit = \"p.service\"\nhome = \"/p\"\n\
                [backup.postgres]\ndatabases = [\"p\"]\n\
                [backup.profiles.scripts]\npaths = [\"/opt\"]\nroles = [\"sentry\"]\n";
    let inventory = hosts(&["val-[1-4]"], &["sentry-1"]) + more;
    let mut world = World::new(&inventory, &POWERS).operation(Operation::Backup);
    world.request.chain = chain.into();
    world.request.hosts = names.iter().map(ToString::to_string).collect();
    let (store, profiles, lists) = ("/srv/snapshots".into(), Vec::new(), Vec::new());
    world.request.backup = Some(BackupOf {
        store,
        profiles,
        lists,
        named: names.iter().map(ToString::to_string).collect(),
        parallel: 4,
        streams: 4,
        rate: None,
        recipients: Vec::new(),
    });
    world
}

/// Their databases alone.
fn databases(names: &[&str]) -> World {
    world("virtengine", names).asked(|request| request.backup.as_mut().unwrap().profiles = vec![Profile::Data])
}

/// What is kept: service and profile.
fn kept(world: &World) -> Vec<String> {
    let plan = world.plan().unwrap().plan;
    let items = plan.backup.unwrap().items;
    items.iter().map(|item| format!("{} {}", item.service, item.profile_name())).collect()
}

#[test]
fn what_is_usual_for_each_role_is_kept_and_no_node_is_touched_for_hosts_without_one() {
    let alone = world("", &["mon", "prov"]);
    assert_eq!(kept(&alone), ["mon monitoring", "prov/daemon provider", "prov postgres"]);
    let plan = alone.plan().unwrap().plan;
    assert_eq!((plan.chain_id.as_str(), plan.title().as_str()), ("", "backup of mon,prov"));
    assert!(plan.stages.iter().all(|stage| !stage.needs_locks()), "{:?}", plan.stages);
    let text = plan_text(&plan, &[], 100, false);
    assert!(text.contains("nothing is locked") && !text.contains("power"), "{text}");
    let beside = world("virtengine", &["sentry-1", "mon"]);
    assert_eq!(kept(&beside), ["sentry-1 config", "sentry-1 data", "sentry-1 scripts", "mon monitoring"]);
    let steps: Vec<usize> = beside.plan().unwrap().plan.stages.iter().map(|stage| stage.tasks.len()).collect();
    assert_eq!(steps, [1, 2], "one node is sealed, two hosts are kept");
}

#[test]
fn every_item_is_kept_by_one_step_of_a_target_of_the_plan() {
    let plan = world("virtengine", &["val-1", "sentry-1", "mon", "prov"]).plan().unwrap().plan;
    let tasks = plan.stages.iter().flat_map(|stage| &stage.tasks);
    let steps = tasks.flat_map(|task| task.steps.iter().map(move |step| (&task.service, step.action)));
    let mut found: Vec<usize> = Vec::new();
    let items = &plan.backup.as_ref().unwrap().items;
    for (service, action) in steps {
        if let Action::Archive { item } = action {
            assert_eq!(items[item].service, *service);
            assert!(plan.target(service).is_some());
            found.push(item);
        }
    }
    found.sort_unstable();
    assert_eq!(found, (0..items.len()).collect::<Vec<_>>());
    // A list of a node's host doesn't take the node's place.
    let sentry = plan.target(&ServiceId { host: "sentry-1".into(), service: "node".into() }).unwrap();
    assert_eq!(sentry.unit, "virtengined.service");
}

#[test]
fn a_silent_host_is_told_and_may_be_left_out() {
    let silent = world("", &["mon", "prov"]).silent("mon");
    let planned = silent.plan().unwrap();
    assert!(planned.plan.notices.iter().any(|one| one.rule == "silent" && one.services == ["mon"]));
    let mon = ServiceId { host: "mon".into(), service: "node".into() };
    let rest = ops::without(&planned.plan, std::slice::from_ref(&mon), "can't be armed");
    assert_eq!((rest.hosts(), rest.left_out.len()), (vec!["prov".to_owned()], 1));
    let missing = silent.asked(|request| request.allow_missing = vec!["mon".into()]);
    assert_eq!(kept(&missing), ["prov/daemon provider", "prov postgres"]);
    assert_eq!(missing.plan().unwrap().plan.left_out[0].service, mon);
    let mixed = world("virtengine", &["val-1", "mon", "prov"]).plan().unwrap().plan;
    assert_eq!(ops::without(&mixed, &[mon], "can't be armed").hosts(), ["prov", "val-1"]);
}

#[test]
fn where_nothing_is_to_be_kept_the_plan_is_refused() {
    let monitoring = |request: &mut fleet::ops::Request| {
        request.backup.as_mut().unwrap().profiles = vec![Profile::Provider];
    };
    let refusal = world("", &["mon"]).asked(monitoring).plan().unwrap_err();
    assert_eq!(refusal.findings[0].rule, "nothing-to-do");
    assert!(refusal.findings[0].text.contains("fleet backup --help"), "{:?}", refusal.findings);
    let silent = world("", &["mon"]).silent("mon").asked(|request| request.allow_missing = vec!["mon".into()]);
    let refusal = silent.plan().unwrap_err();
    assert!(refusal.findings[0].text.contains("; mon: ssh 10.0.0.17:22 timed out"), "{:?}", refusal.findings);
}

#[test]
fn what_is_said_of_a_stop_and_of_keys_is_what_becomes_of_them() {
    let text = |world: &World| plan_text(&world.plan().unwrap().plan, &[], 200, false);
    let all = text(&databases(&["sentry-1", "val-1"]).stopped("sentry-1"));
    let row = |name: &str| all.lines().find(|line| line.contains("seal") && line.contains(name)).unwrap();
    assert!(row("sentry-1").contains("stands still") && all.contains("No key and no signer's state is kept."), "{all}");
    assert!(all.contains("val-1  10     stopped, its tables linked, started again"), "{all}");
    let keys = text(&world("virtengine", &["val-1"]).asked(|request| {
        let asked = request.backup.as_mut().unwrap();
        asked.profiles = vec![Profile::Keys];
        asked.recipients = vec!["age1".into(), "age2".into()];
    }));
    assert!(keys.contains("Keys are kept") && !keys.contains("No key"), "{keys}");
}

#[test]
fn a_vote_that_came_too_late_for_the_last_commit_counts_where_the_next_round_has_one() {
    let world = databases(&["val-1"]);
    let nodes = ["val-1", "val-2", "val-3", "val-4", "sentry-1"];
    let late = nodes.iter().fold(world, |world, name| {
        let commit = |facts: &mut fleet::model::facts::ServiceFacts| {
            facts.rpc.last_commit.as_mut().unwrap().signed.retain(|signer| *signer != address(2));
        };
        world.on(name, commit)
    });
    let refusal = late.plan().unwrap_err();
    assert_eq!(refusal.findings[0].rule, "quorum", "20 of 40 would be left: {:?}", refusal.findings);
    let votes = [VoteSeen::Missing, VoteSeen::Block("AB".into()), VoteSeen::Missing, VoteSeen::Missing];
    let seen = |height: u64, total: u64| {
        let prevotes = VoteTally { votes: votes.to_vec(), power: 10, total };
        let round = RoundState { height, prevotes, ..RoundState::default() };
        World { facts: late.facts.clone(), ..databases(&["val-1"]) }.on("val-3", |facts| facts.rpc.round = Some(round))
    };
    seen(HEIGHT + 1, 40).plan().unwrap();
    // Of a node that stands still, and where the set has changed since.
    for (height, total) in [(HEIGHT, 40), (HEIGHT + 1, 50)] {
        assert_eq!(seen(height, total).plan().unwrap_err().findings[0].rule, "quorum");
    }
}

#[test]
fn what_stands_on_the_screen_while_copies_come_says_when_none_do() {
    let plan = databases(&["sentry-1"]).plan().unwrap().plan;
    let mut teller = Teller::new(&plan, RunState::default(), Paint { color: false });
    let service = ServiceId { host: "sentry-1".into(), service: "node".into() };
    let progress = |done| What::Progress { service: service.clone(), done, all: 100_000_000 };
    let events = [
        (0, What::RunStarted { run: "R".into(), digest: plan.digest().to_string(), owner: "ana@laptop".into() }),
        (1_000, What::StageStarted { stage: 1, name: "store".into() }),
        (2_000, progress(0)),
        (4_000, progress(20_000_000)),
        // It is told every second, whatever came.
        (23_000, progress(20_000_000)),
    ];
    for (at_ms, what) in events {
        teller.lines(&Event { at_ms, what });
    }
    assert_eq!(teller.now(24_000), " 24.0 s  store     20 MB of 100 MB, 909 kB/s, 88.0 s left");
    assert_eq!(teller.now(64_000), " 64.0 s  store     20 MB of 100 MB, 323 kB/s, nothing came for 60.0 s");
}
