//! One run: locks, stages in order, the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::{Claim, Clock, FaultKind, Log, Transport, barrier, locks, stage};
use crate::model::event::{RunState, What};
use crate::model::inventory::ServiceId;
use crate::model::plan::{Plan, Shape, Stage, Task};

/// How urgently the operator wants to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Interrupt {
    /// Not at all.
    #[default]
    None,
    /// At the next safe point, after this signal.
    Gently(u8),
    /// At once, after this signal.
    Now(u8),
}

/// Who runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The run's id.
    pub run: String,
    /// Who, e.g. `ana@laptop`.
    pub owner: String,
    /// For what.
    pub reason: String,
}

/// Everything a run works with.
pub struct Run {
    /// What is to be done.
    pub plan: Plan,
    /// Who does it.
    pub identity: Identity,
    /// The hosts.
    pub transport: Arc<dyn Transport>,
    /// Journal and screen.
    pub log: Arc<Log>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Interrupts of the operator.
    pub interrupt: watch::Receiver<Interrupt>,
    /// The greatest height known before the run; 0 when none is.
    pub baseline: u64,
}

/// A service that can't be armed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub service: ServiceId,
    /// Why.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Every stage has what it needs.
    Done,
    /// Everything was done, but no block came.
    NoBlock(String),
    /// A stage has not what it needs: failures and unknown outcomes are in the journal.
    Incomplete(String),
    /// Some services can't be armed; nothing was changed.
    NotArmed(Vec<Missing>),
    /// Another run holds a host's lock; nothing was changed.
    Locked(String),
    /// Interrupted by this signal; what was reached.
    Interrupted(u8, String),
}

impl Run {
    /// Carries the plan out from where its log's state stands.
    pub async fn execute(&mut self) -> Ended {
        self.emit(What::Baseline { height: self.baseline });
        if let Err(ended) = self.take_locks().await {
            return ended;
        }
        let keeper = locks::keep(Arc::clone(&self.transport), self.claim(), self.held_hosts());
        let ended = self.stages().await;
        keeper.abort();
        self.give_back(&ended).await;
        ended
    }

    async fn stages(&mut self) -> Ended {
        let first = self.log.state().done_stages.len();
        for index in first..self.plan.stages.len() {
            let mut stage = self.plan.stages[index].clone();
            let left_out: BTreeSet<ServiceId> = self.log.state().left_out.into_iter().collect();
            stage.tasks.retain(|task| !left_out.contains(&task.service));
            if let Some(ended) = self.leave_before(&stage) {
                return ended;
            }
            self.emit(What::StageStarted { stage: index, name: stage.name.clone() });
            let outcome = match stage.shape {
                Shape::Barrier(_) => barrier::run(self, index, &stage).await,
                Shape::Parallel | Shape::Ranked(_) => stage::run(self, index, &stage).await,
            };
            if let Err(ended) = outcome {
                return ended;
            }
        }
        Ended::Done
    }

    /// The end of the run, if the operator asked to leave and nothing hangs in the air before this stage.
    fn leave_before(&self, stage: &Stage) -> Option<Ended> {
        match *self.interrupt.borrow() {
            Interrupt::Gently(signal) if stage.safe_point => {
                let touched = self.log.state().touched();
                let text = if touched { "all steps that were begun are finished" } else { "nothing was changed" };
                Some(Ended::Interrupted(signal, text.into()))
            }
            Interrupt::Now(signal) => Some(Ended::Interrupted(signal, format!("stopped before {}", stage.name))),
            _ => None,
        }
    }

    /// Takes the lock of every host, but of those whose facts the plan doesn't have: what wasn't checked isn't armed.
    async fn take_locks(&self) -> Result<(), Ended> {
        let mut missing = self.unseen();
        let mut held = None;
        let mut hosts = self.plan.hosts();
        let left_out = self.log.state().left_out;
        let out = |host: &String| missing.iter().map(|one| &one.service).chain(&left_out).any(|one| one.host == *host);
        hosts.retain(|host| !out(host));
        for (host, result) in locks::take_all(&*self.transport, &hosts, &self.claim()).await {
            match result {
                Ok(grant) => {
                    self.emit(What::Locked { host, epoch: grant.epoch, taken_over: grant.taken_over });
                }
                Err(fault) => {
                    if let FaultKind::Locked(lock) = &fault.kind {
                        held = Some(format!(
                            "{host} is locked by {} for {} (run {}): {}",
                            lock.owner, lock.reason, lock.run, fault.reason
                        ));
                    }
                    missing.extend(
                        self.services_of(&host).map(|service| Missing { service, reason: fault.reason.clone() }),
                    );
                }
            }
        }
        if let Some(held) = held {
            self.back_out("another run holds a lock").await;
            return Err(Ended::Locked(held));
        }
        self.go_on_without(missing).await
    }

