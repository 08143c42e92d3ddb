//! The plan: every stage, host, step, check and time-out, decided before anything is touched.
//!
//! A plan holds nothing that changes by itself (no times of gathering, no heights of a live chain), so that the same
//! inventory and situation give the same digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::backup::Backup;
use crate::model::fold::fold;
use crate::model::inventory::ServiceId;
use crate::model::restore::Restore;

mod agreement;
mod digest;
mod operation;
mod power;
mod step;
mod wal;

pub use agreement::Agreement;
pub use digest::Digest;
pub use operation::Operation;
pub use power::{Rung, distinct_power};
pub use step::{Action, Check, Step};
pub use wal::{Clearing, Replaces, WalContent};

/// The format number written into plans; another one is refused.
pub const FORMAT: u32 = 1;

/// What is going to happen, host by host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT`].
    pub format: u32,
    /// What it does.
    pub operation: Operation,
    /// The chain's name in the inventory.
    pub chain: String,
    /// Its chain id; empty, like its name, where no part of a node is meant.
    pub chain_id: String,
    /// What the steps act on, by the service's display name.
    pub targets: BTreeMap<String, Target>,
    /// Voting power, ours and foreign.
    pub power: PowerView,
    /// In order; each begins when the one before has what it needs.
    pub stages: Vec<Stage>,
    /// What the operator should know: rule and text.
    pub notices: Vec<Finding>,
    /// Rules that were overruled by name.
    pub accepted: Vec<String>,
    /// Hosts that the plan goes on without, and why.
    pub left_out: Vec<LeftOut>,
    /// Hosts that can't be armed may be left out up to these limits.
    pub allow_missing: AllowMissing,
    /// What operators who see different hosts must share.
    pub agreement: Agreement,
    /// The expected time between blocks, ms.
    pub block_time_ms: u64,
    /// The chain made blocks when the plan was made, so that it has its quorum without this plan's starts.
    #[serde(default)]
    pub advancing: bool,
    /// Logs that the plan writes, by the service's display name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wals: BTreeMap<String, WalContent>,
    /// The clearing of logs, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearing: Option<Clearing>,
    /// What is kept, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// What is brought back, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
}

/// Everything about a service that a step or a probe needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which service.
    pub service: ServiceId,
    /// The systemd unit.
    pub unit: String,
    /// The node's home; empty for a service that isn't a node.
    pub home: String,
    /// The folder of the databases; empty for a service that isn't a node.
    pub db_dir: String,
    /// The local signer's state file; empty where there is none.
    pub state_file: String,
    /// The head of the write-ahead log; empty for a service that isn't a node.
    #[serde(default)]
    pub wal_file: String,
    /// Where RPC answers (`host:port` on the host), where it is known.
    pub rpc: Option<String>,
    /// The chain id its RPC must report; empty for a service that isn't a node.
    pub chain_id: String,
    /// The consensus address it signs for, upper-case hex.
    pub address: Option<String>,
    /// Its voting power, where known; 0 for a service that can't have any.
    pub power: Option<u64>,
    /// The id its RPC must report after a restore, where it was known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Its host gave facts when the plan was made, so that its key, state and config were checked. One that was not
    /// seen must not be started: a run that would start it doesn't arm it.
    pub seen: bool,
}

/// Voting power as the plan sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerView {
    /// Of the whole set; 0 when unknown.
    pub total: u64,
    /// More than two thirds of it: `total * 2 / 3 + 1`.
    pub quorum: u64,
    /// Of the services in this plan.
    pub planned: u64,
    /// Of our services that the plan leaves alone.
    pub ours_elsewhere: u64,
    /// Of validators that aren't in the inventory.
    pub foreign: u64,
    /// Where the numbers come from: `the chain`, `the last gather at height 120`, `unknown`.
    pub source: String,
}

/// One phase of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// `halt`, `verify`, `start`, `blocks` …
    pub name: String,
    /// How its tasks run.
    pub shape: Shape,
    /// How much of it must succeed for the run to go on.
    pub needs: Needs,
    /// The most it may take, ms.
    pub timeout_ms: u64,
    /// Not before this time, Unix ms by the controller's clock.
    pub not_before_ms: Option<i64>,
    /// What an interrupt may stop at: before this stage nothing hangs in the air.
    pub safe_point: bool,
    /// In order.
    pub tasks: Vec<Task>,
}

