//! A hermetic fleet: nothing of this machine's user reaches it, and what it leaves behind can be looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use fleet::sim::{Layout, Sim};

/// The program under test.
pub const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Its bound; far above what anything here takes.
pub const BOUND: Duration = Duration::from_secs(120);

/// A private home and an inventory.
pub struct Fleet {
    home: tempfile::TempDir,
    inventory: PathBuf,
    more: Vec<(&'static str, PathBuf)>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Fleet {
    /// With an inventory of this text.
    pub fn with(inventory: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("fleet.toml");
        fs::write(&path, inventory).unwrap();
        Self { home, inventory: path, more: Vec::new() }
    }

    /// With simulated hosts and their inventory, which the test may edit.
    pub fn simulated(layout: &Layout) -> (Self, Sim) {
        let sim = Sim::start(layout, Path::new(FLEET)).unwrap();
        (Self::with(&fs::read_to_string(sim.inventory()).unwrap()), sim)
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Replaces a part of the inventory that must be there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.inventory).unwrap();
        assert!(text.contains(from), "no {from} in\n{text}");
        fs::write(&self.inventory, text.replacen(from, to, 1)).unwrap();
    }

    /// One more variable for every command.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.more.push((name, value.into()));
    }

    /// The environment of every command: these and no other variable.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let at = |name: &str| self.home.path().join(name);
        let mut all = vec![
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME", self.home.path().to_owned()),
            ("USER", "ops".into()),
            ("TMPDIR", self.temporary()),
            ("XDG_STATE_HOME", at("state")),
            ("XDG_CACHE_HOME", at("cache")),
            ("XDG_CONFIG_HOME", at("config")),
            ("FLEET_INVENTORY", self.inventory.clone()),
        ];
        all.extend(self.more.iter().cloned());
        all
    }

    /// A temporary folder of its own, so that what stays in it can be seen.
    pub fn temporary(&self) -> PathBuf {
        let path = self.home.path().join("tmp");
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The command, ready to run in the home.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(FLEET);
        command.args(args).env_clear().envs(self.environment()).current_dir(self.home.path()).timeout(BOUND);
        command
    }

    /// Runs it without a terminal.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Runs it with one more variable.
    pub fn run_with(&self, variable: (&str, &str), args: &[&str]) -> Ran {
        Ran::of(&self.command(args).env(variable.0, variable.1).output().unwrap())
    }

    /// How many runs were begun.
    pub fn runs(&self) -> usize {
        fs::read_dir(self.home.path().join("state/fleet/runs")).map_or(0, Iterator::count)
    }
}

impl Ran {
    fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Ended with this code, and said all of this on either stream.
    #[track_caller]
    pub fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{self}");
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "no «{word}» in\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n-- out\n{}\n-- err\n{}", self.code, self.out, self.err)
    }
}

/// Nothing was locked, stopped or started on any host.
#[track_caller]
pub fn untouched(sim: &Sim) {
    for host in fs::read_dir(sim.dir().join("hosts")).unwrap() {
        let root = host.unwrap().path().join("root");
        for folder in ["run/fleet", "var/lib/fleet"] {
            assert!(!root.join(folder).exists(), "{} is there", root.join(folder).display());
        }
    }
}

/// Waits, within bounds.
#[track_caller]
pub fn eventually(what: &str, mut reached: impl FnMut() -> bool) {
    let started = Instant::now();
    while !reached() {
        assert!(started.elapsed() < BOUND, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes whose environment or arguments name this folder.
pub fn processes(folder: &Path) -> Vec<String> {
    let mark = folder.display().to_string();
    let names = |pid: &String| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(&mark)
        })
    };
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(names).collect()
}
