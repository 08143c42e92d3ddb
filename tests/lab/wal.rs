//! Write-ahead logs on a real chain: what the runbook's clearing does to it, and the way back.

use crate::controller::Controller;
use crate::lab::{Lab, Node};
use crate::process::until;

/// 35 of 100 of the power: without them the chain stops.
const DOWN: [&str; 2] = ["val-2", "val-3"];

/// Clears by hand after the chain has lost its quorum and the others have voted for the next height.
pub fn strand(lab: &Lab) -> u64 {
    for name in DOWN {
        lab.node(name).stop();
    }
    let step = |node: &Node| {
        let state = node.rpc("consensus_state")?;
        Some(state.pointer("/round_state/height~1round~1step")?.as_str()?.to_owned())
    };
    // A step that doesn't pass: nobody can go on from it, and everybody has voted.
    let witness = lab.node("val-1");
    let mut since = (None, std::time::Instant::now());
    until(60, "the chain has stopped", || {
        let now = step(&witness);
        if now != since.0 {
            since = (now, std::time::Instant::now());
        }
        (since.1.elapsed() > std::time::Duration::from_secs(5)).then_some(())
    });
    let tip = lab.tip();
    clear_by_hand(lab);
    assert_eq!(lab.tip(), tip, "the runbook's clearing strands the chain");
    tip
}

/// Stops all nodes, deletes every log and starts them, as the runbook says.
fn clear_by_hand(lab: &Lab) {
    let nodes = lab.nodes();
    std::thread::scope(|scope| nodes.iter().for_each(|node| drop(scope.spawn(|| node.stop()))));
    for node in &nodes {
        std::fs::remove_dir_all(node.log_folder()).unwrap();
    }
    let start = |node: &Node| node.host.inside(&["systemctl", "start", &node.unit]);
    std::thread::scope(|scope| nodes.iter().for_each(|node| drop(scope.spawn(|| start(node)))));
    until(60, "all nodes answer", || nodes.iter().all(|node| node.height().is_some()).then_some(()));
    // Until every node has waited for a proposal in vain, and stands where it will stay.
    std::thread::sleep(std::time::Duration::from_secs(8));
}

#[test]
fn a_chain_that_the_runbooks_clearing_has_stranded_is_revived() {
    let lab = Lab::fresh();
    let fleet = Controller::new(&lab, &[]);
    let tip = strand(&lab);
    fleet.on_chain(&["wal", "show"]).exits(1).says("mute     val-[1-7]");
    fleet.on_chain(&["status"]).exits(1).says("fleet wal revive");
    let units = lab.units(&[]);
    let said = fleet.on_chain(&["wal", "revive", "--dry-run"]).exits(0);
    assert!(said.out.contains("7 votes") && said.out.contains("goes on in round 1"), "{said}");
    // Half of the power out of sight, and with it half of the votes.
    for name in ["val-1", "val-2"] {
        lab.run(&["cut", name]).exits(0);
    }
    fleet.on_chain(&["wal", "revive", "--yes"]).exits(3).says("refused (wal-strands)");
    for name in ["val-1", "val-2"] {
        lab.run(&["mend", name]).exits(0);
    }
    assert_eq!(lab.units(&[]), units, "nothing was changed");
    until(60, "val-2 has its peers back", || {
        lab.node("val-2").rpc("net_info")?["n_peers"].as_str().filter(|peers| *peers != "0").map(|_| ())
    });
    fleet.on_chain(&["wal", "revive", "--yes", "--on", "sentry-2", "--blocks", "1"]).exits(0);
    lab.wait_until_all_sign_after(tip);
    let restarted: Vec<String> =
        lab.units(&[]).into_iter().filter(|(name, unit)| units[name] != *unit).map(|one| one.0).collect();
    assert_eq!(restarted, ["sentry-2 virtengined.service"]);
    // Each look falls somewhere between a signature and its record.
    for _ in 0..4 {
        fleet.on_chain(&["wal", "show"]).exits(0).says("mute     none");
    }
    fleet.on_chain(&["wal", "show", "sentry-2"]).says("aside");

    let sentry = lab.node("sentry-2");
    fleet.on_chain(&["wal", "restore", "val-1", "--yes"]).exits(3).says("nothing was changed");
    fleet.on_chain(&["wal", "restore", "sentry-2", "--yes", "--blocks", "1"]).exits(0);
    assert_ne!(sentry.unit_state().pid, units["sentry-2 virtengined.service"].pid);
    let tip = lab.tip();
    sentry.wait_for_block_above(tip);
    assert_eq!(lab.locked(), [""; 0]);
}

#[test]
fn after_two_clearings_in_one_height_two_operators_revive_with_a_bundle() {
    let lab = Lab::fresh();
    let one = Controller::new(&lab, &["--only", "val-1,val-2,val-3,sentry-1"]);
    let other = Controller::new(&lab, &["--only", "val-4,val-5,val-6,val-7,sentry-2"]);
    let tip = strand(&lab);
    clear_by_hand(&lab);
    let units = lab.units(&[]);
    other.on_chain(&["wal", "revive", "--yes"]).exits(3).says("refused (wal-strands)");
    let file = one.path("ours.json").display().to_string();
    one.on_chain(&["wal", "bundle", "--file", &file]).exits(0).says("4 nodes");
    one.on_chain(&["wal", "bundle", "--file", &file]).exits(2).says("is there already");
    other.on_chain(&["wal", "show", "--from", &file]).exits(1).says("val-1");
    assert_eq!(lab.units(&[]), units, "nothing was changed");
    other.on_chain(&["wal", "revive", "--yes", "--blocks", "1", "--from", &file]).exits(0);
    lab.wait_until_all_sign_after(tip);
    other.on_chain(&["wal", "revive", "--yes", "--from", &file]).exits(2).says("nothing to revive");
}
