//! What operators who see different hosts read out to each other.

use fleet::model::facts::{HostFacts, Silence};
use fleet::model::plan::Plan;

use crate::world::{World, hosts};

fn operator(validators: &str, powers: &[u64]) -> World {
    World::new(&hosts(&[validators], &[]), powers).asked(|request| {
        request.at_ms = Some(1_770_559_200_000);
        request.start_at_ms = Some(1_770_559_320_000);
    })
}

const SET: [u64; 6] = [40, 20, 10, 12, 10, 8];

fn plan(world: &World) -> Plan {
    world.plan().unwrap().plan
}

#[test]
fn it_is_the_same_for_all_while_their_plans_differ() {
    let plans = ["val-[1-2]", "val-[3-4]", "val-[5-6]"].map(|names| plan(&operator(names, &SET)));
    let agreements = plans.each_ref().map(|plan| plan.agreement.digest());
    assert!(agreements.iter().all(|one| *one == agreements[0]), "{agreements:?}");
    assert!(plans[0].digest() != plans[1].digest() && plans[1].digest() != plans[2].digest());
    for plan in &plans {
        assert_eq!(plan.power.planned + plan.power.foreign, 100);
        assert_eq!(plan.power_short(), Some(67 - plan.power.planned));
        assert!(plan.notices.iter().any(|finding| finding.rule == "needs-others"), "{:?}", plan.notices);
    }
}

#[test]
fn it_changes_with_what_must_be_shared_and_with_nothing_else() {
    let digest = |world: &World| plan(world).agreement.digest();
    let base = digest(&operator("val-[1-2]", &SET));
    let same = operator("val-[1-2]", &SET).asked(|request| {
        request.stop_timeout_ms = 5_000;
        request.allow_missing = vec!["val-1".into()];
    });
    assert_eq!(digest(&same), base);
    let at = operator("val-[1-2]", &SET).asked(|request| request.at_ms = Some(1_770_559_201_000));
    let start = operator("val-[1-2]", &SET).asked(|request| request.start_at_ms = Some(1_770_559_321_000));
    let halt = operator("val-[1-2]", &SET).operation(fleet::model::plan::Operation::Halt);
    let genesis = ["val-1", "val-2"].into_iter().fold(operator("val-[1-2]", &SET), |world, host| {
        world.on(host, |node| node.genesis_sha256 = Some("g2".into()))
    });
    // One operator's nodes tell the last height of a stopped chain, another's are down.
    let mut stopped = operator("val-[1-2]", &SET);
    stopped.advancing = false;
    assert!(plan(&stopped).agreement.last.is_some());
    assert_eq!(digest(&stopped), base);
    for other in [at, start, halt, genesis] {
        assert_ne!(digest(&other), base, "{:?}", other.request);
    }
    let clears = |accept: &[&str]| {
        let accept = accept.iter().map(ToString::to_string).collect();
        let clear = fleet::ops::Clear { hosts: Vec::new(), drop_records: false, bundles: Vec::new() };
        digest(&operator("1", &[10]).asked(|request| (request.clear, request.accept) = (Some(clear), accept)))
    };
    assert_ne!(clears(&["possible-fork"]), clears(&[]), "a fork is everybody's");
}

#[test]
fn the_same_situation_gives_the_same_plan() {
    let world = operator("val-[1-2]", &SET);
    let later = operator("val-[1-2]", &SET)
        .asked(|request| request.now_ms += 60_000)
        .answer("val-1", |answer| (answer.clock_offset_ms, answer.rtt_ms, answer.uptime_s) = (3.0, 9.0, 77.0))
        .on("val-1", |node| node.disk_used_percent = Some(41));
    assert_eq!(plan(&world).digest(), plan(&later).digest());
    let silent = |after: &str| {
        let mut world = operator("val-[1-2]", &SET).asked(|request| request.allow_missing = vec!["val-1".into()]);
        let silence = Silence { reason: format!("no answer in {after}"), hint: None };
        world.facts.hosts.insert("val-1".into(), HostFacts::Silent(silence));
        plan(&world)
    };
    let (one, other) = (silent("10 s"), silent("10.1 s"));
    assert_ne!(one.left_out[0].reason, other.left_out[0].reason);
    assert_eq!(one.digest(), other.digest());
}
