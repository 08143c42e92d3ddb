//! The links of one fleet process to the scripted hosts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fleet::engine::{
    Answer, Armed, Claim, ClockSample, Fault, FaultKind, Fence, Grant, Order, Probe, Prober, Progress, Receipt, Sent,
    Supply, Transport, Turn,
};
use fleet::model::facts::LockFacts;
use fleet::model::plan::{Action, Check, Plan, Replaces};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use crate::world::{BEGIN_MS, Bad, Host, SIGNER, World};

/// A round trip.
const RTT: Duration = Duration::from_millis(10);

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
            Probe::Wals { .. } | Probe::Stretch { .. } if self.0.has(host, Bad::LogUnread) => Err(link("no answer")),
            Probe::Wals { wal_file, .. } => Ok(Answer::Wals(self.0.files(host, wal_file))),
            Probe::Stretch { offset, length, .. } => {
                let (from, length) = (usize::try_from(*offset).unwrap(), usize::try_from(*length).unwrap());
                Ok(Answer::Body(self.0.host(host).log[from..from + length].to_vec()))
            }
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

    async fn act(&self, order: &Order, turn: &Turn) -> Result<Receipt, Fault> {
        let name = &order.target.service.host;
        let world = &self.0;
        if world.has(name, Bad::ComesBack) {
            world.change(name, |host| host.running = true);
            turn.refused.store(true, Ordering::Relaxed);
            return Ok(Receipt { refusal: Some("the unit is not stopped".into()), seen: world.observation(name) });
        }
        turn.waits.store(true, Ordering::Relaxed);
        turn.ready.notify_one();
        turn.go.notified().await;
        if turn.called_off.load(Ordering::Relaxed) {
            let refusal = Some("its turn never came, nothing was done".into());
            return Ok(Receipt { refusal, seen: world.observation(name) });
        }
        match order.action {
            Action::UndoWal => return world.put_back(order),
            Action::SetWal => return Ok(world.set_log(order)),
            Action::Swap => return Ok(world.swap(order)),
            Action::Seal => {
                world.fenced(order);
                let fails = world.has(name, Bad::SealFails);
                world.change(name, |host| host.sealed = !fails);
                let refusal = fails.then(|| "no room for the clone".to_owned());
                return Ok(Receipt { refusal, seen: world.observation(name) });
            }
            _ => {}
        }
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

#[async_trait]
impl Supply for Links {
    async fn send(&self, sent: &Sent, tell: &(dyn Fn(Progress) + Send + Sync)) -> Result<(), Fault> {
        let (world, name) = (&self.0, &sent.target.service.host);
        tell(Progress { done: 1, all: 2 });
        sleep(Duration::from_secs(5)).await;
        tell(Progress { done: 2, all: 2 });
        let (locked, host) = (world.locked(), world.host(name));
        if !locked.is_empty() || host.stops > 0 {
            world.state().crimes.push(format!("{name} stopped or locked while bytes came: {locked:?}"));
        }
        if world.has(name, Bad::FetchFails) {
            return Err(Fault::answer("no space: 9 bytes are needed, 3 are free"));
        }
        world.change(name, |host| host.fetched = true);
        Ok(())
    }

    async fn check(&self, plan: &Plan) -> Result<(), String> {
        let needed = plan.hosts().into_iter().find(|host| self.0.has(host, Bad::Needed));
        needed.map_or(Ok(()), |host| Err(format!("quorum: {host}")))
    }
}

impl World {
    fn put_back(&self, order: &Order) -> Result<Receipt, Fault> {
        let name = &order.target.service.host;
        self.fenced(order);
        assert_eq!((order.expect, self.host(name).running), (Check::Stopped, false));
        if self.has(name, Bad::UndoLost) {
            return Err(Fault::unknown("link died after the command was sent"));
        }
        let kept = self.has(name, Bad::KeepsLog);
        self.change(name, |host| host.log_back = !kept);
        let refusal = kept.then(|| "its signer has signed since".into());
        Ok(Receipt { refusal, seen: self.observation(name) })
    }

    fn swap(&self, order: &Order) -> Receipt {
        let name = &order.target.service.host;
        self.fenced(order);
        let host = self.host(name);
        if host.running || !host.fetched || order.expect != Check::Stopped {
            self.state().crimes.push(format!("{name}: databases exchanged below a node, or for nothing"));
        }
        let fails = self.has(name, Bad::SwapFails);
        self.change(name, |host| host.swapped = !fails);
        Receipt { refusal: fails.then(|| "no hold could be set".into()), seen: self.observation(name) }
    }

    fn set_log(&self, order: &Order) -> Receipt {
        let (name, new) = (&order.target.service.host, order.wal.as_ref().unwrap());
        self.fenced(order);
        assert_eq!(order.expect, Check::Stopped);
        let host = self.host(name);
        let read = Replaces { size: host.log.len() as u64, signer: hex::encode(Sha256::digest(SIGNER)) };
        let refusal = match host {
            Host { running: true, .. } => Some("the unit is not stopped"),
            _ if host.bad.contains(&Bad::SetFails) => Some("set-wal of node.service: exit 1: no space left"),
            _ if new.replaces.as_ref() != Some(&read) => Some("the node has run since its log was read; it keeps it"),
            _ => None,
        };
        if refusal.is_none() {
            let log = BASE64.decode(&new.base64).unwrap();
            self.change(name, |host| (host.log, host.log_set) = (log, true));
        }
        Receipt { refusal: refusal.map(Into::into), seen: self.observation(name) }
    }

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
