//! The lab, brought up once and reset for each test, and what can be done to its hosts without fleet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;

use crate::process::{Said, run, until};

/// One test at a time, whichever lab it uses.
static TURN: Mutex<()> = Mutex::new(());

/// The lab at genesis, every fault undone, for as long as the value lives.
pub struct Lab {
    _turn: MutexGuard<'static, ()>,
    name: &'static str,
    afterwards: Afterwards,
    /// Where labs are kept.
    states: PathBuf,
}

/// What becomes of a lab when a test has ended.
#[derive(Clone, Copy)]
enum Afterwards {
    GoesOn,
    /// Frozen until its next test, so that it slows no other lab.
    StandsStill,
    IsPurged,
}

/// What `hosts.json` tells of a host.
#[derive(Debug, Clone, Deserialize)]
pub struct Host {
    pub name: String,
    pub address: String,
    pub netns: String,
    pub leader: u32,
    pub root: PathBuf,
    #[serde(flatten)]
    node: Option<Facts>,
    services: Vec<Facts>,
}

#[derive(Debug, Clone, Deserialize)]
struct Facts {
    unit: String,
    home: String,
    rpc_port: u16,
    power: u64,
    validator_address: String,
    wal: String,
    key_file: String,
    state_file: String,
}

#[derive(Deserialize)]
struct Hosts {
    known_hosts: PathBuf,
    hosts: Vec<Host>,
}

/// A node of a chain and where it runs.
#[derive(Debug, Clone)]
pub struct Node {
    pub host: Host,
    pub unit: String,
    /// Its home on the host.
    pub home: String,
    pub rpc_port: u16,
    pub power: u64,
    /// Its consensus address.
    pub address: String,
    /// The head of its WAL, seen from here.
    pub wal: PathBuf,
    pub key_file: PathBuf,
    /// Its signer's state.
    pub signer_file: PathBuf,
}

/// What systemd says of a unit: a start changes the time and the process, a restart by itself the count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub state: String,
    pub pid: u32,
    pub entered: String,
    pub restarts: String,
}

impl Node {
    fn of(host: &Host, facts: &Facts) -> Self {
        let seen_here = |path: &str| PathBuf::from(format!("{}{path}", host.root.display()));
        Self {
            host: host.clone(),
            unit: facts.unit.clone(),
            home: facts.home.clone(),
            rpc_port: facts.rpc_port,
            power: facts.power,
            address: facts.validator_address.clone(),
            wal: seen_here(&facts.wal),
            key_file: seen_here(&facts.key_file),
            signer_file: seen_here(&facts.state_file),
        }
    }

    /// Its unit, asked without the network.
    pub fn unit_state(&self) -> Unit {
        let names = ["ActiveState", "MainPID", "ActiveEnterTimestampMonotonic", "NRestarts"];
        let said = self.host.inside(&["systemctl", "show", &self.unit, &format!("--property={}", names.join(","))]);
        let lines: BTreeMap<&str, &str> = said.out.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| (*lines.get(name).unwrap_or_else(|| panic!("no {name}: {said}"))).to_owned();
        Unit {
            state: value("ActiveState"),
            pid: value("MainPID").parse().unwrap(),
            entered: value("ActiveEnterTimestampMonotonic"),
            restarts: value("NRestarts"),
        }
    }

    /// How long it stood still last, by systemd's times, ms: from the begin of the stop to that of the start.
    pub fn down_ms(&self) -> u64 {
        let names = ["ActiveExitTimestampMonotonic", "InactiveExitTimestampMonotonic"];
        let said = self.host.inside(&["systemctl", "show", &self.unit, &format!("--property={}", names.join(","))]);
        let at = |name: &str| {
            let value = said.out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {name}: {said}"))
        };
        (at(names[1]) - at(names[0])) / 1000
    }

    /// Its unit is stopped by its own host, as by an operator.
    pub fn stop(&self) {
        self.host.inside(&["systemctl", "stop", &self.unit]);
    }
}

impl Host {
    /// Runs a command on it as root, without SSH and without its network; fails unless it succeeds.
    pub fn inside(&self, command: &[&str]) -> Said {
        let mut enter = Command::new("nsenter");
        enter.args(["-t", &self.leader.to_string(), "-m", "-u", "-i", "-n", "-p", "--"]).args(command);
        run(enter, 15).exits(0)
    }

    /// Runs a script of this machine's shell where its folders are, with this machine's leave to mount.
    pub fn where_it_mounts(&self, script: &str) -> Said {
        let mut enter = Command::new("nsenter");
        enter.args(["-t", &self.leader.to_string(), "-m", "--", "/bin/sh", "-euc", script]);
        run(enter, 30).exits(0)
    }

    /// A connection to a port of its loopback, without SSH: by a thread that enters its network.
    pub fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let network = File::open(format!("/run/netns/{}", self.netns))?;
        let enter_and_connect = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        };
        thread::scope(|scope| scope.spawn(enter_and_connect).join().unwrap())
    }

    /// A path on it, seen from here.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.root.display()))
    }
}

impl Lab {
    /// Brings the lab up if it isn't, and puts it back to genesis.
    pub fn fresh() -> Self {
        static UP: Once = Once::new();
        Self::kept(Self::named("test", Afterwards::GoesOn), &UP, &["can-run"], &[])
    }

    /// The same with the chain of an SDK application, a provider and a monitoring host.
    pub fn sdk() -> Self {
        static UP: Once = Once::new();
        let options = ["--chain", "simd", "--powers", "40,30,20,10", "--sentries", "1", "--no-bastion"];
        Self::kept(Self::named("simd", Afterwards::StandsStill), &UP, &["can-run", "simd"], &options)
    }

