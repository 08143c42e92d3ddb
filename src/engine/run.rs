//! One run: locks, stages in order, the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::engine::locks::Background;
use crate::engine::{Archive, Claim, Clock, FaultKind, Log, Supply, Transport, archive, barrier, decide, locks, stage};
use crate::model::event::{RunState, What};
use crate::model::inventory::ServiceId;
use crate::model::plan::{Action, Operation, Plan, Shape, Stage, Task, WalContent};

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
    /// The logs that a decide stage has made, by the service's display name.
    pub made: OnceLock<BTreeMap<String, WalContent>>,
    /// Where copies go, for a plan that makes some.
    pub archive: Option<Arc<dyn Archive>>,
    /// Where a snapshot comes from, for a plan that brings one back.
    pub supply: Option<Arc<dyn Supply>>,
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
        let first = self.log.state().done_stages.len();
        let mut keeper = None;
        if let Err(ended) = self.lock_for(first, &mut keeper).await {
            return ended;
        }
        if keeper.is_none() && self.state().holds_locks && !self.needs_locks(first) {
            // Those of a fleet that died before it had given them back.
            self.release().await;
        }
        let listener = self.tell_of_interrupt();
        let ended = self.stages(first, &mut keeper).await;
        drop(listener);
        if keeper.take().is_none() || self.give_back(&ended).await {
            return ended;
        }
        match ended {
            Ended::Interrupted(signal, text) if !self.state().touched() => {
                Ended::Interrupted(signal, format!("{text}; its locks weren't given back and end within a minute"))
            }
            ended => ended,
        }
    }

    /// Whether this stage or one after it changes something on the hosts.
    fn needs_locks(&self, from: usize) -> bool {
        self.plan.stages.iter().skip(from).any(Stage::needs_locks)
    }

    /// Takes the locks, unless they are held or this stage can do without: what takes hours must keep nobody from halting a
    /// node.
    async fn lock_for(&self, index: usize, keeper: &mut Option<Background>) -> Result<(), Ended> {
        let streams = self.plan.stages.get(index).is_some_and(Stage::streams);
        let late = self.plan.locks_late() && (streams || !self.needs_locks(index));
        if keeper.is_none() && !late {
            self.take_locks().await?;
            *keeper = Some(locks::keep(Arc::clone(&self.transport), self.claim(), self.state().epochs));
        }
        Ok(())
    }

    /// While bytes came, for hours maybe, others may have gone: what the plan was checked against is looked at once more
    /// before the first stop.
    async fn unsafe_by_now(&self, index: usize) -> Option<Ended> {
        let before = index.checked_sub(1).and_then(|before| self.plan.stages.get(before))?;
        let supply = self.supply.as_ref().filter(|_| before.streams() && self.state().fired_ms.is_none())?;
        let reason = supply.check(&self.plan).await.err()?;
        Some(Ended::Incomplete(format!(
            "since the plan was made it has become unsafe, and nothing was stopped: {reason}"
        )))
    }

    async fn stages(&mut self, first: usize, keeper: &mut Option<Background>) -> Ended {
        for index in first..self.plan.stages.len() {
            let stage = self.without_left_out(&self.plan.stages[index]);
            if let Some(ended) = self.leave_before(&stage) {
                return ended;
            }
            if self.plan.locks_late() && !self.needs_locks(index) && keeper.take().is_some() {
                self.release().await;
            }
            if let Err(ended) = self.lock_for(index, keeper).await {
                return ended;
            }
            if let Some(ended) = self.unsafe_by_now(index).await {
                if keeper.take().is_some() {
                    self.release().await;
                }
                return ended;
            }
            // Those that can't be locked may be left out.
            let stage = self.without_left_out(&stage);
            self.emit(What::StageStarted { stage: index, name: stage.name.clone() });
            let outcome = match stage.shape {
                Shape::Barrier(_) => barrier::run(self, index, &stage).await,
                Shape::Decide => decide::run(self, index, &stage).await,
                Shape::Parallel | Shape::Ranked(_) | Shape::Rolling => stage::run(self, index, &stage).await,
            };
            if let Err(ended) = outcome {
                if matches!(ended, Ended::NoBlock(_)) {
                    // What was started may have been stopped since, by hand too.
                    stage::look_again(self).await;
                }
                return ended;
            }
            if stage.tasks.iter().flat_map(|task| &task.steps).any(|step| step.action == Action::Swap) {
                archive::tell_behind(self).await;
            }
        }
        stage::look_again(self).await;
        Ended::Done
    }

    /// The stage without what the run goes on without.
    pub(super) fn without_left_out(&self, stage: &Stage) -> Stage {
        let left_out: BTreeSet<ServiceId> = self.log.state().left_out.into_iter().collect();
        let mut stage = stage.clone();
        stage.tasks.retain(|task| !left_out.contains(&task.service));
        stage
    }

    /// Says what an interrupt leads to, so that nobody sends a second one for want of an answer.
    fn tell_of_interrupt(&self) -> Background {
        let (log, clock, mut interrupt) = (Arc::clone(&self.log), Arc::clone(&self.clock), self.interrupt.clone());
        let safe = match self.plan.operation {
            Operation::Halt => "all are stopped",
            Operation::Start => "the starts under way are done",
            Operation::CoordinatedRestart | Operation::ReviveWal | Operation::RestoreWal => "all are started again",
            Operation::Backup => "what was stopped runs again",
            Operation::Restore => "what was stopped is started again",
        };
        Background(tokio::spawn(async move {
            let signal = barrier::interrupted(&mut interrupt).await;
            let text = if log.state().touched() {
                format!("leaving once {safe} (a second one: at once)")
            } else {
                "leaving before anything is changed".into()
            };
            log.emit(clock.unix_ms(), What::Interrupted { signal, text });
        }))
    }

    /// The end of the run, if the operator asked to leave and nothing hangs in the air before this stage.
    fn leave_before(&self, stage: &Stage) -> Option<Ended> {
        match *self.interrupt.borrow() {
            Interrupt::Gently(signal) if stage.safe_point => {
                let text = match self.log.state().touched() {
                    false => "nothing was changed",
                    true if stage::observes_chain(stage) => stage::STARTED,
                    true => "all steps that were begun are finished",
                };
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
        for (host, result) in locks::take_in_turn(&*self.transport, &hosts, &self.claim()).await {
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
                    missing.extend(self.whole_host(&host, &fault.reason));
                }
            }
        }
        if let Some(held) = held {
            if let Some(ended) = self.under_way([held.clone()]) {
                return Err(ended);
            }
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
            if let Some(ended) = self.under_way(missing.iter().map(|one| format!("{}: {}", one.service, one.reason))) {
                return Err(ended);
            }
            self.back_out("not every host can be armed").await;
            return Err(Ended::NotArmed(missing));
        }
        for Missing { service, reason } in missing {
            self.emit(What::LeftOut { service, reason });
        }
        Ok(())
    }

    /// Whether the plan allows these to be missing, beside those that are left out already.
    fn may_miss(&self, missing: &[Missing]) -> bool {
        let allowed = &self.plan.allow_missing;
        let unnamed = |host: &String| !allowed.hosts.contains(host);
        let planned = self.plan.left_out.iter().filter(|one| unnamed(&one.service.host)).map(|one| one.power);
        let before = self.log.state().left_out;
        let now = missing.iter().map(|one| &one.service);
        let powers: BTreeMap<&ServiceId, Option<u64>> = before
            .iter()
            .chain(now)
            .filter(|service| unnamed(&service.host))
            .map(|service| (service, self.plan.target(service).and_then(|target| target.power)))
            .collect();
        if missing.iter().all(|one| !unnamed(&one.service.host)) {
            return true;
        }
        // Hosts that were not named may be missing only if their power is known and small enough.
        let together: Option<u64> = planned.chain(powers.into_values()).sum();
        together.is_some_and(|together| allowed.power > 0 && together <= allowed.power)
    }

    /// How a run that has changed something already ends when it can't go on: nothing is given back.
    fn under_way(&self, reasons: impl IntoIterator<Item = String>) -> Option<Ended> {
        let reasons: Vec<String> = reasons.into_iter().collect();
        self.state().touched().then(|| Ended::Incomplete(format!("the run can't go on: {}", reasons.join("; "))))
    }

    /// Gives every lock back, nothing having changed.
    pub(super) async fn back_out(&self, reason: &str) {
        self.emit(What::Disarmed { reason: reason.to_owned() });
        self.release().await;
    }

    /// Gives the locks back, unless the run may go on; whether they are.
    async fn give_back(&self, ended: &Ended) -> bool {
        let keep = match ended {
            // Already given back.
            Ended::NotArmed(_) | Ended::Locked(_) => return true,
            // `resume` needs them; the leases run out by themselves.
            Ended::Incomplete(_) => true,
            Ended::Interrupted(..) => matches!(*self.interrupt.borrow(), Interrupt::Now(_)),
            Ended::Done | Ended::NoBlock(_) => false,
        };
        if !keep {
            self.release().await;
        }
        !keep
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
            renews: None,
        }
    }

    /// Every service of a host that can't be armed.
    pub(super) fn whole_host(&self, host: &str, reason: &str) -> Vec<Missing> {
        let services = self.plan.targets.values().map(|target| &target.service).filter(|one| one.host == host);
        services.map(|service| Missing { service: service.clone(), reason: reason.to_owned() }).collect()
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
