//! Plans and refusals as they are shown, at 80 and at 120 columns, without colour.

use fleet::model::facts::*;
use fleet::model::inventory::ServiceId;
use fleet::model::plan::{Finding, Operation, Plan};
use fleet::ops::{self, Clear};
use fleet::render::plan::{plan_text, without_text};
use fleet::render::refusal::refusal_text;
use insta::assert_snapshot;

use crate::restore::restoring;
use crate::world::{HEIGHT, POWERS, World, company, hosts, stop};

/// At both widths; no line is longer than it may be, and nothing is coloured.
fn shown(plan: &Plan, remarks: &[Finding]) -> String {
    both(|width| plan_text(plan, remarks, width, false))
}

fn both(text: impl Fn(usize) -> String) -> String {
    let [narrow, wide] = [80, 120].map(|width| {
        let text = text(width);
        for line in text.lines() {
            assert!(line.chars().count() <= width, "longer than {width}: {line}\n{text}");
        }
        assert!(!text.contains('\x1b'));
        text
    });
    if narrow == wide { narrow } else { format!("{narrow}\n== 120 columns ==\n{wide}") }
}

#[track_caller]
fn planned(world: &World) -> String {
    let planned = world.plan().unwrap();
    shown(&planned.plan, &planned.remarks)
}

#[track_caller]
fn refused(world: &World) -> String {
    let refusal = world.plan().unwrap_err();
    both(|width| refusal_text(&refusal.findings, width))
}

#[test]
fn a_company_with_every_validator() {
    assert_snapshot!(planned(&company()));
}

#[test]
fn a_restore_of_one_validator() {
    assert_snapshot!(planned(&restoring(company(), HEIGHT - 1000, &["val-3"])));
}

#[test]
fn a_restore_without_space_from_another_chain() {
    let world = restoring(company(), HEIGHT, &["val-3"]).on("val-3", |facts| facts.db_free_bytes = Some(5));
    let other =
        |world: World| world.asked(|request| request.restore.as_mut().unwrap().node.chain_id = "other-1".into());
    assert_snapshot!(refused(&other(world)));
}

#[test]
fn a_company_halts_its_chain() {
    assert_snapshot!(planned(&company().operation(Operation::Halt)));
}

#[test]
fn a_halt_of_what_is_stopped_waits_for_no_block() {
    let world = company().stopped("val-6").stopped("val-7").operation(Operation::Halt);
    assert_snapshot!(planned(&world.asked(|request| request.hosts = vec!["val-6".into(), "val-7".into()])));
}

#[test]
fn a_company_starts_a_stopped_chain_by_remembered_powers() {
    assert_snapshot!(planned(&company().all_stopped().remembered(&POWERS).operation(Operation::Start)));
}

#[test]
fn an_operator_with_twelve_percent() {
    let world = World::new(&hosts(&["val-[1-2]"], &["sentry-1"]), &[8, 4, 30, 28, 30]);
    assert_snapshot!(planned(&world));
}

#[test]
fn a_start_needs_others_only_where_the_chain_lacks_the_power() {
    let start = |world: World| world.operation(Operation::Start).asked(|request| request.hosts = vec!["val-7".into()]);
    let [goes_on, stands] = [start(company().stopped("val-7")), start(company().all_stopped().remembered(&POWERS))]
        .map(|world| {
            let planned = world.plan().unwrap();
            planned.plan.notices.iter().chain(&planned.remarks).filter(|finding| finding.rule == "needs-others").count()
        });
    assert_eq!((goes_on, stands), (0, 2));
}

#[test]
fn an_agreed_stop_and_start() {
    let world = World::new(&hosts(&["val-[1-2]"], &["sentry-1"]), &[8, 4, 30, 28, 30]);
    let world = world.asked(|request| {
        request.at_ms = Some(1_770_559_200_000);
        request.start_at_ms = Some(1_770_559_320_000);
    });
    assert_snapshot!(planned(&world));
}

#[test]
fn a_silent_host() {
    assert_snapshot!(planned(&company().remembered(&POWERS).silent("val-7")));
}

#[test]
fn a_silent_host_that_may_be_missing() {
    let world = company().remembered(&POWERS).silent("val-7");
    assert_snapshot!(planned(&world.asked(|request| request.allow_missing = vec!["val-7".into()])));
}

#[test]
fn the_offer_to_go_on_without_a_silent_host() {
    let plan = company().remembered(&POWERS).silent("val-7").plan().unwrap().plan;
    let service = ServiceId { host: "val-7".into(), service: "node".into() };
    let without = ops::without(&plan, &[service], "can't be armed");
    assert_snapshot!(format!("{}\n\n{}", without_text(&without), shown(&without, &[])));
}

#[test]
fn unknown_powers_with_a_sentry_to_ask() {
    assert_snapshot!(planned(&company().all_stopped()));
}

