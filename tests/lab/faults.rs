//! Hosts that hang, reboot, or have a unit that won't stop.

use crate::controller::Controller;
use crate::lab::{Lab, Node};
use crate::process::until;

#[test]
fn a_frozen_host_costs_its_own_time_out_and_changes_nothing() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let mut before = lab.units(&[]);
    lab.run(&["freeze", "val-7"]).exits(0);
    before.retain(|name, _| !name.starts_with("val-7 "));
    let said = fleet.restart(&[]).exits(5).says("val-7").says("nothing was changed");
    assert!(!said.err.contains("val-6"), "the others answered: {said}");
    // What a frozen host is asked hangs, so it isn't asked here.
    let others: Vec<&str> = before.keys().filter_map(|name| name.split(' ').next()).collect();
    let mut now = lab.units(&others);
    now.insert("val-6 otherd.service".into(), lab.other().unit_state());
    assert_eq!(now, before);
    lab.run(&["thaw", "val-7"]).exits(0);
    lab.wait_until_all_sign_again();
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
}

#[test]
fn a_host_that_reboots_while_armed_is_noticed_and_nothing_is_stopped() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let mut before = lab.units(&[]);
    before.retain(|name, _| !name.starts_with("val-7 "));
    // Far enough ahead for a reboot, too.
    let running = fleet.start_restart(&["--at", &fleet.time_ahead(6)]);
    fleet.wait_for_event("val-7 is armed", |event| event["event"] == "armed" && event["service"]["host"] == "val-7");
    lab.run(&["reboot", "val-7"]).exits(0);
    running.end(60).exits(5).says("val-7").says("nothing was changed");
    lab.assert_untouched(&before);
    lab.wait_until_all_sign_again();
}

#[test]
fn a_node_that_hangs_is_restarted_with_the_others() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("val-7");
    let hung = node.unit_state();
    node.host.inside(&["kill", "-STOP", &hung.pid.to_string()]);
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
    assert_ne!(node.unit_state().pid, hung.pid);
}

/// From now on the host's unit has these settings, too.
fn set_unit(lab: &Lab, host: &str, settings: &str) -> Node {
    let node = lab.node(host);
    let folder = node.host.path(&format!("/etc/systemd/system/{}.d", node.unit));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("test.conf"), format!("[Service]\n{settings}\n")).unwrap();
    node.host.inside(&["systemctl", "daemon-reload"]);
    node
}

/// From now on a stop of the host's unit waits for a command that doesn't end.
fn hold_the_stop(lab: &Lab, host: &str) -> Node {
    set_unit(lab, host, "ExecStop=/bin/sleep infinity\nTimeoutStopSec=infinity")
}

#[test]
fn a_node_that_a_watchdog_starts_again_keeps_all_from_being_started() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let watchdog = "systemd-run --quiet --on-active=50ms --timer-property=AccuracySec=1ms systemctl start virtengined";
    let node = set_unit(&lab, "val-7", &format!("ExecStopPost=+{watchdog}"));
    fleet.restart(&[]).exits(4).says("val-7").says("fleet resume");
    for other in lab.nodes().iter().filter(|other| other.host.name != "val-7") {
        assert_eq!(other.unit_state().state, "inactive", "{}: nothing is started", other.host.name);
    }
    set_unit(&lab, "val-7", "");
    until(10, "the watchdog's node runs", || (node.unit_state().pid != 0).then_some(()));
    fleet.fleet(&["resume", "--yes"]).exits(0);
    lab.wait_until_all_sign_again();
}

#[test]
fn a_unit_that_will_not_stop_is_reported_and_left_alone() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let node = hold_the_stop(&lab, "val-7");
    let before = node.unit_state();
    fleet.restart(&["--stop-timeout", "5s"]).exits(4).says("val-7").says("fleet resume");
    let after = node.unit_state();
    assert_eq!((after.state.as_str(), after.pid), ("deactivating", before.pid), "nobody killed it");
    for other in lab.nodes().iter().filter(|other| other.host.name != "val-7") {
        assert_eq!(other.unit_state().state, "inactive", "{}: nothing is started", other.host.name);
    }
    node.host.inside(&["systemctl", "kill", "--kill-whom=control", &node.unit]);
    until(30, "val-7 stops by itself now", || (node.unit_state().pid == 0).then_some(()));
    fleet.fleet(&["resume", "--yes"]).exits(0);
    lab.wait_until_all_sign_again();
}

#[test]
fn a_unit_that_will_not_stop_is_killed_when_that_was_asked_for() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    hold_the_stop(&lab, "val-7");
    fleet.restart(&["--kill-after", "2s"]).exits(0);
    lab.wait_until_all_sign_again();
}
