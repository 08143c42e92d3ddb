//! When a barrier fires, locks that are kept meanwhile, and interrupts.

use std::time::Duration;

use fleet::engine::{Ended, Interrupt};
use fleet::model::event::{RunState, What};
use fleet::model::plan::{Instant, Order, Shape};
use tokio::sync::watch;

use crate::plans::{halt, now, restart, service};
use crate::runs::{Journal, assert_restarted, carry_out, run};
use crate::world::{BEGIN_MS, Bad, World};

fn fired(journal: &Journal) -> (i64, Option<u64>, Option<String>) {
    let found = journal.events().into_iter().find_map(|event| match event.what {
        What::Firing { instant_ms, after_height, remark } => Some((instant_ms - BEGIN_MS, after_height, remark)),
        _ => None,
    });
    found.unwrap()
}

const AFTER_BLOCK: Instant = Instant::AfterBlock { max_wait_ms: 18_000, quiet_ms: 4_800 };

#[tokio::test(start_paused = true)]
async fn the_instant_lies_right_after_a_block() {
    let world = World::new();
    let (ended, journal) = carry_out(&world, &restart(AFTER_BLOCK)).await;
    assert_eq!(ended, Ended::Done);
    let (at, after, remark) = fired(&journal);
    assert_eq!((after, remark), (Some(101), None));
    assert!((6000..6200).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn without_a_block_it_fires_all_the_same_and_says_so() {
    let world = World::new();
    for name in ["v1", "v2"] {
        world.state().hosts.get_mut(name).unwrap().power = 0;
    }
    let (_, journal) = carry_out(&world, &restart(AFTER_BLOCK)).await;
    let (at, after, remark) = fired(&journal);
    assert!(after.is_none() && remark.unwrap().contains("no block came within 18000 ms"));
    assert!((18_000..19_500).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn a_window_shorter_than_the_round_trips_is_not_waited_for() {
    let world = World::new();
    let (_, journal) = carry_out(&world, &restart(Instant::AfterBlock { max_wait_ms: 18_000, quiet_ms: 70 })).await;
    let (at, after, remark) = fired(&journal);
    assert!(at < 1000 && after.is_none() && remark.unwrap().contains("shorter"), "{at}");
}

#[tokio::test(start_paused = true)]
async fn an_agreed_time_is_met_and_the_locks_are_kept_until_then() {
    let world = World::new();
    let (ended, journal) = carry_out(&world, &restart(Instant::At { unix_ms: BEGIN_MS + 600_000 })).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(fired(&journal).0, 600_000);
    // A lease of 60 s over ten minutes.
    assert!(world.state().hosts.values().all(|host| host.renewals >= 20), "{:?}", world.host("v1"));
    assert_restarted(&world, "at");
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_before_the_agreed_time() {
    let world = World::new();
    let mut plan = now();
    plan.stages[2].not_before_ms = Some(BEGIN_MS + 120_000);
    assert_eq!(carry_out(&world, &plan).await.0, Ended::Done);
    let starts = world.state().sent_starts.clone();
    assert!(starts.iter().all(|(_, at)| *at >= Duration::from_secs(120)), "{starts:?}");
    assert_restarted(&world, "start at");
}

#[tokio::test(start_paused = true)]
async fn starts_go_out_in_order_and_a_slow_one_delays_the_next_only_so_long() {
    let world = World::with(&[("v1", Bad::StartHangs)]);
    let (ended, _) = carry_out(&world, &now()).await;
    assert_eq!(ended, Ended::Done, "30 of 40 are enough");
    let starts = world.state().sent_starts.clone();
    let order: Vec<&str> = starts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["s1", "v1", "v2", "v3", "v4"]);
    let gap = starts[2].1.checked_sub(starts[1].1).unwrap();
    assert!(gap >= Duration::from_secs(1) && gap <= Duration::from_secs(3), "{gap:?}");
    assert!(starts[4].1.checked_sub(starts[2].1).unwrap() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn the_chain_itself_tells_the_order_where_the_plan_could_not() {
    let world = World::new();
    for (name, power) in [("v1", 5), ("v2", 15), ("v3", 8), ("v4", 12)] {
        world.state().hosts.get_mut(name).unwrap().power = power;
    }
    let mut plan = now();
    plan.stages[3].shape = Shape::Ranked(Order::ByPowerOfChain);
    let (ended, journal) = carry_out(&world, &plan).await;
    assert_eq!(ended, Ended::Done);
    let order = ["v2", "v4", "v3", "v1"];
    let starts = world.state().sent_starts.clone();
    assert_eq!(starts[1..].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), order);
    let said = order.map(service).to_vec();
    assert!(journal.has(|what| matches!(what, What::OrderDecided { order, .. } if *order == said)));
}

/// Interrupts after so long, with this much urgency.
async fn interrupted(
    world: &std::sync::Arc<World>,
    plan: &fleet::model::plan::Plan,
    times: &[(u64, Interrupt)],
) -> (Ended, Journal) {
    let journal = Journal::default();
    let (send, interrupt) = watch::channel(Interrupt::None);
    let mut run = run(world, plan, &journal, RunState::default(), interrupt);
    let times = times.to_vec();
    let begun = world.now();
    let world = std::sync::Arc::clone(world);
    let presses = tokio::spawn(async move {
        for (at_ms, level) in times {
            tokio::time::sleep((begun + Duration::from_millis(at_ms)).saturating_sub(world.now())).await;
            send.send_replace(level);
        }
        std::future::pending::<()>().await;
    });
    let ended = run.execute().await;
    presses.abort();
    (ended, journal)
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_before_the_instant_changes_nothing() {
    let world = World::new();
    let plan = restart(Instant::At { unix_ms: BEGIN_MS + 600_000 });
    let (ended, _) = interrupted(&world, &plan, &[(30_000, Interrupt::Gently(2))]).await;
    assert_eq!(ended, Ended::Interrupted(2, "nothing was changed".into()));
    assert_eq!((world.running().len(), world.locked()), (5, Vec::new()));
    assert!(world.state().hosts.values().all(|host| host.stops == 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_goes_on_to_the_safe_point() {
    let world = World::with(&[("v3", Bad::NeverStops)]);
    let repair = std::sync::Arc::clone(&world);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        repair.repair("v3");
        repair.state().hosts.get_mut("v3").unwrap().running = false;
    });
    let (ended, journal) = interrupted(&world, &now(), &[(5_000, Interrupt::Gently(15))]).await;
    let Ended::Interrupted(15, text) = ended else { panic!("{ended:?}") };
    assert!(text.contains("the starts are done"), "{text}");
    assert!(
        journal.has(|what| matches!(what, What::Interrupted { signal: 15, text } if text.contains("started again")))
    );
    assert_restarted(&world, "gently");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_halt_ends_when_all_are_stopped() {
    let world = World::with(&[("v3", Bad::NeverStops)]);
    let repair = std::sync::Arc::clone(&world);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        repair.state().hosts.get_mut("v3").unwrap().running = false;
    });
    let (ended, _) = interrupted(&world, &halt(), &[(5_000, Interrupt::Gently(2))]).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!((world.running(), world.locked()), (Vec::<String>::new(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn locks_that_nobody_gives_back_are_told_where_nothing_was_changed() {
    let world = World::new();
    let at = restart(Instant::At { unix_ms: BEGIN_MS + 600_000 });
    for (press, told) in [
        (Interrupt::Gently(2), "nothing was changed"),
        (Interrupt::Now(2), "nothing was changed; its locks weren't given back and end within a minute"),
    ] {
        let (ended, _) = interrupted(&world, &at, &[(5_000, press)]).await;
        assert_eq!(ended, Ended::Interrupted(2, told.into()));
        assert_eq!(world.locked().is_empty(), press == Interrupt::Gently(2));
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_interrupt_leaves_at_once_and_keeps_the_locks() {
    let world = World::with(&[("v3", Bad::NeverStops)]);
    let presses = [(5_000, Interrupt::Gently(2)), (6_000, Interrupt::Now(2))];
    let (ended, _) = interrupted(&world, &now(), &presses).await;
    let Ended::Interrupted(2, text) = ended else { panic!("{ended:?}") };
    assert!(text.contains("unknown"), "{text}");
    assert!(world.now() < Duration::from_secs(7), "{:?}", world.now());
    assert_eq!(world.locked().len(), 5);
}
