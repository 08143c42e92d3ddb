//! The end of an SSH session, or another fleet, in the middle of a backup or of a restore.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::backup::paths;
use crate::controller::Controller;
use crate::lab::{Host, Lab, Node};
use crate::process::Running;
use crate::restore::signed;

/// A program of a host whose next call with some word stands still, until the value is dropped.
struct Held<'a> {
    host: &'a Host,
    program: PathBuf,
}

impl<'a> Held<'a> {
    /// These lines run in its place before it stands still.
    fn new(host: &'a Host, name: &str, word: &str, lines: &str) -> Self {
        let program = host.path(&format!("/usr/local/bin/{name}"));
        let text = format!(
            "#!/bin/sh\ncase \" $* \" in *' {word} '*)\nif mv /run/fleet-hold /run/fleet-held 2>/dev/null; then\n{lines}\n\
             touch /run/fleet-still; while [ -e /run/fleet-held ]; do sleep 0.1; done; exit 0\nfi ;;\nesac\n\
             exec /bin/{name} \"$@\"\n"
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        host.inside(&["touch", "/run/fleet-hold"]);
        Self { host, program }
    }

    /// What is to call it is under way meanwhile.
    fn wait_until_it_stands_still(&self, running: &mut Running) {
        let still = || self.host.inside(&["find", "/run", "-maxdepth", "1", "-name", "fleet-still"]).out;
        running.until(60, "the program stands still", || !still().is_empty());
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        fs::remove_file(&self.program).unwrap();
        self.host.inside(&["rm", "-f", "/run/fleet-hold", "/run/fleet-held", "/run/fleet-still"]);
    }
}

impl Host {
    /// Every process of sshd that serves a session ends as if it had crashed; a new one is refused as long as `refused`.
    fn kill_sessions(&self, refused: bool) {
        let listener = if refused { "systemctl stop ssh;" } else { "" };
        let ended = self.inside(&["sh", "-c", &format!("{listener} pkill -9 -e -f '^sshd: ops'")]);
        assert!(ended.out.contains("sshd killed"), "{ended}");
    }

    fn accept_sessions(&self) {
        self.inside(&["systemctl", "start", "ssh"]);
    }
}

/// What fleet has left in the databases' folder.
fn left(node: &Node) -> Vec<PathBuf> {
    let entries = fs::read_dir(node.signer_file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().contains(".fleet-")).collect()
}

fn start(fleet: &Controller, words: &[&str]) -> Running {
    let store = fleet.store();
    fleet.start(&[words, &["--yes", "--store", store.to_str().unwrap()]].concat())
}

/// Half an archive, and half of one unpacked.
const HALF: &str = "/bin/tar \"$@\" | head -c 100000";
const HALF_UNPACKED: &str = "head -c 100000 | /bin/tar \"$@\"";

/// A backup of a sentry's databases, whose stream stands still in the middle.
fn caught_streaming<'a>(fleet: &Controller, node: &'a Node) -> (Held<'a>, Running) {
    let held = Held::new(&node.host, "tar", "--create", HALF);
    let mut running = start(fleet, &["backup", &node.host.name, "--profile", "data"]);
    held.wait_until_it_stands_still(&mut running);
    (held, running)
}

fn assert_whole(fleet: &Controller, lab: &Lab, node: &Node) {
    assert!(paths(&fleet.manifests()[0]).contains(&"data/application.db/CURRENT"));
    let store = fleet.store();
    fleet.fleet(&["snapshot", "verify", "--store", store.to_str().unwrap()]).exits(0);
    assert_eq!((left(node), lab.locked()), (Vec::new(), Vec::new()));
}

#[test]
fn sessions_that_are_killed_in_the_middle_of_a_stream_are_made_anew_and_the_backup_completes() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("sentry-1");
    let (held, running) = caught_streaming(&fleet, &node);
    let before = node.unit_state();
    node.host.kill_sessions(false);
    drop(held);
    running.end(150).exits(0).says("1 snapshot");
    assert_eq!(node.unit_state(), before, "it was stopped a second time");
    assert_whole(&fleet, &lab, &node);
}

#[test]
fn a_host_that_is_lost_in_the_middle_of_a_stream_leaves_no_half_snapshot_and_the_run_is_resumed() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("sentry-1");
    let (held, running) = caught_streaming(&fleet, &node);
    let before = node.unit_state();
    node.host.kill_sessions(true);
    drop(held);
    let said = running.end(150).exits(4);
    assert!(!fleet.store().join("manifests").exists() || fleet.manifests().is_empty(), "half of it was kept: {said}");
    node.host.accept_sessions();
    fleet.fleet(&["resume", "--yes"]).exits(0).says("1 snapshot");
    assert_eq!(node.unit_state(), before, "it was stopped a second time");
    assert_whole(&fleet, &lab, &node);
}

#[test]
fn sessions_that_are_killed_in_the_middle_of_a_restores_stream_change_nothing_and_the_run_is_resumed() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    // They have lost their one sentry for a moment, and a stop without their votes is refused.
    lab.wait_until_all_sign_again();
    let node = lab.node("val-3");
    let held = Held::new(&node.host, "tar", "--extract", HALF_UNPACKED);
    let before = (node.unit_state(), signed(&node));
    let mut running = start(&fleet, &["restore", "latest", "val-3"]);
    held.wait_until_it_stands_still(&mut running);
    node.host.kill_sessions(false);
    drop(held);
    running.end(150).exits(4).says("Nothing was started");
    assert_eq!(node.unit_state(), before.0, "it was to be stopped only when all had come");
    let tip = lab.tip();
    fleet.fleet(&["resume", "--yes"]).exits(0).says("val-3 restored from height");
    lab.wait_until_sign_after(tip, &["val-3"]);
    assert!(signed(&node) > before.1);
    fleet.fleet(&["restore", "release", "val-3", "--yes"]).exits(0);
    assert_eq!((left(&node), lab.locked()), (Vec::new(), Vec::new()));
}

#[test]
fn of_two_backups_of_one_chain_at_once_the_second_changes_nothing() {
    let lab = Lab::sdk();
    let (fleet, other) = (Controller::new(&lab, &[]), Controller::new(&lab, &[]));
    let node = lab.node("sentry-1");
    let held = Held::new(&node.host, "cp", "--reflink=auto", "/bin/cp \"$@\"");
    let mut running = start(&fleet, &["backup", "sentry-1", "--profile", "data"]);
    held.wait_until_it_stands_still(&mut running);
    assert_eq!(node.unit_state().state, "inactive");
    let validator = lab.units(&["val-3"]);
    let said = other.backup(&["sentry-1 or val-3", "--profile", "data"]).exits(75).says("tester@");
    assert!(!other.store().join("manifests").exists() && lab.units(&["val-3"]) == validator, "{said}");
    drop(held);
    running.end(120).exits(0).says("1 snapshot");
    other.backup(&["sentry-1", "--profile", "data"]).exits(0);
    assert_eq!(node.unit_state().state, "active");
}
