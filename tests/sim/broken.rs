//! The link to a host breaks at many points of a restart.

use fleet::sim::Fault;

use crate::rig::{Ran, Rig, every_cut};

const RESTART: &str = "restart --coordinated --yes -o json --stop-timeout 5s";
/// Bytes of a host's answers from one cut to the next.
const STRIDE: u64 = 1789;
/// A restart is over before so many.
const MOST: u64 = 70_000;

#[test]
fn a_link_that_breaks_after_any_number_of_bytes_never_makes_a_wrong_done() {
    every_cut(STRIDE, MOST, break_after);
}

fn break_after(rig: &Rig, bytes: u64) {
    let (before, pids) = (rig.chain().signers, rig.pids());
    rig.fault("val-2", Fault::DropAfter(bytes));
    let ran = rig.run(RESTART);
    let context = format!("cut after {bytes} bytes: {:?}\n{}\n{}", ran.code, ran.out, ran.err);
    match ran.code {
        Some(0) => assert!(rig.pids().iter().all(|(host, pid)| *pid != 0 && *pid != pids[host]), "{context}"),
        // Nothing changed.
        Some(5) => assert_eq!(rig.pids(), pids, "{context}"),
        Some(4) => bring_back(rig, &ran, &context),
        _ => panic!("{context}"),
    }
    rig.is_well(&before, &context);
}

fn bring_back(rig: &Rig, ran: &Ran, context: &str) {
    if ran.out.contains("fleet resume") {
        let resumed = rig.run("resume --yes -o json");
        assert_eq!(resumed.code, Some(0), "{context}\nresumed: {}\n{}", resumed.out, resumed.err);
    } else {
        rig.run("start --yes -o json").ended(0);
    }
}
