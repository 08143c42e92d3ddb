//! fleet dies at every point of a run that clears all logs: each is the old one or the short one, whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fleet::chain::wal::proto::{Inner, Timestamp};
use fleet::chain::wal::record::{self, End, Record};
use fleet::model::facts::SignerState;
use serde_json::Value;

use crate::killed::{Killed, die, everywhere, kill, starts};
use crate::killed_wal::{logs, stranded};
use crate::logs::{Aside, Log, aside, log, signer};
use crate::rig::{Ran, Rig};

const CLEAR: &str = "restart --coordinated --clear-wal all --yes -o json --blocks 1";

/// A chain that is stranded because every log is damaged where its node's vote was.
fn damaged() -> Rig {
    let rig = Rig::new(&stranded());
    let mut log = Vec::new();
    for height in [0, i64::try_from(rig.chain().height).unwrap()] {
        record::write(&mut log, &record::end_height(height, Timestamp::default())).unwrap();
    }
    log.extend(b"no record");
    for host in rig.hosts() {
        fs::write(rig.sim.host(&host).join("home/data/cs.wal/wal"), &log).unwrap();
    }
    rig
}

/// How all is before a run.
struct Before {
    logs: BTreeMap<String, Log>,
    signers: BTreeMap<String, SignerState>,
    /// What each has signed last: its signature, where it has one.
    signed: BTreeMap<String, Option<Vec<u8>>>,
    starts: BTreeMap<String, usize>,
    height: u64,
}

impl Before {
    fn of(rig: &Rig) -> Self {
        let signature = |host: &String| {
            let state: Value = serde_json::from_str(&signer(rig, host)).unwrap();
            state["signature"].as_str().map(|text| BASE64.decode(text).unwrap())
        };
        let chain = rig.chain();
        Self {
            logs: logs(rig),
            signed: rig.hosts().into_iter().map(|host| (host.clone(), signature(&host))).collect(),
            starts: starts(rig),
            signers: chain.signers,
            height: chain.height,
        }
    }

    /// The host's log is the short one and its old one is set aside, whole.
    #[track_caller]
    fn is_cleared(&self, rig: &Rig, host: &str, context: &str) {
        let new = log(rig, host);
        assert_eq!(new.keys().collect::<Vec<_>>(), ["wal"], "{host} {context}");
        let (records, end) = record::read(&new["wal"]);
        assert_eq!(end, End::Clean, "{host} {context}");
        let ends: Vec<u64> = records.iter().filter_map(Record::end_height).collect();
        assert_eq!(ends, [0, self.height], "{host} {context}");
        let votes: Vec<Vec<u8>> = records.iter().filter_map(vote).collect();
        assert_eq!(votes, Vec::from_iter(self.signed[host].clone()), "{host} {context}");
        let old = self.logs[host].clone();
        assert_eq!(aside(rig, host), Some(Aside { log: old, replaced: Log::new(), by: Some(new) }), "{host} {context}");
    }

    /// The host's log is as it was, and nothing is set aside.
    #[track_caller]
    fn is_kept(&self, rig: &Rig, host: &str, context: &str) {
        assert_eq!(log(rig, host), self.logs[host], "{host} {context}");
        assert_eq!(aside(rig, host), None, "{host} {context}");
    }

    #[track_caller]
    fn is_started_once(&self, rig: &Rig, context: &str) {
        for (host, count) in starts(rig) {
            assert_eq!(count, self.starts[&host] + 1, "{host} {context}");
        }
    }
}

/// The signature of a record's vote.
fn vote(record: &Record) -> Option<Vec<u8>> {
    match record.consensus()?.sum.as_ref()? {
        Inner::Vote(vote) => Some(vote.vote.clone()?.signature),
        _ => None,
    }
}

#[test]
fn a_clearing_killed_after_any_event_leaves_every_log_whole() {
    let rig = damaged();
    rig.run(CLEAR).ended(0);
    let events = rig.events().len();
    assert!(events > 40, "{events}");
    drop(rig);
    everywhere(events, |prefixes| prefixes.for_each(|prefix| clear(&damaged(), prefix)));
}

