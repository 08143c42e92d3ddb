//! Backups: one node after the other is cloned, and nothing is locked while the copies are brought in.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleet::engine::{Archive, Ended, Fault, Interrupt, Progress, Run, Wanted};
use fleet::model::backup::{Kept, Profile};
use fleet::model::event::{Outcome, RunState, What};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::plans::backup;
use crate::runs::{Journal, run};
use crate::world::{Bad, World};

/// Remembers what it was asked to keep, and whether any host was locked then.
struct Store {
    world: Arc<World>,
    kept: Mutex<Vec<(String, Profile)>>,
    locked: Mutex<Vec<String>>,
    refuses: Option<(&'static str, Profile)>,
    /// A host that can't be told what is kept already.
    unprepared: Option<&'static str>,
}

#[async_trait]
impl Archive for Store {
    async fn prepare(&self, wanted: &Wanted) -> Result<(), Fault> {
        let host = wanted.item.service.host.as_str();
        assert!(wanted.item.profile.is_sealed() && self.world.running().contains(&host.to_owned()), "{wanted:?}");
        if self.unprepared == Some(host) { Err(Fault::answer("there is no folder /data")) } else { Ok(()) }
    }

    async fn keep(&self, wanted: &Wanted, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<Kept, Fault> {
        self.locked.lock().unwrap().extend(self.world.locked());
        let (host, profile) = (wanted.item.service.host.clone(), wanted.item.profile);
        tell(Progress { done: 1, all: 2 });
        sleep(Duration::from_secs(5)).await;
        tell(Progress { done: 2, all: 2 });
        if self.refuses == Some((host.as_str(), profile)) {
            return Err(Fault::answer("a file changed while it was read"));
        }
        self.kept.lock().unwrap().push((host, profile));
        Ok(Kept { snapshot: "S".into(), bytes: 2, ..Kept::default() })
    }
}

fn store(world: &Arc<World>, refuses: Option<(&'static str, Profile)>) -> Arc<Store> {
    Arc::new(Store {
        world: Arc::clone(world),
        kept: Mutex::default(),
        locked: Mutex::default(),
        refuses,
        unprepared: None,
    })
}

fn with(mut run: Run, store: &Arc<Store>) -> Run {
    run.archive = Some(Arc::clone(store) as Arc<dyn Archive>);
    run
}

async fn carry_out(world: &Arc<World>, store: &Arc<Store>, interrupt: Interrupt) -> (Ended, Journal) {
    let journal = Journal::default();
    let (_keep, interrupt) = watch::channel(interrupt);
    let ended = with(run(world, &backup(), &journal, RunState::default(), interrupt), store).execute().await;
    (ended, journal)
}

#[tokio::test(start_paused = true)]
async fn all_are_cloned_and_kept_and_no_lock_is_held_meanwhile() {
    let world = World::new();
    let store = store(&world, None);
    let (ended, journal) = carry_out(&world, &store, Interrupt::None).await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(store.kept.lock().unwrap().len(), 10);
    assert_eq!(*store.locked.lock().unwrap(), Vec::<String>::new(), "locked while copies came");
    assert_eq!(world.locked(), Vec::<String>::new());
    assert_eq!(world.state().crimes, Vec::<String>::new());
    let unlocked = journal.events().iter().filter(|event| matches!(event.what, What::Unlocked { .. })).count();
    assert_eq!(unlocked, 1, "locks are given back once");
    assert!(journal.has(|what| matches!(what, What::Progress { done: 2, all: 2, .. })));
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_cloned_ends_the_stops_and_what_was_cloned_is_kept() {
    let world = World::with(&[("v2", Bad::SealFails)]);
    let store = store(&world, None);
    let (ended, _) = carry_out(&world, &store, Interrupt::None).await;
    assert!(matches!(&ended, Ended::Done), "{ended:?}");
    let sealed: Vec<String> =
        world.state().hosts.iter().filter(|(_, host)| host.sealed).map(|(name, _)| name.clone()).collect();
    assert_eq!(sealed, ["s1", "v1"], "nodes after the one that failed were stopped");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_told_what_is_kept_already_is_not_stopped() {
    let world = World::new();
    let store = Arc::new(Store { unprepared: Some("v2"), ..Arc::into_inner(store(&world, None)).unwrap() });
    let (ended, journal) = carry_out(&world, &store, Interrupt::None).await;
    assert!(matches!(&ended, Ended::Done), "{ended:?}");
    let sealed: Vec<String> =
        world.state().hosts.iter().filter(|(_, host)| host.sealed).map(|(name, _)| name.clone()).collect();
    assert_eq!(sealed, ["s1", "v1"]);
    let told = |what: &What| matches!(what, What::StepEnded { outcome: Outcome::Failed { reason }, .. } if reason.contains("/data"));
    assert!(journal.has(told));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_kept_keeps_nothing_else_back() {
    let world = World::new();
    let store = store(&world, Some(("v1", Profile::Config)));
    let (ended, journal) = carry_out(&world, &store, Interrupt::None).await;
    assert!(matches!(&ended, Ended::Incomplete(why) if why.contains("v1: a file changed")), "{ended:?}");
    assert_eq!(store.kept.lock().unwrap().len(), 9);
    assert!(store.kept.lock().unwrap().contains(&("v1".into(), Profile::Data)));
    let failed = journal.has(|what| matches!(what, What::StepEnded { outcome: Outcome::Failed { .. }, .. }));
    assert!(failed && world.locked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operator_may_leave_while_copies_come() {
    let world = World::new();
    let store = store(&world, None);
    let journal = Journal::default();
    let (operator, interrupt) = watch::channel(Interrupt::None);
    let mut run = with(run(&world, &backup(), &journal, RunState::default(), interrupt), &store);
    let leave = async {
        while store.kept.lock().unwrap().is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        operator.send(Interrupt::Gently(2)).unwrap();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = run.execute() => ended,
        () = leave => unreachable!(),
    };
    assert!(matches!(&ended, Ended::Interrupted(2, text) if text.contains("no node stands still")), "{ended:?}");
    let kept = store.kept.lock().unwrap().len();
    assert!(kept < 10 && world.running().len() == 5 && world.locked().is_empty(), "{kept}");
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let state = RunState::of(&journal.events());
    let ended = with(self::run(&world, &backup(), &journal, state, interrupt), &store).execute().await;
    assert_eq!((ended, store.kept.lock().unwrap().len()), (Ended::Done, 10));
}

#[tokio::test(start_paused = true)]
async fn a_killed_fleet_goes_on_where_it_was_and_stops_no_node_again() {
    let world = World::new();
    let whole = {
        let store = store(&world, None);
        carry_out(&world, &store, Interrupt::None).await.1.events()
    };
    let first = whole.iter().position(|event| matches!(event.what, What::StageStarted { stage: 1, .. })).unwrap();
    let state = RunState::of(&whole[..=first]);
    let world = World::new();
    let store = store(&world, None);
    let journal = Journal::default();
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let ended = with(run(&world, &backup(), &journal, state, interrupt), &store).execute().await;
    assert_eq!(ended, Ended::Done);
    assert_eq!(store.kept.lock().unwrap().len(), 10);
    assert!(world.state().hosts.values().all(|host| !host.sealed && host.epoch == 0), "a host was locked or stopped");
}
