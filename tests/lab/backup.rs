//! Backups of a real chain's nodes: the chain goes on, nothing secret is kept, and what is kept can be read without fleet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::controller::{CHAIN, Controller};
use crate::lab::{Host, Lab, Node};
use crate::process::{Running, Said, run, until};

const BACKUP: [&str; 2] = ["backup", "--yes"];

impl Controller {
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub fn backup(&self, options: &[&str]) -> Said {
        let store = self.store();
        self.fleet(&[&BACKUP[..], &["--store", store.to_str().unwrap()], options].concat())
    }

    /// The manifests of its store, oldest first.
    pub fn manifests(&self) -> Vec<Value> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(self.store().join("manifests")).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort();
        paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }

    /// A folder with all that its store's segments hold, unpacked without fleet.
    pub fn unpacked(&self) -> PathBuf {
        let folder = self.path("unpacked");
        fs::create_dir(&folder).unwrap();
        in_store(self, &format!("for one in segments/*/*; do zstd -dc $one | tar x -C {}; done", folder.display()));
        folder
    }
}

/// A command of the controller's own machine, in its store.
fn in_store(fleet: &Controller, script: &str) -> Said {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(fleet.store());
    run(command, 60).exits(0)
}

/// Clones that are left beside a node's databases.
fn clones(node: &Node) -> Vec<PathBuf> {
    let entries = fs::read_dir(node.signer_file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".fleet-")).collect()
}

pub fn paths(manifest: &Value) -> Vec<&str> {
    manifest["files"].as_array().unwrap().iter().map(|file| file[0].as_str().unwrap()).collect()
}

#[test]
fn every_node_is_backed_up_one_after_the_other_and_the_chain_goes_on() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&[]);
    let tip = lab.tip();
    lab.wait_until_all_sign_again();
    let all = "chain:virtengine and (role:validator or role:sentry)";
    fleet.backup(&[all, "--profile", "config,data"]).exits(0).says("18 snapshots");
    lab.assert_started_anew(&of_main(&lab, before));
    // Nobody was away for longer than a few blocks, and blocks came all the while.
    lab.wait_until_all_sign_again();
    let end = lab.tip();
    assert!(end > tip + 9, "{tip} to {end}");
    for node in lab.validators() {
        let missed = (tip + 1..end).filter(|height| !node.signers(*height).unwrap().contains(&node.address)).count();
        assert!(missed <= 10, "{} has missed {missed} of {} blocks", node.host.name, end - tip);
    }
    assert_eq!(lab.locked(), [""; 0]);
    let manifests = fleet.manifests();
    assert_eq!(manifests.len(), 18);
    for manifest in &manifests {
        let secret = ["priv_validator", "node_key", "cs.wal", "/LOCK"];
        let found: Vec<&str> =
            paths(manifest).into_iter().filter(|path| secret.iter().any(|word| path.contains(word))).collect();
        assert_eq!(found, [""; 0], "{}", manifest["id"]);
        if manifest["profile"] == "data" {
            assert!(manifest["node"]["height"].as_u64().unwrap() >= tip, "{}", manifest["node"]);
            let node = lab.node(manifest["host"].as_str().unwrap());
            let (told, down_ms) = (manifest["down_ms"].as_u64().unwrap(), node.down_ms());
            assert!(down_ms < 10_000 && told.abs_diff(down_ms) < 1_000, "{told} ms, {down_ms} by systemd");
            for fact in ["app_hash", "binary_sha256"] {
                assert!(manifest["node"][fact].as_str().is_some_and(|hex| !hex.is_empty()), "{}", manifest["node"]);
            }
            assert!(paths(manifest).iter().any(|path| path.starts_with("data/blockstore.db/")));
        }
    }
    for node in lab.nodes() {
        assert_eq!(clones(&node), [""; 0].map(PathBuf::from), "{}", node.host.name);
    }
    in_store(&fleet, "for list in manifests/*.sha256; do sha256sum --quiet -c $list; done");
    let unpacked = fleet.unpacked();
    assert!(unpacked.join("config/config.toml").exists() && unpacked.join("data/state.db/CURRENT").exists());
}

/// The main chain's units alone.
fn of_main(
    lab: &Lab,
    mut units: std::collections::BTreeMap<String, crate::lab::Unit>,
) -> std::collections::BTreeMap<String, crate::lab::Unit> {
    let main: Vec<String> = lab.nodes().iter().map(|node| format!("{} {}", node.host.name, node.unit)).collect();
    units.retain(|name, _| main.contains(name));
    units
}

