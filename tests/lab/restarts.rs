//! Halts, starts and coordinated restarts of the whole chain.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use crate::controller::{CHAIN, Controller};
use crate::lab::Lab;
use crate::process::until;

/// The inode and the first record of every WAL: a WAL that was kept has both still.
fn wals(lab: &Lab) -> BTreeMap<String, (u64, Vec<u8>)> {
    let wal = |path: &std::path::Path| {
        let inode = std::fs::metadata(path.parent().unwrap()).unwrap().ino();
        (inode, std::fs::read(path).unwrap()[..54].to_vec())
    };
    lab.nodes().iter().map(|node| (node.host.name.clone(), wal(&node.wal))).collect()
}

#[test]
fn a_healthy_chain_restarts_with_its_wals_and_all_sign_again() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let (mut units, wals_before) = (lab.units(&[]), wals(&lab));
    let other = units.remove("val-6 otherd.service").unwrap();
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
    lab.assert_started_anew(&units);
    assert_eq!(wals(&lab), wals_before);
    assert_eq!(lab.other().unit_state(), other, "the second chain on val-6 was touched");
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn a_chain_short_of_power_is_told_and_brought_back() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    lab.node("val-2").stop();
    lab.node("val-3").stop();
    lab.wait_until_halted();
    let said = until(30, "fleet status tells that the chain stands", || {
        let said = fleet.fleet(&["status", CHAIN]);
        said.out.contains("STOPPED").then_some(said)
    });
    said.exits(1).says("virtengine-1  STOPPED at").says("online 65 of 100, quorum 67").says("val-[2-3] 35");
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
    fleet.fleet(&["status", CHAIN]).exits(0);
}

#[test]
fn a_chain_with_every_node_down_comes_back() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    lab.nodes().iter().for_each(crate::lab::Node::stop);
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
}

#[test]
fn everything_goes_through_the_bastion() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &["--via-bastion"]);
    let units = lab.units(&["val-1", "val-4", "sentry-2"]);
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
    lab.assert_started_anew(&units);
    let from = format!("from {} port", lab.host("bastion").address);
    lab.host("val-4").inside(&["journalctl", "-q", "-o", "cat", "-u", "ssh", "-g", "Accepted publickey"]).says(&from);
}

#[test]
fn the_odd_host_restarts_alone_and_signs_again() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let mut others = lab.units(&[]);
    let odd = others.remove("val-4 ve-node.service").unwrap();
    fleet.fleet(&["restart", "val-4", "--coordinated", "--yes", "--blocks", "1"]).exits(0);
    lab.wait_until_all_sign_again();
    assert_ne!(lab.node("val-4").unit_state().entered, odd.entered);
    lab.assert_untouched(&others);
}

#[test]
fn a_panicked_consensus_is_told_and_cured() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    lab.run(&["panic", "val-1", "val-2"]).exits(0);
    lab.wait_until_halted();
    assert_eq!(lab.node("val-1").unit_state().state, "active", "the process must live for this test");
    until(30, "fleet status tells the consensus failure", || {
        let said = fleet.fleet(&["status", CHAIN]);
        (said.code == Some(1) && said.out.to_lowercase().contains("consensus fail")).then_some(())
    });
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
}

#[test]
fn the_order_of_starts_follows_the_chain_and_not_the_genesis() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    assert_eq!(first_validator(&fleet.plan(&[])), "val-1");
    let last = lab.node("val-7");
    let key: Value = serde_json::from_slice(&std::fs::read(&last.key_file).unwrap()).unwrap();
    let key = key["pub_key"]["value"].as_str().unwrap().replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let sent = last.rpc(&format!("broadcast_tx_commit?tx=%22val=ed25519!{key}!60%22")).unwrap();
    assert_eq!(sent["tx_result"]["code"], 0, "{sent}");
    until(30, "val-7 has 60", || {
        let answer = last.rpc("validators")?;
        let power = |one: &&Value| one["address"] == last.address.as_str() && one["voting_power"] == "60";
        answer["validators"].as_array()?.iter().find(power).map(|_| ())
    });
    let plan = fleet.plan(&[]);
    assert_eq!(first_validator(&plan), "val-7");
    assert_eq!(plan["plan"]["power"]["total"], 155);
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
}

/// The host whose validator the plan starts first.
fn first_validator(plan: &Value) -> String {
    let stages = plan["plan"]["stages"].as_array().unwrap();
    let stage = stages.iter().find(|stage| stage["name"] == "nodes").unwrap();
    let mut hosts = stage["tasks"].as_array().unwrap().iter().map(|task| task["service"]["host"].as_str().unwrap());
    hosts.find(|host| host.starts_with("val-")).unwrap().to_owned()
}

#[test]
fn a_halt_stops_every_node_and_a_start_brings_them_back() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.fleet(&["halt", CHAIN, "--yes"]).exits(0);
    for node in lab.nodes() {
        assert_eq!(node.unit_state().state, "inactive", "{}", node.host.name);
    }
    assert_eq!(lab.other().unit_state().state, "active", "the second chain on val-6 was touched");
    lab.wait_until_no_stop_is_left();
    fleet.fleet(&["start", CHAIN, "--yes", "--blocks", "1"]).exits(0);
    lab.wait_until_all_sign_again();
    let runs = fleet.fleet(&["runs", "list"]).exits(0);
    let ids: Vec<&str> = runs.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids.len(), 2, "{runs}");
    fleet.fleet(&["runs", "report", ids[0]]).exits(0).says("chain advancing");
    fleet.fleet(&["runs", "show", ids[1]]).exits(0).says("all stopped");
}

#[test]
fn a_command_runs_on_every_host_whatever_its_shell_prints() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let said =
        fleet.fleet(&["exec", "role:validator", "--", "test -r /etc/passwd && echo \"it's $((40 + 2))\""]).exits(0);
    assert!(said.out.contains("val-[1-7]") && said.out.contains("it's 42"), "equal answers are folded: {said}");
    fleet.fleet(&["exec", "val-4", "--sudo", "--", "id", "-un"]).exits(0).says("root");
    fleet.fleet(&["exec", "val-4 or val-5", "--", "test \"$(hostname)\" = val-5"]).exits(4).says("val-4");
}
