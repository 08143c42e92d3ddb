//! Scripted hosts: a chain of four validators and a sentry, with whatever goes wrong on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fleet::chain::wal::found::{Files, Folder};
use fleet::chain::wal::proto::Timestamp;
use fleet::chain::wal::record;
use fleet::chain::wal::tail::Listed;
use fleet::engine::{Clock, Fault, Observation, RpcQuery};
use fleet::model::facts::{SignerFacts, SignerState, UnitFacts};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

/// Unix ms when every test begins.
pub const BEGIN_MS: i64 = 1_770_531_128_000;
/// Time between blocks.
pub const BLOCK: Duration = Duration::from_secs(6);
/// Voting powers; the sentry has none.
pub const NODES: [(&str, u64); 5] = [("s1", 0), ("v1", 10), ("v2", 10), ("v3", 10), ("v4", 10)];

/// What goes wrong on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bad {
    /// Another run holds its lock.
    Held,
    /// It can't be locked.
    NoLock,
    /// It never says that it is armed.
    ArmHangs,
    /// The armed command is lost after a while.
    LostWhileArmed,
    /// The instant never reaches it.
    FireLost,
    /// The instant reaches it, its acknowledgement never comes back.
    AckLost,
    /// The link dies after the acknowledgement.
    ReceiptLost,
    /// It is silent from the instant on.
    DiesAtFire,
    /// Its unit doesn't stop.
    NeverStops,
    /// Its unit runs again by itself after the stop.
    ComesBack,
    /// Its unit fails at each start.
    StartFails,
    /// Its unit is started, the answer never comes back.
    StartLost,
    /// A start is never answered and never happens.
    StartHangs,
    /// Its signer has signed since its log was set aside.
    KeepsLog,
    /// A log that is to be put back is never heard of again.
    UndoLost,
    /// Nothing tells its log.
    LogUnread,
    /// It can't write a log.
    SetFails,
    /// Its databases can't be cloned.
    SealFails,
    /// A snapshot doesn't come.
    FetchFails,
    /// Its databases can't be exchanged.
    SwapFails,
    /// By now it isn't safe any more to stop it.
    Needed,
    /// It answers nothing but its lock.
    Mute,
}

/// One host.
#[derive(Debug, Default, Clone)]
pub struct Host {
    pub power: u64,
    pub running: bool,
    pub bad: BTreeSet<Bad>,
    /// Run and epoch of the lock that is held.
    pub lock: Option<(String, u64)>,
    pub epoch: u64,
    pub renewals: usize,
    pub armed: bool,
    pub stops: usize,
    pub starts: usize,
    pub log_back: bool,
    /// Its write-ahead log.
    pub log: Vec<u8>,
    /// It is one that was set.
    pub log_set: bool,
    /// Its databases are cloned.
    pub sealed: bool,
    /// A snapshot lies beside its databases.
    pub fetched: bool,
    /// Its databases are those of the snapshot.
    pub swapped: bool,
    stopped_at: Option<Duration>,
}

pub struct World {
    begun: Instant,
    state: Mutex<State>,
}

pub struct State {
    pub hosts: BTreeMap<String, Host>,
    pub height: u64,
    /// When the last block came.
    pub last_block: Duration,
    /// In the order they were sent.
    pub sent_starts: Vec<(String, Duration)>,
    /// What must never happen.
    pub crimes: Vec<String>,
}

/// The state of a signer that has signed nothing.
pub const SIGNER: &str = r#"{"height": "0", "round": 0, "step": 0}"#;

impl World {
    /// All run, a block every six seconds.
    pub fn new() -> Arc<Self> {
        let host = |(name, power): (&str, u64)| {
            (name.to_owned(), Host { power, running: true, log: Self::log(), ..Host::default() })
        };
        let state = State {
            hosts: NODES.into_iter().map(host).collect(),
            height: 100,
            last_block: Duration::ZERO,
            sent_starts: Vec::new(),
            crimes: Vec::new(),
        };
        let world = Arc::new(Self { begun: Instant::now(), state: Mutex::new(state) });
        tokio::spawn(Arc::clone(&world).make_blocks());
        world
    }

    pub fn with(bad: &[(&str, Bad)]) -> Arc<Self> {
        let world = Self::new();
        for (host, bad) in bad {
            world.spoil(host, *bad);
        }
        world
    }

    pub fn spoil(&self, host: &str, bad: Bad) {
        self.state().hosts.get_mut(host).unwrap().bad.insert(bad);
    }

