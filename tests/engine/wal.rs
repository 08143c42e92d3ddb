//! Logs that are put back between a stop and a start.

use fleet::engine::Ended;
use fleet::model::event::{Outcome, RunState, What};
use tokio::sync::watch;

use crate::plans::{restore, service};
use crate::runs::{Journal, assert_restarted, carry_out, run};
use crate::world::{Bad, World};

fn outcomes(journal: &Journal) -> Vec<Outcome> {
    let ended = journal.events().into_iter().filter_map(|event| match event.what {
        What::StepEnded { stage: 2, service, outcome, .. } if service == self::service("v3") => Some(outcome),
        _ => None,
    });
    ended.collect()
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_host_refuses_starts_with_the_log_it_has() {
    let world = World::with(&[("v3", Bad::KeepsLog)]);
    let (ended, journal) = carry_out(&world, &restore()).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(outcomes(&journal), [Outcome::Failed { reason: "its signer has signed since".into() }]);
    assert_restarted(&world, "refused");
    let back = |name: &&str| world.host(name).log_back;
    assert_eq!(["s1", "v1", "v2", "v3", "v4"].iter().filter(|name| back(name)).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_while_a_log_may_still_be_on_its_way() {
    let world = World::with(&[("v3", Bad::UndoLost)]);
    let (ended, journal) = carry_out(&world, &restore()).await;
    assert!(matches!(&ended, Ended::Incomplete(reason) if reason.contains("v3: unknown")), "{ended:?}");
    assert!(world.state().sent_starts.is_empty());
    assert!(matches!(outcomes(&journal)[..], [Outcome::Unknown { .. }]));
    // A resumed run has it put back, whether or not it was.
    world.repair("v3");
    let state = RunState::of(&journal.events());
    let (_keep, interrupt) = watch::channel(fleet::engine::Interrupt::None);
    let ended = run(&world, &restore(), &journal, state, interrupt).execute().await;
    assert_eq!(ended, Ended::Done);
    assert!(world.host("v3").log_back);
    assert_restarted(&world, "resumed");
}
