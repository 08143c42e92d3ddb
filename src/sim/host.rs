//! A simulated host on disk: its keys, its node's home, its programs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::{Algorithm, PrivateKey};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::layout::Layout;
use super::model::Node;
use crate::error::{Error, Result};

/// Where a node's RPC listens, on each host in a network of its own.
pub const RPC_PORT: u32 = 26657;
/// The databases of a node.
const DATABASES: [&str; 5] = ["application", "blockstore", "evidence", "state", "tx_index"];
/// `EndHeight 0`, the first record of every WAL: checksum, length, message.
const WAL: &[u8] = b"\x71\x6b\x0d\x34\0\0\0\x0c\x0a\x06\x08\x80\xf2\xd6\xca\x06\x12\x02\x22\0";

/// An error of the simulation itself.
pub fn failed(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::failed(format!("simulation: {what}: {error}"))
}

/// The folders of a host.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The simulation's own folder.
    pub sim: PathBuf,
    /// The host's.
    pub host: PathBuf,
    /// The host's name.
    pub name: String,
}

impl Folders {
    /// Of this host.
    pub fn new(sim: &Path, name: &str) -> Self {
        Self { sim: sim.to_owned(), host: sim.join("hosts").join(name), name: name.to_owned() }
    }

    /// The node's home.
    pub fn home(&self) -> PathBuf {
        self.host.join("home")
    }

    /// What stands for `/` where the scripts write.
    pub fn root(&self) -> PathBuf {
        self.host.join("root")
    }

    /// The unit's file.
    pub fn unit_file(&self, unit: &str) -> PathBuf {
        self.root().join("etc/systemd/system").join(unit)
    }

    /// Whether a drop-in of the unit names a file whose presence keeps it from starting, and the file is there.
    pub fn is_held(&self, unit: &str) -> bool {
        let drop_ins = fs::read_dir(format!("{}.d", self.unit_file(unit).display())).into_iter().flatten().flatten();
        let texts = drop_ins.filter_map(|entry| fs::read_to_string(entry.path()).ok());
        let held = |line: &str| line.strip_prefix("ConditionPathExists=!").is_some_and(|path| Path::new(path).exists());
        texts.into_iter().any(|text| text.lines().any(held))
    }

    /// Its programs, before the system's on the `PATH`.
    pub fn bin(&self) -> PathBuf {
        self.host.join("bin")
    }

    /// The whole environment of every process of this host.
    pub fn environment(&self, exe: &Path) -> Vec<(&'static str, std::ffi::OsString)> {
        vec![
            ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin().display()).into()),
            ("HOME", self.host.join("user").into()),
            ("USER", "ops".into()),
            ("LOGNAME", "ops".into()),
            ("SHELL", "/bin/sh".into()),
            ("FLEET_SIM_HOST", self.name.clone().into()),
            ("FLEET_SIM_DIR", self.sim.clone().into()),
            ("FLEET_SIM_ROOT", self.root().into()),
            ("FLEET_SIM_EXE", exe.into()),
        ]
    }

    /// Creates everything but what all nodes share.
    pub fn create(&self, layout: &Layout, key: &NodeKey) -> Result<()> {
        let home = self.home();
        for folder in ["user", "bin", "root/run", "root/var/lib", "root/etc/systemd/system", "home/config"] {
            make(&self.host.join(folder))?;
        }
        for database in DATABASES {
            make(&home.join(format!("data/{database}.db")))?;
            write(&home.join(format!("data/{database}.db/LOCK")), b"")?;
            // What a backup finds there: a table, and what points to the newest.
            write(&home.join(format!("data/{database}.db/000001.ldb")), database.as_bytes())?;
            write(&home.join(format!("data/{database}.db/CURRENT")), b"MANIFEST-000000\n")?;
        }
        // The clocks of simulated hosts are this machine's, and taken to be synchronised.
        make(&self.root().join("run/systemd/timesync"))?;
        write(&self.root().join("run/systemd/timesync/synchronized"), b"")?;
        make(&home.join("data/cs.wal"))?;
        write(&home.join("data/cs.wal/wal"), WAL)?;
        write(&home.join("config/config.toml"), config(&self.name, layout).as_bytes())?;
        write_json(&home.join("config/priv_validator_key.json"), &key.json)?;
        let node_key = json!({"priv_key": NodeKey::random()?.json["priv_key"]});
        write_json(&home.join("config/node_key.json"), &node_key)?;
        write(&self.unit_file(&layout.unit), self.unit_text().as_bytes())?;
        self.programs()
    }

    /// Which processes are in the unit's control group; the file is gone with the last, as the kernel's is.
    pub fn control_group(&self, unit: &str, pid: u32) -> Result<()> {
        let group = self.root().join(format!("sys/fs/cgroup/system.slice/{unit}"));
        if pid == 0 {
            return fs::remove_dir_all(&group).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(failed(group.display())(error)),
            });
        }
        make(&group)?;
        write(&group.join("cgroup.procs"), format!("{pid}\n").as_bytes())
    }

    fn unit_text(&self) -> String {
        let exec = format!("{} start --home {}", self.bin().join("virtengined").display(), self.home().display());
        format!("[Service]\nExecStart={exec}\nRestart=no\n\n[Install]\nWantedBy=multi-user.target\n")
    }

    fn programs(&self) -> Result<()> {
        let programs = [
            ("systemctl", include_str!("bin/stub")),
            ("sudo", include_str!("bin/sudo")),
            ("virtengined", include_str!("bin/virtengined")),
        ];
        for (name, text) in programs {
            let path = self.bin().join(name);
            write(&path, text.as_bytes())?;
            fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed(path.display()))?;
        }
        symlink("systemctl", self.bin().join("journalctl")).map_err(failed("journalctl"))
    }

    /// The node's log; none where it can't be read.
    pub fn log(&self) -> Vec<u8> {
        fs::read(self.home().join("data/cs.wal/wal")).unwrap_or_default()
    }

    /// Writes the signer's state, whole or not at all.
    pub fn write_signer(&self, state: &Value) -> Result<()> {
        let path = self.home().join("data/priv_validator_state.json");
        let new = path.with_extension("json.new");
        write_json(&new, state)?;
        fs::rename(&new, &path).map_err(failed(path.display()))
    }

    /// Takes the locks that a running node holds on its databases; they end with the last copy of the files.
    pub fn lock_databases(&self) -> Result<[File; 2]> {
        let lock = |database: &str| -> Result<File> {
            let path = self.home().join(format!("data/{database}.db/LOCK"));
            let file = File::create(&path).map_err(failed(path.display()))?;
            let busy = |error: rustix::io::Errno| failed(path.display())(error.into());
            flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
            Ok(file)
        };
        Ok([lock("blockstore")?, lock("state")?])
    }
}

