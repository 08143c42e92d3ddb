//! Logs that were lost at the worst moments of a height, and what revives the chain then.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fleet::chain::wal::proto::Inner;
use fleet::chain::wal::record::{self, Record};
use fleet::chain::wal::replay::Log;
use fleet::chain::wal::view::View;

use crate::controller::{CHAIN, Controller};
use crate::frozen::Spoken;
use crate::lab::{Lab, Node};

/// More than two thirds of 100.
const QUORUM: u64 = 67;

fn power(spoken: &[Spoken], step: u64) -> u64 {
    spoken.iter().filter(|one| one.step == step).map(|one| one.power).sum()
}

/// Moves a node's log aside, as an operator does by hand.
fn move_aside(node: &Node) {
    let folder = node.log_folder();
    fs::rename(&folder, format!("{}.fleet-00BYHAND", folder.display())).unwrap();
}

fn delete_log(node: &Node) {
    fs::remove_dir_all(node.log_folder()).unwrap();
}

fn records(log: &Path) -> Vec<Record> {
    View::of(&Log::whole([fs::read(log).unwrap().as_slice()])).records
}

fn votes(log: &Path) -> impl Iterator<Item = Record> {
    let is_vote =
        |record: &Record| matches!(record.consensus().and_then(|message| message.sum.as_ref()), Some(Inner::Vote(_)));
    records(log).into_iter().filter(is_vote)
}

/// Writes records as a log that stands beside a node's own.
fn plant(node: &Node, records: &[Record]) {
    let mut bytes = Vec::new();
    for record in records {
        record::write(&mut bytes, &record.message).unwrap();
    }
    let folder = format!("{}.fleet-00PLANTED", node.log_folder().display());
    fs::create_dir_all(&folder).unwrap();
    fs::write(Path::new(&folder).join(node.wal.file_name().unwrap()), bytes).unwrap();
}

/// `halt_after` of the lab's chains: a chain whose last block is younger still counts as one that advances.
const HALT_AFTER: Duration = Duration::from_secs(10);

/// The chain stands for as long as it takes until fleet calls it stopped.
fn assert_stands(lab: &Lab, height: u64) {
    std::thread::sleep(HALT_AFTER);
    assert_eq!(lab.tip() + 1, height, "it goes on by itself");
}

#[test]
fn a_height_between_prevotes_and_precommits_is_revived_and_no_forged_vote_counts() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let height = lab.kill_all_when("some have precommitted, some prevoted", |spoken| {
        let precommitted = power(spoken, 3);
        precommitted > 0 && precommitted < QUORUM && power(spoken, 2) > 0
    });
    let nodes = lab.nodes();
    // A vote with another's block, under its validator's name; and one of the other chain.
    let mut forged = votes(&lab.node("val-1").wal).filter(|one| one.height() == Some(height)).last().unwrap();
    let message = forged.message.msg.as_mut().and_then(|one| one.sum.as_mut()).unwrap();
    let fleet::chain::wal::proto::Entry::MsgInfo(info) = message else { panic!("no message: {forged:?}") };
    let Some(Inner::Vote(vote)) = info.msg.as_mut().and_then(|one| one.sum.as_mut()) else { panic!("no vote") };
    vote.vote.as_mut().unwrap().round += 7;
    let mut strange = votes(&lab.other().wal).last().unwrap();
    let message = strange.message.msg.as_mut().and_then(|one| one.sum.as_mut()).unwrap();
    let fleet::chain::wal::proto::Entry::MsgInfo(info) = message else { panic!("no message: {strange:?}") };
    let Some(Inner::Vote(vote)) = info.msg.as_mut().and_then(|one| one.sum.as_mut()) else { panic!("no vote") };
    vote.vote.as_mut().unwrap().height = height.cast_signed();
    nodes.iter().for_each(move_aside);
    plant(&lab.node("val-3"), &[forged, strange]);
    lab.start_all();
    assert_stands(&lab, height);
    let said = fleet.on_chain(&["wal", "revive", "--dry-run"]).exits(0);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for why in ["its signature isn't its validator's on this chain", "of nobody in the validator set"] {
        assert!(words.contains(&format!("00PLANTED/wal: {why}")), "{said}");
    }
    fleet.on_chain(&["wal", "revive", "--yes", "--blocks", "1"]).exits(0);
    lab.wait_until_all_sign_after(height);
}

#[test]
fn a_block_with_its_precommits_is_revived_by_one_log_and_by_none_it_is_said() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let height = lab.kill_all_when("more than two thirds have precommitted", |spoken| power(spoken, 3) >= QUORUM);
    let keeper = lab.node("val-5");
    let kept = fs::read(&keeper.wal).unwrap();
    lab.nodes().iter().for_each(delete_log);
    lab.start_all();
    assert_stands(&lab, height);
    let units = lab.units(&[]);
    let said = fleet.on_chain(&["wal", "revive", "--yes"]).exits(3);
    let words: Vec<&str> = said.err.split_whitespace().collect();
    assert!(words.join(" ").contains("no log has all of its parts"), "{said}");
    said.says("nothing was changed");
    assert_eq!(lab.units(&[]), units);

    let folder = format!("{}.fleet-00KEPT", keeper.log_folder().display());
    fs::create_dir_all(&folder).unwrap();
    fs::write(Path::new(&folder).join("wal"), kept).unwrap();
    // Those who have prevoted only could, without their logs, precommit nothing instead: they stay out until it is done.
    let silent: Vec<Node> = lab.validators().into_iter().filter(|node| node.spoken().unwrap().step < 3).collect();
    let names = silent.iter().map(|node| node.host.name.as_str()).collect::<Vec<_>>().join(",");
    // One of these hosts runs a node of the other chain too.
    let silent_ones = format!("({names}) and {CHAIN}");
    if !silent.is_empty() {
        let said = fleet.on_chain(&["wal", "revive", "--yes"]).exits(3).says("possible-fork");
        let words = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(silent.iter().all(|node| words.contains(&format!("{} (", node.host.name))), "{said}");
        fleet.fleet(&["halt", &silent_ones, "--yes"]).exits(0);
    }
    let said = fleet.on_chain(&["wal", "revive", "--dry-run"]).exits(0);
    said.says(&format!("block {height} (")).says("is committed at round 0");
    fleet.on_chain(&["wal", "revive", "--yes", "--blocks", "1"]).exits(0);
    if !silent.is_empty() {
        fleet.fleet(&["start", &silent_ones, "--yes", "--blocks", "1"]).exits(0);
    }
    lab.wait_until_all_sign_after(height);
}
