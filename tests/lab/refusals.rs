//! What keeps a run from beginning, and that nothing has changed then.

use crate::controller::{CHAIN, Controller};
use crate::lab::Lab;

#[test]
fn one_unreachable_host_changes_nothing_unless_it_may_be_missing() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&[]);
    lab.run(&["cut", "val-7"]).exits(0);
    let said = fleet.restart(&[]).exits(5).says("val-7").says("nothing was changed");
    assert!(said.err.contains("--allow-missing") || said.out.contains("--allow-missing"), "the way on: {said}");
    lab.assert_untouched(&before);
    fleet.restart(&["--allow-missing-power", "4%"]).exits(5);
    lab.assert_untouched(&before);

    let others = ["val-1", "val-2", "val-3", "val-4", "val-5", "val-6"];
    fleet.restart(&["--allow-missing", "val-7"]).exits(0);
    lab.wait_until_sign_after(lab.tip(), &others);
    let after_the_first = lab.units(&[&others[..], &["sentry-1", "sentry-2"]].concat());
    lab.assert_untouched(&lab_only(&before, "val-7"));
    fleet.restart(&["--allow-missing-power", "5%"]).exits(0);
    lab.wait_until_sign_after(lab.tip(), &others);
    lab.assert_started_anew(&after_the_first);
    lab.assert_untouched(&lab_only(&before, "val-7"));
}

/// The units of one host.
fn lab_only(
    units: &std::collections::BTreeMap<String, crate::lab::Unit>,
    host: &str,
) -> std::collections::BTreeMap<String, crate::lab::Unit> {
    let of_host = units.iter().filter(|(name, _)| name.split(' ').next() == Some(host));
    of_host.map(|(name, unit)| (name.clone(), unit.clone())).collect()
}

#[test]
fn a_host_that_refuses_sudo_changes_nothing() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&[]);
    lab.host("val-5").inside(&["rm", "/etc/sudoers.d/ops"]);
    fleet.restart(&[]).exits(5).says("val-5").says("sudo").says("nothing was changed");
    lab.assert_untouched(&before);
}

#[test]
fn a_wrong_host_key_changes_nothing() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&[]);
    let trusted = lab.known_hosts();
    swap_keys(&lab, &fleet, "val-3", "val-2");
    fleet.edit_inventory(|text| text.replace(trusted.to_str().unwrap(), fleet.path("known_hosts").to_str().unwrap()));
    fleet.restart(&[]).exits(5).says("val-3").says("fleet trust").says("nothing was changed");
    lab.assert_untouched(&before);
    fleet.fleet(&["status", CHAIN]).says("host key of val-3").says("CHANGED");
}

/// Writes a `known_hosts` in which `host` has the keys of `other`.
fn swap_keys(lab: &Lab, fleet: &Controller, host: &str, other: &str) {
    let (host, other) = (lab.host(host).address, lab.host(other).address);
    let text = std::fs::read_to_string(lab.known_hosts()).unwrap();
    let of = |address: &str| {
        let start = format!("{address} ");
        text.lines().filter_map(|line| line.strip_prefix(&start).map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with(&format!("{host} "))).map(Into::into).collect();
    lines.extend(of(&other).iter().map(|key| format!("{host} {key}")));
    std::fs::write(fleet.path("known_hosts"), lines.join("\n") + "\n").unwrap();
}