fn clear(rig: &Rig, prefix: usize) {
    let before = Before::of(rig);
    let Killed { done, context } = kill(rig, CLEAR, prefix);
    if !done {
        rig.hosts().iter().for_each(|host| before.is_kept(rig, host, &context));
        assert_eq!(starts(rig), before.starts, "{context}");
        assert!(rig.all_active() && rig.stands() && rig.locked().is_empty(), "{context}");
        rig.run(CLEAR).ended(0);
    }
    rig.hosts().iter().for_each(|host| before.is_cleared(rig, host, &context));
    rig.is_well(&before.signers, &context);
    before.is_started_once(rig, &context);
}

/// The number of events after which `wanted` comes first.
pub fn place(rig: &Rig, wanted: impl Fn(&Value) -> bool) -> usize {
    rig.events().iter().position(wanted).unwrap()
}

/// What a reboot does: every script is ended, the leases are gone, and the node runs again by itself.
pub fn reboot(rig: &Rig, host: &str) {
    end_scripts(&rig.sim.host(host).join("root"));
    fs::remove_dir_all(rig.sim.host(host).join("root/run/fleet")).unwrap();
    rig.ask(host, "systemctl start virtengined");
}

/// Kills what still runs for the host of this root: scripts outlive the fleet that sent them.
fn end_scripts(root: &Path) {
    let mark = format!("FLEET_SIM_ROOT={}\0", root.display());
    for process in fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap()) {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        if environment.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            let _ = Command::new("kill").arg("-KILL").arg(process.file_name()).stderr(Stdio::null()).status();
        }
    }
}

/// Runs of which fleet dies between the decision and the starts, while `host` reboots; it is resumed, and all logs are
/// whole.
fn rebooted(host: &str, check: impl Fn(&Rig, Ran, bool) + Sync) {
    let rig = damaged();
    rig.run(CLEAR).ended(0);
    let decided = place(&rig, |event| event["event"] == "decided");
    let started = place(&rig, |event| event["event"] == "stage_started" && event["name"] == "nodes");
    drop(rig);
    everywhere(started - decided, |prefixes| {
        for prefix in prefixes {
            let rig = damaged();
            let before = Before::of(&rig);
            let (over, context) = die(&rig, &format!("{CLEAR} --block-timeout 8s"), decided + prefix);
            assert!(!over, "{context}");
            if rig.active(host) == "active" {
                // It was started before fleet died.
                continue;
            }
            reboot(&rig, host);
            let ran = rig.run("resume --yes");
            let context = format!("{context}\n{}\n{}", ran.out, ran.err);
            // What was begun may have set its log aside, but not replaced it.
            let cleared = log(&rig, host) != before.logs[host];
            for one in rig.hosts().iter().filter(|one| cleared || *one != host) {
                before.is_cleared(&rig, one, &context);
            }
            assert!(rig.all_active() && rig.locked().is_empty(), "{context}");
            before.is_started_once(&rig, &context);
            check(&rig, ran, cleared);
        }
    });
}

#[test]
fn a_sentry_that_reboots_after_the_decision_keeps_the_others_from_nothing() {
    rebooted("sentry-1", |rig, ran, cleared| {
        rig.advances();
        if cleared {
            ran.ended(0);
        } else {
            ran.ended(4).says("sentry-1 keeps the log it has").says("sentry-1 runs already");
        }
    });
}

#[test]
fn a_validator_that_reboots_after_the_decision_keeps_its_log_and_can_be_cleared_by_the_next_run() {
    rebooted("val-1", |rig, ran, cleared| {
        if cleared {
            rig.advances();
            ran.ended(0);
            return;
        }
        // Its vote is in no log, and the other is no quorum.
        assert!(rig.stands(), "{}", ran.out);
        ran.ended(1).says("no block has come").says("val-1 keeps the log it has");
        rig.run(CLEAR).ended(0);
        rig.advances();
    });
}
