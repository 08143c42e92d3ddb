//! Restores: a snapshot comes while all run and nothing is locked; then all are stopped, all exchanged, all started.

use std::sync::Arc;
use std::time::Duration;

use fleet::engine::{Ended, Interrupt};
use fleet::model::event::{Event, RunState, What};
use fleet::model::plan::Needs;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::plans::restore_data;
use crate::resume::{killed_after, resume};
use crate::runs::{Journal, assert_restarted, carry_out, run};
use crate::world::{Bad, World};

fn assert_restored(world: &World, context: &str) {
    assert_restarted(world, context);
    assert!(world.state().hosts.values().all(|host| host.swapped), "{context}");
}

#[tokio::test(start_paused = true)]
async fn all_get_the_snapshot_while_they_run_and_are_exchanged_when_all_are_stopped() {
    let world = World::new();
    let (ended, journal) = carry_out(&world, &restore_data()).await;
    assert_eq!(ended, Ended::Done);
    assert_restored(&world, "whole");
    assert!(journal.has(|what| matches!(what, What::Progress { done: 2, all: 2, .. })));
    let events = journal.events();
    let at = |wanted: fn(&What) -> bool| events.iter().position(|event| wanted(&event.what)).unwrap();
    let fetched = at(|what| matches!(what, What::StageEnded { stage: 0, ok: true, .. }));
    let locked = at(|what| matches!(what, What::Locked { .. }));
    let watched = at(|what| matches!(what, What::StageStarted { stage: 4, .. }));
    let unlocked = at(|what| matches!(what, What::Unlocked { .. }));
    assert!(fetched < locked && unlocked < watched, "{fetched} {locked} {unlocked} {watched}");
}

#[tokio::test(start_paused = true)]
async fn another_node_in_its_place_is_not_well() {
    let mut plan = restore_data();
    plan.targets.get_mut("v2").unwrap().node_id = Some("another".into());
    let world = World::new();
    let (ended, _) = carry_out(&world, &plan).await;
    assert!(matches!(&ended, Ended::NoBlock(why) if why.contains("v2: is node v2, not another")), "{ended:?}");
    assert_restored(&world, "but for its name");
    assert!(world.now() < Duration::from_secs(30), "waited for in vain: {:?}", world.now());
}

#[tokio::test(start_paused = true)]
async fn what_a_node_that_is_not_well_yet_waits_for_is_told_now_and_then() {
    let mut plan = restore_data();
    plan.targets.get_mut("v2").unwrap().rpc = None;
    let world = World::new();
    let (ended, journal) = carry_out(&world, &plan).await;
    assert!(
        matches!(&ended, Ended::NoBlock(why) if why.contains("v2: unknown, its RPC address is unknown")),
        "{ended:?}"
    );
    let words = |what: &What| matches!(what, What::Waiting { text } if text == "v2: its RPC address is unknown");
    let told = journal.events().iter().filter(|event| words(&event.what)).count();
    let bound = plan.stages[4].timeout_ms / 1000;
    assert!(told > 0 && told < 10, "{told} times within {bound} s");
}

#[tokio::test(start_paused = true)]
async fn how_far_it_is_behind_is_told_before_the_start() {
    let mut plan = restore_data();
    plan.targets.retain(|name, _| name == "v2");
    plan.stages.iter_mut().for_each(|stage| stage.tasks.retain(|task| task.service.host == "v2"));
    plan.stages[3].needs = Needs::AtLeast(1);
    let world = World::new();
    let (ended, journal) = carry_out(&world, &plan).await;
    assert_eq!(ended, Ended::Done);
    let events = journal.events();
    let at = |wanted: fn(&What) -> bool| events.iter().position(|event| wanted(&event.what));
    let told = at(|what| matches!(what, What::Remark { text } if text.contains("of height 90, the chain is at 10")));
    let started = at(|what| matches!(what, What::StageStarted { stage: 3, .. }));
    assert!(told.is_some() && told < started, "{events:?}");
    assert_eq!((world.host("v2").swapped, world.host("v1").stops), (true, 0));
}

#[tokio::test(start_paused = true)]
async fn one_to_which_it_does_not_come_keeps_all_running() {
    let world = World::with(&[("v2", Bad::FetchFails)]);
    let (ended, journal) = carry_out(&world, &restore_data()).await;
    assert!(matches!(&ended, Ended::Incomplete(why) if why.contains("v2: no space")), "{ended:?}");
    assert_eq!(world.running().len(), 5);
    assert!(world.state().hosts.values().all(|host| host.epoch == 0 && host.stops == 0), "locked or stopped");
    // What came to the others isn't sent again.
    world.repair("v2");
    let (ended, _) = resume(&world, &restore_data(), &journal.events()).await;
    assert_eq!(ended, Ended::Done);
    assert_restored(&world, "resumed");
}

