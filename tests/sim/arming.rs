//! A host that can't be armed: nothing is changed anywhere, and the operator may go on without it.

use std::time::Duration;

use fleet::sim::Fault;

use crate::rig::{Ran, Rig, eventually, halted, small};

/// A restart that a fault on `val-3` keeps from arming.
fn not_armed(rig: &Rig, words: &str) -> Ran {
    let (pids, height) = (rig.pids(), rig.chain().height);
    let ran = rig
        .run(&format!("restart --coordinated --yes --facts-timeout 15s {words}"))
        .ended(5)
        .says("nothing was changed");
    assert!(ran.out.contains("val-3"), "{}", ran.out);
    assert_eq!(rig.pids(), pids, "nothing was changed");
    assert!(rig.chain().height >= height);
    ran
}

#[test]
fn a_host_that_refuses_connections() {
    let rig = Rig::new(&small());
    rig.fault("val-3", Fault::Refuse(true));
    not_armed(&rig, "").says("--allow-missing 'val-3'");
    rig.advances();
    assert_eq!(rig.locked(), Vec::<String>::new());
}

#[test]
fn a_host_that_never_speaks_hangs_or_stands_still_costs_its_own_time_only() {
    std::thread::scope(|scope| {
        for fault in [Fault::Mute(true), Fault::Hang(true), Fault::Freeze(true)] {
            scope.spawn(move || {
                let rig = Rig::new(&small());
                rig.fault("val-3", fault);
                let ran = not_armed(&rig, "");
                assert!(ran.took < Duration::from_secs(60), "{fault:?}: {:?}", ran.took);
                assert_eq!(rig.locked(), Vec::<String>::new(), "{fault:?}");
                rig.advances();
            });
        }
    });
}

#[test]
fn a_host_is_left_out_by_name_or_by_its_share() {
    std::thread::scope(|scope| {
        for (words, code) in [
            ("--allow-missing val-3", 0),
            ("--allow-missing-power 25%", 0),
            ("--allow-missing-power 24%", 5),
            ("--allow-missing val-4", 5),
        ] {
            scope.spawn(move || {
                let rig = Rig::new(&small());
                // The powers of a host that was seen once are known.
                rig.run("status").ended(0);
                let (before, pids) = (rig.chain(), rig.pids());
                rig.fault("val-3", Fault::Refuse(true));
                let ran = rig.run(&format!("restart --coordinated --yes --blocks 1 {words}")).ended(code);
                let changed = rig.pids().iter().filter(|(host, pid)| pids[*host] != **pid).count();
                assert_eq!(changed, if code == 0 { 4 } else { 0 }, "{words}: {}", ran.out);
                rig.fault("val-3", Fault::Refuse(false));
                rig.is_well(&before.signers, words);
            });
        }
    });
}

#[test]
fn a_host_that_is_lost_between_the_plan_and_the_arming() {
    let rig = Rig::new(&small());
    let pids = rig.pids();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    let run = rig.start(&format!("restart --coordinated --yes --at {at}"));
    rig.reached("waiting");
    rig.fault("val-3", Fault::Refuse(true));
    rig.fault("val-3", Fault::Cut);
    let ran = run.wait().ended(5).says("all disarmed");
    assert!(ran.out.contains("val-3"), "{}", ran.out);
    assert_eq!(rig.pids(), pids);
    rig.fault("val-3", Fault::Refuse(false));
    rig.advances();
}

#[test]
fn without_root_rights_nothing_is_begun() {
    let rig = Rig::new(&small());
    rig.fault("val-3", Fault::SudoRefused(true));
    not_armed(&rig, "").says("sudo");
    assert_eq!(rig.locked(), Vec::<String>::new());
}

#[test]
fn where_forwarding_is_refused_the_hosts_own_curl_asks() {
    let rig = Rig::new(&halted());
    let before = rig.chain();
    for host in rig.hosts() {
        rig.fault(&host, Fault::ForwardRefused(true));
    }
    // A simulated node's RPC is behind the link only, so curl finds nothing there and says so.
    let ran = rig.run("status -v");
    assert!(ran.code == Some(1), "{}", ran.out);
    let ran = rig.run("restart --coordinated --yes --block-timeout 5s").ended(1);
    assert!(ran.out.contains("curl") || ran.out.contains("forward"), "{}", ran.out);
    rig.is_well(&before.signers, "forwarding refused");
}

// The longest of all waits: the first modules' tests begin first.
#[test]
fn a_host_that_dies_after_the_instant_is_unknown_and_nothing_is_started() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    // It acknowledges and then won't stop, so that it is still under way when it dies.
    rig.fault("val-3", Fault::WontStop(true));
    let run = rig.start("restart --coordinated --yes --blocks 1 --stop-timeout 4s");
    eventually("stops", || rig.active("val-3") == "deactivating");
    rig.fault("val-3", Fault::Freeze(true));
    let ran = run.wait().ended(4).says("unknown").says("Nothing was started").says("next: fleet resume");
    assert!(
        rig.hosts().iter().filter(|host| *host != "val-3").all(|host| rig.active(host) == "inactive"),
        "{}",
        ran.out
    );
    assert_eq!(rig.locked().len(), 5, "the locks are kept for the resume");
    let next = format!("next: fleet resume {}   goes on with", rig.runs()[0]);
    rig.run("lock show val-1").ended(0).says(&next);
    // Still dead: nothing is given back, and it can be resumed again.
    rig.run("resume --yes").ended(4).says("still to come: stops 1 service, starts 5").says("val-3");
    assert_eq!(rig.locked().len(), 5);
    // Given up: the others start, and their power is enough.
    rig.run("resume --yes --give-up").ended(4).says("going on without val-3").says("but not val-3");
    rig.advances();
    assert_eq!(rig.locked(), ["val-3"]);
    rig.fault("val-3", Fault::WontStop(false));
    rig.fault("val-3", Fault::Freeze(false));
    rig.signers_never_went_back(&before.signers, "given up");
}
