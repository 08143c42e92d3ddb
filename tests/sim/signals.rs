//! The operator's interrupts: the first leaves at a safe point, the second at once, a closed terminal ends nothing.

use fleet::sim::Fault;
use rustix::process::Signal;

use crate::rig::{Rig, Running, eventually, small};

/// A restart in the middle of its stop, held up by `val-3`.
fn stopping(rig: &Rig) -> Running {
    rig.fault("val-3", Fault::WontStop(true));
    let run = rig.start("restart --coordinated --yes --stop-timeout 60s");
    rig.reached("firing");
    run
}

/// Lets `val-3` stop.
fn release(rig: &Rig) {
    eventually("val-3 was told to stop", || rig.active("val-3") == "deactivating");
    rig.fault("val-3", Fault::WontStop(false));
    rig.ask("val-3", "systemctl kill -s KILL virtengined");
}

#[test]
fn the_first_interrupt_leaves_when_all_are_started_again() {
    std::thread::scope(|scope| {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            scope.spawn(move || {
                let rig = Rig::new(&small());
                let before = rig.chain();
                let run = stopping(&rig);
                run.signal(signal);
                run.says("leaving once all are started again");
                release(&rig);
                run.wait().ended(code).says("the starts are done");
                rig.is_well(&before.signers, "after the first interrupt");
            });
        }
    });
}

#[test]
fn the_second_interrupt_leaves_at_once_and_the_rest_is_unknown() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let run = stopping(&rig);
    run.signal(Signal::INT);
    run.says("a second one: at once");
    run.signal(Signal::INT);
    run.wait().ended(130).says("unknown").says("next: fleet resume");
    release(&rig);
    eventually("val-3 is stopped", || matches!(rig.active("val-3").as_str(), "inactive" | "failed"));
    // Late enough that it can't be taken for the end of the run.
    std::thread::sleep(std::time::Duration::from_secs(3));
    rig.ask("val-1", "systemctl start virtengined");
    let resumed = rig.run("resume --yes").ended(0).says("still to come: stops 1 service, starts 5");
    let resumed = resumed.says("started since by somebody else, would be stopped again: val-1\n");
    assert!(resumed.out.contains("chain advancing"), "{}", resumed.out);
    rig.is_well(&before.signers, "resumed");
}

#[test]
fn a_closed_terminal_ends_nothing() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let run = stopping(&rig);
    run.signal(Signal::HUP);
    release(&rig);
    let ran = run.wait().ended(0);
    rig.is_well(&before.signers, &ran.out);
}

#[test]
fn an_interrupt_while_armed_changes_nothing() {
    let rig = Rig::new(&small());
    let pids = rig.pids();
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let run = rig.start(&format!("restart --coordinated --yes --at {at}"));
    rig.reached("waiting");
    run.signal(Signal::INT);
    let ran = run.wait().ended(130).says("nothing was changed");
    assert!(!ran.out.contains("fleet resume"), "{}", ran.out);
    assert_eq!((rig.pids(), rig.locked()), (pids, Vec::new()));
}

#[test]
fn a_journal_that_cannot_be_written_is_met_before_anything_is_touched() {
    let rig = Rig::new(&small());
    let pids = rig.pids();
    std::fs::write(rig.folder("file"), "").unwrap();
    let mut command = rig.fleet("restart --coordinated --yes");
    command.env("XDG_STATE_HOME", rig.folder("file/state"));
    rig.start_command(command).wait().ended(2).says("nothing was touched").says("XDG_STATE_HOME");
    assert_eq!((rig.pids(), rig.locked()), (pids, Vec::new()));
}