#[tokio::test(start_paused = true)]
async fn what_has_become_unsafe_while_the_snapshot_came_is_not_stopped() {
    let world = World::with(&[("v2", Bad::Needed)]);
    let (ended, journal) = carry_out(&world, &restore_data()).await;
    assert!(matches!(&ended, Ended::Incomplete(why) if why.contains("quorum: v2")), "{ended:?}");
    assert_eq!((world.running().len(), world.locked().len()), (5, 0));
    assert!(world.state().hosts.values().all(|host| host.fetched && host.stops == 0));
    world.repair("v2");
    let (ended, _) = resume(&world, &restore_data(), &journal.events()).await;
    assert_eq!(ended, Ended::Done);
    assert_restored(&world, "resumed");
}

#[tokio::test(start_paused = true)]
async fn where_one_is_not_exchanged_nobody_starts_until_it_is() {
    let world = World::with(&[("v2", Bad::SwapFails)]);
    let (ended, journal) = carry_out(&world, &restore_data()).await;
    assert!(matches!(&ended, Ended::Incomplete(why) if why.contains("v2: no hold")), "{ended:?}");
    assert!(world.running().is_empty() && world.state().sent_starts.is_empty());
    world.repair("v2");
    let (ended, _) = resume(&world, &restore_data(), &journal.events()).await;
    assert_eq!(ended, Ended::Done);
    assert_restored(&world, "resumed");
}

#[tokio::test(start_paused = true)]
async fn from_every_prefix_of_its_events_a_restore_comes_to_the_same_end() {
    let plan = restore_data();
    let mut count = 0;
    loop {
        let world = World::new();
        let Some(events) = killed_after(&world, &plan, count).await else { break };
        sleep(Duration::from_secs(if count % 2 == 0 { 0 } else { 5 })).await;
        let (ended, journal) = resume(&world, &plan, &events).await;
        let context = format!("killed after {count} events, the last {:?}", events.last());
        assert_eq!(ended, Ended::Done, "{context}");
        assert_restored(&world, &context);
        let whole: Vec<Event> = events.into_iter().chain(journal.events()).collect();
        assert_eq!(RunState::of(&whole).done_stages, [0, 1, 2, 3, 4], "{context}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}

/// Carries a restore out that the operator leaves at this moment.
async fn left_at(world: &Arc<World>, journal: &Journal, moment: impl Future<Output = ()>) -> Ended {
    let (operator, interrupt) = watch::channel(Interrupt::None);
    let mut run = run(world, &restore_data(), journal, RunState::default(), interrupt);
    let leave = async {
        moment.await;
        operator.send(Interrupt::Gently(2)).unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = run.execute() => ended,
        () = leave => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_leave_while_the_snapshot_comes() {
    let (world, journal) = (World::new(), Journal::default());
    let ended = left_at(&world, &journal, sleep(Duration::from_secs(2))).await;
    assert!(matches!(&ended, Ended::Interrupted(2, text) if text.contains("nothing was stopped")), "{ended:?}");
    assert!(world.now() < Duration::from_secs(4));
    assert_eq!((world.running().len(), world.locked().len()), (5, 0));
    let (ended, _) = resume(&world, &restore_data(), &journal.events()).await;
    assert_eq!(ended, Ended::Done);
    assert_restored(&world, "resumed");
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_leaves_at_any_moment_leaves_no_half_restored_node_running() {
    let mut left = 0;
    for count in 0.. {
        let (world, journal) = (World::new(), Journal::default());
        let moment = async {
            while journal.events().len() < count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let ended = left_at(&world, &journal, moment).await;
        let context = format!("left after {count} events: {ended:?}");
        let hosts: Vec<(bool, bool)> =
            world.state().hosts.values().map(|host| (host.swapped, host.running && host.starts > 0)).collect();
        let without = hosts.contains(&(false, true));
        assert!(!without || hosts.iter().all(|(swapped, _)| !swapped), "some go on with the old ones: {context}");
        match ended {
            Ended::Done if journal.events().len() < count => break,
            Ended::Done => {}
            Ended::Interrupted(2, _) => {
                left += 1;
                let (ended, _) = resume(&world, &restore_data(), &journal.events()).await;
                assert_eq!(ended, Ended::Done, "{context}");
            }
            other => panic!("{other:?}: {context}"),
        }
        let state = world.state();
        assert!(state.hosts.values().all(|host| host.swapped && host.running), "{context}");
        assert_eq!(state.crimes, [""; 0], "{context}");
    }
    assert!(left > 10, "{left}");
}
