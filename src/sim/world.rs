//! The running simulation: the chain's model, the hosts' units, and the processes that stand for nodes.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::sync::Notify;

use super::control::{ChainState, Fault, Reply};
use super::host::{Folders, failed, write};
use super::link::Host;
use super::model::Model;
use super::systemctl::full;
use super::unit::{Active, End, Unit};
use super::{process, vote};
use crate::error::{Error, Result};

/// Log lines kept for a host.
const LOG: usize = 1000;
/// After this long a unit that won't stop is killed, as systemd's default is.
const STOP_TIMEOUT: Duration = Duration::from_secs(90);

/// A line of a node's log.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Unix time, s.
    pub at_s: f64,
    /// The unit's start it belongs to.
    pub invocation: String,
    /// What the node said.
    pub text: String,
}

/// What changes while it runs.
pub struct State {
    /// The chain.
    pub model: Model,
    units: BTreeMap<String, Unit>,
    logs: BTreeMap<String, VecDeque<LogLine>>,
}

/// The simulation.
pub struct World {
    /// fleet's own program, which the stubs call.
    pub exe: PathBuf,
    /// By name.
    pub hosts: BTreeMap<String, Arc<Host>>,
    state: Mutex<State>,
    changed: Notify,
}

impl World {
    /// A world in which no node runs.
    pub fn new(exe: PathBuf, model: Model, unit: &str, hosts: Vec<Arc<Host>>) -> Self {
        let hosts: BTreeMap<_, _> = hosts.into_iter().map(|host| (host.folders.name.clone(), host)).collect();
        let units = hosts.keys().map(|name| (name.clone(), Unit::new(unit))).collect();
        let logs = hosts.keys().map(|name| (name.clone(), VecDeque::new())).collect();
        let state = Mutex::new(State { model, units, logs });
        Self { exe, hosts, state, changed: Notify::new() }
    }

