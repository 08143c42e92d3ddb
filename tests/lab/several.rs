//! Several controllers, inventories that hold a part, and two chains on one host.

use crate::controller::{CHAIN, Controller};
use crate::lab::Lab;

/// How often a host's node was started since the lab was made.
fn starts(lab: &Lab, host: &str) -> usize {
    let node = lab.node(host);
    node.host.inside(&["journalctl", "-q", "-u", &node.unit, "-F", "_SYSTEMD_INVOCATION_ID"]).out.lines().count()
}

#[test]
fn of_two_controllers_at_once_one_wins_and_the_other_changes_nothing() {
    let lab = Lab::fresh();
    let (one, other) = (Controller::new(&lab, &[]), Controller::new(&lab, &[]));
    let before = ["val-1", "val-4", "sentry-1"].map(|host| starts(&lab, host));
    let (first, second) = (one.start_restart(&[]), other.start_restart(&[]));
    let (first, second) = (first.end(120), second.end(120));
    let (winner, loser) = if first.code == Some(0) { (first, second) } else { (second, first) };
    winner.exits(0);
    loser.exits(75).says("nothing was changed").says("tester@");
    lab.wait_until_all_sign_again();
    let after = ["val-1", "val-4", "sentry-1"].map(|host| starts(&lab, host));
    assert_eq!(after, before.map(|count| count + 1), "every node was started once");
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn two_validators_of_seven_restart_on_a_chain_that_goes_on() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &["--only", "val-6,val-7"]);
    let plan = fleet.plan(&[]);
    let power = &plan["plan"]["power"];
    assert_eq!((&power["total"], &power["planned"], &power["foreign"]), (&100.into(), &13.into(), &87.into()));
    let mut others = lab.units(&[]);
    let ours: Vec<_> =
        ["val-6", "val-7"].map(|host| others.remove(&format!("{host} virtengined.service")).unwrap()).into();
    fleet.restart(&[]).exits(0);
    lab.wait_until_sign_after(lab.tip(), &["val-6", "val-7"]);
    assert_ne!(["val-6", "val-7"].map(|host| lab.node(host).unit_state()).to_vec(), ours);
    lab.assert_untouched(&others);
}

#[test]
fn two_validators_of_seven_say_what_a_halted_chain_needs_of_others() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &["--only", "val-6,val-7"]);
    lab.node("val-1").stop();
    lab.node("val-4").stop();
    lab.wait_until_halted();
    let said = fleet.restart(&["--block-timeout", "10s"]).says("87").says("quorum 67").says("needs-others");
    said.exits(1).says("no block");
    let (first, fourth) = (lab.node("val-1"), lab.node("val-4"));
    first.host.inside(&["systemctl", "start", &first.unit]);
    fourth.host.inside(&["systemctl", "start", &fourth.unit]);
    lab.wait_until_all_sign_again();
}

#[test]
fn two_operators_with_disjoint_hosts_agree_and_stop_at_one_time() {
    let lab = Lab::fresh();
    let one = Controller::new(&lab, &["--only", "val-1,val-2,val-3,sentry-1"]);
    let other = Controller::new(&lab, &["--only", "val-4,val-5,val-6,val-7,sentry-2"]);
    let before = lab.units(&["val-1", "val-2", "val-3", "val-4", "val-5", "val-7", "sentry-1", "sentry-2"]);
    let at = one.time_ahead(3);
    let agreed = one.plan(&["--at", &at])["agreement"].clone();
    assert_eq!(other.plan(&["--at", &at])["agreement"], agreed);
    assert_ne!(one.plan(&[])["agreement"], agreed, "without the time it is another agreement");
    let (first, second) = (one.start_restart(&["--at", &at]), other.start_restart(&["--at", &at]));
    first.end(120).exits(0);
    second.end(120).exits(0);
    lab.wait_until_all_sign_again();
    lab.assert_started_anew(&before);
}

#[test]
fn of_two_chains_on_one_host_each_restarts_alone() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    fleet.fleet(&["restart", "--coordinated", "--yes"]).exits(2).says("chain:");
    let (node, other) = (lab.node("val-6"), lab.other());
    assert_eq!(node.host.name, other.host.name);
    let (node_before, other_before) = (node.unit_state(), other.unit_state());
    fleet.restart(&[]).exits(0);
    assert_eq!(other.unit_state(), other_before);
    let node_between = node.unit_state();
    assert_ne!(node_between, node_before);
    let height = other.height().unwrap();
    fleet.fleet(&["restart", "chain:other", "--coordinated", "--yes", "--blocks", "1"]).exits(0);
    assert_ne!(other.unit_state(), other_before);
    assert_eq!(node.unit_state(), node_between);
    other.wait_for_block_above(height + 1);
    fleet.fleet(&["status", CHAIN]).exits(0);
}
