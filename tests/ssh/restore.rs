//! The remote scripts that bring databases to a node and exchange them, run under `/bin/sh` in a folder of its own: without
//! SSH, and killed after each of their commands.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::killed::killers;

const SWAP: &str = concat!(
    include_str!("../../src/ssh/remote/common.sh"),
    "\n",
    include_str!("../../src/ssh/remote/seal.sh"),
    "\n",
    include_str!("../../src/ssh/remote/restore.sh")
);
const RECEIVE: &str =
    concat!(include_str!("../../src/ssh/remote/common.sh"), "\n", include_str!("../../src/ssh/remote/receive.sh"));

/// The commands after which the script is killed in turn.
const COMMANDS: [&str; 8] = ["chmod", "mkdir", "mv", "rm", "rmdir", "sed", "sync", "systemctl"];
const UNIT: &str = "node.service";
const NAMES: [&str; 3] = ["application.db", "state.db", "upgrade-info.json"];
/// What is never touched, and what was set aside by others.
const KEPT: [(&str, &str); 4] = [
    ("priv_validator_state.json", "{\"height\": \"500\"}"),
    ("cs.wal/wal", "the log"),
    ("cs.wal.fleet-0/wal", "an older log"),
    ("snapshots/1/chunk", "the application's"),
];

/// A node's data folder with a snapshot beside its databases.
struct Node {
    root: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { root: tempfile::tempdir().unwrap() };
        for name in NAMES {
            node.put(&entry(name), "old");
            node.put(&format!(".fleet-1/{}", entry(name)), "new");
        }
        for (name, text) in KEPT {
            node.put(name, text);
        }
        node.put(".fleet-1/.fetched", &(NAMES.join("\n") + "\n"));
        node.says("inactive");
        node
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn get(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.data().join(name)).ok()
    }

    /// What `systemctl show` says of the unit.
    fn says(&self, state: &str) {
        let bin = self.root.path().join("system");
        fs::create_dir_all(&bin).unwrap();
        let file = bin.join("systemctl");
        fs::write(&file, format!("#!/bin/sh\n[ \"$1\" = show ] && echo ActiveState={state}\nexit 0\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self) -> String {
        format!("{}:{}", self.root.path().join("system").display(), std::env::var("PATH").unwrap())
    }

    fn swap(&self) -> Command {
        self.call("swap")
    }

    fn call(&self, call: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        let text = format!(
            "{SWAP}\nis_alive() {{ :; }}\nrun=1 unit={UNIT} home= db_dir=$1 state_file=$1/priv_validator_state.json \
             wal_file=$1/cs.wal/wal\n{call}\n"
        );
        shell.args(["-c", &text, "sh"]).arg(self.data());
        shell.env("PATH", self.path()).env("FLEET_SIM_ROOT", self.root.path().join("root"));
        shell
    }

    fn receive(&self, verb: &str, args: &[&str], input: &[u8]) -> Output {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", RECEIVE, "sh", verb, "1"]).arg(self.data()).args(args);
        shell.env("FLEET_SIM_ROOT", self.root.path().join("root"));
        finish(&mut shell, input)
    }

    fn is_held(&self) -> bool {
        let root = self.root.path().join("root");
        let drop_in = root.join("etc/systemd/system").join(format!("{UNIT}.d/fleet-hold.conf"));
        let hold = root.join("var/lib/fleet/hold").join(UNIT);
        let text = fs::read_to_string(drop_in).unwrap_or_default();
        text == format!("[Unit]\nConditionPathExists=!{}\n", hold.display()) && hold.exists()
    }

    fn facts(&self) -> String {
        let output = finish(&mut self.call("swap_facts \"$db_dir\" 1 \"$unit\""), b"");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The PATH under which the script is killed at its command number `after`.
    fn killers(&self, after: usize) -> String {
        killers(&self.root.path().join("bin"), &self.path(), &COMMANDS, after)
    }

    #[track_caller]
    fn signer_and_log_are_untouched(&self) {
        for (name, text) in KEPT {
            assert_eq!(self.get(name).as_deref(), Some(text), "{name}");
        }
    }

    #[track_caller]
    fn is_as_before(&self) {
        for name in NAMES {
            assert_eq!(self.get(&entry(name)).as_deref(), Some("old"), "{name}");
        }
        assert!(!self.is_held());
        self.signer_and_log_are_untouched();
    }

    #[track_caller]
    fn is_exchanged(&self) {
        for name in NAMES {
            assert_eq!(self.get(&entry(name)).as_deref(), Some("new"), "{name}");
            assert_eq!(self.get(&entry(&format!("{name}.fleet-1"))).as_deref(), Some("old"), "{name}");
        }
        assert!(!self.is_held());
        assert_eq!(self.facts(), "swapped=1\n");
        self.signer_and_log_are_untouched();
    }
}

/// A file of an entry: in the folder, or the entry itself.
fn entry(name: &str) -> String {
    if name.contains(".db") { format!("{name}/CURRENT") } else { name.to_owned() }
}

fn finish(command: &mut Command, input: &[u8]) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.process_group(0).spawn().unwrap();
    // One that was killed early reads no more.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

#[track_caller]
fn fails(output: &Output, why: &str) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!output.status.success() && said.contains(why), "no {why:?} in {said}");
}

