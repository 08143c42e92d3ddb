//! What is kept of a host: profiles, and the items of a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::inventory::{Role, ServiceId};

/// A part of a host that is kept as one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// A node's config folder, without keys.
    Config,
    /// A node's databases, without signer state, keys, log and caches.
    Data,
    /// cosmovisor's binaries.
    Cosmovisor,
    /// The newest snapshot that the node's application has taken by itself; nobody gets it without asking for it.
    Statesync,
    /// A node's keys and keyrings, encrypted. Nobody gets it without asking for it.
    Keys,
}

impl Profile {
    /// Every profile, in the order in which they are kept.
    pub const ALL: [Self; 5] = [Self::Config, Self::Cosmovisor, Self::Data, Self::Statesync, Self::Keys];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Data => "data",
            Self::Cosmovisor => "cosmovisor",
            Self::Statesync => "statesync",
            Self::Keys => "keys",
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

    /// What is kept of a node of this role where nothing is said: a validator isn't stopped for a copy that a sentry can
    /// give as well.
    pub const fn of_role(role: Role) -> &'static [Self] {
        match role {
            Role::Validator => &[Self::Config, Self::Cosmovisor],
            Role::Sentry | Role::Full => &[Self::Config, Self::Cosmovisor, Self::Data],
            Role::Provider | Role::Organism | Role::Monitoring | Role::Bastion => &[],
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
    /// The most that comes from all of them together, bytes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// One snapshot each.
    pub items: Vec<Item>,
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
/// But for the profile of keys, whatever may hold a private key stays out: `priv_validator_key.json`, `node_key.json`, keyrings, TLS keys. A peer's
/// address book is of no use elsewhere.
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
    if name.split('/').any(|part| part.starts_with("keyring-") || part == "keyring") {
        return Some("a keyring");
    }
    match profile {
        _ if ends("_key.json") || ends(".key") || ends(".pem") || ends(".p12") => Some("may hold a private key"),
        Profile::Config if lower == "addrbook.json" => Some("peers' addresses are found anew"),
        Profile::Statesync if last == "LOCK" => Some("a lock"),
        Profile::Config if ends(".swp") || ends("~") => Some("an editor's copy"),
        _ => None,
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
        assert_eq!(left_out(Profile::Config, "config.toml"), None);
        assert_eq!(left_out(Profile::Keys, "node_key.json"), None);
        assert_eq!(left_out(Profile::Data, "application.db/000001.log"), None);
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
    }
}