#[test]
fn unknown_powers_and_nobody_to_ask() {
    let world = World::new(&hosts(&["val-[1-7]"], &[]), &POWERS).all_stopped();
    assert_snapshot!(planned(&world));
}

/// A company that clears the logs of these hosts.
fn clears(hosts: &[&str], drop_records: bool) -> World {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    company().asked(|request| request.clear = Some(Clear { hosts, drop_records, bundles: Vec::new() }))
}

#[test]
fn a_restart_that_clears_every_log() {
    let world = clears(&[], false);
    let world = world.asked(|request| request.clear.as_mut().unwrap().hosts = request.hosts.clone());
    assert_snapshot!(planned(&world));
}

#[test]
fn a_restart_that_clears_two_logs_with_their_records() {
    let world = clears(&["val-6", "val-7"], true);
    assert_snapshot!(planned(&world.asked(|request| request.accept = vec!["wal-strands".into()])));
}

#[test]
fn a_clearing_of_one_node_of_a_chain_that_goes_on() {
    let world = clears(&["val-7"], false);
    assert_snapshot!(planned(&world.asked(|request| request.hosts = vec!["val-7".into()])));
}

#[test]
fn a_clearing_that_halts_a_chain_that_advances_says_so() {
    let hosts = ["val-1", "val-2", "val-3"];
    let world = clears(&hosts, false);
    let told = planned(&world.asked(|request| request.hosts = hosts.map(String::from).into()));
    assert!(told.contains("Power that remains: 35 of 100, quorum 67: the chain stands meanwhile."), "{told}");
    assert!(!told.contains("needs-others"), "{told}");
}

#[test]
fn a_large_fleet_is_folded() {
    let powers: Vec<u64> = (1..=60).map(|index| 100 - index).collect();
    assert_snapshot!(planned(&World::new(&hosts(&["val-[1-60]"], &["sentry-[1-4]"]), &powers)));
}

#[test]
fn two_services_on_one_host_and_what_they_need() {
    let text = hosts(&["val-[1-4]"], &[])
        + "[[hosts.val-1.services]]\nname = \"oracle\"\nunit = \"oracle.service\"\nneeded_by = \"node\"\n\
        [[hosts.val-1.services]]\nname = \"second\"\nunit = \"second.service\"\nchain = \"virtengine\"\nhome = \"/var/lib/second\"\n";
    let text = text.replace("[hosts.\"val-[1-4]\"]\naddress = \"validator[1-4]\"", "[hosts.val-1]\naddress = \"h1\"\nrole = \"validator\"\nchain = \"virtengine\"\n[hosts.\"val-[2-4]\"]\naddress = \"h[2-4]\"");
    let world = World::new(&text, &[30, 30, 30, 10]).answer("val-1", |answer| {
        let mut second = answer.services["node"].clone();
        second.key = KeyFacts::Present { address: crate::world::address(50), public_key: "key".into() };
        second.rpc.status.as_mut().unwrap().address = crate::world::address(50);
        let mut oracle = ServiceFacts { unit: second.unit.clone(), ..ServiceFacts::default() };
        stop(&mut oracle);
        oracle.unit.active_state = "active".into();
        answer.services.insert("second".into(), second);
        answer.services.insert("oracle".into(), oracle);
    });
    assert_snapshot!(planned(&world));
}

#[test]
fn things_that_are_worth_a_look() {
    let world = company()
        .on("val-2", |node| node.disk_used_percent = Some(91))
        .on("val-3", |node| node.disk_used_percent = Some(88))
        .on("val-4", |node| node.unit.file_state = "disabled".into())
        .answer("val-5", |answer| answer.watchdogs = vec!["monit".into()])
        .on("val-6", |node| node.consensus_failure = true);
    assert_snapshot!(planned(&world));
}

#[test]
fn a_second_signer_refuses() {
    let twin = |node: &mut ServiceFacts| {
        let address = crate::world::address(1);
        node.key = KeyFacts::Present { address: address.clone(), public_key: "key".into() };
        node.rpc.status.as_mut().unwrap().address = address;
    };
    assert_snapshot!(refused(&company().on("val-7", twin)));
}

#[test]
fn several_refusals_at_once() {
    let world = company()
        .config("val-1", |config| config.double_sign_check_height = 10)
        .config("val-2", |config| config.double_sign_check_height = 10)
        .on("val-3", |node| node.signer = SignerFacts::Missing)
        .on("val-4", |node| node.disk_used_percent = Some(99))
        .on("val-5", |node| node.disk_used_percent = Some(90));
    assert_snapshot!(refused(&world));
}

#[test]
fn nothing_to_do() {
    assert_snapshot!(refused(&company().asked(|request| request.hosts.clear())));
}