    /// The state; held only for as long as nothing is awaited.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self, name: &str) -> Result<&Arc<Host>> {
        self.hosts.get(name).ok_or_else(|| Error::failed(format!("simulation: no host {name}")))
    }

    /// Looks at a host's unit; `None` when it has none of this name.
    pub fn unit<T>(&self, host: &str, name: &str, look: impl FnOnce(&Unit, &Folders) -> T) -> Option<T> {
        let state = self.state();
        let unit = state.units.get(host).filter(|unit| unit.name == full(name))?;
        Some(look(unit, &self.hosts.get(host)?.folders))
    }

    /// Changes a host's unit.
    pub fn change(&self, host: &str, change: impl FnOnce(&mut Unit)) -> Result<()> {
        self.state().units.get_mut(host).map(change).ok_or_else(|| Error::failed(format!("no unit on {host}")))
    }

    /// What `list-jobs` says.
    pub fn jobs(&self, host: &str) -> String {
        match self.state().units.get(host) {
            Some(unit) if unit.active == Active::Stopping => {
                format!("JOB UNIT TYPE STATE\n1 {} stop running\n\n1 jobs listed.\n", unit.name)
            }
            _ => "No jobs running.\n".into(),
        }
    }

    /// The lines of a host's log that `wanted` takes.
    pub fn log(&self, host: &str, wanted: impl Fn(&LogLine) -> bool) -> Vec<LogLine> {
        self.state().logs.get(host).into_iter().flatten().filter(|line| wanted(line)).cloned().collect()
    }

    /// Starts a host's node, unless it runs; waits for a stop that is under way.
    pub async fn start(self: &Arc<Self>, host: &str) -> Result<()> {
        self.until(host, |active| active != Active::Stopping).await;
        let mut state = self.state();
        let Some(unit) = state.units.get(host) else { return Ok(()) };
        // As systemd does where a condition fails: it skips the start, and that is no error.
        if unit.active == Active::Running || self.host(host)?.folders.is_held(&unit.name) {
            return Ok(());
        }
        self.spawn(&mut state, host, process::now_ms())
    }

    /// Starts all nodes but these, so that they have been taking part for a while.
    pub fn begin(self: &Arc<Self>, down: &[String]) -> Result<()> {
        let mut state = self.state();
        for host in self.hosts.keys() {
            if down.contains(host) {
                let Some(unit) = state.units.get_mut(host) else { continue };
                unit.ended(End::Exited(1), process::monotonic_us());
                unit.restarts = 3;
            } else {
                let join_ms = state.model.node(host).map_or(0, |node| node.join_ms);
                self.spawn(&mut state, host, process::now_ms() - join_ms)?;
            }
        }
        Ok(())
    }

    fn spawn(self: &Arc<Self>, state: &mut State, name: &str, since_ms: i64) -> Result<()> {
        let host = self.host(name)?;
        let Some(unit) = state.units.get_mut(name) else { return Ok(()) };
        let mut command = Command::new(host.folders.bin().join("virtengined"));
        command.arg(if unit.start_fails { "start-fails" } else { "start" }).arg("--home").arg(host.folders.home());
        command.env_clear().envs(host.folders.environment(&self.exe)).process_group(0).stdin(Stdio::piped());
        command.current_dir(host.folders.home()).stdout(Stdio::null()).stderr(Stdio::null());
        match host.folders.lock_databases() {
            Ok([out, err]) => drop(command.stdout(out).stderr(err)),
            Err(_) => drop(command.arg("--database-is-locked").args(["start-fails"]).stdin(Stdio::null())),
        }
        let mut child = command.spawn().map_err(failed(name))?;
        let stdin = child.stdin.take(); // as long as it is open the node lives
        unit.started(child.id().unwrap_or_default(), process::monotonic_us());
        host.folders.control_group(&unit.name, unit.pid)?;
        state.model.start(name, since_ms);
        let votes = vote::replayed(&host.folders.log(), state.model.round.height);
        state.model.replay(name, votes);
        state.say(name, "INF Starting Node service impl=Node");
        let (world, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            let status = child.wait().await;
            drop(stdin);
            world.ended(&name, status.map_or(End::Exited(1), End::from));
        });
        Ok(())
    }

    fn ended(&self, host: &str, end: End) {
        let mut state = self.state();
        state.model.stop(host);
        state.say(host, "INF captured terminated, exiting...");
        if let Some(unit) = state.units.get_mut(host) {
            unit.ended(end, process::monotonic_us());
            // A folder that can't be taken away would show a process that is gone; the simulation is over then anyway.
            let _ = self.hosts.get(host).map(|host| host.folders.control_group(&unit.name, 0));
        }
        self.changed.notify_waiters();
    }

    /// Stops a host's node and, with `wait`, waits until its process is gone; kills it after systemd's 90 s.
    pub async fn stop(self: &Arc<Self>, host: &str, wait: bool) -> Result<()> {
        self.change(host, |unit| unit.stopping(process::monotonic_us()))?;
        self.signal(host, "TERM")?;
        let (world, host) = (Arc::clone(self), host.to_owned());
        let finish = tokio::spawn(async move {
            let gone = |active| !matches!(active, Active::Running | Active::Stopping);
            if tokio::time::timeout(STOP_TIMEOUT, world.until(&host, gone)).await.is_err() {
                let _ = world.signal(&host, "KILL");
                world.until(&host, gone).await;
            }
        });
        if wait {
            finish.await.map_err(|error| Error::failed(error.to_string()))?;
        }
        Ok(())
    }

    /// Sends a signal to a host's node, where one runs.
    pub fn signal(&self, host: &str, name: &str) -> Result<()> {
        let signal = match name.trim_start_matches("SIG") {
            "TERM" | "15" => Signal::TERM,
            "KILL" | "9" => Signal::KILL,
            "STOP" | "19" => Signal::STOP,
            "CONT" | "18" => Signal::CONT,
            "INT" | "2" => Signal::INT,
            "HUP" | "1" => Signal::HUP,
            other => return Err(Error::failed(format!("unknown signal {other}"))),
        };
        let state = self.state();
        if let Some(unit) = state.units.get(host).filter(|unit| !(unit.wont_stop && signal != Signal::KILL)) {
            process::send(unit.pid, signal);
        }
        Ok(())
    }

    async fn until(&self, host: &str, reached: impl Fn(Active) -> bool) {
        loop {
            let changed = self.changed.notified();
            let active = self.state().units.get(host).map(|unit| unit.active.clone());
            if active.is_none_or(&reached) {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
        }
    }

    /// Makes something go wrong on a host, or right again.
    pub fn fault(&self, name: &str, fault: Fault) -> Result<Reply> {
        let host = self.host(name)?;
        match fault {
            Fault::StartFails(on) => self.change(name, |unit| unit.start_fails = on)?,
            Fault::WontStop(on) => self.change(name, |unit| unit.wont_stop = on)?,
            Fault::Kill => self.signal(name, "KILL")?,
            Fault::Panic => {
                let mut state = self.state();
                state.model.node_mut(name).into_iter().for_each(|node| node.panicked = true);
                state.say(name, "ERR CONSENSUS FAILURE!!! err=\"simulated\" module=consensus");
            }
            Fault::SudoRefused(true) => write(&host.folders.root().join("sudo-refused"), b"")?,
            Fault::SudoRefused(false) => drop(std::fs::remove_file(host.folders.root().join("sudo-refused"))),
            link => host.fault(link),
        }
        if let Fault::Freeze(on) = fault {
            process::send_all(&host.folders.sim, Some(name), if on { Signal::STOP } else { Signal::CONT });
        }
        let cut_off = host.knobs.borrow().freeze || host.knobs.borrow().isolate;
        self.state().model.node_mut(name).into_iter().for_each(|node| node.isolated = cut_off);
        Ok(Reply::default())
    }

    /// Moves the chain on, and writes what signers have signed since.
    pub fn tick(&self) -> Result<()> {
        let mut state = self.state();
        let before: BTreeMap<_, _> = state.model.nodes.iter().map(|node| (node.name.clone(), node.signer)).collect();
        let height = state.model.height();
        state.model.step(process::now_ms());
        if state.model.height() > height {
            let joined = state.model.nodes.iter().filter(|node| node.joined).map(|node| node.name.clone());
            let line = format!("INF committed state height={} module=state", state.model.height());
            joined.collect::<Vec<_>>().iter().for_each(|name| state.say(name, &line));
        }
        for node in &state.model.nodes {
            if let Some(host) = self.hosts.get(&node.name).filter(|_| before.get(&node.name) != Some(&node.signer)) {
                host.write_signer(&state.model.chain_id, node.signer)?;
            }
        }
        Ok(())
    }

    /// How the chain is.
    pub fn chain(&self) -> ChainState {
        let model = &self.state().model;
        ChainState {
            height: model.height(),
            step: model.round.step,
            online: model.nodes.iter().filter(|node| node.joined).map(|node| node.power).sum(),
            quorum: model.quorum(),
            signers: model.nodes[..model.validators].iter().map(|node| (node.name.clone(), node.signer)).collect(),
        }
    }
}

impl State {
    fn say(&mut self, host: &str, text: &str) {
        let Some(log) = self.logs.get_mut(host) else { return };
        let invocation = self.units.get(host).map(|unit| unit.invocation.clone()).unwrap_or_default();
        #[allow(clippy::cast_precision_loss)] // milliseconds
        let at_s = process::now_ms() as f64 / 1000.0;
        log.push_back(LogLine { at_s, invocation, text: text.to_owned() });
        if log.len() > LOG {
            log.pop_front();
        }
    }
}
