//! The demo brings its chain back and leaves nothing behind, whenever it is left.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::fleet::{FLEET, Fleet, eventually, processes};

/// Files in the demo's temporary folder.
fn left_behind(fleet: &Fleet) -> Vec<String> {
    let entries = fs::read_dir(fleet.temporary()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[track_caller]
fn nothing_is_left(fleet: &Fleet) {
    assert_eq!(left_behind(fleet), [""; 0]);
    assert_eq!(processes(&fleet.temporary()), [""; 0]);
    for folder in ["state", "cache", ".ssh"] {
        assert!(!fleet.home().join(folder).exists(), "{folder}: the demo's runs are not the user's");
    }
}

/// A demo whose output is read later.
fn demo(fleet: &Fleet) -> Child {
    let mut demo = Command::new(FLEET);
    demo.arg("demo").env_clear().envs(fleet.environment()).stdin(Stdio::null());
    demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn it_brings_the_chain_back_and_leaves_nothing() {
    let fleet = Fleet::with("");
    let ran = fleet.run(&["demo"]);
    let told = ["These hosts are simulated", "$ fleet status\nvirtengine-1  STOPPED at 1204331", "quorum 67"];
    ran.says(0, &told);
    ran.says(0, &["$ fleet restart --coordinated --yes", "9 of 9 proven stopped", "chain advancing"]);
    ran.says(0, &["$ fleet runs report ", "$ fleet status\nvirtengine-1  advancing", "nothing is left"]);
    assert_eq!(ran.err, "");
    nothing_is_left(&fleet);
}

#[test]
fn an_interrupt_in_the_middle_cleans_up_too() {
    let fleet = Fleet::with("");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let demo = demo(&fleet);
        // In the middle of a coordinated restart: the first lock is there.
        let armed = || {
            let sims = left_behind(&fleet);
            let hosts = sims.iter().map(|sim| fleet.temporary().join(sim).join("sim/hosts/val-1/root/run/fleet"));
            hosts.into_iter().any(|lease| lease.exists())
        };
        eventually("the first host is locked", armed);
        kill_process(Pid::from_raw(demo.id().cast_signed()).unwrap(), signal).unwrap();
        let output = demo.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(err.contains("left the demo"), "{err}");
        nothing_is_left(&fleet);
    }
}

#[test]
fn what_is_kept_can_be_looked_at_with_the_command_it_names() {
    let fleet = Fleet::with("");
    let ran = fleet.run(&["demo", "--keep"]);
    ran.says(0, &["have ended with this command"]);
    assert_eq!(processes(&fleet.temporary()), [""; 0]);
    let (_, command) = ran.out.split_once("journal: ").unwrap();
    let command = command.lines().next().unwrap();
    let (state, _) = command.strip_prefix("XDG_STATE_HOME=").unwrap().split_once(' ').unwrap();
    assert!(command.ends_with(" fleet runs list"), "{command}");
    fleet
        .run_with(("XDG_STATE_HOME", state), &["runs", "list"])
        .says(0, &["coordinated restart of virtengine-1: done"]);
    let (_, folder) = ran.out.split_once("Kept: ").unwrap();
    let host = std::path::Path::new(folder.lines().next().unwrap()).join("hosts/val-1");
    for part in ["home/data/priv_validator_state.json", "root", "bin"] {
        assert!(host.join(part).exists(), "{part}");
    }
}
