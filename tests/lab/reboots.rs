//! Hosts that reboot while their log is replaced: it is the old one or the new one, whole, and the chain goes on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fleet::chain::wal::record::{self, End};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::clear::{CLEAR, aside};
use crate::controller::{CHAIN, Controller};
use crate::lab::{Host, Lab, Node};
use crate::process::{Said, until};
use crate::wal::strand;

/// Where a host stands still while it replaces a log: by the files that are flushed there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The old log is linked aside, and the new one is written and not in its place.
    BeforeItIsSet,
    /// The new log is in its place, and its step isn't over.
    AfterItWasSet,
}

impl Moment {
    const fn flushed(self) -> &'static str {
        match self {
            Self::BeforeItIsSet => "*/.sha256",
            Self::AfterItWasSet => "*/cs.wal",
        }
    }
}

/// In what a reboot empties: that the host stands still at its moment, and that it does.
const HOLD: &str = "/run/fleet-hold";
const HELD: &str = "/run/fleet-held";

/// A path on a host that only its own processes see.
fn in_memory(host: &Host, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{path}", host.leader))
}

/// From now until it reboots, the host stands still at this moment.
fn hold(host: &Host, moment: Moment) {
    let program = host.path("/usr/local/bin/sync");
    let flushed = moment.flushed();
    let text = format!(
        "#!/bin/sh\nfor file; do\n\tcase $file in {flushed}) [ -e {HOLD} ] && : >{HELD} && exec sleep 600 ;; esac\ndone\n\
         exec /usr/bin/sync \"$@\"\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    host.inside(&["touch", HOLD]);
}

/// The old log of a node that doesn't run.
fn old(node: &Node) -> Vec<u8> {
    let live = || fs::read(&node.wal).unwrap();
    aside(node).last().map_or_else(live, |folder| fs::read(folder.join("wal")).unwrap())
}

/// Whether a log begins with the one whose hash and size stand in a mark.
fn begins_with(log: &[u8], mark: &Path) -> bool {
    let mark = fs::read_to_string(mark).unwrap();
    let (hash, size) = mark.trim().split_once(' ').unwrap();
    let set = &log[..size.parse().unwrap()];
    record::read(set).1 == End::Clean && hex::encode(Sha256::digest(set)) == hash
}

/// The node has its old log and goes on in it, or the new one and the old one set aside. Whether it is the new one.
#[track_caller]
fn is_whole(node: &Node, old: &[u8]) -> bool {
    let (live, name) = (fs::read(&node.wal).unwrap(), &node.host.name);
    if live.starts_with(old) {
        return false;
    }
    let [folder] = &aside(node)[..] else { panic!("{name}: {:?}", aside(node)) };
    // A reboot may have had the node write on in it before it was replaced.
    assert!(fs::read(folder.join("wal")).unwrap().starts_with(old), "{name}");
    assert!(begins_with(&live, &folder.join(".sha256")), "{name}");
    true
}

/// How many hosts have told that their new log is in its place.
fn logs_set(fleet: &Controller) -> usize {
    let events = fleet.events();
    let is_ours = |event: &&Value| {
        event["event"] == "stage_started" && ["decide", "log"].map(Value::from).contains(&event["name"])
    };
    let Some(stage) = events.iter().find(is_ours).map(|event| &event["stage"]) else { return 0 };
    events.iter().filter(|event| event["event"] == "step_ended" && event["stage"] == *stage).count()
}

/// fleet dies while `host` stands still at `moment`; the host reboots, and the run is resumed. What it said, and by host
/// whether its log is the new one.
fn rebooted(
    (lab, fleet): (&Lab, &Controller),
    (host, moment): (&str, Moment),
    words: &[&str],
    meanwhile: impl Fn(),
) -> (Said, BTreeMap<String, bool>) {
    hold(&lab.host(host), moment);
    let mut running = fleet.start(words);
    let held = in_memory(&lab.host(host), HELD);
    running.until(60, &format!("{host} replaces its log"), || held.exists());
    let is_one = |node: &Node| node.host.name == host || words[0] == "restart";
    let replaced = lab.nodes().into_iter().filter(is_one).count();
    running.until(60, "the others have their new logs", || logs_set(fleet) + 1 == replaced);
    running.kill();
    let logs: BTreeMap<String, Vec<u8>> = lab.nodes().iter().map(|node| (node.host.name.clone(), old(node))).collect();
    lab.run(&["reboot", host]).exits(0);
    until(30, "the reboot has started the node", || (lab.node(host).unit_state().pid != 0).then_some(()));
    meanwhile();
    let said = fleet.fleet(&["resume", "--yes"]);
    let new = lab.nodes().into_iter().map(|node| (node.host.name.clone(), is_whole(&node, &logs[&node.host.name])));
    (said, new.collect())
}

fn clearing(moment: Moment) {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let words = [&["restart", CHAIN, "--coordinated", "--yes", "--blocks", "1"], &CLEAR[..]].concat();
    let (said, new) = rebooted((&lab, &fleet), ("val-2", moment), &words, || ());
    for (host, new) in new {
        assert_eq!(new, host != "val-2" || moment == Moment::AfterItWasSet, "{host}: {said}");
    }
    match moment {
        Moment::BeforeItIsSet => drop(said.exits(4).says("val-2 keeps the log it has").says("chain advancing")),
        Moment::AfterItWasSet => drop(said.exits(0)),
    }
    lab.wait_until_all_sign_again();
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn a_host_that_reboots_before_its_log_is_cleared_keeps_it_and_signs_again() {
    clearing(Moment::BeforeItIsSet);
}

#[test]
fn a_host_that_reboots_after_its_log_was_cleared_signs_again_with_the_new_one() {
    clearing(Moment::AfterItWasSet);
}

fn revival(moment: Moment) {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let tip = strand(&lab);
    let words = ["wal", "revive", "-l", CHAIN, "--on", "sentry-2", "--yes", "--blocks", "1"];
    let (said, new) = rebooted((&lab, &fleet), ("sentry-2", moment), &words, || {
        // The new log is all that the chain waits for, and its node writes on in it.
        if moment == Moment::AfterItWasSet {
            lab.wait_until_all_sign_after(tip);
        }
    });
    for (host, new) in new {
        assert_eq!(new, host == "sentry-2", "{host}: {said}");
    }
    said.exits(0);
    lab.wait_until_all_sign_after(tip);
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn a_host_that_reboots_before_the_log_of_a_revival_is_set_gets_it_by_the_resume() {
    revival(Moment::BeforeItIsSet);
}

#[test]
fn a_host_that_reboots_after_the_log_of_a_revival_was_set_revives_the_chain() {
    revival(Moment::AfterItWasSet);
}
