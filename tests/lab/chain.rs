//! The chain, seen through the nodes' own RPC and never by fleet's word.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, Node};
use crate::process::until;

/// In a commit: the validator signed for the block.
const SIGNED: u64 = 2;

impl Node {
    /// The result of an RPC call; none while the node doesn't answer.
    pub fn rpc(&self, call: &str) -> Option<Value> {
        let mut answer = String::new();
        let mut stream = self.host.connect(self.rpc_port).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(stream, "GET /{call} HTTP/1.0\r\n\r\n").ok()?;
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let body: Value = serde_json::from_str(body).ok()?;
        body.get("result").cloned()
    }

    pub fn height(&self) -> Option<u64> {
        self.rpc("status")?.pointer("/sync_info/latest_block_height")?.as_str()?.parse().ok()
    }

    /// Who signed the block at `height`.
    pub fn signers(&self, height: u64) -> Option<BTreeSet<String>> {
        let commit = self.rpc(&format!("commit?height={height}"))?;
        let signatures = commit.pointer("/signed_header/commit/signatures")?.as_array()?.clone();
        let signed = signatures.iter().filter(|one| one["block_id_flag"].as_u64() == Some(SIGNED));
        Some(signed.filter_map(|one| Some(one["validator_address"].as_str()?.to_owned())).collect())
    }

    /// Waits for a block above `height` on this node.
    pub fn wait_for_block_above(&self, height: u64) -> u64 {
        let what = format!("a block above {height} on {}", self.host.name);
        until(60, &what, || self.height().filter(|now| *now > height))
    }
}

impl Lab {
    /// The greatest height of the main chain; 0 when no node answers.
    pub fn tip(&self) -> u64 {
        self.nodes().iter().filter_map(Node::height).max().unwrap_or(0)
    }

    /// Waits until every validator has signed a block above `height`.
    pub fn wait_until_all_sign_after(&self, height: u64) {
        let names: Vec<String> = self.validators().into_iter().map(|node| node.host.name).collect();
        self.wait_until_sign_after(height, &names.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Waits until each of these validators has signed a block above `height`.
    pub fn wait_until_sign_after(&self, height: u64, names: &[&str]) {
        let mut missing: Vec<Node> = names.iter().map(|name| self.node(name)).collect();
        let nodes = self.nodes();
        let mut seen = height;
        until(60, &format!("{names:?} sign above {height}"), || {
            let tip = nodes.iter().filter_map(Node::height).max()?;
            while seen < tip {
                let signed = nodes.iter().find_map(|node| node.signers(seen + 1))?;
                missing.retain(|node| !signed.contains(&node.address));
                seen += 1;
            }
            missing.is_empty().then_some(())
        });
    }

    /// All are up again: every validator signs above what is committed now.
    pub fn wait_until_all_sign_again(&self) {
        self.wait_until_all_sign_after(self.tip());
    }

    /// Waits until the chain has stood for longer than a block takes; the height.
    pub fn wait_until_halted(&self) -> u64 {
        let mut heights = vec![0];
        until(30, "no block for 4 s", || {
            heights.push(self.tip());
            std::thread::sleep(std::time::Duration::from_secs(1));
            let last = *heights.last()?;
            heights.ends_with(&[last; 4]).then_some(last)
        })
    }
}
