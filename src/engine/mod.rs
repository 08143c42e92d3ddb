//! Carries a plan out: the only concurrency in the program.
//!
//! The engine knows hosts only through [`Transport`], the journal only through [`Recorder`], and time only through
//! tokio's clock and [`Clock`], so that every path is tested with scripted hosts and a paused clock.

mod archive;
mod arm;
mod barrier;
mod check;
mod decide;
mod locks;
mod log;
mod rank;
mod run;
mod stage;
pub mod wal;

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::sync::Notify;

pub use crate::engine::archive::{Archive, Progress, Sent, Supply, Wanted};
pub use crate::engine::check::{holds, validators};
pub use crate::engine::log::{Clock, Log, Recorder, SystemClock};
pub use crate::engine::run::{Ended, Identity, Interrupt, Missing, Run};

use crate::chain::wal::found::Files;
use crate::model::facts::{HostAnswer, LockFacts, Process, SignerFacts, UnitFacts};
use crate::model::plan::{Action, Check, Target, WalContent};

/// Everything that can be asked of a host; no question changes anything there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// All facts about the host and these services, without RPC.
    Facts(Vec<FactsTarget>),
    /// Unit, processes and database lock of one service.
    Unit(Box<Target>),
    /// A question to a service's RPC.
    Rpc {
        /// Where RPC answers on the host: `host:port`.
        address: String,
        /// What.
        query: RpcQuery,
    },
    /// The lock alone.
    Lock,
    /// A node's write-ahead logs and its signer's state.
    Wals {
        /// The head of its log.
        wal_file: String,
        /// The signer's state; empty where there is no local signer.
        state_file: String,
    },
    /// A stretch of a file.
    Stretch {
        /// Its path.
        path: String,
        /// Where it begins, bytes.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// The content of a genesis file, at most 64 MiB.
    Genesis {
        /// Its path.
        path: String,
    },
}

/// A service whose facts are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsTarget {
    /// Its name on the host.
    pub name: String,
    /// The systemd unit.
    pub unit: String,
    /// The node's home, for a node.
    pub home: Option<String>,
    /// The node's program, where its version is wanted.
    pub binary: Option<String>,
    /// Whether its journal is searched for a failure of the consensus.
    pub journal: bool,
}

/// A question to CometBFT's RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcQuery {
    /// `/status`
    Status,
    /// `/net_info`
    NetInfo,
    /// `/consensus_state`
    ConsensusState,
    /// `/validators`, a page of 100, counted from 1.
    Validators(u32),
    /// `/abci_info`
    AbciInfo,
    /// `/commit` of a height, or of the last block.
    Commit(Option<u64>),
}

impl RpcQuery {
    /// The path and query of the request.
    pub fn path(self) -> String {
        match self {
            Self::Status => "/status".into(),
            Self::NetInfo => "/net_info".into(),
            Self::ConsensusState => "/consensus_state".into(),
            Self::Validators(page) => format!("/validators?page={page}&per_page=100"),
            Self::AbciInfo => "/abci_info".into(),
            Self::Commit(None) => "/commit".into(),
            Self::Commit(Some(height)) => format!("/commit?height={height}"),
        }
    }
}

/// What a host answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To [`Probe::Facts`].
    Facts(Box<HostAnswer>),
    /// To [`Probe::Unit`].
    Unit(Box<Observation>),
    /// To [`Probe::Wals`].
    Wals(Files),
    /// To [`Probe::Rpc`], [`Probe::Genesis`] and [`Probe::Stretch`]: the body.
    Body(Vec<u8>),
    /// To [`Probe::Lock`].
    Lock(Option<LockFacts>),
}

/// What is seen of one service at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// systemd's view.
    pub unit: UnitFacts,
    /// Processes of the unit and of the home.
    pub processes: Vec<Process>,
    /// Some process holds a lock on the databases.
    pub database_locked: bool,
    /// The local signer's state, where the target names its file.
    pub signer: SignerFacts,
    /// Its write-ahead log is one that fleet has set.
    pub wal_set: bool,
    /// There is no log left to put back, or the run that holds the host has put it back.
    pub wal_back: bool,
    /// The clone of its databases by the run that holds the host is whole.
    pub sealed: bool,
    /// The databases are those that the run that holds the host has fetched.
    pub swapped: bool,
    /// Unix µs by the host's clock at which the unit's last stop began; 0 when unknown.
    pub stop_began_us: i64,
    /// Unix µs by the host's clock at which the unit was last inactive; 0 when unknown.
    pub stop_ended_us: i64,
}

