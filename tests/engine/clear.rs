//! The decision about a clearing, between a stop and a start.

use std::sync::Arc;

use fleet::chain::wal::record::read;
use fleet::engine::{Ended, Interrupt};
use fleet::model::event::{Event, Outcome, RunState, What};
use tokio::sync::watch;

use crate::plans::{clear, service};
use crate::resume::{killed_after, resume};
use crate::runs::{Journal, assert_restarted, carry_out, run};
use crate::world::{Bad, NODES, World};

/// The branches that were taken, and why.
fn decided(events: &[Event]) -> Vec<(bool, Vec<String>)> {
    let decided = events.iter().filter_map(|event| match &event.what {
        What::Decided { stage: 2, carried_out, text } => Some((*carried_out, text.clone())),
        _ => None,
    });
    decided.collect()
}

/// How the setting of a host's log ended.
fn outcomes(events: &[Event], host: &str) -> Vec<Outcome> {
    let ended = events.iter().filter_map(|event| match &event.what {
        What::StepEnded { stage: 2, service, outcome, .. } if *service == self::service(host) => Some(outcome.clone()),
        _ => None,
    });
    ended.collect()
}

/// The hosts whose log is a short one; the others have the log they had.
fn cleared(world: &World) -> Vec<&'static str> {
    let old = World::log();
    let short = |name: &&str| {
        let host = world.host(name);
        if !host.log_set {
            assert_eq!(host.log, old, "{name}");
            return false;
        }
        let ends: Vec<_> = read(&host.log).0.iter().map(fleet::chain::wal::record::Record::end_height).collect();
        assert_eq!(ends, [Some(0), Some(100)], "{name}");
        true
    };
    NODES.into_iter().map(|(name, _)| name).filter(short).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_speaks_against_a_clearing_before_anyone_has_signed() {
    let world = World::new();
    let (ended, journal) = carry_out(&world, &clear()).await;
    assert_eq!(ended, Ended::Done);
    assert!(matches!(&decided(&journal.events())[..], [(true, _)]), "{:?}", decided(&journal.events()));
    assert_eq!(cleared(&world), ["s1", "v1", "v2", "v3", "v4"]);
    assert_restarted(&world, "cleared");
}

#[tokio::test(start_paused = true)]
async fn where_a_validators_log_cannot_be_read_all_keep_theirs_and_start() {
    let world = World::with(&[("v3", Bad::LogUnread)]);
    let (ended, journal) = carry_out(&world, &clear()).await;
    assert_eq!(ended, Ended::Done);
    let [(false, why)] = &decided(&journal.events())[..] else { panic!("{:?}", decided(&journal.events())) };
    assert!(why[0].contains("v3") && why[0].contains("no answer"), "{why:?}");
    assert!(cleared(&world).is_empty() && outcomes(&journal.events(), "v1").is_empty());
    assert_restarted(&world, "unread");
}

#[tokio::test(start_paused = true)]
async fn where_one_log_cannot_be_written_the_others_are_and_all_start() {
    let world = World::with(&[("v3", Bad::SetFails)]);
    let (ended, journal) = carry_out(&world, &clear()).await;
    assert_eq!(ended, Ended::Done);
    let [Outcome::Failed { reason }] = &outcomes(&journal.events(), "v3")[..] else { panic!() };
    assert!(reason.contains("no space left"), "{reason}");
    assert_eq!(cleared(&world), ["s1", "v1", "v2", "v4"]);
    assert_restarted(&world, "one fails");
}

#[tokio::test(start_paused = true)]
async fn where_the_journal_cannot_be_written_all_keep_their_logs_and_start() {
    let world = World::new();
    let journal = Journal::full_at(|what| matches!(what, What::Decided { .. }));
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let mut run = run(&world, &clear(), &journal, RunState::default(), interrupt);
    assert_eq!(run.execute().await, Ended::Done);
    let Some((false, why)) = run.log.state().decided else { panic!("{:?}", run.log.state().decided) };
    assert!(why[0].contains("the journal can't be written"), "{why:?}");
    assert!(cleared(&world).is_empty());
    assert_restarted(&world, "full");
}

/// A run of which fleet is killed once so many logs are set.
async fn killed_once_set(world: &Arc<World>, set: usize) -> Vec<Event> {
    let probe = World::new();
    let (_, journal) = carry_out(&probe, &clear()).await;
    let events = journal.events();
    let is_set = |event: &Event| matches!(event.what, What::StepEnded { stage: 2, .. } | What::Decided { .. });
    let (count, _) = events.iter().enumerate().filter(|(_, event)| is_set(event)).nth(set).unwrap();
    let mut events = killed_after(world, &clear(), count + 1).await.unwrap();
    let at_ms = events.last().unwrap().at_ms;
    events.push(Event { at_ms, what: What::Resumed { owner: "ana@laptop".into() } });
    events
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_is_not_judged_again_and_the_rest_is_set() {
    for set in 0..=5 {
        let world = World::new();
        let events = killed_once_set(&world, set).await;
        // Judged now it would be refused: nobody has told the validators of this height.
        world.state().height += 1;
        let (ended, journal) = resume(&world, &clear(), &events).await;
        assert_eq!(ended, Ended::Done, "{set}");
        assert_eq!(decided(&journal.events()), [(true, vec!["it was begun already".into()])], "{set}");
        assert_eq!(cleared(&world), ["s1", "v1", "v2", "v3", "v4"], "{set}");
        assert_restarted(&world, &format!("{set} were set"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_begun_clearing_goes_on_where_it_can() {
    let world = World::new();
    let events = killed_once_set(&world, 0).await;
    world.spoil("v3", Bad::LogUnread);
    let before = cleared(&world);
    let (ended, journal) = resume(&world, &clear(), &events).await;
    assert_eq!(ended, Ended::Done);
    assert!(matches!(&decided(&journal.events())[..], [(true, why)] if why[0].contains("v3")));
    let reason = "there is no log for it; it keeps its own".to_owned();
    assert_eq!(outcomes(&journal.events(), "v4"), [Outcome::Failed { reason }]);
    assert_eq!(cleared(&world), before);
    assert_restarted(&world, "unread now");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_a_reboot_has_brought_up_keeps_its_log_and_is_not_started_again() {
    let world = World::new();
    let events = killed_once_set(&world, 0).await;
    world.change("v3", |host| (host.running, host.starts) = (true, 1));
    let (ended, journal) = resume(&world, &clear(), &events).await;
    assert_eq!(ended, Ended::Done);
    let [Outcome::Failed { reason }] = &outcomes(&journal.events(), "v3")[..] else { panic!() };
    assert_eq!(reason, "the unit is not stopped");
    assert_eq!(cleared(&world), ["s1", "v1", "v2", "v4"]);
    let said = |what: &What| matches!(what, What::Remark { text } if text.starts_with("v3 runs already"));
    assert!(journal.has(said));
    assert_restarted(&world, "rebooted");
}
