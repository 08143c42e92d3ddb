//! A clearing that is refused: all start with the logs they have.

use fleet::sim::Layout;
use fleet::sim::layout::Foreign;
use serde_json::Value;

use crate::killed::starts;
use crate::killed_wal::logs;
use crate::logs::aside;
use crate::rig::{Ran, Rig, small};

/// The signatures of a chain that isn't stranded prove nothing, so that nobody knows what its signers have signed.
const WHY: &str = "what it has signed last isn't known";

/// Restarts a chain whose logs are to be cleared, and sees that every one is kept and every node started once.
#[track_caller]
fn kept(layout: &Layout, words: &str) -> (Rig, Ran) {
    let rig = Rig::new(layout);
    let (logs, starts) = (self::logs(&rig), starts(&rig));
    let ran = rig.run(&format!("restart --coordinated --clear-wal all --yes {words}"));
    let context = format!("{}\n{}", ran.out, ran.err);
    assert_eq!(self::logs(&rig), logs, "{context}");
    assert!(rig.hosts().iter().all(|host| aside(&rig, host).is_none()), "{context}");
    for (host, count) in self::starts(&rig) {
        assert_eq!(count, starts[&host] + 1, "{host} {context}");
    }
    assert!(rig.all_active() && rig.locked().is_empty(), "{context}");
    (rig, ran)
}

#[test]
fn a_refused_clearing_of_a_chain_that_goes_on_ends_with_3() {
    let (rig, ran) = kept(&small(), "--blocks 1");
    ran.ended(3).says("refused, the WALs are kept").says(WHY).says("chain advancing").says("next: ");
    rig.advances();
}

#[test]
fn a_refused_clearing_tells_it_as_events() {
    let (_, ran) = kept(&small(), "--blocks 1 -o json");
    let ran = ran.ended(3);
    let run: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    let events = run["events"].as_array().unwrap();
    let decided: Vec<&Value> = events.iter().filter(|event| event["event"] == "decided").collect();
    let [decided] = decided[..] else { panic!("{decided:?}") };
    assert_eq!(decided["carried_out"], false);
    assert!(decided["text"][0].as_str().unwrap().contains(WHY), "{decided}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit"]), (&"run_ended".into(), &3.into()));
}

#[test]
fn a_refused_clearing_of_a_chain_that_stands_ends_with_1() {
    let foreign = vec![Foreign { name: "elsewhere".into(), power: 40, votes: false }];
    let (rig, ran) = kept(&Layout { foreign, ..small() }, "--block-timeout 5s");
    assert!(rig.stands());
    ran.ended(1).says("refused, the WALs are kept").says("no block has come").says(WHY);
}