#[test]
fn the_second_backup_brings_what_has_changed_and_a_validator_is_stopped_only_when_it_is_named() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let validators = lab.units(&["val-1", "val-7"]);
    // What doesn't change comes once.
    let table = lab.node("sentry-1").data().join("more.db/000001.ldb");
    fs::create_dir_all(table.parent().unwrap()).unwrap();
    fs::write(
        &table,
        (0..100_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_be_bytes()).collect::<Vec<u8>>(),
    )
    .unwrap();
    fleet.backup(&[CHAIN, "--profile", "data"]).exits(0).says("2 snapshots");
    fleet.backup(&["sentry-1", "--profile", "data"]).exits(0).says("1 snapshot");
    assert_eq!(lab.units(&["val-1", "val-7"]), validators, "a validator was stopped");
    let manifests = fleet.manifests();
    let of_sentry: Vec<&Value> = manifests.iter().filter(|one| one["host"] == "sentry-1").collect();
    assert_eq!(of_sentry[1]["parent"], of_sentry[0]["id"]);
    assert!(of_sentry[1]["node"]["height"].as_u64() > of_sentry[0]["node"]["height"].as_u64());
    let kept = |event: &Value| (event["event"] == "kept").then(|| event["kept"]["came"].as_u64().unwrap());
    let came: Vec<u64> = fleet.events().iter().filter_map(kept).collect();
    assert!(came.len() == 3 && came[0].max(came[1]) > 2 * came[2], "{came:?}");
}

#[test]
fn a_store_on_a_full_disk_keeps_every_node_from_being_stopped() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let before = lab.units(&[]);
    let store = fleet.store();
    fs::create_dir_all(&store).unwrap();
    // In a mount namespace of its own.
    let mut full = Command::new("unshare");
    full.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=100m full \"$0\" && exec \"$@\""]).arg(&store);
    full.arg(env!("CARGO_BIN_EXE_fleet"));
    let words = ["backup", "sentry-1", "--profile", "data", "--yes", "--store", store.to_str().unwrap()];
    fleet.start_as(full, &words).end(60).exits(3).says("105 MB are free on its disk").says("nothing was changed");
    lab.assert_untouched(&before);
}

#[test]
fn a_validator_without_which_there_is_no_quorum_is_not_stopped() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    lab.node("val-2").stop();
    until(30, "blocks without val-2", || {
        let tip = lab.tip();
        std::thread::sleep(std::time::Duration::from_secs(2));
        (lab.tip() > tip).then_some(())
    });
    let before = lab.units(&["val-1", "val-3", "sentry-1"]);
    fleet.backup(&["val-1", "--profile", "data"]).exits(3).says("quorum");
    assert_eq!(lab.units(&["val-1", "val-3", "sentry-1"]), before);
    assert!(!fleet.store().exists(), "a refused backup makes no store");
    // Its config can be had without a stop.
    fleet.backup(&["val-1", "--profile", "config"]).exits(0).says("1 snapshot");
    assert_eq!(lab.units(&["val-1", "val-3", "sentry-1"]), before);
    assert_eq!(lab.locked(), [""; 0]);
}

/// So many files that copying them takes a while.
fn fill_with_files(host: &Host, data: &str) {
    let script = format!(
        "mkdir -p {data}/many.db && cd {data}/many.db && seq -f %06g.log 1 20000 | xargs touch && chown -R --reference={data} ."
    );
    host.inside(&["sh", "-c", &script]);
}

fn data_folder(node: &Node) -> String {
    let data = node.signer_file.parent().unwrap();
    let inside = data.strip_prefix(&node.host.root).unwrap();
    Path::new("/").join(inside).display().to_string()
}

/// A backup of the node's databases, at a moment at which it stands still.
fn caught_sealing(fleet: &Controller, node: &Node) -> Running {
    fill_with_files(&node.host, &data_folder(node));
    let store = fleet.store();
    let what = ["backup", &node.host.name, "--yes", "-p", "data", "--store", store.to_str().unwrap()];
    let running = fleet.start(&[&what[..], &["--stop-timeout", "20s"]].concat());
    fleet.wait_for_event("the seal", |event| event["event"] == "step_started");
    until(30, "the node stands still", || (node.unit_state().state == "inactive").then_some(()));
    running
}

