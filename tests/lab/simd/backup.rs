//! What is kept of a provider, a monitoring host and an SDK chain's nodes, and that it can be used again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::backup::paths;
use crate::controller::Controller;
use crate::lab::{Host, Lab, Node};
use crate::process::until;
use crate::restore::signed;

const DAEMON: &str = "provider-daemon.service";
const SERVER: &str = "postgresql@15-main.service";
/// Where the operator's login keeps files on a host; a reset empties it.
const OPS: &str = "/home/ops";

impl Host {
    /// The main process of a unit, and how often systemd has started it again.
    pub fn main_process(&self, unit: &str) -> String {
        self.inside(&["systemctl", "show", unit, "--property=ActiveState,MainPID,NRestarts"]).out
    }

    fn psql(&self, database: &str, query: &str) -> String {
        self.inside(&["runuser", "-u", "postgres", "--", "psql", "-X", "-A", "-t", "-d", database, "-c", query]).out
    }
}

fn of<'a>(manifests: &'a [Value], host: &str, profile: &str) -> &'a Value {
    manifests.iter().find(|one| one["host"] == host && one["profile"] == profile).unwrap()
}

fn left_out(manifest: &Value) -> BTreeMap<&str, &str> {
    let all = manifest["left_out"].as_array().unwrap().iter();
    all.map(|one| (one["path"].as_str().unwrap(), one["reason"].as_str().unwrap())).collect()
}

#[test]
fn a_provider_and_a_monitoring_host_are_kept_while_they_run_and_the_dump_becomes_a_database() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    fleet.edit_inventory(|text| format!("{text}\n[backup.postgres]\ndatabases = [\"provider\"]\n"));
    let provider = lab.host("provider-1");
    let processes = || [DAEMON, SERVER].map(|unit| provider.main_process(unit));
    let (before, nodes) = (processes(), lab.units(&[]));
    fleet.backup(&["provider-1 or mon"]).exits(0).says("3 snapshots");
    assert_eq!(processes(), before);
    lab.assert_untouched(&nodes);

    let manifests = fleet.manifests();
    let daemon = of(&manifests, "provider-1", "provider");
    assert_eq!(paths(daemon), ["home/config.yaml", "home/state/orders.log"]);
    assert!(
        left_out(daemon).iter().any(|(path, reason)| path.starts_with("home/keyring-test/") && *reason == "a keyring")
    );
    let monitoring = of(&manifests, "mon", "monitoring");
    for path in [
        "etc-prometheus/prometheus.yml",
        "etc-prometheus/rules/chain.yml",
        "etc-grafana/grafana.ini",
        "etc-alertmanager/alertmanager.yml",
        "var-lib-prometheus/metrics2/01HZ0000000000000000000000/chunks/000001",
        "var-lib-grafana/grafana.db",
    ] {
        assert!(paths(monitoring).contains(&path), "no {path}");
    }
    assert!(left_out(monitoring).contains_key("var-lib-prometheus/metrics2/wal/00000000"), "{monitoring}");
    assert_eq!(paths(of(&manifests, "provider-1", "postgres")), ["postgres/provider.sql"]);

    let unpacked = fleet.unpacked();
    let kept = fs::read(unpacked.join("home/config.yaml")).unwrap();
    assert_eq!(kept, fs::read(provider.path("/home/provider/.provider-daemon/config.yaml")).unwrap());
    fs::copy(unpacked.join("postgres/provider.sql"), provider.path(&format!("{OPS}/provider.sql"))).unwrap();
    provider.psql("postgres", "CREATE DATABASE again");
    let load = format!("runuser -u postgres -- psql -X -q -v ON_ERROR_STOP=1 -d again <{OPS}/provider.sql");
    provider.inside(&["sh", "-c", &load]);
    let rows =
        |database| provider.psql(database, "SELECT count(*), md5(string_agg(l::text, ';' ORDER BY id)) FROM leases l");
    assert_eq!(rows("again"), rows("provider"));
    assert!(rows("again").starts_with("1000|"), "{}", rows("again"));
}

#[test]
fn the_config_and_cosmovisor_of_an_sdk_node_are_kept_while_it_runs_and_no_key_of_it() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let nodes = lab.units(&[]);
    fleet.backup(&["val-1", "--profile", "config,cosmovisor"]).exits(0).says("2 snapshots");
    lab.assert_untouched(&nodes);
    let manifests = fleet.manifests();
    let config = of(&manifests, "val-1", "config");
    for name in ["config/app.toml", "config/client.toml", "config/config.toml", "config/genesis.json"] {
        assert!(paths(config).contains(&name), "no {name}");
    }
    let secret = |path: &&str| ["_key", "keyring", "priv_validator"].iter().any(|word| path.contains(word));
    assert_eq!(paths(config).into_iter().find(secret), None);
    assert!(left_out(config).contains_key("config/priv_validator_key.json"));
    assert_eq!(paths(of(&manifests, "val-1", "cosmovisor")), ["cosmovisor/genesis/bin/simd"]);
    let (kept, own) = (fleet.unpacked(), lab.node("val-1").host);
    let own = own.path("/var/lib/virtengine/cosmovisor/genesis/bin/simd");
    assert!(fs::read(kept.join("cosmovisor/genesis/bin/simd")).unwrap() == fs::read(own).unwrap());
}

/// Everything in the databases' folder goes, but for the signer's state.
pub fn wipe_all_but_the_signers_state(node: &Node) {
    let data = node.signer_file.parent().unwrap();
    for entry in fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            fs::remove_dir_all(&entry).unwrap();
        } else if entry != node.signer_file {
            fs::remove_file(&entry).unwrap();
        }
    }
}

fn data(node: &Node) -> &Path {
    node.signer_file.parent().unwrap()
}

#[test]
fn a_validator_with_nothing_but_its_key_and_signers_state_gets_the_databases_of_a_sentry_and_signs_again() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0);
    let manifest = &fleet.manifests()[0];
    assert!(paths(manifest).iter().any(|path| path.starts_with("data/application.db/")));
    assert_eq!(paths(manifest).into_iter().find(|path| path.starts_with("data/snapshots/")), None);
    assert!(left_out(manifest).contains_key("data/snapshots"), "{manifest}");
    lab.wait_until_all_sign_again();
    let before = lab.units(&["val-4"]);
    // val-4 has its application's database elsewhere than the others: what is no whole is neither kept nor brought back.
    fleet.backup(&["val-4", "--profile", "data"]).exits(4).says("data/application.db is not in ");
    fleet.restore(&["latest", "val-4", "--yes"]).exits(3).says("snapshot-fit");
    assert_eq!(lab.units(&["val-4"]), before);

    let (node, at) = (lab.node("val-3"), lab.tip());
    node.wait_for_block_above(at + 3);
    node.stop();
    let (before, others) = (signed(&node), lab.units(&["val-1", "val-2", "sentry-1"]));
    wipe_all_but_the_signers_state(&node);
    let tip = lab.tip();
    fleet.restore(&["latest", "val-3", "--yes"]).exits(0).says("val-3 restored from height");
    lab.wait_until_sign_after(tip, &["val-3"]);
    assert!(signed(&node) > before, "{:?} after {before:?}", signed(&node));
    assert_eq!(lab.units(&["val-1", "val-2", "sentry-1"]), others, "another node was restarted");
    assert!(data(&node).join("application.db/CURRENT").exists());
    assert_eq!(lab.locked(), ["val-4"], "only the run that can't go on there may be taken up again");
    // It takes snapshots of its own again.
    until(60, "a snapshot", || data(&node).join("snapshots/metadata.db/CURRENT").exists().then_some(()));
}