    fn unseen(&self) -> Vec<Missing> {
        let left_out = self.log.state().left_out;
        let unseen = self.plan.targets.values().filter(|target| !target.seen && !left_out.contains(&target.service));
        let reason = "gave no facts when the plan was made, so that nothing of it is checked".to_owned();
        unseen.map(|target| Missing { service: target.service.clone(), reason: reason.clone() }).collect()
    }

    /// Goes on without these services if the plan allows it, else backs out of everything.
    pub(super) async fn go_on_without(&self, missing: Vec<Missing>) -> Result<(), Ended> {
        if missing.is_empty() {
            return Ok(());
        }
        for one in &missing {
            self.emit(What::NotArmed { service: one.service.clone(), reason: one.reason.clone() });
        }
        if !self.may_miss(&missing) {
            self.back_out("not every host can be armed").await;
            return Err(Ended::NotArmed(missing));
        }
        for Missing { service, reason } in missing {
            self.emit(What::LeftOut { service, reason });
        }
        Ok(())
    }

    fn may_miss(&self, missing: &[Missing]) -> bool {
        let allowed = &self.plan.allow_missing;
        let unnamed = missing.iter().filter(|one| !allowed.hosts.contains(&one.service.host));
        let powers: Option<Vec<u64>> =
            unnamed.map(|one| self.plan.target(&one.service).and_then(|target| target.power)).collect();
        // Hosts that were not named may be missing only if their power is known and small enough.
        powers.is_some_and(|powers| {
            powers.iter().sum::<u64>() <= allowed.power && (powers.is_empty() || allowed.power > 0)
        })
    }

    /// Gives every lock back, nothing having changed.
    pub(super) async fn back_out(&self, reason: &str) {
        self.emit(What::Disarmed { reason: reason.to_owned() });
        self.release().await;
    }

    async fn give_back(&self, ended: &Ended) {
        let keep = match ended {
            // Already given back.
            Ended::NotArmed(_) | Ended::Locked(_) => return,
            // `resume` needs them; the leases run out by themselves.
            Ended::Incomplete(_) => true,
            Ended::Interrupted(..) => matches!(*self.interrupt.borrow(), Interrupt::Now(_)),
            Ended::Done | Ended::NoBlock(_) => false,
        };
        if !keep {
            self.release().await;
        }
    }

    async fn release(&self) {
        let epochs = self.log.state().epochs;
        let failed = locks::release_all(&*self.transport, &self.identity.run, &epochs).await;
        self.emit(What::Unlocked { failed });
    }

    fn claim(&self) -> Claim {
        Claim {
            run: self.identity.run.clone(),
            owner: self.identity.owner.clone(),
            reason: self.identity.reason.clone(),
            digest: self.plan.digest().to_string(),
            ttl_s: locks::TTL.as_secs(),
        }
    }

    fn held_hosts(&self) -> Vec<String> {
        self.log.state().epochs.into_keys().collect()
    }

    fn services_of(&self, host: &str) -> impl Iterator<Item = ServiceId> {
        let host = host.to_owned();
        self.plan.targets.values().map(|target| target.service.clone()).filter(move |service| service.host == host)
    }

    pub(super) fn emit(&self, what: What) {
        self.log.emit(self.clock.unix_ms(), what);
    }

    pub(super) fn intend(&self, what: What) -> Result<(), String> {
        self.log.intend(self.clock.unix_ms(), what)
    }

    pub(super) fn state(&self) -> RunState {
        self.log.state()
    }

    /// The power of a stage's tasks, as far as it is known.
    pub(super) fn power_of<'a>(&self, tasks: impl Iterator<Item = &'a Task>) -> u64 {
        tasks.filter_map(|task| self.plan.target(&task.service)?.power).sum()
    }
}