    pub fn repair(&self, host: &str) {
        self.state().hosts.get_mut(host).unwrap().bad.clear();
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn host(&self, name: &str) -> Host {
        self.state().hosts[name].clone()
    }

    pub fn running(&self) -> Vec<String> {
        self.state().hosts.iter().filter(|(_, host)| host.running).map(|(name, _)| name.clone()).collect()
    }

    pub fn locked(&self) -> Vec<String> {
        self.state().hosts.iter().filter(|(_, host)| host.lock.is_some()).map(|(name, _)| name.clone()).collect()
    }

    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn make_blocks(self: Arc<Self>) {
        loop {
            sleep(BLOCK).await;
            let now = self.now();
            let mut state = self.state();
            let online: u64 = state.hosts.values().filter(|host| host.running).map(|host| host.power).sum();
            if online >= 27 {
                state.height += 1;
                state.last_block = now;
            }
        }
    }

    pub fn change<T>(&self, host: &str, change: impl FnOnce(&mut Host) -> T) -> T {
        change(self.state().hosts.get_mut(host).unwrap())
    }

    pub fn has(&self, host: &str, bad: Bad) -> bool {
        self.state().hosts[host].bad.contains(&bad)
    }

    pub fn stop(&self, name: &str) {
        let now = self.now();
        self.change(name, |host| {
            host.stops += 1;
            if !host.bad.contains(&Bad::NeverStops) {
                host.running = false;
                host.stopped_at = Some(now);
            }
        });
    }

    pub fn observation(&self, name: &str) -> Observation {
        let host = self.host(name);
        let active_state = match (host.running, host.bad.contains(&Bad::StartFails) && host.starts > 0) {
            (true, _) if host.stops > host.starts => "deactivating",
            (true, _) => "active",
            (false, true) => "failed",
            (false, false) => "inactive",
        };
        let unit = UnitFacts {
            active_state: active_state.into(),
            main_pid: u32::from(host.running),
            cgroup_processes: u32::from(host.running),
            ..UnitFacts::default()
        };
        let at_us = |at: Duration| BEGIN_MS * 1000 + i64::try_from(at.as_micros()).unwrap();
        let stopped = host.stopped_at.map_or(0, at_us);
        let height = self.state().height;
        let signer = SignerFacts::State(SignerState { height, round: 0, step: 3 });
        Observation {
            unit,
            stop_began_us: stopped,
            stop_ended_us: stopped,
            signer,
            wal_back: host.log_back,
            wal_set: host.log_set,
            sealed: host.sealed,
            swapped: host.swapped,
            ..Observation::default()
        }
    }

    /// The log of a node that has seen the last block before the outset, and nothing since.
    pub fn log() -> Vec<u8> {
        let mut log = Vec::new();
        for height in [0, 100] {
            record::write(&mut log, &record::end_height(height, Timestamp::default())).unwrap();
        }
        log
    }

    /// A host's log, and a signer that has signed nothing yet.
    pub fn files(&self, name: &str, head: &str) -> Files {
        let (path, file) = head.rsplit_once('/').unwrap();
        let listed = Listed { name: file.into(), size: self.host(name).log.len() as u64, modified_s: BEGIN_MS / 1000 };
        let folder = Folder { path: path.into(), files: vec![listed], ..Folder::default() };
        Files { folders: vec![folder], signer: Some(Ok(SIGNER.into())) }
    }

    pub fn rpc(&self, name: &str, query: RpcQuery) -> Result<Vec<u8>, Fault> {
        let state = self.state();
        if !state.hosts[name].running {
            return Err(Fault::answer("nothing answers there"));
        }
        let peers: Vec<_> = state.hosts.iter().filter(|(other, host)| *other != name && host.running).collect();
        let result = match query {
            RpcQuery::Status => json!({
                "node_info": {"id": name, "network": "c-1"},
                "sync_info": {
                    "latest_block_height": state.height.to_string(),
                    "latest_block_time": "2026-02-08T06:12:08Z", "catching_up": false,
                },
            }),
            RpcQuery::NetInfo => {
                let peers = peers.iter().map(|(name, _)| json!({"node_info": {"id": name}}));
                json!({"n_peers": peers.len().to_string(), "peers": peers.collect::<Vec<_>>()})
            }
            RpcQuery::Validators(_) => {
                let validators = state.hosts.iter().filter(|(_, host)| host.power > 0).map(|(name, host)| {
                    let key = json!({"type": "tendermint/PubKeyEd25519", "value": BASE64.encode(key(name))});
                    json!({"address": address(name), "pub_key": key, "voting_power": host.power.to_string()})
                });
                let validators: Vec<_> = validators.collect();
                let count = validators.len().to_string();
                // Of the height in progress.
                let height = (state.height + 1).to_string();
                json!({"block_height": height, "validators": validators, "count": count, "total": count})
            }
            _ => return Err(Fault::answer("not asked for here")),
        };
        Ok(serde_json::to_vec(&json!({"jsonrpc": "2.0", "id": -1, "result": result})).unwrap())
    }
}

/// A validator's consensus key.
fn key(name: &str) -> Vec<u8> {
    Sha256::digest(name).to_vec()
}

/// The consensus address of a host's validator.
pub fn address(name: &str) -> String {
    hex::encode_upper(&Sha256::digest(key(name))[..20])
}

/// The time of day by the paused clock.
pub struct PausedClock(pub Arc<World>);

impl Clock for PausedClock {
    fn unix_ns(&self) -> i64 {
        BEGIN_MS * 1_000_000 + i64::try_from(self.0.now().as_nanos()).unwrap()
    }
}
