//! A simulated fleet and the program that operates it, with folders of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fleet::model::facts::SignerState;
use fleet::sim::control::Request;
use fleet::sim::{ChainState, Fault, Layout, Sim};
use serde_json::Value;

pub const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Simulated hosts, and an operator's machine.
pub struct Rig {
    pub sim: Sim,
    machine: tempfile::TempDir,
}

/// What came of a command.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

/// A command that runs.
pub struct Running {
    pub child: Child,
    folder: PathBuf,
    begun: Instant,
}

/// Four validators of 10 each and a sentry, with short block times.
pub fn small() -> Layout {
    Layout { block_time_ms: 300, join_ms: 300, ..Layout::with(&[10, 10, 10, 10], 1) }
}

/// The same with blocks that come as fast as a busy machine can follow, for tests of many runs.
pub fn quick() -> Layout {
    Layout { block_time_ms: 150, join_ms: 150, ..small() }
}

/// As [`small`], halted: two validators are down.
pub fn halted() -> Layout {
    Layout { down: vec!["val-1".into(), "val-2".into()], ..small() }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where the hosts are as slow as the machine of the tests is busy, facts are waited for; a test may say for how long.
fn patience(words: &str) -> &'static [&'static str] {
    match words.split(' ').find(|word| *word != "wal") {
        Some("halt" | "restart" | "restore" | "revive" | "start") if !words.contains("--facts-timeout") => {
            &["--facts-timeout", "60s"]
        }
        Some("status") => &["--timeout", "60s"],
        _ => &[],
    }
}

impl Rig {
    pub fn new(layout: &Layout) -> Self {
        let sim = Sim::start(layout, Path::new(FLEET)).unwrap();
        // Where the machine of the tests is busy, even a healthy host takes its time to let one in.
        let text = std::fs::read_to_string(sim.inventory()).unwrap();
        let patient = text.replace("connect_timeout = \"5s\"", "connect_timeout = \"40s\"");
        assert_ne!(text, patient);
        std::fs::write(sim.inventory(), patient).unwrap();
        Self { sim, machine: tempfile::tempdir().unwrap() }
    }