/// A consensus key as the node's file holds it.
pub struct NodeKey {
    /// Upper-case hex.
    pub address: String,
    /// base64.
    pub public: String,
    /// The file.
    pub json: Value,
    /// What it signs with.
    pub private: PrivateKey,
}

impl NodeKey {
    /// A new one.
    pub fn random() -> Result<Self> {
        let key = ssh_key()?;
        let pair = key.key_data().ed25519().ok_or_else(|| Error::failed("simulation: not an ed25519 key"))?;
        let (public, whole) = (BASE64.encode(pair.public.0), BASE64.encode(pair.to_bytes()));
        let address = hex::encode_upper(&Sha256::digest(pair.public.0)[..20]);
        let json = json!({
            "address": address,
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": public},
            "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": whole},
        });
        Ok(Self { address, public, json, private: key })
    }

    /// The node that signs with it.
    pub fn node(&self, name: &str, power: u64) -> Node {
        Node::new(name, self.address[..40].to_lowercase(), self.address.clone(), self.public.clone(), power)
    }
}

/// A new ed25519 key pair.
pub fn ssh_key() -> Result<PrivateKey> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
        .map_err(|error| Error::failed(format!("simulation: no SSH key: {error}")))
}

/// The genesis that all nodes share.
pub fn genesis(layout: &Layout, nodes: &[Node]) -> Value {
    let validator = |node: &Node| {
        json!({
            "address": node.address, "name": node.name, "power": node.power.to_string(),
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": node.public_key},
        })
    };
    let validators: Vec<Value> = nodes.iter().filter(|node| node.power > 0).map(validator).collect();
    json!({
        "genesis_time": "2026-01-01T00:00:00Z", "chain_id": layout.chain_id, "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": "4194304", "max_gas": "10000000"},
            "validator": {"pub_key_types": ["ed25519"]}, "version": {"app": "0"},
        },
        "validators": validators, "app_hash": "",
    })
}

fn config(name: &str, layout: &Layout) -> String {
    let timeout_ms = layout.block_time_ms * 8 / 10;
    format!(
        r#"moniker = "{name}"
db_backend = "goleveldb"
db_dir = "data"
genesis_file = "config/genesis.json"
priv_validator_key_file = "config/priv_validator_key.json"
priv_validator_state_file = "data/priv_validator_state.json"
priv_validator_laddr = ""
node_key_file = "config/node_key.json"

[rpc]
laddr = "tcp://127.0.0.1:{RPC_PORT}"

[p2p]
laddr = "tcp://0.0.0.0:26656"
pex = true

[blocksync]
version = "v0"

[consensus]
wal_file = "data/cs.wal/wal"
timeout_commit = "{timeout_ms}ms"
double_sign_check_height = 0
create_empty_blocks = true
create_empty_blocks_interval = "0s"
"#
    )
}

/// Creates a folder and those above it.
pub fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(failed(path.display()))
}

/// Writes a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(failed(path.display()))
}

/// Writes a JSON file that only its owner can read.
pub fn write_json(path: &Path, value: &Value) -> Result<()> {
    write(path, format!("{value:#}\n").as_bytes())?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed(path.display()))
}
