//! Phase one: all or nothing.

use fleet::engine::Ended;
use fleet::model::event::What;
use fleet::model::plan::{AllowMissing, Instant};

use crate::plans::{now, restart, service};
use crate::runs::{assert_restarted, carry_out};
use crate::world::{BEGIN_MS, Bad, World};

fn untouched(world: &World) {
    assert_eq!(world.running().len(), 5);
    assert!(world.state().hosts.values().all(|host| host.stops == 0 && host.starts == 0 && !host.armed));
    assert_eq!(world.locked(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn all_go_well() {
    let world = World::new();
    let (ended, _) = carry_out(&world, &now()).await;
    assert_eq!(ended, Ended::Done);
    assert_restarted(&world, "all well");
    assert!(world.state().height > 100);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_locked_or_armed_disarms_all() {
    for bad in [Bad::NoLock, Bad::ArmHangs] {
        let world = World::with(&[("v3", bad)]);
        let (ended, journal) = carry_out(&world, &now()).await;
        let Ended::NotArmed(missing) = ended else { panic!("{ended:?}") };
        assert_eq!(missing.iter().map(|one| one.service.clone()).collect::<Vec<_>>(), [service("v3")]);
        assert!(journal.has(|what| matches!(what, What::Disarmed { .. })));
        untouched(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn another_runs_lock_leaves_everything_alone() {
    let world = World::with(&[("v2", Bad::Held)]);
    let (ended, _) = carry_out(&world, &now()).await;
    let Ended::Locked(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("v2 is locked by bob@desk"), "{reason}");
    untouched(&world);
    // The first host decides: nothing else is asked for.
    let world = World::with(&[("s1", Bad::Held)]);
    assert!(matches!(carry_out(&world, &now()).await.0, Ended::Locked(_)));
    assert!(world.state().hosts.values().all(|host| host.epoch == 0));
}

#[tokio::test(start_paused = true)]
async fn those_that_may_be_missing_are_left_out() {
    let named = AllowMissing { hosts: vec!["v3".into()], power: 0 };
    let small = AllowMissing { hosts: Vec::new(), power: 10 };
    for (allowed, bad) in
        [(&named, Bad::NoLock), (&named, Bad::ArmHangs), (&small, Bad::NoLock), (&small, Bad::ArmHangs)]
    {
        let world = World::with(&[("v3", bad)]);
        let mut plan = now();
        plan.allow_missing = allowed.clone();
        let (ended, journal) = carry_out(&world, &plan).await;
        assert_eq!(ended, Ended::Done, "{allowed:?} {bad:?}");
        assert!(journal.has(|what| matches!(what, What::LeftOut { service, .. } if *service == self::service("v3"))));
        let host = world.host("v3");
        assert_eq!((host.running, host.stops, host.starts, host.armed), (true, 0, 0, false));
        assert_eq!(world.state().hosts.values().map(|host| host.starts).sum::<usize>(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_may_be_missing_is_one_share_for_the_whole_run() {
    // One can't be locked, another can't be armed: together they are more than is allowed.
    let world = World::with(&[("v3", Bad::NoLock), ("v4", Bad::ArmHangs)]);
    let mut plan = now();
    plan.allow_missing.power = 10;
    assert!(matches!(carry_out(&world, &plan).await.0, Ended::NotArmed(_)));
    untouched(&world);
    // So is what the plan itself leaves out.
    let world = World::with(&[("v3", Bad::NoLock)]);
    let left_out = fleet::model::plan::LeftOut { service: service("v9"), power: Some(1), reason: "silent".into() };
    plan.left_out.push(left_out);
    assert!(matches!(carry_out(&world, &plan).await.0, Ended::NotArmed(_)));
    untouched(&world);
}

#[tokio::test(start_paused = true)]
async fn power_that_is_unknown_may_not_be_missing() {
    let world = World::with(&[("v3", Bad::NoLock)]);
    let mut plan = now();
    plan.allow_missing.power = 40;
    plan.targets.get_mut("v3").unwrap().power = None;
    assert!(matches!(carry_out(&world, &plan).await.0, Ended::NotArmed(_)));
    untouched(&world);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_seen_is_not_armed() {
    let world = World::new();
    let mut plan = now();
    plan.targets.get_mut("v3").unwrap().seen = false;
    assert!(matches!(carry_out(&world, &plan).await.0, Ended::NotArmed(_)));
    untouched(&world);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_lost_while_all_wait_disarms_all() {
    let world = World::with(&[("v3", Bad::LostWhileArmed)]);
    let at = restart(Instant::At { unix_ms: BEGIN_MS + 600_000 });
    let (ended, journal) = carry_out(&world, &at).await;
    assert!(matches!(ended, Ended::NotArmed(_)), "{ended:?}");
    assert!(world.now().as_secs() < 60, "noticed by asking, not at the instant: {:?}", world.now());
    assert!(journal.has(|what| matches!(what, What::NotArmed { service, .. } if *service == self::service("v3"))));
    untouched(&world);
}
