//! What is kept of a host: profiles, and the items of a plan.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::model::inventory::{Role, ServiceId};

mod lists;

pub use lists::{Excludes, PathList, Postgres, glob_flaw, root_names};

/// A part of a host that is kept as one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A node's config folder, without keys.
    Config,
    /// A node's databases, without signer state, keys, log and caches.
    Data,
    /// cosmovisor's binaries and links.
    Cosmovisor,
    /// The newest snapshot that the node's application has taken by itself; nobody gets it without asking for it.
    Statesync,
    /// A node's keys and keyrings, encrypted. Nobody gets it without asking for it.
    Keys,
    /// The home of a service that is no node: a provider's daemon.
    Provider,
    /// Prometheus, Grafana and Alertmanager: their config and their data.
    Monitoring,
    /// Dumps of `PostgreSQL`'s databases.
    Postgres,
    /// Files and folders that the inventory lists, by a name of their own.
    Paths,
}

impl Profile {
    /// Every profile that fleet itself has, in the order in which they are kept.
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Cosmovisor,
        Self::Data,
        Self::Statesync,
        Self::Keys,
        Self::Provider,
        Self::Monitoring,
        Self::Postgres,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Data => "data",
            Self::Cosmovisor => "cosmovisor",
            Self::Statesync => "statesync",
            Self::Keys => "keys",
            Self::Provider => "provider",
            Self::Monitoring => "monitoring",
            Self::Postgres => "postgres",
            Self::Paths => "paths",
        }
    }

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Whether the node has to stand still while its copy begins.
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::Data)
    }

    /// Whether symbolic links are kept, as text: not in what `restore` brings back, nor where none belongs.
    pub const fn has_links(self) -> bool {
        matches!(self, Self::Config | Self::Cosmovisor | Self::Provider | Self::Monitoring | Self::Paths)
    }

    /// Whether it is a part of a node; else of a host, or of a service that is no node.
    pub const fn is_of_node(self) -> bool {
        !matches!(self, Self::Provider | Self::Monitoring | Self::Postgres | Self::Paths)
    }

    /// What is kept of a host of this role where nothing is said: a validator isn't stopped for a copy that a sentry can
    /// give as well.
    pub const fn of_role(role: Role) -> &'static [Self] {
        match role {
            Role::Validator => &[Self::Config, Self::Cosmovisor],
            Role::Sentry | Role::Full => &[Self::Config, Self::Cosmovisor, Self::Data],
            Role::Provider => &[Self::Provider],
            Role::Monitoring => &[Self::Monitoring],
            Role::Organism | Role::Bastion => &[],
        }
    }
}

/// What a plan keeps, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The store: a folder of the controller.
    pub store: String,
    /// Hosts that stream at once.
    pub parallel: usize,
    /// Streams from each of them.
    #[serde(default = "usual_streams")]
    pub streams: usize,
    /// The most that comes from all of them together, bytes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// One snapshot each.
    pub items: Vec<Item>,
}

/// Streams from a host at once, and hosts, where nothing else is said.
pub const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

fn usual_streams() -> usize {
    AT_ONCE.get()
}

/// One snapshot to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Of which service.
    pub service: ServiceId,
    /// Which part.
    pub profile: Profile,
    /// Folders on the host by the name they have in the snapshot.
    pub roots: BTreeMap<String, String>,
    /// The kind of the databases, by config.toml; empty when unknown.
    pub backend: String,
    /// SHA-256 of the genesis file, where it could be read.
    pub genesis: Option<String>,
    /// The node's version, where its program tells it.
    pub version: Option<String>,
    /// Of keys: which, and who can read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// The inventory's list that it is of ([`Profile::Paths`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<PathList>,
    /// What is dumped ([`Profile::Postgres`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
}

impl Item {
    /// The profile's name, in snapshots and on the screen.
    pub fn profile_name(&self) -> &str {
        self.list.as_ref().map_or(self.profile.name(), |list| &list.name)
    }
}

/// The keys of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Names in the folder of each root, as patterns of `find -path`.
    pub names: BTreeMap<String, Vec<String>>,
    /// age's recipients: they are encrypted for each of these.
    pub recipients: Vec<String>,
}

/// What a keyring's folder is called below a node's home.
pub const KEYRINGS: &str = "keyring-*";

/// A snapshot that was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub snapshot: String,
    /// Of which profile.
    pub profile: String,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that had to come; the rest was in the store.
    pub came: u64,
    /// Height of the node's databases, where there are any.
    pub height: Option<u64>,
}

/// Why a file isn't part of a snapshot, if it isn't. `name` is its path below the root.
///
/// But for the profile of keys, whatever may hold a private key stays out: `priv_validator_key.json`, `node_key.json`,
/// keyrings, TLS and SSH keys. A peer's address book is of no use elsewhere. Of Prometheus' database only blocks never
/// change once they are written.
pub fn left_out(profile: Profile, name: &str) -> Option<&'static str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let lower = last.to_ascii_lowercase();
    let ends = |suffix: &str| lower.ends_with(suffix);
    if lower == "priv_validator_state.json" {
        return Some("the signer's state is never restored");
    }
    if profile == Profile::Keys {
        return None;
    }
    // A copy of a key or of a state, and what CometBFT writes one into before it gives it its name.
    if lower.contains("priv_validator_") || lower.starts_with("write-file-atomic-") {
        return Some("may hold a private key or a signer's state");
    }
    if name.split('/').any(|part| part.starts_with("keyring-") || part == "keyring") {
        return Some("a keyring");
    }
    match profile {
        _ if ends("_key.json") || ends(".key") || ends(".pem") || ends(".p12") => Some("may hold a private key"),
        Profile::Config if lower == "addrbook.json" => Some("peers' addresses are found anew"),
        Profile::Statesync if last == "LOCK" => Some("a lock"),
        Profile::Config if ends(".swp") || ends("~") => Some("an editor's copy"),
        Profile::Data => None,
        _ if is_ssh_key(&lower) => Some("may hold a private key"),
        Profile::Monitoring => live(name),
        _ => None,
    }
}

