//! fleet dies at every point of a run that replaces a node's log or puts it back: the log is one or the other, whole.

use std::collections::BTreeMap;

use fleet::sim::Layout;

use crate::killed::{Killed, die, everywhere, kill, starts};
use crate::killed_clear::{place, reboot};
use crate::logs::{Aside, Log, aside, log, set_aside};
use crate::rig::{Rig, quick};

/// The node whose log it is.
const SENTRY: &str = "sentry-1";
/// Simulated nodes note no steps in their logs, so that nobody can tell that the votes will be looked at.
const REVIVE: &str = "wal revive --yes -o json --blocks 1 --accept wal-strands";
const RESTORE: &str = "wal restore sentry-1 --yes -o json --blocks 1";

/// As few hosts as a chain and a sentry need, so that many runs take little time.
pub fn few() -> Layout {
    Layout { hosts: Layout::with(&[10, 10], 1).hosts, ..quick() }
}

/// The same, stranded: all have voted, and their logs are gone.
pub fn stranded() -> Layout {
    Layout { stranded: true, ..few() }
}

pub fn logs(rig: &Rig) -> BTreeMap<String, Log> {
    rig.hosts().into_iter().map(|host| (host.clone(), log(rig, &host))).collect()
}

/// Only the sentry was started again, and only once.
#[track_caller]
fn is_started_once(rig: &Rig, before: &BTreeMap<String, usize>, context: &str) {
    for (host, count) in starts(rig) {
        assert_eq!(count, before[&host] + usize::from(host == SENTRY), "{host} {context}");
    }
}

#[test]
fn a_revival_killed_after_any_event_leaves_the_old_log_or_the_new_one() {
    let rig = Rig::new(&stranded());
    rig.run("status").ended(1).says("fleet wal revive");
    rig.run(REVIVE).ended(0);
    let events = rig.events().len();
    assert!(events > 20, "{events}");
    drop(rig);
    everywhere(events, |prefixes| prefixes.for_each(|prefix| revive(&Rig::new(&stranded()), prefix)));
}

fn revive(rig: &Rig, prefix: usize) {
    let (signers, starts, mut expected) = (rig.chain().signers, starts(rig), logs(rig));
    let Killed { done, context } = kill(rig, REVIVE, prefix);
    if !done {
        assert_eq!((logs(rig), aside(rig, SENTRY)), (expected.clone(), None), "{context}");
        assert!(rig.all_active() && rig.stands() && rig.locked().is_empty(), "{context}");
        rig.run(REVIVE).ended(0);
    }
    is_revived(rig, &mut expected, &context);
    rig.is_well(&signers, &context);
    is_started_once(rig, &starts, &context);
}

/// The sentry has the new log, its old one is set aside, and the others' are as they were.
#[track_caller]
fn is_revived(rig: &Rig, expected: &mut BTreeMap<String, Log>, context: &str) {
    let new = log(rig, SENTRY);
    let old = expected.insert(SENTRY.into(), new.clone()).unwrap();
    assert_eq!(logs(rig), *expected, "{context}");
    assert_eq!(aside(rig, SENTRY), Some(Aside { log: old, replaced: Log::new(), by: Some(new) }), "{context}");
}

#[test]
fn a_revival_whose_node_a_reboot_has_started_is_brought_to_its_end() {
    let rig = Rig::new(&stranded());
    rig.run(REVIVE).ended(0);
    let stopped = place(&rig, |event| event["event"] == "stage_ended");
    let started = place(&rig, |event| event["event"] == "stage_started" && event["name"] == "nodes");
    drop(rig);
    everywhere(started - stopped, |prefixes| {
        for prefix in prefixes {
            let rig = Rig::new(&stranded());
            let (signers, mut expected) = (rig.chain().signers, logs(&rig));
            let (over, context) = die(&rig, REVIVE, stopped + prefix);
            assert!(!over, "{context}");
            if rig.active(SENTRY) != "active" {
                reboot(&rig, SENTRY);
            }
            let ran = rig.run("resume --yes").ended(0);
            is_revived(&rig, &mut expected, &format!("{context}\n{}", ran.out));
            rig.is_well(&signers, &context);
        }
    });
}

#[test]
fn a_log_that_is_put_back_is_the_old_one_or_the_new_one_after_any_event() {
    let rig = Rig::new(&few());
    set_aside(&rig, SENTRY);
    rig.run(RESTORE).ended(0);
    let events = rig.events().len();
    assert!(events > 20, "{events}");
    drop(rig);
    everywhere(events, |prefixes| {
        let rig = Rig::new(&few());
        prefixes.for_each(|prefix| restore(&rig, prefix));
    });
}

fn restore(rig: &Rig, prefix: usize) {
    let old = set_aside(rig, SENTRY);
    let (signers, starts, mut expected) = (rig.chain().signers, starts(rig), logs(rig));
    let Killed { done, context } = kill(rig, RESTORE, prefix);
    let new = expected[SENTRY].clone();
    if !done {
        let kept = Aside { log: old.clone(), replaced: Log::new(), by: Some(new.clone()) };
        assert_eq!((logs(rig), aside(rig, SENTRY)), (expected.clone(), Some(kept)), "{context}");
        rig.run(RESTORE).ended(0);
    }
    expected.insert(SENTRY.into(), old);
    assert_eq!(logs(rig), expected, "{context}");
    assert_eq!(aside(rig, SENTRY), Some(Aside { log: Log::new(), replaced: new, by: None }), "{context}");
    rig.is_well(&signers, &context);
    is_started_once(rig, &starts, &context);
}