#[test]
fn every_database_is_exchanged_and_the_old_ones_are_kept() {
    let node = Node::new();
    succeeds(&finish(&mut node.swap(), b""));
    node.is_exchanged();
    succeeds(&finish(&mut node.swap(), b""));
    node.is_exchanged();
    // What another run holds stays held.
    let hold = node.root.path().join("root/var/lib/fleet/hold").join(UNIT);
    fs::write(&hold, "2\n").unwrap();
    succeeds(&finish(&mut node.swap(), b""));
    assert_eq!(fs::read_to_string(hold).unwrap(), "2\n");
}

#[test]
fn a_node_without_databases_gets_them() {
    let node = Node::new();
    for name in NAMES {
        let path = node.data().join(name);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    succeeds(&finish(&mut node.swap(), b""));
    for name in NAMES {
        assert_eq!(node.get(&entry(name)).as_deref(), Some("new"), "{name}");
    }
    assert!(!node.is_held());
    node.signer_and_log_are_untouched();
}

#[test]
fn killed_anywhere_nothing_is_lost_the_unit_is_held_and_the_next_attempt_finishes() {
    for after in 1..200 {
        let node = Node::new();
        let output = finish(node.swap().env("PATH", node.killers(after)), b"");
        let whole = output.status.code().is_some();
        let mut exchanged = 0;
        for name in NAMES {
            let (here, aside) = (node.get(&entry(name)), node.get(&entry(&format!("{name}.fleet-1"))));
            let beside = node.get(&format!(".fleet-1/{}", entry(name)));
            let state = [here, aside, beside].map(Option::unwrap_or_default);
            let known = [["old", "", "new"], ["", "old", "new"], ["new", "old", ""]];
            let at = known.iter().position(|known| state == *known);
            exchanged += at.unwrap_or_else(|| panic!("{name} is lost: {state:?}"));
        }
        let begun = (1..NAMES.len() * 2).contains(&exchanged);
        assert!(!begun || node.is_held(), "killed after {after}: it is half exchanged, and may start");
        let free = exchanged == NAMES.len() * 2 && !node.is_held();
        assert!(free || node.facts().is_empty(), "killed after {after}: it counts as done");
        node.signer_and_log_are_untouched();
        succeeds(&finish(&mut node.swap(), b""));
        node.is_exchanged();
        if whole {
            assert!(after > 10, "the commands that kill were not used");
            return;
        }
    }
    panic!("it never comes to its end");
}

#[test]
fn what_holds_the_signers_state_or_its_log_is_never_exchanged() {
    for name in ["priv_validator_state.json", "cs.wal", "../data", ".fleet-1", "state.db.fleet-0", "state.db/x", ""] {
        let node = Node::new();
        node.put(".fleet-1/priv_validator_state.json", "{\"height\": \"1\"}");
        node.put(".fleet-1/cs.wal/wal", "another log");
        node.put(".fleet-1/.fetched", &format!("state.db\n{name}\n"));
        fails(&finish(&mut node.swap(), b""), "is never exchanged");
        node.is_as_before();
    }
}

#[test]
fn a_node_that_was_started_meanwhile_keeps_its_databases_and_its_freedom() {
    let node = Node::new();
    node.says("active");
    fails(&finish(&mut node.swap(), b""), "was started meanwhile");
    node.is_as_before();
}

#[test]
fn what_did_not_come_whole_is_not_put_in_place() {
    let node = Node::new();
    fs::remove_file(node.data().join(".fleet-1/.fetched")).unwrap();
    fails(&finish(&mut node.swap(), b""), "no whole snapshot");
    node.is_as_before();
}

#[test]
fn a_database_that_was_made_anew_meanwhile_is_not_overwritten() {
    let node = Node::new();
    node.put("state.db.fleet-1/CURRENT", "the first");
    fails(&finish(&mut node.swap(), b""), "move it away by hand");
    assert_eq!(node.get("state.db/CURRENT").as_deref(), Some("old"));
    assert_eq!(node.get("state.db.fleet-1/CURRENT").as_deref(), Some("the first"));
    assert!(node.is_held());
}

#[test]
fn a_backup_leaves_what_a_restore_has_brought_and_a_held_node_alone() {
    let node = Node::new();
    for (run, mark) in [("2", ""), ("3", ".swapped"), ("4", "")] {
        node.put(&format!(".fleet-{run}/x"), "");
        if !mark.is_empty() {
            node.put(&format!(".fleet-{run}/{mark}"), "");
        }
    }
    let old = Command::new("touch")
        .args(["-d", "12 minutes ago"])
        .args(["1", "2", "3"].map(|run| node.data().join(format!(".fleet-{run}"))))
        .status();
    assert!(old.unwrap().success());
    succeeds(&finish(&mut node.call("drop_old_clones"), b""));
    // The fourth is in use.
    let left = ["1", "2", "3", "4"].map(|run| node.data().join(format!(".fleet-{run}")).exists());
    assert_eq!(left, [true, false, true, true]);
    succeeds(&finish(&mut node.call("set_hold"), b""));
    fails(&finish(&mut node.call("step=0 epoch=1 seconds=1; seal"), b""), "its restore isn't finished");
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn a_snapshot_comes_into_a_folder_beside_the_databases() {
    let node = Node::new();
    fs::remove_dir_all(node.data().join(".fleet-1")).unwrap();
    succeeds(&node.receive("open", &["1000", "state.db"], b""));
    // One that came in part before.
    node.put(".fleet-1/state.db/CURRENT", "half of it, and longer than it is");
    succeeds(&node.receive("take", &[], &archive(&[("state.db/CURRENT", "new")])));
    assert_eq!(node.get(".fleet-1/state.db/CURRENT").as_deref(), Some("new"));
    assert!(node.get(".fleet-1/.fetched").is_none());
    succeeds(&node.receive("close", &["state.db", "a b"], b""));
    assert_eq!(node.get(".fleet-1/.fetched").as_deref(), Some("state.db\na b\n"));
    let mode = fs::metadata(node.data().join(".fleet-1/state.db/CURRENT")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
    node.is_as_before();
    succeeds(&node.receive("drop", &[], b""));
    assert!(!node.data().join(".fleet-1").exists());
}

#[test]
fn nothing_comes_where_it_can_not_be_put_in_place() {
    let node = Node::new();
    fails(
        &node.receive("open", &["99999999999999999", "state.db"], b""),
        "no space: 99999999999999999 bytes are needed",
    );
    std::os::unix::fs::symlink("state.db", node.data().join("link.db")).unwrap();
    fails(&node.receive("open", &["1", "link.db"], b""), "is a symbolic link");
    fails(&node.receive("take", &[], &archive(&[("a", "b")])[..700]), "tar: ");
    fs::remove_dir_all(node.data()).unwrap();
    fails(&node.receive("open", &["1", "state.db"], b""), "there is no folder");
}

#[test]
fn only_what_a_finished_restore_has_kept_is_released() {
    let node = Node::new();
    succeeds(&finish(&mut node.swap(), b""));
    let kept = String::from_utf8(node.receive("kept", &[], b"").stdout).unwrap();
    assert!(kept.starts_with("kept=1 ") && kept.lines().count() == 1, "{kept}");
    let held = node.root.path().join("root/var/lib/fleet/hold");
    fs::create_dir_all(&held).unwrap();
    fs::write(held.join(UNIT), "1\n").unwrap();
    fails(&node.receive("release", &[UNIT], b""), "fleet resume 1");
    fs::remove_file(held.join(UNIT)).unwrap();
    succeeds(&node.receive("release", &[UNIT], b""));
    let left: Vec<String> =
        fs::read_dir(node.data()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.contains(".fleet-1")), "{left:?}");
    for name in NAMES {
        assert_eq!(node.get(&entry(name)).as_deref(), Some("new"), "{name}");
    }
    node.signer_and_log_are_untouched();
    fails(&node.receive("release", &[UNIT], b""), "has kept nothing");
    // What came in part of a run that is given up; never a backup's clone.
    succeeds(&node.receive("open", &["1000", "state.db"], b""));
    node.put(".fleet-2/.sealed", "link 0");
    let kept = String::from_utf8(node.receive("kept", &[], b"").stdout).unwrap();
    assert!(kept.starts_with("kept=1 ") && kept.lines().count() == 1, "{kept}");
    succeeds(&node.receive("release", &[UNIT], b""));
    assert_eq!((node.data().join(".fleet-1").exists(), node.data().join(".fleet-2").exists()), (false, true));
}
