//! Databases of a real chain's nodes come back from a snapshot: by the blocks that they sign then, not by fleet's word.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::controller::Controller;
use crate::lab::{Lab, Node};
use crate::process::{Said, until};

/// What the signer has signed last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed(u64, u64, u64);

pub fn signed(node: &Node) -> Signed {
    let state: serde_json::Value = serde_json::from_slice(&fs::read(&node.signer_file).unwrap()).unwrap();
    let height = state["height"].as_str().unwrap().parse().unwrap();
    Signed(height, state["round"].as_u64().unwrap_or(0), state["step"].as_u64().unwrap())
}

fn data(node: &Node) -> &Path {
    node.signer_file.parent().unwrap()
}

fn databases(node: &Node) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(node)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "db")).collect()
}

/// What fleet has left beside the databases.
fn left(node: &Node) -> Vec<String> {
    let entries = fs::read_dir(data(node)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.contains(".fleet-")).collect()
}

fn is_held(node: &Node) -> bool {
    node.host.path(&format!("/var/lib/fleet/hold/{}", node.unit)).exists()
}

fn wipe(node: &Node) {
    for path in databases(node) {
        fs::remove_dir_all(path).unwrap();
    }
}

impl Controller {
    pub fn restore(&self, words: &[&str]) -> Said {
        let store = self.store();
        self.fleet(&[&["restore"], words, &["--store", store.to_str().unwrap(), "--catch-up", "120s"]].concat())
    }
}

#[test]
fn a_validator_whose_databases_were_wiped_signs_again_and_its_signer_never_goes_back() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    let node = lab.node("val-3");
    // The snapshot is older than what the validator has signed by now.
    let at = lab.tip();
    node.wait_for_block_above(at + 5);
    node.stop();
    let (before, log) = (signed(&node), fs::read(&node.wal).unwrap());
    wipe(&node);
    let others = lab.units(&["val-1", "val-2", "sentry-2"]);
    let tip = lab.tip();
    fleet.restore(&["latest", "val-3", "--yes"]).exits(0).says("val-3 restored from height").says("behind");
    let told =
        |event: &serde_json::Value| event["text"].as_str().is_some_and(|text| text.contains("blocks to catch up"));
    assert!(fleet.events().iter().any(|event| event["event"] == "remark" && told(event)), "not told before the start");
    lab.wait_until_sign_after(tip, &["val-3"]);
    assert!(signed(&node) > before, "{:?} after {before:?}", signed(&node));
    assert!(fs::read(&node.wal).unwrap().starts_with(&log), "its log was touched");
    assert_eq!(lab.units(&["val-1", "val-2", "sentry-2"]), others, "another node was restarted");
    assert!(!is_held(&node) && lab.locked().is_empty());
    fleet.fleet(&["restore", "release", "val-3", "--yes"]).exits(0);
    assert_eq!(left(&node), [""; 0]);
    lab.wait_until_all_sign_again();
}

#[test]
fn a_divergent_node_gets_the_databases_of_another_and_its_own_are_kept() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    lab.wait_until_all_sign_again();
    let node = lab.node("val-5");
    let table = databases(&node).into_iter().find(|path| path.ends_with("state.db")).unwrap().join("divergent");
    fs::write(&table, "as it was").unwrap();
    let before = lab.units(&["val-5"]);
    fleet.restore(&["sentry-1:latest", "val-5", "--yes"]).exits(0);
    lab.assert_started_anew(&before);
    assert!(!table.exists());
    let kept = left(&node).into_iter().find(|name| name.starts_with("state.db.fleet-")).unwrap();
    assert_eq!(fs::read_to_string(data(&node).join(kept).join("divergent")).unwrap(), "as it was");
    lab.wait_until_all_sign_again();
}

