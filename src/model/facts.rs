//! What is true on each host now. Being unreachable is a fact, not an error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::inventory::ServiceId;

mod rpc;

pub use rpc::*;

/// Facts about every selected host, gathered at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When, in Unix milliseconds by the controller's clock.
    pub at_ms: i64,
    /// By host name.
    pub hosts: BTreeMap<String, HostFacts>,
}

impl Facts {
    /// The facts of one service, where its host answered.
    pub fn service(&self, id: &ServiceId) -> Option<&ServiceFacts> {
        match self.hosts.get(&id.host)? {
            HostFacts::Answered(host) => host.services.get(&id.service),
            HostFacts::Silent(_) => None,
        }
    }

    /// Every service of every host that answered.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &ServiceFacts)> {
        self.hosts.iter().flat_map(|(host, facts)| {
            let services = match facts {
                HostFacts::Answered(answer) => Some(&answer.services),
                HostFacts::Silent(_) => None,
            };
            let named = |(name, service)| (ServiceId { host: host.clone(), service: String::clone(name) }, service);
            services.into_iter().flatten().map(named)
        })
    }
}

/// Whether a host answered, and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFacts {
    /// It did.
    Answered(Box<HostAnswer>),
    /// It did not: why, for the operator.
    Silent(Silence),
}

/// Why a host has no facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// One line, e.g. `ssh 10.0.0.13:22 timed out after 5 s`.
    pub reason: String,
    /// What to try next, where something is known.
    pub hint: Option<String>,
}

/// What a host said of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// Seconds since the machine started.
    pub uptime_s: f64,
    /// The host's clock minus the controller's, ms.
    pub clock_offset_ms: f64,
    /// Half the round trip by which that offset may be wrong, ms.
    pub clock_error_ms: f64,
    /// Round trip of one exchange over SSH, ms.
    pub rtt_ms: f64,
    /// Whether the host says that its clock is synchronised.
    pub clock_synced: Option<bool>,
    /// Why root rights can't be had, if they can't.
    pub privilege_error: Option<String>,
    /// The lock that another run, or this one, holds.
    pub lock: Option<LockFacts>,
    /// Programs that may start a node by themselves: `monit`, a cron line, a timer.
    pub watchdogs: Vec<String>,
    /// By service name.
    pub services: BTreeMap<String, ServiceFacts>,
}

/// A host's lock, as the host records it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFacts {
    /// Grows with each holder; a holder with a lower one is fenced off.
    pub epoch: u64,
    /// The run that holds it.
    pub run: String,
    /// Who, e.g. `ana@laptop`.
    pub owner: String,
    /// For what, e.g. `coordinated restart of virtengine-1`.
    pub reason: String,
    /// The digest of that run's plan.
    pub digest: String,
    /// Seconds until its lease expires; negative when it has.
    pub remaining_s: i64,
    /// Steps begun but not ended, as the host recorded them.
    pub under_way: Vec<String>,
    /// Given back.
    pub released: bool,
}

/// What is true of one service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceFacts {
    /// The systemd unit.
    pub unit: UnitFacts,
    /// Processes of this home, in or out of the unit.
    pub processes: Vec<Process>,
    /// Whether some process holds a lock on the node's databases (by `/proc/locks`).
    pub database_locked: bool,
    /// What config.toml and app.toml say; `None` without a readable home.
    pub config: Option<NodeConfig>,
    /// Why the home or its config can't be read.
    pub config_error: Option<String>,
    /// The consensus key file, without its secret.
    pub key: KeyFacts,
    /// The signer's state file.
    pub signer: SignerFacts,
    /// sha256 of genesis.json's bytes.
    pub genesis_sha256: Option<String>,
    /// Use of the file system that holds the home, percent.
    pub disk_used_percent: Option<u8>,
    /// Free bytes there.
    pub disk_free_bytes: Option<u64>,
    /// Free bytes of the file system that holds the databases.
    #[serde(default)]
    pub db_free_bytes: Option<u64>,
    /// Whether cosmovisor stands in front of the node.
    pub cosmovisor: bool,
    /// A hold of fleet keeps the unit down.
    pub held: bool,
    /// `<binary> version`, where the inventory names the binary.
    pub version: Option<String>,
    /// What the node's RPC answered.
    pub rpc: RpcFacts,
    /// `CONSENSUS FAILURE` stands in the unit's log since its last start.
    pub consensus_failure: bool,
}

/// systemd's view of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFacts {
    /// `loaded`, `not-found`, `masked`.
    pub load_state: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`.
    pub active_state: String,
    /// `running`, `dead`, `auto-restart` …
    pub sub_state: String,
    /// `enabled`, `disabled`, `masked` …
    pub file_state: String,
    /// 0 when none runs.
    pub main_pid: u32,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
    /// `Restart=`.
    pub restart_policy: String,
    /// `KillMode=`.
    pub kill_mode: String,
    /// `success`, `exit-code`, `signal` …
    pub result: String,
    /// Exit status of the last main process.
    pub exit_status: i32,
    /// A job is queued.
    pub job_queued: bool,
    /// Processes in the unit's control group.
    pub cgroup_processes: u32,
    /// `ActiveEnterTimestampMonotonic`, µs.
    pub active_enter_us: u64,
    /// `ActiveExitTimestampMonotonic`, µs.
    pub active_exit_us: u64,
    /// `InactiveEnterTimestampMonotonic`, µs.
    pub inactive_enter_us: u64,
}

/// A process that works on a node's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Whether it belongs to the unit's control group.
    pub in_unit: bool,
    /// The start of its command line.
    pub command: String,
}

/// What matters of config.toml and app.toml; paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeConfig {
    /// The node's name for itself.
    pub moniker: String,
    /// Where RPC listens, as `host:port` to connect to.
    pub rpc: Option<String>,
    /// Where P2P listens, as configured.
    pub p2p_laddr: String,
    /// The folder of the databases.
    pub db_dir: String,
    /// `goleveldb`, `pebbledb` …
    pub db_backend: String,
    /// The WAL's head file.
    pub wal_file: String,
    /// The consensus key.
    pub key_file: String,
    /// The key by which its peers know it.
    #[serde(default)]
    pub node_key_file: String,
    /// The signer's state.
    pub state_file: String,
    /// The genesis.
    pub genesis_file: String,
    /// A remote signer connects here; empty when the key is local.
    pub remote_signer: String,
    /// `double_sign_check_height`.
    pub double_sign_check_height: u64,
    /// `timeout_commit`, ms.
    pub timeout_commit_ms: u64,
    /// `create_empty_blocks`.
    pub create_empty_blocks: bool,
    /// `[blocksync] adaptive_sync`.
    pub adaptive_sync: bool,
    /// app.toml's `halt-height`; 0 when unset.
    pub halt_height: u64,
    /// app.toml's `halt-time`; 0 when unset.
    pub halt_time: u64,
}

/// The consensus key file, without its secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFacts {
    /// Not looked at.
    #[default]
    Unknown,
    /// There is none.
    Missing,
    /// There is one that can't be read.
    Unreadable(String),
    /// Its public half.
    Present {
        /// Upper-case hex.
        address: String,
        /// base64.
        public_key: String,
    },
}

/// The signer's state file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignerFacts {
    /// Not looked at.
    #[default]
    Unknown,
    /// There is none.
    Missing,
    /// There is one that can't be read.
    Unreadable(String),
    /// What it says.
    State(SignerState),
}

/// The last thing a signer signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignerState {
    /// Height.
    pub height: u64,
    /// Round.
    pub round: u32,
    /// 1 propose, 2 prevote, 3 precommit; 0 nothing yet.
    pub step: u8,
}