/// Why a symbolic link isn't part of a snapshot, if it isn't: as for a file, and where it leads to something secret.
pub fn link_left_out(profile: Profile, name: &str, target: &str) -> Option<&'static str> {
    if !profile.has_links() {
        return Some("a symbolic link");
    }
    let secret = || left_out(Profile::Paths, target).map(|_| "a symbolic link to a key or a signer's state");
    left_out(profile, name).or_else(secret)
}

/// As `ssh-keygen` and sshd name private keys.
fn is_ssh_key(name: &str) -> bool {
    let user = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"].contains(&name);
    user || name.starts_with("ssh_host_") && name.ends_with("_key")
}

/// What Prometheus writes while it runs: <https://prometheus.io/docs/prometheus/latest/storage/>.
fn live(name: &str) -> Option<&'static str> {
    let has = |test: fn(&str) -> bool| name.split('/').any(test);
    let last = name.rsplit('/').next().unwrap_or(name);
    if has(|part| matches!(part, "wal" | "wbl" | "chunks_head")) {
        Some("samples of the last hours, still being written")
    } else if has(|part| part.contains(".tmp-for-") || part.rsplit_once('.').is_some_and(|(_, end)| end == "tmp")) {
        Some("half written, or about to go")
    } else if matches!(last, "lock" | "queries.active") {
        Some("of the running Prometheus only")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signer_states_are_never_kept() {
        for name in ["priv_validator_key.json", "node_key.json", "tls.key", "sub/server.pem", "keyring-test/a.info"] {
            assert!(left_out(Profile::Config, name).is_some(), "{name}");
        }
        assert!(left_out(Profile::Data, "priv_validator_state.json").is_some());
        assert!(left_out(Profile::Keys, "keyring-test/priv_validator_state.json").is_some());
        for name in ["priv_validator_state.json.bak", "old.priv_validator_key.json~", "write-file-atomic-0123"] {
            assert!(left_out(Profile::Data, name).is_some() && left_out(Profile::Config, name).is_some(), "{name}");
        }
        assert_eq!(left_out(Profile::Config, "config.toml"), None);
        assert_eq!(left_out(Profile::Keys, "node_key.json"), None);
        assert_eq!(left_out(Profile::Data, "application.db/000001.log"), None);
        for profile in [Profile::Config, Profile::Provider, Profile::Monitoring, Profile::Paths] {
            for name in ["id_ed25519", "etc/ssh_host_rsa_key", "sub/tls.KEY", "keyring-file/x", "a/server.pem"] {
                assert!(left_out(profile, name).is_some(), "{profile:?} {name}");
            }
            for name in ["id_ed25519.pub", "monkey", "deploy.sh"] {
                assert_eq!(left_out(profile, name), None, "{profile:?} {name}");
            }
        }
    }

    #[test]
    fn links_are_kept_where_no_key_is_behind_them() {
        let kept = |profile, name, target| link_left_out(profile, name, target).is_none();
        for profile in Profile::ALL.into_iter().chain([Profile::Paths]) {
            assert_eq!(kept(profile, "current", "upgrades/v2"), profile.has_links(), "{profile:?}");
            for (name, target) in [
                ("node_key.json", "elsewhere"),
                ("tls", "/etc/ssl/private/web.key"),
                ("key", "../config/priv_validator_key.json"),
                ("keys", "/home/v/keyring-file"),
                ("keyring-test/link", "/etc/passwd"),
                ("state", "../data/priv_validator_state.json"),
            ] {
                assert!(!kept(profile, name, target), "{profile:?} {name} -> {target}");
            }
        }
    }

    #[test]
    fn of_a_running_prometheus_only_what_never_changes_is_kept() {
        let out = |name: &str| left_out(Profile::Monitoring, name).is_some();
        for name in
            ["wal/00000001", "metrics2/wal", "metrics2/chunks_head/000001", "lock", "01J.tmp-for-creation/index"]
        {
            assert!(out(name), "{name}");
        }
        for name in ["01JD7QK3V8ZPABCD/chunks/000001", "01JD7QK3V8ZPABCD/index", "grafana.db", "locks.yml", "walk"] {
            assert!(!out(name), "{name}");
        }
        assert_eq!(left_out(Profile::Provider, "wal/00000001"), None);
    }

    #[test]
    fn keys_are_kept_of_nobody_who_was_not_asked_for() {
        for role in Role::ALL {
            assert!(!Profile::of_role(role).contains(&Profile::Keys), "{role}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
        }
        assert_eq!(Profile::named("everything"), None);
        assert_eq!(Profile::named("paths"), None, "a list has a name of its own");
    }
}