/// Why a host gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// The command may have reached the host: what came of it is unknown.
    pub sent: bool,
    /// One line.
    pub reason: String,
    /// What to try next.
    pub hint: Option<String>,
}

/// The kinds of [`Fault`] that make a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// No connection, or it died.
    Link,
    /// Root rights can't be had.
    Privilege,
    /// Another run holds the host's lock.
    Locked(Box<LockFacts>),
    /// Our lock was taken over.
    Fenced,
    /// The host answered, but not what was asked.
    Answer,
}

/// Which run acts, and with which right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The run's id.
    pub run: String,
    /// The epoch of its lock on this host.
    pub epoch: u64,
}

/// One step for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By what right.
    pub fence: Fence,
    /// `STAGE.STEP.SERVICE`, as the host records it.
    pub step: String,
    /// What.
    pub action: Action,
    /// Re-checked on the host just before the action.
    pub expect: Check,
    /// On what.
    pub target: Target,
    /// The most it may take on the host, ms.
    pub timeout_ms: u64,
    /// The log to write, for [`Action::SetWal`].
    pub wal: Option<WalContent>,
}

/// What a step on its host and the stage that gives it its turn tell each other.
#[derive(Debug, Default)]
pub struct Turn {
    /// The host has checked what the step expects, and waits.
    pub ready: Notify,
    /// The step's turn has come.
    pub go: Notify,
    /// What was started has a live process; the rest is seen later.
    pub alive: Notify,
    /// The host has found what the step expects and waits for `go`.
    pub waits: AtomicBool,
    /// The host has refused the step before its turn.
    pub refused: AtomicBool,
    /// When `go` comes, nothing is to be done after all.
    pub called_off: AtomicBool,
}

/// What came of an order, as the host saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Why the host did not do it, or how its command failed.
    pub refusal: Option<String>,
    /// What is seen of the service afterwards.
    pub seen: Observation,
}

/// The claim for a host's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The run's id.
    pub run: String,
    /// Who.
    pub owner: String,
    /// For what.
    pub reason: String,
    /// The plan's digest.
    pub digest: String,
    /// How long the lease holds without renewal, s.
    pub ttl_s: u64,
    /// Only renews the lock of this epoch; one that was lost or given back meanwhile is not taken again.
    pub renews: Option<u64>,
}

/// A lock that was obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its fencing epoch.
    pub epoch: u64,
    /// The run whose expired lease was taken over.
    pub taken_over: Option<String>,
}

/// Asks hosts; can change nothing.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Asks `host`. Bounded in time by the implementation.
    async fn probe(&self, host: &str, probe: &Probe) -> Result<Answer, Fault>;
}

/// Acts on hosts.
#[async_trait]
pub trait Transport: Prober {
    /// Takes or renews a host's lock.
    async fn lock(&self, host: &str, claim: &Claim) -> Result<Grant, Fault>;
    /// Gives a host's lock back.
    async fn unlock(&self, host: &str, fence: &Fence) -> Result<(), Fault>;
    /// Carries out one step when its turn comes.
    async fn act(&self, order: &Order, turn: &Turn) -> Result<Receipt, Fault>;
    /// Brings one step to the point where it waits on the host, for at most `lease_s`.
    async fn arm(&self, order: &Order, lease_s: u64) -> Result<Box<dyn Armed>, Fault>;
}

/// A step that waits on its host. Dropping it, or losing the link, disarms it.
#[async_trait]
pub trait Armed: Send {
    /// One exchange of clocks: proves that the host still waits.
    async fn clock(&mut self) -> Result<ClockSample, Fault>;
    /// Commits: the host acts at `host_ns` (Unix ns of its own clock) whatever the link does then. Returns when the
    /// host has acknowledged.
    async fn fire(&mut self, host_ns: i64) -> Result<(), Fault>;
    /// Waits for what came of it.
    async fn receipt(&mut self) -> Result<Receipt, Fault>;
    /// Gives up without acting.
    async fn disarm(&mut self);
}

/// One exchange of clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockSample {
    /// The host's clock minus the controller's, ms.
    pub offset_ms: f64,
    /// Round trip, ms.
    pub rtt_ms: f64,
}
