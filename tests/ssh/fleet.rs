//! The `fleet` program in surroundings of its own, with an inventory that is made for real `sshd`s.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::sshd::{Options, Sshd, executable, login};

/// The addresses that one `sshd` answers at, so that it passes for several hosts.
const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// A home folder, an inventory in it, and the program to run there.
pub struct Fleet {
    pub home: TempDir,
    hosts: String,
}

/// What a run came to.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Run {
    /// Its standard output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl Fleet {
    /// An inventory without hosts; `ssh -G` knows nothing.
    pub fn new() -> Self {
        let fleet = Self { home: TempDir::new().unwrap(), hosts: String::new() };
        fleet.ssh_config("");
        fleet
    }

    /// The hosts `val-1` to `val-3`, which are one `sshd`, trusted.
    pub fn of_three() -> (Self, Sshd) {
        let sshd = Sshd::start(&Options { listen: &ADDRESSES, ..Options::default() });
        let mut fleet = Self::new();
        fleet.host("\"val-[1-3]\"", &format!("127.0.0.[1-3]:{}", sshd.port), &sshd, "");
        let line = |address: &&str| format!("[{address}]:{} {}\n", sshd.port, sshd.host_key("ed25519"));
        fleet.known_hosts(&ADDRESSES.iter().map(line).collect::<String>());
        (fleet, sshd)
    }

    /// Adds a host that takes the client key of `sshd`; `extra` are more lines of its table.
    pub fn host(&mut self, name: &str, address: &str, sshd: &Sshd, extra: &str) {
        let (client, user) = (sshd.path("client"), login());
        self.hosts += &format!(
            "[hosts.{name}]\naddress = \"{address}\"\nrole = \"monitoring\"\n\
             ssh.identity = [\"{}\"]\nssh.user = \"{user}\"\n{extra}\n",
            client.display()
        );
        let text = format!("format = 1\n[fleet]\nname = \"test\"\n[ssh]\nconnect_timeout = \"20s\"\n{}", self.hosts);
        std::fs::write(self.path("inventory.toml"), text).unwrap();
    }

    /// What `ssh -G` reads; keys are recorded in `.ssh/known_hosts` of the home folder.
    pub fn ssh_config(&self, text: &str) {
        let file = self.path("ssh_config");
        let known_hosts = format!("UserKnownHostsFile {}\nGlobalKnownHostsFile none\n", self.recorded().display());
        std::fs::write(&file, format!("{text}\nHost *\n{known_hosts}")).unwrap();
        std::fs::create_dir_all(self.path("bin")).unwrap();
        let real = "PATH=${PATH#*:} exec ssh";
        executable(&self.path("bin/ssh"), &format!("#!/bin/sh\n{real} -F {} \"$@\"\n", file.display()));
    }

    /// A file in the home folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The file that keys are recorded in.
    pub fn recorded(&self) -> PathBuf {
        self.path(".ssh/known_hosts")
    }

    /// Writes it.
    pub fn known_hosts(&self, text: &str) {
        std::fs::create_dir_all(self.path(".ssh")).unwrap();
        std::fs::write(self.recorded(), text).unwrap();
    }

    /// The program, ready to run there.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        let path = std::env::var("PATH").unwrap();
        command.args(args).current_dir(self.home.path()).env_clear().stdin(std::process::Stdio::null());
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env("HOME", self.home.path()).env("USER", login());
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().unwrap().into()
    }
}

/// The files under `folder` with their text, to see that nothing has changed.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            let text = std::fs::read(&entry).unwrap();
            found.push((entry, text));
        }
    }
    found.sort();
    found
}
