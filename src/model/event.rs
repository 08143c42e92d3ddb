//! What happens in a run, as events, and the state of a run as a fold over them.
//!
//! The live run, `resume`, `runs show` and the report all use this one fold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::backup::Kept;
use crate::model::inventory::ServiceId;

/// One thing that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unix ms by the controller's clock.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The run begins.
    RunStarted {
        /// Its id.
        run: String,
        /// The plan's digest.
        digest: String,
        /// Who.
        owner: String,
    },
    /// fleet was started again on this run.
    Resumed {
        /// Who.
        owner: String,
    },
    /// A host's lock is ours.
    Locked {
        /// Which host.
        host: String,
        /// Its fencing epoch.
        epoch: u64,
        /// Said when an expired lease of another run was taken over.
        taken_over: Option<String>,
    },
    /// The last height known before anything was touched.
    Baseline {
        /// Height; 0 when unknown.
        height: u64,
    },
    /// A stage begins.
    StageStarted {
        /// Its index in the plan.
        stage: usize,
        /// Its name.
        name: String,
    },
    /// A service is armed: its command waits on the host under a lease.
    Armed {
        /// Which.
        service: ServiceId,
        /// The host's clock minus the controller's, ms.
        offset_ms: f64,
        /// Half the round trip, ms.
        error_ms: f64,
    },
    /// A service can't be armed.
    NotArmed {
        /// Which.
        service: ServiceId,
        /// Why.
        reason: String,
    },
    /// All are disarmed; nothing has changed.
    Disarmed {
        /// Why.
        reason: String,
    },
    /// The run goes on without a service.
    LeftOut {
        /// Which.
        service: ServiceId,
        /// Why.
        reason: String,
    },
    /// Intent to fire: written before the first byte goes out.
    Firing {
        /// The instant, Unix ms by the controller's clock.
        instant_ms: i64,
        /// The block it follows, where it follows one.
        after_height: Option<u64>,
        /// Why it doesn't follow one.
        remark: Option<String>,
    },
    /// Intent: this step is about to be sent to its host.
    StepStarted {
        /// Stage index.
        stage: usize,
        /// Which service.
        service: ServiceId,
        /// Index of the step in its task.
        step: usize,
    },
    /// Every node that a stage starts was seen stopped, before the first of them starts.
    ProvenStopped {
        /// Stage index.
        stage: usize,
        /// How many.
        nodes: usize,
    },
    /// A step is over.
    StepEnded {
        /// Stage index.
        stage: usize,
        /// Which service.
        service: ServiceId,
        /// Index of the step in its task.
        step: usize,
        /// How.
        outcome: Outcome,
        /// How long it took, ms.
        took_ms: u64,
    },
    /// When the units stopped, by each host's systemd.
    StopTimes {
        /// By service: µs of the host's monotonic clock at which the stop began and ended.
        stops: Vec<StopTime>,
    },
    /// The order of a ranked stage, decided from the chain's answer.
    OrderDecided {
        /// Services, first first.
        order: Vec<ServiceId>,
        /// Where it comes from.
        source: String,
    },
    /// The validators as a node told them before the stop.
    Validators {
        /// The answers of its RPC's `/validators`, page by page.
        pages: Vec<String>,
    },
    /// A decide stage has taken its branch.
    Decided {
        /// Its index.
        stage: usize,
        /// Whether its tasks are carried out.
        carried_out: bool,
        /// What was found, one line each.
        text: Vec<String>,
    },
    /// A block was seen.
    Block {
        /// On which service.
        service: ServiceId,
        /// Height.
        height: u64,
        /// Power that signed it, where `/commit` was read.
        signed: Option<u64>,
        /// Power of the whole set.
        total: Option<u64>,
    },
    /// An item on its way into the store.
    Progress {
        /// Of which service.
        service: ServiceId,
        /// Bytes that are in the store.
        done: u64,
        /// Bytes that have to come.
        all: u64,
    },
    /// A snapshot is in the store.
    Kept {
        /// Of which service.
        service: ServiceId,
        /// What it is.
        kept: Kept,
    },
    /// A wait goes on: what for and how much of its bound is used.
    Waiting {
        /// What for, one line.
        text: String,
    },
    /// Something the operator should know.
    Remark {
        /// One line.
        text: String,
    },
    /// A stage is over.
    StageEnded {
        /// Its index.
        stage: usize,
        /// Whether it has what it needs.
        ok: bool,
        /// One line.
        summary: String,
    },
    /// An interrupt was asked for.
    Interrupted {
        /// The signal's number.
        signal: u8,
        /// What happens now.
        text: String,
    },
    /// The locks were given back, or not.
    Unlocked {
        /// Hosts whose lock could not be given back; its lease runs out by itself.
        failed: Vec<String>,
    },
    /// The run is over.
    RunEnded {
        /// Exit code.
        exit: u8,
        /// The last line.
        summary: String,
        /// What to do next.
        next: Option<String>,
    },
}

