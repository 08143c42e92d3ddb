//! Scripted hosts: a chain of four validators and a sentry, with whatever goes wrong on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use fleet::engine::{
    Answer, Armed, Claim, Clock, ClockSample, Fault, FaultKind, Fence, Grant, Observation, Order, Probe, Prober,
    Receipt, RpcQuery, Transport,
};
use fleet::model::facts::{LockFacts, SignerFacts, SignerState, UnitFacts};
use fleet::model::plan::{Action, Check};
use serde_json::json;
use tokio::time::{Instant, sleep};

/// Unix ms when every test begins.
pub const BEGIN_MS: i64 = 1_770_531_128_000;
/// Time between blocks.
pub const BLOCK: Duration = Duration::from_secs(6);
/// A round trip.
const RTT: Duration = Duration::from_millis(10);
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
    /// Its unit fails at each start.
    StartFails,
    /// Its unit is started, the answer never comes back.
    StartLost,
    /// A start is never answered and never happens.
    StartHangs,
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

impl World {
    /// All run, a block every six seconds.
    pub fn new() -> Arc<Self> {
        let host = |(name, power): (&str, u64)| (name.to_owned(), Host { power, running: true, ..Host::default() });
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

    fn change<T>(&self, host: &str, change: impl FnOnce(&mut Host) -> T) -> T {
        change(self.state().hosts.get_mut(host).unwrap())
    }

    fn has(&self, host: &str, bad: Bad) -> bool {
        self.state().hosts[host].bad.contains(&bad)
    }

    fn stop(&self, name: &str) {
        let now = self.now();
        self.change(name, |host| {
            host.stops += 1;
            if !host.bad.contains(&Bad::NeverStops) {
                host.running = false;
                host.stopped_at = Some(now);
            }
        });
    }

    fn observation(&self, name: &str) -> Observation {
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
        Observation { unit, stop_began_us: stopped, stop_ended_us: stopped, signer, ..Observation::default() }
    }

    fn rpc(&self, name: &str, query: RpcQuery) -> Result<Vec<u8>, Fault> {
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
                let validators = state
                    .hosts
                    .iter()
                    .filter(|(_, host)| host.power > 0)
                    .map(|(name, host)| json!({"address": address(name), "voting_power": host.power.to_string()}));
                let validators: Vec<_> = validators.collect();
                let count = validators.len().to_string();
                json!({"block_height": state.height.to_string(), "validators": validators, "count": count, "total": count})
            }
            _ => return Err(Fault::answer("not asked for here")),
        };
        Ok(serde_json::to_vec(&json!({"jsonrpc": "2.0", "id": -1, "result": result})).unwrap())
    }
}

/// The consensus address of a host's validator.
pub fn address(name: &str) -> String {
    hex::encode_upper([name.as_bytes(), &[0; 18]].concat())
}

/// The hosts as the engine sees them, through links of one fleet process.
pub struct Links(pub Arc<World>);

fn link(reason: &str) -> Fault {
    Fault { kind: FaultKind::Link, sent: false, reason: reason.into(), hint: None }
}

#[async_trait]
impl Prober for Links {
    async fn probe(&self, host: &str, probe: &Probe) -> Result<Answer, Fault> {
        sleep(RTT).await;
        if self.0.has(host, Bad::Mute) {
            sleep(Duration::from_secs(15)).await;
            return Err(link("no answer"));
        }
        match probe {
            Probe::Unit(_) => Ok(Answer::Unit(Box::new(self.0.observation(host)))),
            Probe::Rpc { query, .. } => Ok(Answer::Body(self.0.rpc(host, *query)?)),
            other => Err(Fault::answer(&format!("not asked for here: {other:?}"))),
        }
    }
}

#[async_trait]
impl Transport for Links {
    async fn lock(&self, host: &str, claim: &Claim) -> Result<Grant, Fault> {
        sleep(RTT).await;
        if self.0.has(host, Bad::Held) {
            let lock =
                LockFacts { run: "OTHER".into(), owner: "bob@desk".into(), remaining_s: 9, ..LockFacts::default() };
            return Err(Fault { kind: FaultKind::Locked(Box::new(lock)), ..link("its lease holds for another 9 s") });
        }
        if self.0.has(host, Bad::NoLock) {
            return Err(link("ssh timed out after 10 s"));
        }
        let held = self.0.host(host).lock;
        if claim.renews.is_some_and(|epoch| held != Some((claim.run.clone(), epoch))) {
            return Err(Fault::answer("the lock was lost"));
        }
        Ok(self.0.change(host, |host| {
            match &host.lock {
                Some((run, _)) if *run == claim.run => host.renewals += 1,
                _ => {
                    host.epoch += 1;
                    host.lock = Some((claim.run.clone(), host.epoch));
                }
            }
            Grant { epoch: host.epoch, taken_over: None }
        }))
    }