/// How the tasks of a stage run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Arm all, then fire all at one instant.
    Barrier(Instant),
    /// All at once.
    Parallel,
    /// Every log is read, and the rule decides whether all tasks are carried out, at once, or none. Either way the run
    /// goes on: the two branches of the plan.
    Decide,
    /// One after the other, each as soon as the one before is under way.
    Ranked(Order),
    /// One after the other, each when the one before is done; the first that isn't ends it.
    Rolling,
}

/// When a barrier fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instant {
    /// As soon as all are armed.
    Now,
    /// In the quiet time after a block; after this many ms without one, anyway.
    AfterBlock {
        /// ms.
        max_wait_ms: u64,
        /// The shortest `timeout_commit` of the nodes, ms: the length of the quiet time.
        quiet_ms: u64,
    },
    /// At this time, Unix ms by the controller's clock.
    At {
        /// Unix ms.
        unix_ms: i64,
    },
}

/// In which order a ranked stage starts its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As the tasks stand.
    AsPlanned,
    /// By the power that a node started before reports; as they stand where none answers.
    ByPowerOfChain,
}

/// How much of a stage must succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Every task.
    All,
    /// Of every task, what came of it: done, or refused by its host.
    Settled,
    /// At least so many.
    AtLeast(usize),
    /// Tasks that hold at least this power.
    Power(u64),
}

/// One service's share of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Which service.
    pub service: ServiceId,
    /// In order.
    pub steps: Vec<Step>,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// The services it is about, by display name.
    pub services: Vec<String>,
    /// What was found, one line.
    pub text: String,
    /// What to do about it.
    pub next: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look before going on.
    Warning,
    /// Refused, unless accepted by name.
    Refusal,
    /// Refused always.
    Never,
}

/// A host the plan goes on without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The service.
    pub service: ServiceId,
    /// Its power, where known.
    pub power: Option<u64>,
    /// Why.
    pub reason: String,
}

/// How much may be missing when hosts are armed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowMissing {
    /// These hosts.
    pub hosts: Vec<String>,
    /// Hosts of at most this power together.
    pub power: u64,
}

impl Plan {
    /// The digest of this plan, host by host. Why a host is left out may hold times and addresses that change from one
    /// look to the next; that it is left out counts.
    pub fn digest(&self) -> Digest {
        let mut plan = self.clone();
        plan.left_out.iter_mut().for_each(|one| one.reason.clear());
        Digest::of(&plan)
    }

    /// What it does, and of what: of its chain, or where none is meant of its hosts.
    pub fn title(&self) -> String {
        let hosts = self.hosts();
        let hosts = fold(hosts.iter().map(String::as_str));
        format!("{} of {}", self.operation.words(), if self.chain_id.is_empty() { &hosts } else { &self.chain_id })
    }

    /// The target of a service that the plan acts on.
    pub fn target(&self, service: &ServiceId) -> Option<&Target> {
        self.targets.get(&service.to_string())
    }

    /// Whether a stage proves its nodes stopped before its first start, and no stage before it does.
    pub fn proves_first(&self, stage: &Stage) -> bool {
        let before = self.stages.iter().take_while(|other| *other != stage);
        stage.proves_nodes() && !before.into_iter().any(|other| other.proves_nodes() || other.is_proof())
    }

    /// Whether locks are held only as long as something is changed on the hosts: what moves bytes, and waiting for a node to
    /// catch up, takes hours and must keep nobody from halting it.
    pub fn locks_late(&self) -> bool {
        self.backup.is_some() || self.restore.is_some()
    }

    /// The hosts the plan touches, in order, each once.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = Vec::new();
        for target in self.targets.values() {
            if !hosts.contains(&target.service.host) {
                hosts.push(target.service.host.clone());
            }
        }
        hosts
    }
}

impl Stage {
    /// Whether none of its nodes starts unless all are stopped; what nodes need beside them may run already.
    pub fn proves_nodes(&self) -> bool {
        let mut steps = self.tasks.iter().flat_map(|task| &task.steps);
        self.needs != Needs::AtLeast(0) && steps.any(|step| step.expect == Check::Stopped)
    }

    /// Whether any of its steps needs the hosts' locks.
    pub fn needs_locks(&self) -> bool {
        let mut steps = self.tasks.iter().flat_map(|task| &task.steps);
        steps.any(|step| step.action != Action::Observe && !step.streams())
    }

    /// Whether it only moves bytes, for hours maybe.
    pub fn streams(&self) -> bool {
        self.tasks.iter().flat_map(|task| &task.steps).any(Step::streams)
    }

    fn is_proof(&self) -> bool {
        let mut steps = self.tasks.iter().flat_map(|task| &task.steps);
        steps.all(|step| (step.action, step.verify) == (Action::Observe, Check::Stopped))
    }
}
