//! What goes wrong after the instant: outcomes are settled by looking, and said.

use fleet::sim::Fault;

use crate::rig::{Rig, eventually, halted, small};

#[test]
fn a_link_that_is_cut_right_after_the_instant_changes_nothing() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let run = rig.start("restart --coordinated --yes --blocks 1");
    rig.reached("firing");
    for host in rig.hosts() {
        rig.fault(&host, Fault::Cut);
    }
    let ran = run.wait();
    if ran.code != Some(0) {
        // A host may not have heard of the instant: then it was disarmed, and the others are stopped.
        assert_eq!(ran.code, Some(4), "{}\n{}", ran.out, ran.err);
        rig.run("resume --yes").ended(0);
    }
    rig.is_well(&before.signers, &ran.out);
    for host in rig.hosts() {
        assert_eq!(rig.starts(&host), 2, "{host}: never repeated\n{}", ran.out);
    }
}

#[test]
fn a_unit_that_will_not_stop_is_reported_in_time_and_can_be_resumed() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    rig.fault("val-3", Fault::WontStop(true));
    let ran = rig.run("restart --coordinated --yes --blocks 1 --stop-timeout 3s").ended(4);
    assert!(ran.out.contains("val-3 failed: unit is deactivating"), "{}", ran.out);
    assert!(ran.took.as_secs() < 25, "{:?}", ran.took);
    assert_eq!(rig.active("val-3"), "deactivating", "nothing was killed");
    assert_eq!(rig.active("val-1"), "inactive");
    // Killed by hand, as an operator would.
    rig.ask("val-3", "systemctl kill -s KILL virtengined");
    rig.run("resume --yes").ended(0);
    rig.is_well(&before.signers, "resumed");
}

#[test]
fn a_unit_that_will_not_stop_is_killed_on_demand() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    rig.fault("val-3", Fault::WontStop(true));
    let run = rig.start("restart --coordinated --yes --blocks 1 --kill-after 2s");
    eventually("stops", || rig.active("val-3") != "active");
    run.wait().ended(0);
    rig.is_well(&before.signers, "killed");
    assert_eq!(rig.starts("val-3"), 2);
}

#[test]
fn the_timer_of_a_kill_does_not_outlive_the_stop() {
    let rig = Rig::new(&small());
    rig.run("restart --coordinated --yes --kill-after 3s -o json").ended(0);
    let pids = rig.pids();
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(rig.pids(), pids, "what was started is not killed by what was meant for its forerunner");
}

#[test]
fn a_start_that_fails_is_said_and_the_others_go_on_while_their_power_is_enough() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    rig.fault("val-3", Fault::StartFails(true));
    let ran = rig.run("restart --coordinated --yes --blocks 1").ended(4);
    assert!(ran.out.contains("chain advancing") && ran.out.contains(", but not val-3"), "{}", ran.out);
    assert!(ran.out.contains("fleet start -l 'val-3'"), "{}", ran.out);
    rig.advances();
    assert_eq!(rig.locked(), Vec::<String>::new());
    rig.fault("val-3", Fault::StartFails(false));
    rig.run("start --yes -l val-3 -o json").ended(0);
    rig.is_well(&before.signers, "started by hand");
}

#[test]
fn starts_that_fail_by_more_than_the_quorum_can_miss_end_the_run() {
    let rig = Rig::new(&halted());
    let before = rig.chain();
    for host in ["val-2", "val-3"] {
        rig.fault(host, Fault::StartFails(true));
    }
    let ran = rig.run("restart --coordinated --yes --block-timeout 5s").ended(4);
    assert!(ran.out.contains("val-[2-3]") || ran.out.contains("val-2"), "{}", ran.out);
    assert!(ran.out.contains("next: fleet resume"), "{}", ran.out);
    for host in ["val-2", "val-3"] {
        rig.fault(host, Fault::StartFails(false));
    }
    rig.run("resume --yes").ended(0);
    rig.is_well(&before.signers, "resumed");
}

#[test]
fn no_block_is_a_failure_of_its_own() {
    let rig = Rig::new(&small());
    for host in ["val-1", "val-2"] {
        rig.fault(host, Fault::Isolate(true));
    }
    let ran = rig.run("restart --coordinated --yes --block-timeout 4s").ended(1).says("no block has come");
    assert!(rig.all_active(), "{}", ran.out);
    assert_eq!(rig.locked(), Vec::<String>::new());
}
