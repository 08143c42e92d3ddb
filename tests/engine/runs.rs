//! Carrying a plan out in a scripted world.

use std::sync::{Arc, Mutex};

use fleet::engine::{Ended, Identity, Interrupt, Log, Recorder, Run};
use fleet::model::event::{Event, RunState, What};
use fleet::model::plan::Plan;
use tokio::sync::watch;

use crate::links::Links;
use crate::world::{PausedClock, World};

/// The events of a run, as far as they came to disk.
#[derive(Clone, Default)]
pub struct Journal {
    events: Arc<Mutex<Vec<Event>>>,
    /// fleet dies when it would write more than so many.
    dies_at: Option<usize>,
    /// The disk is full from the first such event on.
    full_at: Option<fn(&What) -> bool>,
}

impl Journal {
    pub fn dying_at(count: usize) -> Self {
        Self { dies_at: Some(count), ..Self::default() }
    }

    pub fn full_at(event: fn(&What) -> bool) -> Self {
        Self { full_at: Some(event), ..Self::default() }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub fn has(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.events().iter().any(|event| wanted(&event.what))
    }
}

impl Recorder for Journal {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        let mut events = self.events.lock().unwrap();
        if self.dies_at == Some(events.len()) {
            drop(events);
            // As a panic, without its noise.
            std::panic::resume_unwind(Box::new("fleet is killed"));
        }
        if self.full_at.is_some_and(|full| full(&event.what)) {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        events.push(event.clone());
        Ok(())
    }
}

/// A run of `plan` from `state`, writing to `journal`.
pub fn run(
    world: &Arc<World>,
    plan: &Plan,
    journal: &Journal,
    state: RunState,
    interrupt: watch::Receiver<Interrupt>,
) -> Run {
    let baseline = world.state().height;
    Run {
        plan: plan.clone(),
        identity: Identity { run: "RUN".into(), owner: "ana@laptop".into(), reason: "test".into() },
        transport: Arc::new(Links(Arc::clone(world))),
        log: Arc::new(Log::new(Box::new(journal.clone()), Box::new(|_| {}), state)),
        clock: Arc::new(PausedClock(Arc::clone(world))),
        interrupt,
        baseline,
        made: std::sync::OnceLock::new(),
        archive: None,
        supply: Some(Arc::new(Links(Arc::clone(world)))),
    }
}

/// How a whole run ends, and its events.
pub async fn carry_out(world: &Arc<World>, plan: &Plan) -> (Ended, Journal) {
    let journal = Journal::default();
    let (_keep, interrupt) = watch::channel(Interrupt::None);
    let ended = run(world, plan, &journal, RunState::default(), interrupt).execute().await;
    (ended, journal)
}

/// All is as a restart should leave it.
pub fn assert_restarted(world: &World, context: &str) {
    assert_eq!(world.running().len(), 5, "{context}");
    assert_eq!(world.locked(), Vec::<String>::new(), "{context}");
    let state = world.state();
    assert_eq!(state.crimes, Vec::<String>::new(), "{context}");
    for (name, host) in &state.hosts {
        assert_eq!((host.stops, host.starts, host.armed), (1, 1, false), "{name} {context}");
    }
}