    fn kept(lab: Self, up: &Once, can_run: &[&str], options: &[&str]) -> Self {
        up.call_once(|| {
            // Without root or the lab's parts nothing can be proven: a failure, never a silent pass.
            lab.run(can_run).exits(0);
            lab.run(&[&["up"], options].concat()).exits(0);
        });
        lab.run(&["reset"]).exits(0);
        lab.wait_until_all_sign_after(1);
        lab
    }

    /// Another lab beside it, at genesis, and gone with the value.
    pub fn beside(name: &'static str, options: &[&str]) -> Self {
        let lab = Self::named(name, Afterwards::IsPurged);
        lab.run(&["can-run"]).exits(0);
        lab.run(&[&["up"], options].concat()).exits(0);
        lab.wait_until_all_sign_after(1);
        lab
    }

    fn named(name: &'static str, afterwards: Afterwards) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let states = std::env::var_os("FLEET_LAB_STATE").unwrap_or_else(|| "/var/lib/fleet-lab".into());
        Self { _turn: turn, name, afterwards, states: states.into() }
    }

    /// One of the commands of `scripts/lab`.
    pub fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lab"));
        command.args(["--name", self.name]).args(args).env("FLEET_LAB_STATE", &self.states);
        run(command, 120)
    }

    fn file(&self) -> Hosts {
        let text = std::fs::read_to_string(self.states.join(self.name).join("hosts.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.file().known_hosts
    }

    pub fn host(&self, name: &str) -> Host {
        self.file().hosts.into_iter().find(|host| host.name == name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The nodes of the main chain, by name.
    pub fn nodes(&self) -> Vec<Node> {
        let hosts = self.file().hosts;
        hosts.iter().filter_map(|host| Some(Node::of(host, host.node.as_ref()?))).collect()
    }

    pub fn node(&self, name: &str) -> Node {
        self.nodes().into_iter().find(|node| node.host.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    pub fn validators(&self) -> Vec<Node> {
        self.nodes().into_iter().filter(|node| node.power > 0).collect()
    }

    /// The one node of the second chain.
    pub fn other(&self) -> Node {
        self.others().pop().unwrap()
    }

    fn others(&self) -> Vec<Node> {
        let hosts = self.file().hosts;
        hosts.iter().flat_map(|host| host.services.iter().map(move |facts| Node::of(host, facts))).collect()
    }

    /// The units of these hosts' nodes, or of all for none.
    pub fn units(&self, hosts: &[&str]) -> BTreeMap<String, Unit> {
        let wanted = |node: &Node| hosts.is_empty() || hosts.contains(&node.host.name.as_str());
        let mut nodes: Vec<Node> = self.nodes().into_iter().filter(wanted).collect();
        nodes.extend(self.others().into_iter().filter(|_| hosts.is_empty()));
        nodes.iter().map(|node| (format!("{} {}", node.host.name, node.unit), node.unit_state())).collect()
    }

    /// Hosts on which a run's lock isn't given back.
    pub fn locked(&self) -> Vec<String> {
        let held = |host: &Host| {
            let records = std::fs::read_dir(host.path("/var/lib/fleet/lock")).into_iter().flatten();
            records.map(|record| record.unwrap().path()).any(|record| !record.join("released").exists())
        };
        self.file().hosts.into_iter().filter(held).map(|host| host.name).collect()
    }

    /// Waits until no unit for a stop is left on any host: each takes its own off when it has told that its node stopped.
    pub fn wait_until_no_stop_is_left(&self) {
        let left = |host: &Host| {
            let units = std::fs::read_dir(format!("/proc/{}/root/run/systemd/transient", host.leader));
            let names = units.into_iter().flatten().map(|unit| unit.unwrap().file_name());
            names.into_iter().any(|name| name.to_string_lossy().starts_with("fleet-stop-"))
        };
        let hosts = self.file().hosts;
        until(10, "units for a stop are taken off", || (!hosts.iter().any(left)).then_some(()));
    }

    /// Every unit as `before`, no lock held, and blocks go on.
    pub fn assert_untouched(&self, before: &BTreeMap<String, Unit>) {
        let mut now = self.units(&[]);
        now.retain(|key, _| before.contains_key(key));
        assert_eq!(&now, before, "a unit was touched");
        assert_eq!(self.locked(), [""; 0], "hosts whose lock isn't given back");
        self.wait_until_no_stop_is_left();
        let tip = self.tip();
        until(30, "the chain goes on", || (self.tip() > tip).then_some(()));
    }

    /// Every one of these units was started anew since `before`, and runs.
    pub fn assert_started_anew(&self, before: &BTreeMap<String, Unit>) {
        let now = self.units(&[]);
        for (name, old) in before {
            let new = &now[name];
            assert_eq!(new.state, "active", "{name}");
            assert_ne!(new.entered, old.entered, "{name} was not started anew");
        }
    }
}

impl Lab {
    fn leave(&self) {
        match self.afterwards {
            Afterwards::GoesOn => {}
            Afterwards::StandsStill => {
                let hosts = self.file().hosts;
                self.run(&[&["freeze"], &hosts.iter().map(|host| &*host.name).collect::<Vec<_>>()[..]].concat());
            }
            Afterwards::IsPurged => {
                self.run(&["down", "--purge"]);
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that fails says why; a lab that fails beside it would end them all.
        if std::thread::panicking() {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.leave()));
        } else {
            self.leave();
        }
    }
}
