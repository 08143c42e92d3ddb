//! A run that died goes on from whatever came to its journal.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fleet::engine::{Ended, Interrupt};
use fleet::model::event::{Event, Outcome, RunState, What};
use fleet::model::plan::Instant;
use futures::FutureExt as _;
use tokio::sync::watch;

use crate::plans::{now, restart};
use crate::runs::{Journal, assert_restarted, carry_out, run};
use crate::world::{BEGIN_MS, Bad, World};

/// Goes on after these events.
pub async fn resume(world: &Arc<World>, plan: &fleet::model::plan::Plan, events: &[Event]) -> (Ended, Journal) {
    let journal = Journal::default();
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let state = RunState::of(events);
    let baseline = state.baseline;
    let mut run = run(world, plan, &journal, state, interrupt);
    run.baseline = baseline;
    (run.execute().await, journal)
}

/// The events of a fleet that was killed when it had written so many.
pub async fn killed_after(world: &Arc<World>, plan: &fleet::model::plan::Plan, count: usize) -> Option<Vec<Event>> {
    let journal = Journal::dying_at(count);
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let mut run = run(world, plan, &journal, RunState::default(), interrupt);
    let died = AssertUnwindSafe(run.execute()).catch_unwind().await.is_err();
    died.then(|| journal.events())
}

#[tokio::test(start_paused = true)]
async fn from_every_prefix_of_its_events_a_run_comes_to_the_same_end() {
    for instant in [
        Instant::Now,
        Instant::AfterBlock { max_wait_ms: 18_000, quiet_ms: 4_800 },
        Instant::At { unix_ms: BEGIN_MS + 60_000 },
    ] {
        let plan = restart(instant.clone());
        // Where the instants differ the runs do so only in their first events.
        let mut count = 0;
        loop {
            let world = World::new();
            let Some(events) = killed_after(&world, &plan, count).await else { break };
            assert_eq!(events.len(), count);
            // What was under way on the hosts goes on without fleet; then the operator comes.
            tokio::time::sleep(std::time::Duration::from_secs(if count % 2 == 0 { 0 } else { 5 })).await;
            let (ended, journal) = resume(&world, &plan, &events).await;
            let context = format!("{instant:?} killed after {count} events, the last {:?}", events.last());
            assert_eq!(ended, Ended::Done, "{context}");
            assert_restarted(&world, &context);
            assert!(world.state().height > 100, "{context}");
            let whole: Vec<Event> = events.into_iter().chain(journal.events()).collect();
            assert_eq!(RunState::of(&whole).done_stages, [0, 1, 2, 3, 4, 5], "{context}");
            count += if instant == Instant::Now { 1 } else { 3 };
        }
        assert!(count > 40, "{count}");
    }
}

/// A run that ended because `v3` died at the instant.
async fn with_a_dead_host() -> (Arc<World>, Vec<Event>) {
    let world = World::with(&[("v3", Bad::DiesAtFire)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    assert!(matches!(ended, Ended::Incomplete(_)), "{ended:?}");
    (world, journal.events())
}

#[tokio::test(start_paused = true)]
async fn while_the_host_is_dead_a_resume_changes_nothing_and_keeps_the_locks() {
    let (world, events) = with_a_dead_host().await;
    world.spoil("v3", Bad::NoLock);
    let (ended, _) = resume(&world, &now(), &events).await;
    let Ended::Incomplete(reason) = ended else { panic!("not '{ended:?}': much was changed") };
    assert!(reason.contains("v3"), "{reason}");
    assert_eq!(world.locked().len(), 5);
    assert!(world.state().sent_starts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_another_run_has_come_in_between_a_resume_gives_nothing_back_that_is_its_own() {
    let (world, events) = with_a_dead_host().await;
    world.repair("v3");
    world.spoil("v2", Bad::Held);
    let (ended, _) = resume(&world, &now(), &events).await;
    assert!(matches!(&ended, Ended::Incomplete(reason) if reason.contains("locked by bob@desk")), "{ended:?}");
    assert_eq!(world.locked().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn when_it_is_back_the_run_goes_on_and_stops_nothing_twice() {
    let (world, events) = with_a_dead_host().await;
    world.repair("v3");
    let (ended, journal) = resume(&world, &now(), &events).await;
    assert_eq!(ended, Ended::Done);
    assert_restarted(&world, "back");
    let events = journal.events();
    let skip = |what: &What| matches!(what, What::StepEnded { stage: 0, outcome: Outcome::Skipped, .. });
    let skipped = events.iter().filter(|event| skip(&event.what));
    assert_eq!(skipped.count(), 5, "seen stopped, not stopped again");
}

#[tokio::test(start_paused = true)]
async fn given_up_the_others_start_without_it() {
    let (world, mut events) = with_a_dead_host().await;
    let at_ms = events.last().unwrap().at_ms;
    events
        .push(Event { at_ms, what: What::LeftOut { service: crate::plans::service("v3"), reason: "given up".into() } });
    let (ended, _) = resume(&world, &now(), &events).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(world.running(), ["s1", "v1", "v2", "v4"]);
    assert_eq!(world.host("v3").starts, 0);
}
