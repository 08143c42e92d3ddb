//! What a manifest tells of a node whose databases were kept, on simulated hosts.

use std::fs;

use fleet::chain::wal::proto::Timestamp;
use fleet::chain::wal::write;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::rig::{Rig, eventually, small};

#[test]
fn a_snapshot_of_databases_tells_the_application_s_hash_at_its_height_and_the_node_s_program() {
    let rig = Rig::new(&small());
    eventually("a few blocks", || rig.chain().height > 3);
    let (host, height) = (rig.sim.host("sentry-1"), rig.chain().height - 1);
    let log = write::short(height + 1, 1, &[], None, Timestamp::default()).unwrap();
    fs::write(host.join("home/data/cs.wal/wal"), log).unwrap();
    let store = rig.folder("store");
    rig.run(&format!("backup sentry-1 --limit-rate fast --yes --store {}", store.display()))
        .ended(2)
        .says("isn't a rate");
    let limited = "backup sentry-1 --profile config,data --limit-rate 50MB/s --dry-run --facts-timeout 60s --store";
    rig.run(&format!("{limited} {}", store.display())).ended(0).says("at most 50 MB a second in all");
    rig.run(&format!(
        "backup sentry-1 --profile config,data --limit-rate 50MB/s --facts-timeout 60s --yes --store {}",
        store.display()
    ))
    .ended(0);
    let manifests = fs::read_dir(store.join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let manifests = manifests.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let nodes: Vec<(String, Value)> = manifests
        .map(|path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap())
        .map(|manifest| (manifest["profile"].as_str().unwrap().to_owned(), manifest["node"].clone()))
        .collect();
    assert_eq!(nodes.len(), 2);
    for (profile, node) in nodes {
        if profile == "config" {
            assert_eq!((&node["app_hash"], &node["binary_sha256"]), (&Value::Null, &Value::Null));
            continue;
        }
        let program = fs::read(host.join("bin/virtengined")).unwrap();
        assert_eq!(node["height"], height);
        assert_eq!(node["app_hash"], hex::encode_upper(Sha256::digest(format!("app {height}"))));
        assert_eq!(node["binary_sha256"], hex::encode(Sha256::digest(program)));
    }
}