#[test]
fn a_host_starts_its_node_again_when_fleet_is_killed_and_the_run_is_resumed() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("val-3");
    let running = caught_sealing(&fleet, &node);
    running.kill();
    until(60, "its node runs again", || (node.unit_state().state == "active").then_some(()));
    lab.wait_until_all_sign_again();
    let before = node.unit_state();
    fleet.fleet(&["resume", "--yes"]).exits(0).says("1 snapshot");
    assert_eq!(node.unit_state(), before, "it was stopped a second time");
    assert_eq!(paths(&fleet.manifests()[0]).iter().filter(|path| path.starts_with("data/many.db/")).count(), 20_000);
    assert_eq!(clones(&node), [""; 0].map(PathBuf::from));
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn a_host_starts_its_node_again_when_the_sealing_itself_is_killed() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("val-3");
    let running = caught_sealing(&fleet, &node);
    // The script and what it runs; not its guard, which systemd keeps.
    node.host.inside(&["sh", "-c", "pkill -9 -f '^/bin/sh -s'; pkill -9 -x 'cp|xargs|find'; true"]);
    until(60, "its node runs again", || (node.unit_state().state == "active").then_some(()));
    running.end(150).exits(4);
    lab.wait_until_all_sign_again();
    assert!(!fleet.store().join("manifests").exists() || fleet.manifests().is_empty(), "half a clone was kept");
    let timers = node.host.inside(&["systemctl", "list-units", "--plain", "--no-legend", "fleet-drop-*.timer"]).out;
    assert!(timers.contains("active"), "nothing would remove what is left of it: {timers}");
    fleet.fleet(&["resume", "--yes"]).exits(0).says("1 snapshot");
    assert_eq!(clones(&node), [""; 0].map(PathBuf::from));
}

/// A node's databases on a file system that shares blocks between copies, until it is dropped.
struct Sharing<'a>(&'a Node);

impl<'a> Sharing<'a> {
    fn new(node: &'a Node) -> Self {
        let data = data_folder(node);
        node.stop();
        run(fs_command(&node.host.path(IMAGE)), 30).exits(0);
        node.host.where_it_mounts(&format!(
            "[ -e /dev/loop-control ] || mknod /dev/loop-control c 10 237
             for n in 0 1 2 3 4 5 6 7; do [ -e /dev/loop$n ] || mknod /dev/loop$n b 7 $n; done
             mkdir {data}.new && mount -o loop {IMAGE} {data}.new && cp -a {data}/. {data}.new && umount {data}.new
             rmdir {data}.new && mount -o loop {IMAGE} {data}
             head -c 40000000 /dev/urandom >{data}/application.db.blob
             chown --reference {data}/cs.wal {data} {data}/application.db.blob"
        ));
        node.host.inside(&["systemctl", "start", &node.unit]);
        Self(node)
    }
}

impl Drop for Sharing<'_> {
    fn drop(&mut self) {
        self.0.stop();
        self.0.host.where_it_mounts(&format!("umount {} && rm {IMAGE}", data_folder(self.0)));
    }
}

const IMAGE: &str = "/var/lib/shares-blocks.img";

fn fs_command(image: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-euc", "truncate -s 400M \"$0\" && mkfs.xfs -q \"$0\""]).arg(image);
    command
}

#[test]
fn where_the_file_system_shares_blocks_the_clone_shares_them_with_the_databases() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let node = lab.node("sentry-1");
    let sharing = Sharing::new(&node);
    let store = fleet.store();
    let running = fleet.start(&[&BACKUP[..], &["sentry-1", "-p", "data", "--store", store.to_str().unwrap()]].concat());
    let data = data_folder(&node);
    let sealed = until(60, "the clone", || {
        let said = node.host.where_it_mounts(&format!("cat {data}/.fleet-*/.sealed 2>/dev/null || true"));
        (!said.out.is_empty()).then_some(said.out)
    });
    assert!(sealed.starts_with("reflink "), "{sealed}");
    let blocks = node.host.where_it_mounts(&format!("filefrag -v {data}/.fleet-*/application.db.blob"));
    assert!(blocks.out.contains("shared"), "{blocks}");
    running.end(120).exits(0).says("1 snapshot");
    assert_eq!(node.unit_state().state, "active");
    let manifest = &fleet.manifests()[0];
    assert!(paths(manifest).contains(&"data/application.db.blob"));
    fleet.fleet(&["snapshot", "verify", "--store", store.to_str().unwrap()]).exits(0);
    // The folder of its databases is a mount, which can't be renamed: what is in it is exchanged.
    let tip = lab.tip();
    fleet.restore(&["latest", "sentry-1", "--yes"]).exits(0).says("sentry-1 restored from height");
    node.wait_for_block_above(tip);
    fleet.fleet(&["restore", "release", "sentry-1", "--yes"]).exits(0);
    drop(sharing);
}