/// When a unit stopped, by its host's systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopTime {
    /// Which.
    pub service: ServiceId,
    /// Unix µs by the host's own clock, corrected by the measured offset: the stop began.
    pub began_us: i64,
    /// Unix µs likewise: the unit was inactive.
    pub ended_us: i64,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and verified where the step says so.
    Done,
    /// Not needed: what it brings about was there already.
    Skipped,
    /// It did not work.
    Failed {
        /// Why.
        reason: String,
    },
    /// The link died after the command was sent, and looking again gave no answer.
    Unknown {
        /// What is known.
        reason: String,
    },
}

impl Outcome {
    /// Whether what the step brings about is there.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// The state of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunState {
    /// The run's id.
    pub run: String,
    /// When it began, Unix ms.
    pub started_ms: i64,
    /// fleet was started again on it.
    pub resumed: bool,
    /// When the last event happened, Unix ms.
    pub last_ms: i64,
    /// Epoch of the lock we hold on each host.
    pub epochs: BTreeMap<String, u64>,
    /// They weren't given back yet.
    pub holds_locks: bool,
    /// The last height before the run.
    pub baseline: u64,
    /// Index of the stage under way.
    pub stage: usize,
    /// Stages that ended well.
    pub done_stages: Vec<usize>,
    /// When the barrier was fired.
    pub fired_ms: Option<i64>,
    /// By (stage, service's display name, step): `None` while under way.
    pub steps: BTreeMap<(usize, String, usize), Option<Outcome>>,
    /// The validators as a node told them last: RPC answers.
    pub validators: Vec<String>,
    /// The branch that a decide stage has taken, and why: whether its tasks are carried out.
    pub decided: Option<(bool, Vec<String>)>,
    /// Services the run goes on without.
    pub left_out: Vec<ServiceId>,
    /// First block above the baseline: height and Unix ms.
    pub first_block: Option<(u64, i64)>,
    /// Snapshots that were made, by the service's display name.
    pub kept: Vec<(String, Kept)>,
    /// Exit code and last line of a run that is over.
    pub ended: Option<(u8, String)>,
}

impl RunState {
    /// The state after these events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// The state after one more event.
    pub fn apply(&mut self, event: &Event) {
        self.last_ms = event.at_ms;
        match &event.what {
            What::RunStarted { run, .. } => {
                self.run.clone_from(run);
                self.started_ms = event.at_ms;
            }
            What::Resumed { .. } => {
                self.resumed = true;
                self.ended = None;
            }
            What::Locked { host, epoch, .. } => {
                self.epochs.insert(host.clone(), *epoch);
                self.holds_locks = true;
            }
            What::Unlocked { .. } => self.holds_locks = false,
            What::Baseline { height } => self.baseline = self.baseline.max(*height),
            What::StageStarted { stage, .. } => self.stage = *stage,
            What::LeftOut { service, .. } => self.left_out.push(service.clone()),
            // A resumed run may fire at what was left: blocks are missing since the first time.
            What::Firing { instant_ms, .. } => {
                self.fired_ms.get_or_insert(*instant_ms);
            }
            What::Validators { pages } => self.validators.clone_from(pages),
            What::Decided { carried_out, text, .. } => self.decided = Some((*carried_out, text.clone())),
            What::StepStarted { stage, service, step } => {
                self.steps.insert((*stage, service.to_string(), *step), None);
            }
            What::StepEnded { stage, service, step, outcome, .. } => {
                self.steps.insert((*stage, service.to_string(), *step), Some(outcome.clone()));
            }
            What::Kept { service, kept } => self.kept.push((service.to_string(), kept.clone())),
            What::Block { height, .. } if *height > self.baseline && self.first_block.is_none() => {
                self.first_block = Some((*height, event.at_ms));
            }
            // A resumed run may go through a stage once more.
            What::StageEnded { stage, ok: true, .. } if !self.done_stages.contains(stage) => {
                self.done_stages.push(*stage);
            }
            What::RunEnded { exit, summary, .. } => self.ended = Some((*exit, summary.clone())),
            _ => {}
        }
    }

    /// Whether something was sent to a host that could have changed it.
    pub fn touched(&self) -> bool {
        self.fired_ms.is_some() || !self.steps.is_empty()
    }
}
