//! What goes well.

use serde_json::Value;

use crate::rig::{Rig, eventually, halted, small};

#[test]
fn a_halted_chain_comes_back() {
    let rig = Rig::new(&halted());
    let before = rig.chain();
    assert!(rig.stands());
    let ran = rig.run("restart --coordinated --yes --blocks 2").ended(0);
    assert!(ran.out.contains("chain advancing"), "{}", ran.out);
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{:?}", ran.out);
    assert_eq!(ran.err, "");
    rig.is_well(&before.signers, &ran.out);
    for host in rig.hosts() {
        let was_down = usize::from(host == "val-1" || host == "val-2");
        assert_eq!(rig.starts(&host), 2 - was_down, "{host}");
    }
}

#[test]
fn halt_then_start() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let ran = rig.run("halt --yes").ended(0).says("all stopped");
    assert!(rig.pids().values().all(|pid| *pid == 0), "{}", ran.out);
    assert!(rig.stands());
    assert_eq!(rig.locked(), Vec::<String>::new());
    rig.run("start --yes -o json").ended(0);
    rig.is_well(&before.signers, "after halt and start");
}

#[test]
fn programs_get_json() {
    let rig = Rig::new(&small());
    let plan = rig.run("restart --coordinated --dry-run -o json").ended(0);
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    let pids = rig.pids();
    let digest = plan["digest"].as_str().unwrap();
    let ran = rig.run(&format!("restart --coordinated --plan-digest {digest} -o json")).ended(0);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["digest"], &document["exit"]), (&plan["digest"], &Value::from(0)));
    assert!(rig.pids().iter().all(|(host, pid)| *pid != 0 && *pid != pids[host]), "all were restarted");
    let ran = rig.run("restart --coordinated --yes -o jsonl").ended(0);
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, rig.events(), "the same as in the journal");
    assert_eq!(events.last().unwrap()["event"], "run_ended");
    rig.run("restart --coordinated --plan-digest 0000-0000").ended(2).says("the plan has the digest");
}

#[test]
fn a_start_of_a_stopped_fleet_waits_for_a_new_block() {
    let rig = Rig::new(&small());
    rig.run("halt --yes").ended(0);
    // Without a third of the power no block can come.
    let ran = rig.run("start --yes --block-timeout 4s -l val-1,val-2,sentry-1").ended(1).says("no block has come");
    assert!(!ran.out.contains("chain advancing"), "{}", ran.out);
    assert!(rig.stands());
    assert_eq!(rig.locked(), Vec::<String>::new());
    rig.run("start --yes -o json").ended(0);
    eventually("blocks", || !rig.stands());
}
