//! Locks: one controller at a time, and what a dead one leaves behind.

use std::path::Path;

use fleet::sim::Fault;
use rustix::process::Signal;

use crate::rig::{Rig, eventually, small};

#[test]
fn of_two_at_once_one_goes_on_and_the_other_changes_nothing() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let words = "restart --coordinated --yes -o json";
    let both = [rig.start(words), rig.start(words)].map(crate::rig::Running::wait);
    let mut codes = [both[0].code, both[1].code];
    codes.sort_unstable();
    // One that begins after the other has ended finds no lock.
    assert!(codes == [Some(0), Some(75)] || codes == [Some(0), Some(0)], "{codes:?}\n{}\n{}", both[0].out, both[1].out);
    rig.is_well(&before.signers, "two at once");
    let wins = codes.iter().filter(|code| **code == Some(0)).count();
    for host in rig.hosts() {
        assert_eq!(rig.starts(&host), 1 + wins, "{host}");
    }
}

#[test]
fn a_run_that_holds_the_hosts_keeps_others_out_and_says_who_it_is() {
    let rig = Rig::new(&small());
    rig.fault("val-3", Fault::WontStop(true));
    let first = rig.start("restart --coordinated --yes --stop-timeout 90s -o json");
    rig.reached("firing");
    let pids = rig.pids();
    let ran = rig.run("halt --yes -l val-4").ended(75).says("is locked by ana@").says("nothing was changed");
    assert!(ran.out.contains("fleet lock show"), "{}", ran.out);
    let run = rig.runs()[0].clone();
    let shown = rig.run("lock show").ended(0);
    assert_eq!(shown.out.matches(&run).count(), 5, "{}", shown.out);
    eventually("val-3 was told to stop", || rig.active("val-3") == "deactivating");
    rig.fault("val-3", Fault::WontStop(false));
    rig.ask("val-3", "systemctl kill -s KILL virtengined");
    first.wait().ended(0);
    assert!(pids["val-4"] != rig.pids()["val-4"]);
}

/// Makes every lease of the hosts look as if it had run out.
fn expire(rig: &Rig) {
    for host in rig.hosts() {
        let leases = rig.sim.host(&host).join("root/run/fleet");
        for entry in std::fs::read_dir(leases).unwrap() {
            std::fs::write(entry.unwrap().path(), "1\n").unwrap();
        }
    }
}

/// A restart whose fleet is killed while all hosts are armed.
fn killed_while_armed(rig: &Rig) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(600);
    let run = rig.start(&format!("restart --coordinated --yes --at {at}"));
    rig.reached("waiting");
    run.signal(Signal::KILL);
    run.wait();
    assert_eq!(rig.locked().len(), 5);
    rig.runs().pop().unwrap()
}

#[test]
fn an_expired_lock_without_steps_under_way_is_taken_over_and_that_is_said() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let dead = killed_while_armed(&rig);
    rig.run("restart --coordinated --yes").ended(75).says("its lease holds for another");
    expire(&rig);
    let ran = rig.run("restart --coordinated --yes --blocks 1").ended(0);
    assert!(ran.out.contains(&format!("the expired lock of run {dead} was taken over")), "{}", ran.out);
    rig.is_well(&before.signers, "taken over");
}

#[test]
fn an_expired_lock_with_a_step_under_way_is_left_alone() {
    let rig = Rig::new(&small());
    killed_while_armed(&rig);
    let steps = rig.sim.host("val-2").join("root/var/lib/fleet/lock/1/steps");
    std::fs::write(&steps, "begin 0.0.node 1\n").unwrap();
    expire(&rig);
    let pids = rig.pids();
    rig.run("restart --coordinated --yes").ended(75).says("0.0.node");
    assert_eq!(rig.pids(), pids);
}

#[test]
fn a_resume_of_a_run_that_changed_nothing_gives_its_locks_back() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let dead = killed_while_armed(&rig);
    rig.run("resume --yes").ended(0).says(&dead).says("its locks are given back");
    assert_eq!(rig.locked(), Vec::<String>::new());
    rig.run("resume --yes").ended(2).says("there is no unfinished run");
    rig.run("restart --coordinated --yes -o json").ended(0);
    rig.is_well(&before.signers, "anew");
}

#[test]
fn unlock_takes_the_named_runs_locks_and_no_others() {
    let rig = Rig::new(&small());
    let dead = killed_while_armed(&rig);
    rig.run("unlock all --run 01AAAA --yes").ended(2).says("holds none of these hosts");
    rig.run("unlock all").ended(2);
    rig.run(&format!("unlock val-1 --run {dead}")).ended(2).says("--yes");
    rig.run(&format!("unlock val-[1-2] --run {dead} --yes")).ended(0).says("val-2  unlocked");
    assert_eq!(rig.locked(), ["sentry-1", "val-3", "val-4"]);
    rig.run(&format!("unlock all --run {dead} --yes")).ended(0);
    rig.run("restart --coordinated --yes -o json").ended(0);
}

#[test]
fn armed_hosts_of_a_dead_fleet_are_disarmed() {
    let rig = Rig::new(&small());
    let pids = rig.pids();
    killed_while_armed(&rig);
    let waiting = || {
        let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let of_sim = |pid: &Path| {
            let read =
                |name: &str| String::from_utf8_lossy(&std::fs::read(pid.join(name)).unwrap_or_default()).into_owned();
            read("environ").contains(&*rig.sim.dir().display().to_string()) && read("cmdline").contains("sh\0-s")
        };
        entries.map(|entry| entry.path()).filter(|pid| of_sim(pid)).count()
    };
    eventually("nothing waits on any host", || waiting() == 0);
    assert_eq!(rig.pids(), pids);
}

#[test]
fn a_run_that_another_has_overtaken_is_closed_and_touches_nothing() {
    let rig = Rig::new(&small());
    // A node that holds up the halt, so that fleet dies in the middle of it and not before or after.
    rig.fault("val-3", Fault::WontStop(true));
    let run = rig.start("restart --coordinated --yes");
    let others = || rig.hosts().into_iter().filter(|host| host != "val-3");
    eventually("all others have stopped", || others().all(|host| rig.active(&host) == "inactive"));
    run.signal(Signal::KILL);
    run.wait();
    rig.fault("val-3", Fault::WontStop(false));
    rig.ask("val-3", "systemctl kill -s KILL virtengined");
    eventually("val-3 has stopped", || rig.active("val-3") == "failed");
    expire(&rig);
    rig.run("start --yes --blocks 1").ended(0);
    let pids = rig.pids();
    let refused = rig.run("resume --yes").ended(1);
    assert!(refused.err.contains("overtaken by run") && refused.err.contains("no host was touched"), "{}", refused.err);
    assert_eq!(rig.pids(), pids);
    rig.run("resume --yes").ended(2).says("no unfinished run");
}
