//! What goes wrong while a host is backed up, on simulated hosts: names, files that change, streams that end or trickle, no
//! room, links that break, two at once, operators who leave, and a fleet that is killed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::sim::Fault;
use rustix::process::Signal;
use serde_json::Value;

use crate::killed::{Killed, everywhere, kill, starts};
use crate::rig::{Ran, Rig, Running, eventually, every_cut, quick, small};

/// Bytes of a host's answers from one cut to the next.
const STRIDE: u64 = 2311;
/// The last cut comes before so many.
const MOST: u64 = 48_000;

pub fn words(rig: &Rig, what: &str) -> String {
    format!("backup {what} --facts-timeout 60s --yes --store {}", rig.folder("store").display())
}

fn config_of(rig: &Rig, host: &str) -> PathBuf {
    rig.sim.host(host).join("home/config")
}

/// Puts a program of a host's own in front of the machine's: a script that is run instead where its words have `word`.
pub fn stub(rig: &Rig, host: &str, program: &str, (word, script): (&str, &str)) {
    let path = rig.sim.host(host).join("bin").join(program);
    let text = format!("#!/bin/sh\ncase \"$*\" in *{word}*)\n{script}\n;; esac\nexec /bin/{program} \"$@\"\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The manifests of a store, the oldest first.
pub fn manifests(store: &Path) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(store.join("manifests")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension() == Some(OsStr::new("json")));
    paths.sort();
    paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

pub fn verified(rig: &Rig) -> Ran {
    rig.run(&format!("snapshot verify --store {}", rig.folder("store").display())).ended(0)
}

#[test]
fn any_name_is_taken_as_it_is_or_left_out() {
    let rig = Rig::new(&small());
    let config = config_of(&rig, "val-1");
    let literal = ["-rf", "-", "--help", "$(touch pwned)", "a;touch pwned", "back\\slash", "*", " x ", "it's", "é"];
    let bad: [&[u8]; 2] = [b"new\nline", b"\xff"];
    for name in literal.map(str::as_bytes).into_iter().chain(bad) {
        fs::write(config.join(OsStr::from_bytes(name)), name).unwrap();
    }
    rig.run(&words(&rig, "val-1 --profile config")).ended(0);
    let manifest = manifests(&rig.folder("store")).pop().unwrap();
    let paths: Vec<&str> = manifest["files"].as_array().unwrap().iter().filter_map(|row| row[0].as_str()).collect();
    let out = manifest["left_out"].to_string();
    assert!(out.contains("control character") && out.contains("isn't UTF-8") && !out.contains("slash"), "{out}");
    verified(&rig);
    let unpacked = rig.folder("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let script = "find \"$1\" -name '*.tar.zst' | while read -r one; do zstd -dc \"$one\" | tar -x -C \"$2\"; done";
    let status =
        Command::new("sh").args(["-c", script, "sh"]).arg(rig.folder("store/segments")).arg(&unpacked).status();
    assert!(status.unwrap().success());
    for name in literal {
        assert!(paths.contains(&&*format!("config/{name}")), "{name} in {paths:?}");
        assert_eq!(fs::read_to_string(unpacked.join("config").join(name)).unwrap(), name);
    }
    assert!(!config.join("pwned").exists() && !rig.folder("pwned").exists());
}

#[test]
fn what_changes_while_it_is_read_is_read_once_more_and_never_kept_wrong() {
    let rig = Rig::new(&small());
    let file = config_of(&rig, "val-1").join("notes.txt");
    let (path, once) = (file.display(), rig.folder("once").display().to_string());
    let back_up = |number: usize, script: &str| {
        let (text, store) = (format!("notes of case {number}\n"), rig.folder(&format!("store-{number}")));
        fs::write(&file, &text).unwrap();
        let _ = fs::remove_dir(&once);
        stub(&rig, "val-1", "tar", ("--create", script));
        let store_words = format!("--facts-timeout 60s --yes --store {}", store.display());
        let ran = rig.run(&format!("backup val-1 --profile config {store_words}"));
        let sizes = manifests(&store).pop().map(|manifest| {
            let rows = manifest["files"].as_array().unwrap().clone();
            rows.iter().find(|row| row[0] == "config/notes.txt").map(|row| row[1].as_u64().unwrap())
        });
        (ran, sizes)
    };
    for (number, script) in [
        "/bin/tar \"$@\"; exit 1".to_owned(),
        "/bin/tar \"$@\"; exit 2".to_owned(),
        format!("rm -f {path}"),
        format!("echo more >>{path}"),
        "/bin/tar \"$@\" | head -c 700; exit 0".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let (ran, kept) = back_up(number, script);
        assert_eq!((ran.code, kept), (Some(4), None), "{script}: {}\n{}", ran.out, ran.err);
    }
    for (number, script, size) in [
        (10, format!("mkdir {once} 2>/dev/null && : >{path}"), 0),
        (11, format!("mkdir {once} 2>/dev/null && echo more >>{path}"), 22),
        (12, format!("mkdir {once} 2>/dev/null && {{ /bin/tar \"$@\"; exit 1; }}"), 17),
    ] {
        let (ran, kept) = back_up(number, &script);
        assert_eq!((ran.code, kept), (Some(0), Some(Some(size))), "{script}: {}\n{}", ran.out, ran.err);
    }
}

#[test]
fn a_stream_that_trickles_or_whose_link_dies_is_brought_once_more() {
    std::thread::scope(|scope| {
        for trickles in [true, false] {
            scope.spawn(move || {
                let rig = Rig::new(&small());
                let (once, go) = (rig.folder("once"), rig.folder("go"));
                let slow = if trickles {
                    "while printf x; do sleep 1; done".to_owned()
                } else {
                    format!("/bin/tar \"$@\" | head -c 700; while [ ! -e {} ]; do sleep 0.05; done", go.display())
                };
                let script = format!("mkdir {} 2>/dev/null && {{ {slow}; exit 0; }}", once.display());
                stub(&rig, "val-1", "tar", ("--create", &script));
                let run = rig.start(&words(&rig, "val-1 --profile config"));
                eventually("the stream has begun", || once.exists());
                if !trickles {
                    rig.fault("val-1", Fault::Cut);
                }
                run.wait().ended(0).says("1 snapshot");
                fs::write(go, "").unwrap();
                verified(&rig);
            });
        }
    });
}

#[test]
fn a_host_without_room_for_the_clone_is_not_stopped() {
    let rig = Rig::new(&small());
    let pids = rig.pids();
    let full = "/bin/df \"$@\" | awk 'NR > 1 { $4 = 1000 } { print }'; exit 0";
    stub(&rig, "sentry-1", "df", ("-P", full));
    rig.run(&words(&rig, "sentry-1 --profile data")).ended(3).says("the disk is full").says("nothing was changed");
    // It is full when the clone is about to be made only.
    stub(&rig, "sentry-1", "df", ("-B1\\ .", full));
    rig.run(&words(&rig, "sentry-1 --profile data")).ended(4).says("no room for the clone");
    assert_eq!((rig.pids(), manifests(&rig.folder("store")).len()), (pids, 0));
    fs::remove_file(rig.sim.host("sentry-1").join("bin/df")).unwrap();
    rig.run("resume --yes").ended(0).says("1 snapshot");
    assert_eq!((rig.starts("sentry-1"), rig.locked()), (2, Vec::new()));
}

#[test]
fn a_clone_goes_when_its_disk_runs_full() {
    let rig = Rig::new(&small());
    let once = rig.folder("once");
    stub(&rig, "sentry-1", "tar", ("--create", &format!("touch {}; while :; do sleep 0.1; done", once.display())));
    let run = rig.start(&words(&rig, "sentry-1 --profile data"));
    eventually("the stream has begun", || once.exists());
    // The node drops tables that the clone keeps.
    stub(&rig, "sentry-1", "df", ("/data", "/bin/df \"$@\" | awk 'NR > 1 { $4 = 1000 } { print }'; exit 0"));
    run.wait().ended(4).says("is running full, 1.0 kB are free").says("its clone was removed");
    let clones = fs::read_dir(rig.sim.host("sentry-1").join("home/data")).unwrap();
    let clones = clones.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with(".fleet"));
    assert_eq!((clones.count(), manifests(&rig.folder("store")).len()), (0, 0));
    assert_eq!((rig.active("sentry-1"), rig.locked()), ("active".to_owned(), Vec::new()));
    for program in ["df", "tar"] {
        fs::remove_file(rig.sim.host("sentry-1").join("bin").join(program)).unwrap();
    }
    rig.run(&words(&rig, "sentry-1 --profile data")).ended(0);
    verified(&rig);
}

#[test]
fn a_backup_whose_link_breaks_after_any_number_of_bytes_leaves_a_running_node_and_a_sound_store() {
    every_cut(STRIDE, MOST, break_after);
}

fn break_after(rig: &Rig, bytes: u64) {
    let (before, starts) = (rig.chain().signers, rig.starts("sentry-1"));
    let words = words(rig, "sentry-1 --profile config,data");
    rig.fault("sentry-1", Fault::DropAfter(bytes));
    let ran = rig.run(&words);
    let context = format!("cut after {bytes} bytes: {:?}\n{}\n{}", ran.code, ran.out, ran.err);
    assert!(matches!(ran.code, Some(0 | 1 | 4 | 5)), "{context}");
    let mut stops = usize::from(ran.code == Some(0));
    if ran.out.contains("fleet resume") {
        rig.run("resume --yes").ended(0);
        stops = 1;
    }
    rig.fault("sentry-1", Fault::DropAfter(u64::MAX));
    eventually("its host has started it", || rig.active("sentry-1") == "active");
    let stopped = rig.starts("sentry-1") - starts;
    assert!(stopped == stops || (stops == 0 && stopped == 1), "stopped {stopped} times, {context}");
    rig.run(&words).ended(0);
    verified(rig);
    rig.is_well(&before, &context);
}

#[test]
fn a_backup_that_is_killed_after_any_event_is_brought_to_its_end() {
    let rig = Rig::new(&quick());
    let backup = |rig: &Rig| words(rig, "sentry-1 --profile config,data -o json");
    rig.run(&backup(&rig)).ended(0);
    let events = rig.events().len();
    assert!(events > 8, "{events}");
    drop(rig);
    everywhere(events, |prefixes| {
        let rig = Rig::new(&quick());
        prefixes.for_each(|prefix| {
            let (before, had) = (rig.chain().signers, starts(&rig));
            let kept = manifests(&rig.folder("store")).len();
            let Killed { done, context } = kill(&rig, &backup(&rig), prefix);
            if !done {
                assert_eq!(starts(&rig), had, "{context}");
                rig.run(&backup(&rig)).ended(0);
            }
            rig.is_well(&before, &context);
            for (host, count) in starts(&rig) {
                assert_eq!(count, had[&host] + usize::from(host == "sentry-1"), "{host} {context}");
            }
            assert_eq!(manifests(&rig.folder("store")).len(), kept + 2, "{context}");
            verified(&rig);
        });
    });
}

/// A backup in the middle of the stop, held up by its node.
fn sealing(rig: &Rig) -> Running {
    rig.fault("sentry-1", Fault::WontStop(true));
    let run = rig.start(&words(rig, "sentry-1 --profile data --stop-timeout 90s"));
    eventually("it was told to stop", || rig.active("sentry-1") == "deactivating");
    run
}

/// Lets it stop.
fn release(rig: &Rig) {
    rig.fault("sentry-1", Fault::WontStop(false));
    rig.ask("sentry-1", "systemctl kill -s KILL virtengined");
}

#[test]
fn of_two_backups_of_one_node_one_wins_and_the_other_leaves() {
    let rig = Rig::new(&small());
    let before = rig.chain();
    let first = sealing(&rig);
    rig.run(&words(&rig, "sentry-1 --profile data")).ended(75).says("is locked by ana@").says("nothing was changed");
    release(&rig);
    first.wait().ended(0).says("1 snapshot");
    assert_eq!((rig.starts("sentry-1"), manifests(&rig.folder("store")).len()), (2, 1));
    rig.is_well(&before.signers, "two at once");
}

#[test]
fn an_operator_who_leaves_a_backup_leaves_no_node_down() {
    std::thread::scope(|scope| {
        for (signals, code) in
            [(&[Signal::INT][..], 130), (&[Signal::TERM], 143), (&[Signal::INT, Signal::INT], 130), (&[Signal::HUP], 0)]
        {
            scope.spawn(move || {
                let rig = Rig::new(&small());
                let before = rig.chain();
                let run = sealing(&rig);
                for signal in signals {
                    run.signal(*signal);
                    if *signal != Signal::HUP {
                        run.says("leaving once what was stopped runs again");
                    }
                }
                let context = format!("{signals:?}");
                if signals.len() == 2 {
                    run.wait().ended(code).says("unknown").says("next: fleet resume");
                    release(&rig);
                } else {
                    release(&rig);
                    run.wait().ended(code);
                }
                eventually("its host has started it", || rig.active("sentry-1") == "active");
                assert_eq!(manifests(&rig.folder("store")).len(), usize::from(code == 0), "{context}");
                if code != 0 {
                    rig.run("resume --yes").ended(0).says("1 snapshot");
                }
                assert_eq!(rig.starts("sentry-1"), 2, "{context}");
                rig.is_well(&before.signers, &context);
            });
        }
    });
}

#[test]
fn an_operator_may_leave_while_a_copy_comes_and_resume_it() {
    let rig = Rig::new(&small());
    let (once, go) = (rig.folder("once"), rig.folder("go"));
    let script = format!("touch {}; while [ ! -e {} ]; do sleep 0.05; done", once.display(), go.display());
    stub(&rig, "sentry-1", "tar", ("--create", &script));
    let run = rig.start(&words(&rig, "sentry-1 --profile data"));
    eventually("the stream has begun", || once.exists());
    run.signal(Signal::INT);
    run.wait().ended(130).says("no node stands still for it").says("next: fleet resume");
    assert_eq!((rig.active("sentry-1"), rig.locked()), ("active".to_owned(), Vec::new()));
    fs::write(go, "").unwrap();
    rig.run("resume --yes").ended(0).says("1 snapshot");
    assert_eq!(rig.starts("sentry-1"), 2, "it was stopped once");
    verified(&rig);
}
