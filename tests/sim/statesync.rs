//! Snapshots that a node's application has taken by itself are kept without a stop, on simulated hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rig::{Ran, Rig, small};

/// What each height's chunks are, and whether the metadata names it.
const HEIGHTS: [(u64, &[&str], bool); 3] =
    [(1000, &["old"], true), (2000, &["first chunk", "second chunk"], true), (3000, &["not the last"], false)];

/// Has a node's application take snapshots.
fn take(rig: &Rig, host: &str) -> PathBuf {
    let folder = rig.sim.host(host).join("home/data/snapshots");
    fs::create_dir_all(folder.join("metadata.db")).unwrap();
    let mut log = b"something else ".to_vec();
    for (height, chunks, named) in HEIGHTS {
        let of_height = folder.join(format!("{height}/3"));
        fs::create_dir_all(&of_height).unwrap();
        for (number, chunk) in chunks.iter().enumerate() {
            fs::write(of_height.join(number.to_string()), chunk).unwrap();
            log.extend(named.then(|| Sha256::digest(chunk)).into_iter().flatten());
        }
    }
    fs::write(folder.join("metadata.db/000001.log"), log).unwrap();
    fs::write(folder.join("metadata.db/CURRENT"), "MANIFEST-000000\n").unwrap();
    fs::write(folder.join("metadata.db/LOCK"), "").unwrap();
    folder
}

fn back_up(rig: &Rig, host: &str) -> Ran {
    let store = rig.folder("store");
    let words = format!("backup {host} --profile statesync --facts-timeout 60s --yes --store {}", store.display());
    rig.run(&words)
}

#[test]
fn the_newest_snapshot_of_the_application_that_is_whole_is_kept_without_a_stop() {
    let rig = Rig::new(&small());
    let folder = take(&rig, "val-1");
    let pids = rig.pids();
    back_up(&rig, "val-1").ended(0).says("1 snapshot");
    assert_eq!(rig.pids(), pids);
    let manifests = fs::read_dir(rig.folder("store/manifests")).unwrap().map(|entry| entry.unwrap().path());
    let path = manifests.into_iter().find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let paths: Vec<&str> = manifest["files"].as_array().unwrap().iter().map(|file| file[0].as_str().unwrap()).collect();
    let wanted = ["2000/3/0", "2000/3/1", "metadata.db/000001.log", "metadata.db/CURRENT"];
    assert_eq!(paths, wanted.map(|name| format!("snapshots/{name}")));
    assert_eq!(manifest["node"]["height"], 2000);
    let store = rig.folder("store");
    rig.run(&format!("snapshot verify --store {}", store.display())).ended(0);
    rig.run(&format!("restore {} val-2 --yes --store {}", manifest["id"].as_str().unwrap(), store.display()))
        .ended(3)
        .says("not of databases");

    // One whose chunks are there is taken only when the metadata names it: then it is the newest.
    fs::write(folder.join("metadata.db/000002.log"), Sha256::digest("not the last")).unwrap();
    back_up(&rig, "val-1").ended(0);
    rig.run(&format!("snapshot list --store {}", store.display())).ended(0).says(" 3000 ");
}

#[test]
fn a_node_without_such_snapshots_or_with_changing_ones_says_what_to_do() {
    let rig = Rig::new(&small());
    back_up(&rig, "val-1").ended(4).says("snapshot-interval below [state-sync]");
    let folder = take(&rig, "val-2");
    let tar = rig.sim.host("val-2").join("bin/tar");
    let touch = format!("#!/bin/sh\n/bin/tar \"$@\" || exit 1\ntouch {}/metadata.db/CURRENT\n", folder.display());
    fs::write(&tar, touch).unwrap();
    fs::set_permissions(&tar, fs::Permissions::from_mode(0o755)).unwrap();
    back_up(&rig, "val-2").ended(4).says("changed while they were copied");
    assert!(!rig.folder("store/manifests").exists());
}