    /// A folder of the operator's machine.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.machine.path().join(name)
    }

    /// `fleet` with these words, in an environment that holds nothing of this machine.
    pub fn fleet(&self, words: &str) -> Command {
        let mut command = Command::new(FLEET);
        command
            .args(words.split_whitespace())
            .args(patience(words))
            .env_clear()
            .stdin(Stdio::null())
            .current_dir(self.machine.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("USER", "ana");
        for (name, folder) in
            [("HOME", "home"), ("XDG_STATE_HOME", "state"), ("XDG_CACHE_HOME", "cache"), ("XDG_CONFIG_HOME", "config")]
        {
            std::fs::create_dir_all(self.folder(folder)).unwrap();
            command.env(name, self.folder(folder));
        }
        command.env("FLEET_INVENTORY", self.sim.inventory());
        command
    }

    pub fn start(&self, words: &str) -> Running {
        self.start_command(self.fleet(words))
    }

    pub fn start_command(&self, mut command: Command) -> Running {
        let folder = tempfile::tempdir_in(self.machine.path()).unwrap().keep();
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Running { child, folder, begun: Instant::now() }
    }

    pub fn run(&self, words: &str) -> Ran {
        self.start(words).wait()
    }

    pub fn fault(&self, host: &str, fault: Fault) {
        self.sim.control().fault(host, fault).unwrap();
    }

    pub fn chain(&self) -> ChainState {
        self.sim.control().chain().unwrap()
    }

    /// What a program of a host says.
    pub fn ask(&self, host: &str, command: &str) -> String {
        let mut words = command.split_whitespace().map(str::to_owned);
        let (host, program) = (host.to_owned(), words.next().unwrap());
        self.sim.control().ask(&Request::Call { host, program, args: words.collect() }).unwrap().out.trim().to_owned()
    }

    pub fn hosts(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sim.dir().join("hosts")).unwrap();
        let mut hosts: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        hosts.sort();
        hosts
    }

    /// The main process of each host's node; 0 where none runs.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let pid = |host: &String| self.ask(host, "systemctl show virtengined -p MainPID --value").parse().unwrap();
        self.hosts().into_iter().map(|host| (host.clone(), pid(&host))).collect()
    }

    pub fn active(&self, host: &str) -> String {
        self.ask(host, "systemctl is-active virtengined")
    }

    pub fn all_active(&self) -> bool {
        self.hosts().iter().all(|host| self.active(host) == "active")
    }

    /// How often a host's node was started since the outset.
    pub fn starts(&self, host: &str) -> usize {
        self.ask(host, "journalctl -q -o cat").lines().filter(|line| line.contains("Starting Node")).count()
    }

    /// Waits for a block after now.
    pub fn advances(&self) {
        let height = self.chain().height;
        eventually("another block", || self.chain().height > height);
    }

    pub fn stands(&self) -> bool {
        let height = self.chain().height;
        std::thread::sleep(Duration::from_secs(1));
        self.chain().height == height
    }

    /// The lock of a host that is held: its run.
    pub fn lock(&self, host: &str) -> Option<String> {
        let locks = self.sim.host(host).join("root/var/lib/fleet/lock");
        let epochs = std::fs::read_dir(&locks).ok()?;
        let top = epochs.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok()).max()?;
        let top = locks.join(top.to_string());
        let held = !top.join("released").exists();
        held.then(|| std::fs::read_to_string(top.join("run")).unwrap().trim().to_owned())
    }

    pub fn locked(&self) -> Vec<String> {
        self.hosts().into_iter().filter(|host| self.lock(host).is_some()).collect()
    }

    /// The ids of all runs, oldest first.
    pub fn runs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder("state/fleet/runs")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// The journal of the last run, as far as it is written.
    fn journal(&self) -> String {
        let Some(run) = self.runs().pop() else { return String::new() };
        std::fs::read_to_string(self.folder("state/fleet/runs").join(run).join("events.jsonl")).unwrap_or_default()
    }

    /// How many events the last run has.
    pub fn recorded(&self) -> usize {
        self.journal().matches('\n').count()
    }

    /// The events of the last run.
    pub fn events(&self) -> Vec<Value> {
        let text = self.journal();
        let whole = text.rfind('\n').map_or("", |at| &text[..at]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the last run has an event of this name.
    pub fn reached(&self, event: &str) {
        eventually(event, || self.events().iter().any(|one| one["event"] == event));
    }

    /// Everything that must be so when a fleet is well: all run, blocks come, no lock is held.
    pub fn is_well(&self, before: &BTreeMap<String, SignerState>, context: &str) {
        assert!(self.all_active(), "{context}: {:?}", self.pids());
        self.advances();
        assert_eq!(self.locked(), Vec::<String>::new(), "{context}");
        self.signers_never_went_back(before, context);
    }

    pub fn signers_never_went_back(&self, before: &BTreeMap<String, SignerState>, context: &str) {
        for (host, now) in self.chain().signers {
            assert!(now >= before[&host], "{context}: {host} went back from {:?} to {now:?}", before[&host]);
        }
    }
}

impl Running {
    pub fn wait(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.begun.elapsed() > PATIENCE * 3 {
                self.child.kill().unwrap();
                panic!("it hangs: {}", self.out());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let took = self.begun.elapsed();
        Ran { code: status.code(), out: self.out(), err: self.read("err"), took }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    pub fn out(&self) -> String {
        self.read("out")
    }

    /// Waits until it has said this.
    pub fn says(&self, text: &str) {
        eventually(text, || self.out().contains(text));
    }
}

impl Ran {
    /// The same, if it ended so.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "after {:?}\n{}\n{}", self.took, self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in\n{}\n{}", self.out, self.err);
        self
    }
}

/// Cuts links after 300 bytes, and after so many more each time, below `most`; four chains side by side.
pub fn every_cut(stride: u64, most: u64, cut_after: fn(&Rig, u64)) {
    let next = AtomicU64::new(300);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let rig = Rig::new(&quick());
                while let bytes = next.fetch_add(stride, Ordering::Relaxed)
                    && bytes < most
                {
                    cut_after(&rig, bytes);
                }
            });
        }
    });
}
