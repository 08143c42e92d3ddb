//! The fork that lost locks allow: a block may be committed out of sight, and nothing says so any more.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fleet::chain::wal::proto::{SignedMsgType, Timestamp, Vote};
use fleet::chain::wal::validators::vote_sign_bytes;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::Ed25519Keypair;
use serde_json::{Value, json};

use crate::controller::{CHAIN, Controller};
use crate::lab::{Lab, Node};
use crate::process::until;

const CHAIN_ID: &str = "virtengine-1";

/// The node's signer has precommitted nothing at a round, and its log is lost.
fn precommits_nothing(node: &Node, height: u64, round: i32) {
    let vote = Vote {
        r#type: SignedMsgType::Precommit.into(),
        height: height.cast_signed(),
        round,
        timestamp: Some(Timestamp { seconds: 1_795_000_000, nanos: 0 }),
        ..Vote::default()
    };
    let key: Value = serde_json::from_slice(&fs::read(&node.key_file).unwrap()).unwrap();
    let key = BASE64.decode(key["priv_key"]["value"].as_str().unwrap()).unwrap();
    let key = Ed25519Keypair::from_bytes(key.as_slice().try_into().unwrap()).unwrap();
    let signed = vote_sign_bytes(&vote, CHAIN_ID);
    let state = json!({
        "height": height.to_string(), "round": round, "step": 3,
        "signature": BASE64.encode(key.try_sign(&signed).unwrap().as_bytes()),
        "signbytes": hex::encode_upper(signed),
    });
    fs::write(&node.signer_file, state.to_string()).unwrap();
    fs::remove_dir_all(node.log_folder()).unwrap();
}

/// 4 x 25: the fourth commits a block at round 0 and is cut off; the others go to round 1, precommit nothing, and lose
/// their logs. Free of their locks, they could commit another block.
#[test]
fn what_might_fork_is_refused_by_clearing_and_by_revival() {
    let options = ["--validators", "4", "--powers", "25,25,25,25", "--sentries", "1"];
    let bare = ["--no-bastion", "--no-odd", "--second-chain", "none"];
    let lab = Lab::beside("fork", &[&options[..], &bare[..]].concat());
    let fleet = Controller::new(&lab, &[]);
    fleet.on_chain(&["halt", "--yes"]).exits(0);
    let height = lab.node("val-1").last_ended().unwrap() + 1;
    lab.run(&["cut", "val-4"]).exits(0);
    let seen: Vec<Node> = lab.nodes().into_iter().filter(|node| node.host.name != "val-4").collect();
    for node in &seen {
        if node.power > 0 {
            precommits_nothing(node, height, 1);
        }
        node.host.inside(&["systemctl", "start", &node.unit]);
    }
    until(60, "the chain is seen to stand", || fleet.on_chain(&["status"]).out.contains("STOPPED").then_some(()));
    until(60, "the nodes answer", || seen.iter().all(|node| node.height().is_some()).then_some(()));
    let units = lab.units(&[]);
    let states = || seen.iter().map(|node| fs::read(&node.signer_file).unwrap()).collect::<Vec<_>>();
    let signed = states();
    fleet.on_chain(&["wal", "revive", "--yes"]).exits(3).says("possible-fork").says("nothing was changed");
    assert_eq!(lab.units(&[]), units);
    let options = ["--allow-missing", "val-4", "--clear-wal", CHAIN, "--block-timeout", "5s"];
    let said = fleet.restart(&options);
    said.says("refused, the WALs are kept").says("possible-fork");
    assert!(seen.iter().all(|node| node.unit_state().state == "active"), "they are started again");
    assert!(seen.iter().all(|node| crate::clear::aside(node).is_empty()), "no log is touched");
    assert_eq!(states(), signed, "no signer's state is touched");
    assert_eq!(lab.tip() + 1, height);
}
