//! Logs that were set aside are put back, where nothing was signed since.

use fleet::sim::Fault;

use crate::logs::{Aside, Log, aside, log, set_aside, signer};
use crate::rig::{Rig, eventually, halted, small};

/// A chain that is halted, two of its validators being down with a log that a run has set.
fn cleared() -> (Rig, Vec<Log>) {
    let rig = Rig::new(&halted());
    let old = ["val-1", "val-2"].map(|host| set_aside(&rig, host));
    (rig, old.into())
}

fn logs(rig: &Rig) -> Vec<Log> {
    ["val-1", "val-2"].map(|host| log(rig, host)).into()
}

#[test]
fn validators_that_have_not_signed_since_get_their_logs_back() {
    let (rig, old) = cleared();
    let before = rig.chain();
    assert_ne!(logs(&rig), old);
    rig.run("wal restore val-[1-2] --yes --blocks 1").ended(0).says("put back on 2 of 2").says("chain advancing");
    assert_eq!(logs(&rig), old);
    rig.is_well(&before.signers, "restored");
    rig.run("wal restore val-[1-2] --yes").ended(3).says("val-1 has no log that was set aside; val-2 has no log");
}

#[test]
fn a_validator_that_has_signed_since_is_named_before_anything_is_touched() {
    let rig = Rig::new(&small());
    let (pids, old) = (rig.pids(), set_aside(&rig, "val-3"));
    rig.advances();
    for selector in ["val-3", "all"] {
        let ran = rig.run(&format!("wal restore {selector} --yes")).ended(3).says("val-3 has signed since: 1204");
        ran.says("nothing was changed").says("refused: ");
    }
    let config = rig.sim.host("val-3").join("home/config/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("laddr = \"\"", "laddr = \"tcp://127.0.0.1:1234\"")).unwrap();
    rig.run("wal restore val-3 --yes").ended(3).says("val-3 has a remote signer");
    assert_eq!((rig.pids(), rig.locked()), (pids, Vec::new()));
    assert_ne!(log(&rig, "val-3"), old);
}

#[test]
fn a_validator_that_signs_while_it_stops_starts_again_with_the_log_it_has() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    // Cut off from its peers it signs nothing.
    rig.fault("val-3", Fault::Isolate(true));
    rig.advances();
    let old = set_aside(&rig, "val-3");
    let (new, kept) = (log(&rig, "val-3"), signer(&rig, "val-3"));
    rig.fault("val-3", Fault::WontStop(true));
    let run = rig.start("wal restore val-3 --yes --blocks 1");
    eventually("val-3 was told to stop", || rig.active("val-3") == "deactivating");
    rig.fault("val-3", Fault::Isolate(false));
    eventually("val-3 has signed", || signer(&rig, "val-3") != kept);
    rig.fault("val-3", Fault::WontStop(false));
    rig.ask("val-3", "systemctl kill -s KILL virtengined");
    let ran = run.wait().ended(4).says("val-3 keeps the log it has").says("has signed since the old log was set aside");
    assert!(ran.out.contains("chain advancing"), "{}", ran.out);
    assert_eq!(log(&rig, "val-3"), new);
    assert_eq!(aside(&rig, "val-3"), Some(Aside { log: old, replaced: Log::new(), by: Some(new) }));
    rig.is_well(&before.signers, &ran.out);
}
