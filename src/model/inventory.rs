//! The inventory as the rest of the program sees it: expanded, checked, with every default filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod backup;
mod chains;
mod hosts;
mod parse;
mod problems;
mod profiles;
mod raw;
mod reach;
mod schedules;
mod services;
#[cfg(test)]
mod tests;
mod values;

pub use backup::{Backup, Keep, days};
pub use parse::parse;
pub use schedules::{Rule, Schedule};
pub use values::rate;

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs blocks.
    Validator,
    /// Stands between validators and the public network.
    Sentry,
    /// A full node without power.
    Full,
    /// Runs a provider daemon.
    Provider,
    /// Runs a member of an organism.
    Organism,
    /// Runs the monitoring.
    Monitoring,
    /// An SSH jump host only.
    Bastion,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] =
        [Self::Validator, Self::Sentry, Self::Full, Self::Provider, Self::Organism, Self::Monitoring, Self::Bastion];

    /// As the inventory writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Sentry => "sentry",
            Self::Full => "full",
            Self::Provider => "provider",
            Self::Organism => "organism",
            Self::Monitoring => "monitoring",
            Self::Bastion => "bastion",
        }
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether such a host is there to run a node of a chain.
    pub const fn needs_chain(self) -> bool {
        matches!(self, Self::Validator | Self::Sentry | Self::Full)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One service on one host. Shown as `val-1` for the host's own node and as `val-1/oracle` for anything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceId {
    /// The host's name in the inventory.
    pub host: String,
    /// The service's name on that host; the host's own node is [`NODE`].
    pub service: String,
}

/// The service name of a host's own node.
pub const NODE: &str = "node";

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.service == NODE { write!(f, "{}", self.host) } else { write!(f, "{}/{}", self.host, self.service) }
    }
}

/// The whole fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The fleet's name.
    pub name: String,
    /// The file it was read from.
    pub source: PathBuf,
    /// Chains by their name in the inventory.
    pub chains: BTreeMap<String, Chain>,
    /// Hosts in the order of the file, ranges expanded.
    pub hosts: Vec<Host>,
    /// Named selectors.
    pub groups: BTreeMap<String, String>,
    /// Who to call for power that isn't ours, by moniker.
    pub foreign: BTreeMap<String, Foreign>,
    /// Where snapshots are kept, and how long.
    pub backup: Backup,
    /// Backups that come again.
    pub schedules: Vec<Schedule>,
}

impl Inventory {
    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The chain of this name; [`Chain::NONE`] has none.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        if name.is_empty() { Some(Chain::NONE) } else { self.chains.get(name) }
    }

    /// The service of this id.
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.host(&id.host)?.services.iter().find(|service| service.id == *id)
    }
}

/// A chain and the defaults of its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name in the inventory.
    pub name: String,
    /// The chain id that nodes must report.
    pub chain_id: String,
    /// The name of the node's program, needed for version and rollback steps.
    pub binary: Option<String>,
    /// The expected time between blocks.
    pub block_time: Duration,
    /// No block for this long means halted.
    pub halt_after: Duration,
}

impl Chain {
    /// What stands for a chain where none is meant: nothing is on it.
    pub const NONE: &Self = &Self {
        name: String::new(),
        chain_id: String::new(),
        binary: None,
        block_time: Duration::from_secs(6),
        halt_after: Duration::from_secs(60),
    };

    /// Whether it is [`Chain::NONE`].
    pub fn is_none(&self) -> bool {
        self.name.is_empty()
    }
}

/// A contact for power outside the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// Whom to call.
    pub contact: String,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the inventory.
    pub name: String,
    /// Where it answers.
    pub address: Address,
    /// What it is for.
    pub role: Role,
    /// Where it stands.
    pub region: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The sentries in front of it, for a validator.
    pub sentries: Vec<String>,
    /// How to reach it, defaults filled in.
    pub ssh: SshOptions,
    /// What runs there; the host's own node first, where it has one.
    pub services: Vec<Service>,
}

/// A host name or IP address, with a port where the inventory gives one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Name, IPv4 or IPv6 address without brackets.
    pub host: String,
    /// The SSH port, where the inventory names it.
    pub port: Option<u16>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (_, None) => f.write_str(&self.host),
        }
    }
}

/// How to become root on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Become {
    /// The login is already privileged.
    None,
    /// `sudo -n`, without a password.
    #[default]
    Sudo,
}

/// How to reach a host. `None` means: as `ssh -G` says, else the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SshOptions {
    /// The login.
    pub user: Option<String>,
    /// The port; the one in the address wins.
    pub port: Option<u16>,
    /// Private key files, `~` expanded by the transport.
    pub identity: Vec<PathBuf>,
    /// `known_hosts` files; empty means the user's and the system's own.
    pub known_hosts: Vec<PathBuf>,
    /// The jump host: another host's name or `user@host:port`; `Some(Jump::None)` overrules a default.
    pub jump: Option<Jump>,
    /// How to become root.
    pub r#become: Option<Become>,
    /// How long a connection may take to come up.
    pub connect_timeout: Option<Duration>,
}

/// Through which host a connection goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Jump {
    /// Directly, whatever the defaults say.
    None,
    /// A host of the inventory, by name.
    Host(String),
    /// A host that isn't in the inventory.
    Other {
        /// The login there, where given.
        user: Option<String>,
        /// Where it answers.
        address: Address,
    },
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Host(name) => f.write_str(name),
            Self::Other { user: Some(user), address } => write!(f, "{user}@{address}"),
            Self::Other { user: None, address } => write!(f, "{address}"),
        }
    }
}

/// One systemd unit on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Host and name.
    pub id: ServiceId,
    /// The systemd unit.
    pub unit: String,
    /// The chain's name in the inventory, for a node.
    pub chain: Option<String>,
    /// The node's home folder; everything under it is read from its config.toml.
    pub home: Option<String>,
    /// The RPC address (`host:port`), where config.toml's isn't to be used.
    pub rpc: Option<String>,
    /// The service of the same host that needs this one: started before it, stopped after it.
    pub needed_by: Option<String>,
}
