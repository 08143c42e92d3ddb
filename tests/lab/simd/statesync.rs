//! The application's own snapshot, kept while the node runs, and a node made anew of it with the application's commands.

use std::fs;
use std::path::Path;

use super::backup::wipe_all_but_the_signers_state;
use crate::controller::Controller;
use crate::lab::{Lab, Node};
use crate::process::{Said, until};
use crate::restore::signed;

impl Node {
    /// Runs the application below cosmovisor as the node's user does, with these variables.
    fn simd(&self, variables: &[String], words: &[&str]) -> Said {
        let program = format!("{}/cosmovisor/genesis/bin/simd", self.home);
        let mut command = vec!["runuser", "-u", "virtengine", "--", "env", "-C", &self.home];
        command.extend(variables.iter().map(String::as_str));
        command.push(&program);
        command.extend(words);
        command.extend(["--home", &self.home]);
        self.host.inside(&command)
    }

    /// Has its RPC answer other hosts, too.
    fn open_rpc(&self) {
        let config = self.host.path(&format!("{}/config/config.toml", self.home));
        let (text, own) = (fs::read_to_string(&config).unwrap(), format!("tcp://127.0.0.1:{}", self.rpc_port));
        assert!(text.contains(&own), "{text}");
        fs::write(config, text.replace(&own, &format!("tcp://0.0.0.0:{}", self.rpc_port))).unwrap();
        self.host.inside(&["systemctl", "restart", &self.unit]);
    }
}

/// Heights of the application's snapshots that its database names, the lowest first.
fn snapshots(node: &Node) -> Vec<u64> {
    let said = node.simd(&[], &["snapshots", "list"]);
    let height = |line: &str| line.strip_prefix("height: ")?.split(' ').next()?.parse().ok();
    let mut heights: Vec<u64> = said.out.lines().filter_map(height).collect();
    heights.sort_unstable();
    heights
}

#[test]
fn a_state_snapshot_is_kept_without_a_stop_and_a_node_that_lost_its_data_is_made_anew_of_it_and_signs() {
    let lab = Lab::sdk();
    let fleet = Controller::new(&lab, &[]);
    let (source, node) = (lab.node("sentry-1"), lab.node("val-3"));
    source.open_rpc();
    let taken = source.host.path(&format!("{}/data/snapshots", source.home));
    until(60, "two snapshots", || taken.join("20/3/0").exists().then_some(()));
    source.wait_for_block_above(lab.tip());
    let before = lab.units(&[]);
    fleet.backup(&["sentry-1", "--profile", "statesync"]).exits(0).says("1 snapshot");
    lab.assert_untouched(&before);
    let manifest = &fleet.manifests()[0];
    let height = manifest["node"]["height"].as_u64().unwrap();

    node.stop();
    let last = signed(&node);
    wipe_all_but_the_signers_state(&node);
    let data = format!("{}/data", node.home);
    copy(&fleet.unpacked().join("snapshots"), &node.host.path(&format!("{data}/snapshots")));
    node.host.inside(&["chown", "-R", &format!("--reference={data}"), &data]);
    // The database names older ones, whose chunks weren't kept.
    let named = snapshots(&node);
    assert!(named.len() > 1 && named.last() == Some(&height), "{named:?}");
    for older in named.iter().filter(|one| **one != height) {
        node.simd(&[], &["snapshots", "delete", &older.to_string(), "3"]);
    }
    assert_eq!(snapshots(&node), [height]);
    node.simd(&[], &["snapshots", "restore", &height.to_string(), "3"]);
    let commit = source.rpc(&format!("commit?height={height}")).unwrap();
    let hash = commit.pointer("/signed_header/commit/block_id/hash").unwrap().as_str().unwrap();
    let rpc = format!("http://{}:{}", source.host.address, source.rpc_port);
    let trusted = [
        format!("SIMD_STATESYNC_RPC_SERVERS={rpc},{rpc}"),
        format!("SIMD_STATESYNC_TRUST_HEIGHT={height}"),
        format!("SIMD_STATESYNC_TRUST_HASH={hash}"),
    ];
    node.simd(&trusted, &["comet", "bootstrap-state"]);
    assert_eq!(signed(&node), last, "its signer's state was touched");
    let tip = lab.tip();
    node.host.inside(&["systemctl", "start", &node.unit]);
    lab.wait_until_sign_after(tip, &["val-3"]);
    assert!(signed(&node) > last);
    // It has no block from before, and the state after that height is the chain's.
    let next = node.rpc(&format!("commit?height={}", height + 1)).unwrap();
    assert_eq!(next.pointer("/signed_header/header/app_hash"), Some(&manifest["node"]["app_hash"]));
    assert_eq!(node.rpc("block?height=1"), None);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            fs::copy(&entry, to).unwrap();
        }
    }
}
