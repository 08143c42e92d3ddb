//! Restores: what is planned, and what is refused.

use fleet::model::facts::*;
use fleet::model::plan::{Action, Check, Operation, Severity};
use fleet::model::restore::Restore;
use fleet::model::snapshot::NodeState;
use fleet::ops::{Planned, RestoreOf, against};

use crate::world::{HEIGHT, POWERS, World, address, company, hosts};

/// A restore of a snapshot of this height to these hosts.
pub fn restoring(world: World, height: u64, names: &[&str]) -> World {
    let restore = Restore {
        store: "/srv/fleet".into(),
        parallel: 4,
        snapshot: "S-sentry-1-data".into(),
        of: "sentry-1".into(),
        height: Some(height),
        entries: ["application.db", "blockstore.db", "state.db"].map(str::to_owned).into(),
        files: 100,
        bytes: 1_000_000_000,
        tips: Vec::new(),
    };
    let node = NodeState {
        chain_id: "virtengine-1".into(),
        height: Some(height),
        app_hash: None,
        genesis: Some("g1".into()),
        backend: "goleveldb".into(),
        version: None,
        binary_sha256: None,
    };
    let all: Vec<String> = world.facts.hosts.keys().cloned().collect();
    let world =
        all.iter().fold(world, |world, host| world.config(host, |config| config.db_backend = "goleveldb".into()));
    world.operation(Operation::Restore).asked(|request| {
        request.hosts = names.iter().map(|name| (*name).to_owned()).collect();
        request.restore = Some(RestoreOf { restore, node, catch_up_ms: 3_600_000 });
    })
}

fn asked(world: World, change: impl FnOnce(&mut RestoreOf)) -> World {
    world.asked(|request| change(request.restore.as_mut().unwrap()))
}

#[track_caller]
fn planned(world: &World) -> Planned {
    world.plan().unwrap_or_else(|refusal| panic!("{:?}", refusal.findings))
}

/// The rules that refuse, with what they say.
#[track_caller]
fn refused(world: &World) -> String {
    let findings = world.plan().unwrap_err().findings;
    let refusals = findings.iter().filter(|one| one.severity >= Severity::Refusal);
    let lines: Vec<String> =
        refusals.map(|one| format!("{} {} {}", one.rule, one.services.join(","), one.text)).collect();
    lines.join("\n")
}

fn all() -> Vec<String> {
    let names = (1..=7).map(|index| format!("val-{index}"));
    names.chain(["sentry-1".into(), "sentry-2".into()]).collect()
}

#[test]
fn a_snapshot_comes_before_the_stop_and_is_put_in_place_before_the_start() {
    let world = restoring(company(), HEIGHT - 1000, &["val-3"])
        .on("val-3", |facts| facts.rpc.status.as_mut().unwrap().node_id = "n3".into());
    let Planned { plan, remarks } = planned(&world);
    let names: Vec<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["fetch", "halt", "swap", "nodes", "healthy"]);
    let steps =
        |index: usize| (plan.stages[index].tasks[0].steps[0].action, plan.stages[index].tasks[0].steps[0].verify);
    assert_eq!(steps(0), (Action::Fetch, Check::Nothing));
    assert_eq!(steps(2), (Action::Swap, Check::Swapped));
    assert_eq!(steps(4), (Action::Observe, Check::Healthy));
    assert_eq!(plan.targets["val-3"].node_id.as_deref(), Some("n3"));
    let tips = &plan.restore.as_ref().unwrap().tips;
    assert!(tips.len() == 8 && tips.iter().all(|(host, _)| host != "val-3"), "{tips:?}");
    assert!(!plan.stages[0].needs_locks() && plan.stages[2].needs_locks());
    let behind = remarks.iter().find(|one| one.rule == "behind").unwrap();
    assert!(behind.text.contains("1000 blocks to catch up, about 1 min"), "{}", behind.text);
}

#[test]
fn a_stopped_node_is_restored_and_started_as_well() {
    let plan = planned(&restoring(company().stopped("val-3"), HEIGHT, &["val-3"])).plan;
    assert_eq!(plan.starts().map(|one| one.host.as_str()).collect::<Vec<_>>(), ["val-3"]);
}

#[test]
fn none_is_restored_whose_stop_takes_the_power_under_the_quorum_while_the_chain_goes_on() {
    let text = refused(&restoring(company(), HEIGHT, &["val-1", "val-2"]));
    assert!(text.contains("quorum val-1,val-2 their stops together take"), "{text}");
    let accepting =
        restoring(company(), HEIGHT, &["val-1", "val-2"]).asked(|request| request.accept = vec!["quorum".into()]);
    let plan = planned(&accepting).plan;
    let notice = plan.notices.iter().find(|notice| notice.rule == "quorum").unwrap();
    assert!(notice.severity == Severity::Warning && notice.text.contains("the chain would stand"), "{notice:?}");
    assert_eq!(
        (plan.accepted.clone(), against(&plan, &accepting.situation())),
        (vec!["quorum".to_owned()], Vec::new())
    );
    // What stands anyway loses nothing.
    let mut world = restoring(company().stopped("val-1").stopped("val-2"), HEIGHT, &["val-1", "val-3"]);
    world.advancing = false;
    planned(&world);
}

