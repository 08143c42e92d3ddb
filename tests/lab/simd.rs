//! The chain of an SDK application below cosmovisor, and the hosts beside it that have no node.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::controller::Controller;
use crate::lab::{Lab, Node};
use crate::process::until;

mod backup;
mod links;
mod schedule;
mod statesync;

impl Node {
    /// The programs that run on its home, by name.
    fn programs(&self) -> BTreeSet<String> {
        let pattern = format!("start --home {}", self.home);
        let said = self.host.inside(&["sh", "-c", "pgrep -a -f -- \"$1\" | grep -v pgrep || true", "sh", &pattern]);
        let programs = said.out.lines().filter_map(|line| line.split(' ').nth(1)?.rsplit('/').next());
        programs.map(str::to_owned).collect()
    }

    /// Its signer's last height.
    fn signed_height(&self) -> u64 {
        let state: Value = serde_json::from_slice(&std::fs::read(&self.signer_file).unwrap()).unwrap();
        state["height"].as_str().unwrap().parse().unwrap()
    }
}

#[test]
fn an_sdk_chain_restarts_below_cosmovisor_and_all_sign_again() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let units = lab.units(&[]);
    fleet.restart(&[]).exits(0);
    lab.wait_until_all_sign_again();
    lab.assert_started_anew(&units);
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn halted_below_cosmovisor_a_node_leaves_no_process_and_signs_again_when_started() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let (node, others) = (lab.node("val-4"), lab.units(&["val-1", "val-2", "val-3", "sentry-1"]));
    assert_eq!(node.programs(), ["cosmovisor", "simd"].map(str::to_owned).into());
    fleet.fleet(&["halt", "val-4", "--yes"]).exits(0);
    assert_eq!(node.programs(), BTreeSet::new());
    let signed = node.signed_height();
    lab.assert_untouched(&others);
    fleet.fleet(&["start", "val-4", "--yes"]).exits(0);
    lab.wait_until_sign_after(lab.tip(), &["val-4"]);
    assert!(node.signed_height() > signed);
    lab.assert_untouched(&others);
}

/// The application's database and its snapshots are where the SDK has them, whatever the databases' folder is called.
#[test]
fn an_sdk_node_has_its_own_database_and_takes_snapshots() {
    let lab = Lab::sdk();
    for node in [lab.node("val-1"), lab.node("val-4")] {
        let data = node.host.path(&format!("{}/data", node.home));
        assert!(data.join("application.db/CURRENT").exists(), "{}", data.display());
        until(60, "a snapshot", || data.join("snapshots/10").exists().then_some(()));
    }
    let version = lab.node("val-1").rpc("abci_info").unwrap()["response"]["version"].clone();
    assert_eq!(version, "v1.0.0");
}

#[test]
fn a_provider_and_a_monitoring_host_stand_beside_the_chain() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let said = fleet.fleet(&["status", "provider-1 or mon"]);
    said.says("provider-1/daemon,provider-1/database").says(" active ").says("mon ").says(" answers ");
    let (provider, monitoring) = (lab.host("provider-1"), lab.host("mon"));
    let dump = provider.inside(&["runuser", "-u", "postgres", "--", "pg_dump", "provider"]);
    assert_eq!(dump.out.lines().filter(|line| line.contains("\towner ")).count(), 1000, "{dump}");
    let daemon = provider.path("/home/provider/.provider-daemon");
    assert!(daemon.join("config.yaml").exists() && daemon.join("keyring-test").is_dir());
    let orders = || std::fs::read(daemon.join("state/orders.log")).map_or(0, |log| log.len());
    let before = orders();
    until(10, "the daemon works", || (orders() > before).then_some(()));
    for file in ["/etc/prometheus/prometheus.yml", "/etc/grafana/grafana.ini", "/var/lib/grafana/grafana.db"] {
        assert!(monitoring.path(file).exists(), "no {file}");
    }
}
