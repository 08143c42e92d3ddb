//! A machine that fleet runs on: its own home, journal and inventory.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::Lab;
use crate::process::{Running, Said, until};

/// The main chain's nodes: with two chains in the inventory one must be named.
pub const CHAIN: &str = "chain:virtengine";

/// The longest that a command may take here.
const BOUND: u64 = 150;

pub struct Controller {
    home: TempDir,
}

impl Controller {
    /// With the inventory that `scripts/lab inventory` prints for these options.
    pub fn new(lab: &Lab, options: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let said = lab.run(&[&["inventory"], options].concat()).exits(0);
        std::fs::write(home.path().join("inventory.toml"), said.out).unwrap();
        Self { home }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Changes the text of the inventory.
    pub fn edit_inventory(&self, edit: impl Fn(&str) -> String) {
        let path = self.path("inventory.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let edited = edit(&text);
        assert_ne!(text, edited, "the edit changes nothing");
        std::fs::write(path, edited).unwrap();
    }

    /// Starts fleet in an environment of its own.
    pub fn start(&self, args: &[&str]) -> Running {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_fleet")), args)
    }

    /// The same, started by something else.
    pub fn start_as(&self, mut command: Command, args: &[&str]) -> Running {
        command.args(args).current_dir(self.home.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.home.path()).env("USER", "tester");
        command.env("XDG_STATE_HOME", self.path("state")).env("XDG_CACHE_HOME", self.path("cache"));
        Running::start(command)
    }

    /// Runs fleet to its end.
    pub fn fleet(&self, args: &[&str]) -> Said {
        self.start(args).end(BOUND)
    }

    /// Runs a command on the main chain to its end.
    pub fn on_chain(&self, args: &[&str]) -> Said {
        self.fleet(&[args, &["-l", CHAIN]].concat())
    }

    /// Runs a coordinated restart of the main chain with further options to its end.
    pub fn restart(&self, options: &[&str]) -> Said {
        self.start_restart(options).end(BOUND)
    }

    pub fn start_restart(&self, options: &[&str]) -> Running {
        self.start(&[&["restart", CHAIN, "--coordinated", "--yes", "--blocks", "1"], options].concat())
    }

    /// The plan of a coordinated restart as JSON, with its digests.
    pub fn plan(&self, options: &[&str]) -> Value {
        let said = self.restart(&[&["--dry-run", "-o", "json"], options].concat()).exits(0);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// A time that is far enough ahead for `plans` more plans and a run to be armed, however slow this machine is now.
    pub fn time_ahead(&self, plans: u32) -> String {
        let begun = Instant::now();
        self.plan(&[]);
        let ahead = begun.elapsed() * (plans + 2) + Duration::from_secs(8);
        let at = jiff::Timestamp::try_from(SystemTime::now() + ahead).unwrap();
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Everything that this controller's journals hold.
    pub fn events(&self) -> Vec<Value> {
        let runs = std::fs::read_dir(self.path("state/fleet/runs")).into_iter().flatten();
        let texts = runs.filter_map(|run| std::fs::read_to_string(run.ok()?.path().join("events.jsonl")).ok());
        texts
            .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Waits until the journal holds an event for which `is` holds.
    pub fn wait_for_event(&self, what: &str, is: impl Fn(&Value) -> bool) {
        until(60, &format!("{what} in the journal"), || self.events().iter().any(&is).then_some(()));
    }
}