#[test]
fn a_key_without_its_signers_state_and_a_chain_without_its_quorum_are_refused() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    let before = lab.units(&[]);
    fleet.restore(&["latest", "val-1", "val-2", "--yes"]).exits(3).says("quorum");
    lab.assert_untouched(&before);
    let tip = lab.tip();
    fleet.restore(&["latest", "val-1", "val-2", "--yes", "--accept", "quorum"]).exits(0).says("warning (quorum)");
    assert!(lab.tip() >= tip + 3, "at {}: votes of before the stop at {tip} were taken for new ones", lab.tip());
    let node = lab.node("val-5");
    node.stop();
    let aside = node.signer_file.with_extension("kept");
    fs::rename(&node.signer_file, &aside).unwrap();
    wipe(&node);
    fleet.restore(&["latest", "val-5", "--yes"]).exits(3).says("signer-pair");
    assert!(!node.signer_file.exists() && databases(&node).is_empty() && left(&node).is_empty());
    fs::rename(&aside, &node.signer_file).unwrap();
    fleet.restore(&["latest", "val-5", "--yes"]).exits(0);
    lab.wait_until_all_sign_again();
}

/// The host stands still when it is about to set this database aside, until it reboots.
fn stands_still_at(node: &Node, database: &str) {
    let program = node.host.path("/usr/local/bin/mv");
    let text = format!(
        "#!/bin/sh\nfor file; do\n\tcase $file in */{database}) [ -e /run/fleet-hold ] && exec sleep 600 ;; esac\ndone\n\
         exec /bin/mv \"$@\"\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    node.host.inside(&["touch", "/run/fleet-hold"]);
}

#[test]
fn a_reboot_in_the_middle_leaves_the_node_down_until_the_run_is_resumed() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    let node = lab.node("val-3");
    lab.wait_until_all_sign_again();
    let before = signed(&node);
    stands_still_at(&node, "state.db");
    let store = fleet.store();
    let mut running = fleet.start(&["restore", "latest", "val-3", "--yes", "--store", store.to_str().unwrap()]);
    // Names are exchanged in their order: those before it are, it isn't.
    running.until(60, "half of it is exchanged", || {
        left(&node).iter().any(|name| name.starts_with("blockstore.db.fleet-"))
    });
    running.kill();
    assert!(is_held(&node));
    lab.run(&["reboot", "val-3"]).exits(0);
    let node = lab.node("val-3");
    until(60, "the host is up", || {
        node.host.inside(&["systemctl", "show", "--property=NJobs"]).out.contains("NJobs=0").then_some(())
    });
    let condition =
        node.host.inside(&["systemctl", "show", &node.unit, "--property=ConditionResult,MainPID,UnitFileState"]);
    assert!(condition.out.contains("ConditionResult=no") && condition.out.contains("MainPID=0"), "{condition}");
    assert!(condition.out.contains("UnitFileState=enabled"), "it would have started: {condition}");
    // By hand it doesn't start either.
    node.host.inside(&["systemctl", "start", &node.unit]);
    assert_eq!(node.unit_state().pid, 0);
    let tip = lab.tip();
    fleet.fleet(&["resume", "--yes"]).exits(0);
    lab.wait_until_sign_after(tip, &["val-3"]);
    assert!(signed(&node) > before && !is_held(&node));
    assert_eq!(lab.locked(), [""; 0]);
    fleet.fleet(&["restore", "release", "val-3", "--yes"]).exits(0);
    assert_eq!(left(&node), [""; 0]);
}

#[test]
fn the_whole_fleet_goes_back_to_the_height_at_which_it_was_halted() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.on_chain(&["halt", "--yes"]).exits(0);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    let before: Vec<(Node, Signed)> = lab.validators().into_iter().map(|node| (node.clone(), signed(&node))).collect();
    for node in lab.nodes() {
        wipe(&node);
    }
    fleet.restore(&["latest", "chain:virtengine", "--yes"]).exits(0).says("databases exchanged on 9 of 9");
    lab.wait_until_all_sign_again();
    for (node, state) in before {
        assert!(signed(&node) > state, "{}", node.host.name);
    }
    assert_eq!(lab.locked(), [""; 0]);
}
