//! What was sent and is in doubt is settled by looking, never repeated.

use std::time::Duration;

use fleet::engine::Ended;
use fleet::model::event::{Outcome, What};

use crate::plans::{now, service};
use crate::runs::{Journal, assert_restarted, carry_out};
use crate::world::{Bad, World};

fn outcome(journal: &Journal, stage: usize, host: &str) -> Option<Outcome> {
    journal.events().into_iter().rev().find_map(|event| match event.what {
        What::StepEnded { stage: of, service, outcome, .. } if of == stage && service == self::service(host) => {
            Some(outcome)
        }
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_or_receipt_is_settled_by_looking() {
    for bad in [Bad::AckLost, Bad::ReceiptLost] {
        let world = World::with(&[("v3", bad)]);
        let (ended, journal) = carry_out(&world, &now()).await;
        assert_eq!(ended, Ended::Done, "{bad:?}");
        assert_eq!(outcome(&journal, 0, "v3"), Some(Outcome::Done));
        assert_restarted(&world, &format!("{bad:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instant_that_never_arrived_ends_the_run_with_the_others_stopped() {
    let world = World::with(&[("v3", Bad::FireLost)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    let Ended::Incomplete(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("v3: unit is active"), "{reason}");
    assert!(matches!(outcome(&journal, 0, "v3"), Some(Outcome::Failed { .. })));
    assert_eq!(world.running(), ["v3"]);
    assert_eq!((world.host("v3").stops, world.host("v3").armed), (0, false), "disarmed, not fired later");
    assert_eq!(world.locked().len(), 5, "for the resume");
    assert!(world.state().sent_starts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_dies_is_unknown_and_nothing_is_started() {
    let world = World::with(&[("v3", Bad::DiesAtFire)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    let Ended::Incomplete(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("unknown"), "{reason}");
    assert!(matches!(outcome(&journal, 0, "v3"), Some(Outcome::Unknown { .. })));
    assert!(world.state().sent_starts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_does_not_stop_is_a_failure_with_its_reason_not_an_unknown() {
    let world = World::with(&[("v3", Bad::NeverStops)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    assert!(matches!(ended, Ended::Incomplete(_)), "{ended:?}");
    let Some(Outcome::Failed { reason }) = outcome(&journal, 0, "v3") else {
        panic!("{:?}", outcome(&journal, 0, "v3"))
    };
    assert!(reason.contains("deactivating"), "{reason}");
    let took = world.now();
    assert!(took > Duration::from_secs(90) && took < Duration::from_secs(110), "its time-out is 90 s: {took:?}");
    assert_eq!(world.host("v3").stops, 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_runs_again_by_itself_keeps_all_from_being_started() {
    let world = World::with(&[("v3", Bad::ComesBack)]);
    let mut plan = now();
    plan.stages.retain(|stage| stage.name != "verify");
    let (ended, journal) = carry_out(&world, &plan).await;
    let Ended::Incomplete(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("v3: the unit is not stopped"), "{reason}");
    let Some(Outcome::Failed { reason }) = outcome(&journal, 2, "v1") else { panic!() };
    assert!(reason.contains("its turn never came"), "{reason}");
    assert!(!journal.events().iter().any(|event| matches!(event.what, What::ProvenStopped { stage: 2, .. })));
    assert_eq!(world.running(), ["s1", "v3"], "of the nodes' stage none is started");
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_is_lost_is_looked_at_and_not_sent_again() {
    let world = World::with(&[("v3", Bad::StartLost)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(outcome(&journal, 3, "v3"), Some(Outcome::Done));
    assert_restarted(&world, "start lost");
}

#[tokio::test(start_paused = true)]
async fn needs_by_power_decide_whether_a_failed_start_ends_the_run() {
    let world = World::with(&[("v3", Bad::StartFails)]);
    let (ended, journal) = carry_out(&world, &now()).await;
    assert_eq!(ended, Ended::Done, "30 of 40, quorum 27");
    assert!(matches!(outcome(&journal, 3, "v3"), Some(Outcome::Failed { .. })));
    assert!(world.now() < Duration::from_secs(20), "a failed unit isn't waited for: {:?}", world.now());
    let world = World::with(&[("v2", Bad::StartFails), ("v3", Bad::StartFails)]);
    let (ended, _) = carry_out(&world, &now()).await;
    assert!(matches!(ended, Ended::Incomplete(_)), "{ended:?}");
    assert_eq!(world.host("v4").starts, 1, "what can be started is");
}

#[tokio::test(start_paused = true)]
async fn without_a_block_in_time_that_is_said() {
    let world = World::new();
    for name in ["v1", "v2"] {
        world.state().hosts.get_mut(name).unwrap().power = 0;
    }
    let (ended, _) = carry_out(&world, &now()).await;
    let Ended::NoBlock(reason) = ended else { panic!("{ended:?}") };
    assert!(reason.contains("is at height 100"), "{reason}");
    assert_eq!(world.running().len(), 5);
    assert_eq!(world.locked(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_old_height_is_no_new_block_even_where_none_was_known_before() {
    let world = World::new();
    for name in ["v1", "v2"] {
        world.state().hosts.get_mut(name).unwrap().power = 0;
    }
    let mut plan = now();
    plan.stages.drain(..5);
    let journal = Journal::default();
    let (_keep, interrupt) = tokio::sync::watch::channel(fleet::engine::Interrupt::None);
    let mut run = crate::runs::run(&world, &plan, &journal, fleet::model::event::RunState::default(), interrupt);
    run.baseline = 0;
    assert!(matches!(run.execute().await, Ended::NoBlock(_)));
    assert!(!journal.has(|what| matches!(what, What::Block { .. })));
}