#[test]
fn what_others_do_while_the_snapshot_comes_speaks_against_the_plan() {
    let world = restoring(company(), HEIGHT, &["val-3"]);
    let plan = planned(&world).plan;
    assert_eq!(against(&plan, &world.situation()), []);
    // By now val-1 (30 of 100) votes no more.
    let mut later = restoring(company().stopped("val-1"), HEIGHT, &["val-3"]);
    for name in all().iter().filter(|name| *name != "val-1") {
        later = later.on(name, |facts| {
            facts.rpc.last_commit.as_mut().unwrap().signed.retain(|signer| *signer != address(1));
        });
    }
    let rules = |world: &World| against(&plan, &world.situation()).into_iter().map(|one| one.rule).collect::<Vec<_>>();
    assert_eq!(rules(&later), ["quorum"]);
    let lost = restoring(company(), HEIGHT, &["val-3"]).on("val-3", |facts| facts.signer = SignerFacts::Missing);
    assert_eq!(rules(&lost), ["signer-pair"]);
}

#[test]
fn the_whole_fleet_goes_to_the_last_height_together_but_not_to_an_older_one() {
    let names = all();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = planned(&restoring(company(), HEIGHT, &names)).plan;
    assert_eq!(plan.stages[0].tasks.len(), 9);
    let older = restoring(company(), HEIGHT - 2, &names);
    assert!(refused(&older).contains("signers-ahead"), "{}", refused(&older));
    // Where one node keeps the blocks, the others take them from it.
    planned(&restoring(company(), HEIGHT - 2, &["val-3", "val-4", "sentry-1"]));
    planned(&older.asked(|request| request.accept = vec!["signers-ahead".into()]));
}

#[test]
fn an_operator_whose_hosts_are_not_the_whole_chain_does_not_stop_it() {
    let world = World::new(&hosts(&["val-[1-2]"], &[]), &POWERS);
    assert!(refused(&restoring(world, HEIGHT, &["val-1", "val-2"])).contains("quorum"));
}

#[test]
fn a_snapshot_of_another_chain_kind_or_genesis_is_refused() {
    let one = || restoring(company(), HEIGHT, &["val-3"]);
    let chain = asked(one(), |asked| asked.node.chain_id = "other-1".into());
    assert!(refused(&chain).contains("the snapshot is of other-1, not of virtengine-1"));
    let backend = asked(one(), |asked| asked.node.backend = "pebbledb".into());
    assert!(
        refused(&backend).contains("snapshot-fit val-3 its databases are goleveldb, those of the snapshot pebbledb")
    );
    let unknown = asked(one(), |asked| asked.node.backend.clear());
    assert!(refused(&unknown).contains("of an unknown kind"));
    let genesis = asked(one(), |asked| asked.node.genesis = Some("g2".into()));
    assert!(refused(&genesis).contains("snapshot-genesis val-3"));
    planned(&genesis.asked(|request| request.accept = vec!["snapshot-genesis".into()]));
    // Whatever is accepted: these never fit.
    assert!(refused(&chain.asked(|request| request.accept = vec!["snapshot-fit".into()])).contains("snapshot-fit"));
}

#[test]
fn no_space_is_refused_with_numbers() {
    let world = restoring(company(), HEIGHT, &["val-3"]).on("val-3", |facts| facts.db_free_bytes = Some(5));
    let text = refused(&world);
    assert!(text.contains("snapshot-room val-3 1.1 GB are needed") && text.contains("5 B are free"), "{text}");
}

#[test]
fn a_key_without_its_signers_state_is_refused_whatever_is_accepted() {
    let world = restoring(company(), HEIGHT, &["val-3"])
        .on("val-3", |facts| facts.signer = SignerFacts::Missing)
        .asked(|request| request.accept = vec!["signer-pair".into()]);
    assert!(refused(&world).contains("signer-pair val-3"));
}

#[test]
fn what_would_take_the_signers_state_with_it_is_refused() {
    let state = "/var/lib/virtengine/data/state.db/priv_validator_state.json";
    let world = restoring(company(), HEIGHT, &["val-3"]).config("val-3", |config| config.state_file = state.into());
    assert!(refused(&world).contains("lies in state.db, which would be exchanged"));
}

#[test]
fn an_applications_database_that_would_stay_as_it_is_is_refused() {
    let world = restoring(company(), HEIGHT, &["val-3"]).config("val-3", |config| config.db_dir = "/fast/db".into());
    assert!(refused(&world).contains("snapshot-fit val-3 /var/lib/virtengine/data/application.db would stay as it is"));
    planned(&asked(world, |asked| asked.restore.entries.retain(|entry| entry != "application.db")));
}

#[test]
fn a_node_outside_systemd_and_one_that_is_held_are_refused() {
    let stray = Process { pid: 7, in_unit: false, command: "virtengined".into() };
    let world = restoring(company(), HEIGHT, &["val-3"]).on("val-3", |facts| facts.processes.push(stray));
    assert!(refused(&world).contains("outside-systemd val-3"));
    let world = restoring(company(), HEIGHT, &["val-3"]).on("val-3", |facts| facts.held = true);
    assert!(refused(&world).contains("held val-3"));
}

#[test]
fn a_node_whose_key_is_gone_is_not_expected_to_sign_with_it_again() {
    let lost = |name: &str| {
        let gone = |facts: &mut ServiceFacts| (facts.key, facts.signer) = (KeyFacts::Missing, SignerFacts::Missing);
        restoring(company(), HEIGHT, &[name]).stopped(name).on(name, gone).remembered(&POWERS)
    };
    let mut sentry = lost("sentry-1");
    sentry.cached.as_mut().unwrap().1.insert("sentry-1".into(), address(900));
    assert_eq!(planned(&sentry).plan.targets["sentry-1"].address, None);
    // One with power would make a new key, whatever the inventory calls it.
    sentry.cached.as_mut().unwrap().1.insert("sentry-1".into(), address(5));
    assert!(refused(&sentry).contains("signer-pair sentry-1 neither"), "{}", refused(&sentry));
}
