//! Every rule has a situation that trips it, and the healthy fleet trips none.

use std::collections::BTreeSet;

use fleet::model::facts::*;
use fleet::model::plan::{Action, Check, Finding, Operation, Severity, Step, Task};
use fleet::ops::policy::{Votes, violations};
use fleet::ops::rules;

use crate::world::{POWERS, World, address, company, hosts};

/// What the rules say of a world, whether there is a plan or not.
pub fn findings(world: &World) -> Vec<Finding> {
    match world.plan() {
        Ok(planned) => [planned.plan.notices, planned.remarks].concat(),
        Err(refusal) => refusal.findings,
    }
}

fn signs_for(node: &mut ServiceFacts, index: usize) {
    node.key = KeyFacts::Present { address: address(index), public_key: "key".into() };
    node.rpc.status.as_mut().unwrap().address = address(index);
}

fn start() -> World {
    company().all_stopped().remembered(&POWERS).operation(Operation::Start)
}

/// A rule, how bad it is, on whom, and a situation for it.
type Case = (&'static str, Severity, &'static [&'static str], World);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use Severity::{Never, Note, Refusal, Warning};
    vec![
        ("one-signer", Never, &["val-1", "val-7"], company().on("val-7", |node| signs_for(node, 1))),
        ("one-signer", Never, &["val-1", "val-7"], start().on("val-7", |node| node.key = KeyFacts::Present { address: address(1), public_key: "key".into() })),
        ("signer-pair", Never, &["val-3"], company().on("val-3", |node| node.signer = SignerFacts::Missing)),
        ("signer-pair", Never, &["val-3"], company().on("val-3", |node| node.key = KeyFacts::Missing)),
        ("signer-pair", Never, &["val-3"], company().on("val-3", |node| (node.key, node.signer) = (KeyFacts::Missing, SignerFacts::Missing))),
        ("signers-mute", Warning, &[], World { mute: Some("val-1 signed before".into()), advancing: false, ..company() }),
        ("chain-id", Refusal, &["val-3"], company().on("val-3", |node| node.rpc.status.as_mut().unwrap().chain_id = "other-1".into())),
        ("outside-systemd", Refusal, &["val-3"], company().on("val-3", |node| node.processes[0].in_unit = false)),
        ("unreadable", Refusal, &["val-3"], company().on("val-3", |node| node.signer = SignerFacts::Unreadable("empty".into()))),
        ("unreadable", Refusal, &["val-3"], company().on("val-3", |node| node.config = None)),
        ("double-sign-check", Refusal, &["val-3"], company().config("val-3", |config| config.double_sign_check_height = 10)),
        ("double-sign-check", Warning, &["val-3"], company().config("val-3", |config| config.double_sign_check_height = 1)),
        ("halt-height", Refusal, &["val-3"], company().config("val-3", |config| config.halt_height = 99)),
        ("halt-time", Refusal, &["val-3"], company().config("val-3", |config| config.halt_time = 99)),
        ("disk", Refusal, &["val-3"], company().on("val-3", |node| node.disk_used_percent = Some(97))),
        ("disk", Refusal, &["val-3"], company().on("val-3", |node| node.disk_free_bytes = Some(499_999_999))),
        ("disk", Warning, &["val-3"], company().on("val-3", |node| node.disk_used_percent = Some(85))),
        ("clock", Refusal, &["val-3"], company().answer("val-3", |answer| answer.clock_offset_ms = -1_001.0)),
        ("clock", Warning, &["val-3"], company().answer("val-3", |answer| answer.clock_offset_ms = 251.0)),
        ("clock", Warning, &["val-3"], company().answer("val-3", |answer| answer.clock_synced = Some(false))),
        ("unit-missing", Refusal, &["val-3"], company().on("val-3", |node| node.unit.load_state = "masked".into())),
        ("held", Refusal, &["val-3"], company().on("val-3", |node| node.held = true)),
        ("nothing-to-do", Never, &[], company().asked(|request| request.hosts.clear())),
        ("silent", Warning, &["val-3"], company().silent("val-3")),
        ("needs-others", Warning, &[], World::new(&hosts(&["val-[1-2]"], &[]), &[8, 4, 30])),
        ("order-unknown", Warning, &["val-1", "val-2"], World::new(&hosts(&["val-[1-2]"], &[]), &[8, 4]).all_stopped()),
        ("allow-missing", Warning, &[], company().all_stopped().asked(|request| request.allow_missing_percent = Some(5.0))),
        ("genesis", Warning, &["val-3"], company().on("val-3", |node| node.genesis_sha256 = Some("g2".into()))),
        ("app-version", Warning, &["val-3"], company().on("val-3", |node| node.version = Some("v1.4.1".into()))),
        ("watchdog", Warning, &["val-3"], company().answer("val-3", |answer| answer.watchdogs = vec!["monit".into()])),
        ("kill-mode", Warning, &["val-3"], company().on("val-3", |node| (node.cosmovisor, node.unit.kill_mode) = (true, "process".into()))),
        ("adaptive-sync", Warning, &["val-3"], company().config("val-3", |config| config.adaptive_sync = true)),
        ("unit-enabled", Warning, &["val-3"], company().on("val-3", |node| node.unit.file_state = "disabled".into())),
        ("consensus-failure", Warning, &["val-3"], company().on("val-3", |node| node.consensus_failure = true)),
        ("already-running", Note, &["val-3"], company().operation(Operation::Start).stopped("val-1").asked(|request| request.hosts = vec!["val-1".into(), "val-3".into()])),
        ("already-stopped", Note, &["val-3"], company().operation(Operation::Halt).stopped("val-3")),
        ("no-power", Note, &["val-3"], company().on("val-3", |node| signs_for(node, 77))),
        ("unattributed", Note, &["val-3"], company().silent("val-3")),
        ("cosmovisor", Note, &["val-3"], company().on("val-3", |node| node.cosmovisor = true)),
        ("remote-signer", Note, &["val-3"], company().config("val-3", |config| config.remote_signer = "tcp://0.0.0.0:26659".into())),
    ]
}

#[test]
fn each_rule_is_tripped_by_its_situation() {
    for (rule, severity, services, world) in cases() {
        let found = findings(&world);
        let hit = found.iter().find(|finding| finding.rule == rule && finding.severity == severity);
        let hit = hit.unwrap_or_else(|| panic!("{rule} {severity:?} is not among {found:?}"));
        let named: BTreeSet<&str> = hit.services.iter().map(String::as_str).collect();
        assert_eq!(named, services.iter().copied().collect(), "{rule}: {}", hit.text);
        assert!(!hit.next.is_empty() && !hit.text.contains('\n'), "{rule}");
        let refused = world.plan().is_err();
        assert_eq!(refused, severity >= Severity::Refusal, "{rule}");
    }
}

#[test]
fn a_healthy_fleet_trips_none() {
    for operation in [Operation::Halt, Operation::CoordinatedRestart] {
        assert_eq!(findings(&company().operation(operation)), [], "{operation:?}");
    }
    assert_eq!(findings(&start()), []);
}

#[test]
fn what_is_just_good_enough_trips_none() {
    let world = company()
        .on("val-1", |node| (node.disk_used_percent, node.disk_free_bytes) = (Some(84), Some(500_000_000)))
        .answer("val-2", |answer| (answer.clock_offset_ms, answer.clock_error_ms) = (260.0, 20.0))
        .on("val-3", |node| node.unit.file_state = "static".into())
        .on("val-4", |node| node.unit.kill_mode = "process".into())
        // A sentry signs nothing.
        .config("sentry-1", |config| (config.double_sign_check_height, config.adaptive_sync) = (10, true));
    assert_eq!(findings(&world), []);
    // Two nodes of one key on two chains, and any number behind one remote signer, are one signer.
    let remote = |world: World, host: &str| {
        world.config(host, |config| config.remote_signer = "tcp://0.0.0.0:1".into()).on(host, |node| signs_for(node, 1))
    };
    let world = remote(remote(company(), "val-1"), "val-7");
    assert!(world.plan().is_ok(), "{:?}", findings(&world));
    // A stopped twin that isn't started harms nobody.
    let world = company().on("val-7", |node| signs_for(node, 1)).stopped("val-7");
    let world = world.asked(|request| request.hosts.retain(|host| host != "val-7"));
    assert!(world.plan().is_ok(), "{:?}", findings(&world));
}

#[test]
fn one_remote_and_one_local_signer_are_two() {
    let world = company()
        .config("val-7", |config| config.remote_signer = "tcp://0.0.0.0:1".into())
        .on("val-7", |node| signs_for(node, 1));
    assert!(world.plan().unwrap_err().findings.iter().any(|finding| finding.rule == "one-signer"));
}

/// A plan of one hand-made step on `val-1`.
fn by_hand(operation: Operation, step: Step, votes: &Votes) -> Vec<String> {
    let world = company();
    let mut plan = world.plan().unwrap().plan;
    plan.operation = operation;
    plan.stages.truncate(1);
    let service = plan.target(&plan.stages[0].tasks[0].service).unwrap().service.clone();
    plan.stages[0].tasks = vec![Task { service, steps: vec![step] }];
    violations(&plan, &world.inventory, &world.facts, votes).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn rules_that_no_planner_breaks_are_tripped_by_a_plan_made_by_hand() {
    let stop = Step {
        expect: Check::Nothing,
        action: Action::Stop { kill_after_ms: None },
        verify: Check::Stopped,
        timeout_ms: 1,
    };
    let start = Step { expect: Check::Stopped, action: Action::Start, verify: Check::Alive, timeout_ms: 1 };
    let all = Votes { online: (1..=7).map(|index| (address(index), POWERS[index - 1])).collect(), quorum: 67 };
    let few = Votes { online: (1..=3).map(|index| (address(index), POWERS[index - 1] + 5)).collect(), quorum: 67 };
    let none: [&str; 0] = [];
    assert_eq!(by_hand(Operation::Start, stop.clone(), &few), ["quorum"]);
    assert_eq!(by_hand(Operation::Start, stop.clone(), &all), none, "70 remain");
    assert_eq!(by_hand(Operation::Halt, stop.clone(), &few), none, "declared");
    assert_eq!(by_hand(Operation::Halt, Step { verify: Check::Nothing, ..stop }, &all), ["unproven"]);
    assert_eq!(by_hand(Operation::Start, start.clone(), &all), none);
    assert_eq!(by_hand(Operation::Start, Step { expect: Check::Nothing, ..start.clone() }, &all), ["unproven"]);
    assert_eq!(by_hand(Operation::Start, Step { verify: Check::Nothing, ..start }, &all), ["unproven"]);
}

#[test]
fn no_rule_is_without_a_test() {
    let of_restores = ["snapshot-fit", "snapshot-genesis", "snapshot-room", "signers-ahead", "behind"];
    let elsewhere = ["quorum", "unproven", "wal-strands", "possible-fork"].into_iter().chain(of_restores);
    let tested: BTreeSet<&str> = cases().iter().map(|(rule, ..)| *rule).chain(elsewhere).collect();
    let all: BTreeSet<&str> = rules::all().iter().map(|rule| rule.name).collect();
    assert_eq!(tested, all);
}

#[test]
fn what_would_refuse_the_start_is_a_warning_at_a_halt() {
    for (rule, severity, services, world) in cases() {
        let at_start = !["chain-id", "nothing-to-do"].contains(&rule);
        if severity < Severity::Refusal || !at_start || world.request.operation == Operation::Start {
            continue;
        }
        let planned = world.operation(Operation::Halt).plan().unwrap_or_else(|refusal| panic!("{rule}: {refusal:?}"));
        let notices = &planned.plan.notices;
        let hit = notices.iter().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("{rule}: {notices:?}"));
        assert!(hit.severity == Severity::Warning && hit.text.starts_with("before the next start"), "{hit:?}");
        assert_eq!(hit.services.len(), services.len());
    }
}