    async fn unlock(&self, host: &str, fence: &Fence) -> Result<(), Fault> {
        sleep(RTT).await;
        let held = self.0.change(host, |host| host.lock.take());
        if held == Some((fence.run.clone(), fence.epoch)) {
            Ok(())
        } else {
            Err(Fault::answer("does not hold this host"))
        }
    }

    async fn act(&self, order: &Order) -> Result<Receipt, Fault> {
        let name = &order.target.service.host;
        let world = &self.0;
        assert_eq!((order.action, order.expect), (Action::Start, Check::Stopped));
        world.state().sent_starts.push((name.clone(), world.now()));
        sleep(RTT).await;
        if world.has(name, Bad::StartHangs) {
            std::future::pending::<()>().await;
        }
        world.fenced(order);
        let seen = world.observation(name);
        if seen.unit.active_state != "inactive" && seen.unit.active_state != "failed" {
            world.state().crimes.push(format!("a start of {name}, which is {}", seen.unit.active_state));
            return Ok(Receipt { refusal: Some("the unit is not stopped".into()), seen });
        }
        world.change(name, |host| {
            host.starts += 1;
            host.running = !host.bad.contains(&Bad::StartFails);
        });
        if world.has(name, Bad::StartLost) {
            return Err(Fault::unknown("link died after the command was sent"));
        }
        Ok(Receipt { refusal: None, seen: world.observation(name) })
    }

    async fn arm(&self, order: &Order, lease_s: u64) -> Result<Box<dyn Armed>, Fault> {
        sleep(RTT).await;
        let name = order.target.service.host.clone();
        if self.0.has(&name, Bad::ArmHangs) {
            std::future::pending::<()>().await;
        }
        assert!(lease_s >= 300);
        self.0.fenced(order);
        self.0.change(&name, |host| host.armed = true);
        Ok(Box::new(Waiting {
            world: Arc::clone(&self.0),
            name,
            order: order.clone(),
            since: Instant::now(),
            fired: false,
        }))
    }
}

impl World {
    /// Nobody acts without the lock.
    fn fenced(&self, order: &Order) {
        let host = self.host(&order.target.service.host);
        if host.lock != Some((order.fence.run.clone(), order.fence.epoch)) {
            self.state().crimes.push(format!("{} acted upon without its lock", order.target.service));
        }
    }
}

struct Waiting {
    world: Arc<World>,
    name: String,
    order: Order,
    since: Instant,
    fired: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.world.change(&self.name, |host| host.armed = false);
    }
}

#[async_trait]
impl Armed for Waiting {
    async fn clock(&mut self) -> Result<ClockSample, Fault> {
        sleep(RTT).await;
        if self.world.has(&self.name, Bad::LostWhileArmed) && self.since.elapsed() > Duration::from_secs(25) {
            return Err(Fault::unknown("the link died"));
        }
        Ok(ClockSample { offset_ms: 0.0, rtt_ms: 10.0 })
    }

    async fn fire(&mut self, host_ns: i64) -> Result<(), Fault> {
        let (world, name) = (Arc::clone(&self.world), self.name.clone());
        if world.has(&name, Bad::FireLost) {
            std::future::pending::<()>().await;
        }
        sleep(RTT / 2).await;
        self.fired = true;
        let late = host_ns - (BEGIN_MS * 1_000_000 + i64::try_from(world.now().as_nanos()).unwrap());
        let late = u64::try_from(late).unwrap_or_else(|_| panic!("the instant is past when it comes: {late} ns"));
        if world.has(&name, Bad::DiesAtFire) {
            world.spoil(&name, Bad::Mute);
        }
        let on_host = (Arc::clone(&world), name.clone());
        // It happens whatever the link does.
        tokio::spawn(async move {
            sleep(Duration::from_nanos(late)).await;
            on_host.0.stop(&on_host.1);
        });
        if world.has(&name, Bad::AckLost) || world.has(&name, Bad::DiesAtFire) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn receipt(&mut self) -> Result<Receipt, Fault> {
        assert!(self.fired);
        if self.world.has(&self.name, Bad::ReceiptLost) {
            return Err(Fault::unknown("the link died"));
        }
        while self.world.host(&self.name).running {
            sleep(RTT).await;
        }
        assert!(matches!(self.order.action, Action::Stop { .. }));
        Ok(Receipt { refusal: None, seen: self.world.observation(&self.name) })
    }

    async fn disarm(&mut self) {
        self.world.change(&self.name, |host| host.armed = false);
    }
}

/// The time of day by the paused clock.
pub struct PausedClock(pub Arc<World>);

impl Clock for PausedClock {
    fn unix_ns(&self) -> i64 {
        BEGIN_MS * 1_000_000 + i64::try_from(self.0.now().as_nanos()).unwrap()
    }
}
