//! The remote script that changes a node's log, run under `/bin/sh` in a folder of its own: without SSH, and killed
//! after each of its commands.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::killed::killers;

const SHARED: &str =
    concat!(include_str!("../../src/ssh/remote/common.sh"), "\n", include_str!("../../src/ssh/remote/wal.sh"));

/// The commands after which the script is killed in turn.
const COMMANDS: [&str; 12] =
    ["base64", "chmod", "chown", "cmp", "cp", "ln", "mkdir", "mv", "rm", "sha256sum", "stat", "sync"];

const NEW: &str = "the log of all votes\n";
const OLD: [(&str, &str); 3] = [("wal", "old head\n"), ("wal.000", "old first\n"), ("wal.001", "old second\n")];

type Files = BTreeMap<String, String>;

fn files(of: &[(&str, &str)]) -> Files {
    of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn new_log() -> Files {
    files(&[("wal", NEW)])
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// What is sent: lines of base64, and the line that ends them.
fn payload(text: &str) -> String {
    format!("{}\nend\n", BASE64.encode(text))
}

/// A node's data folder, and the commands that can kill.
struct Node {
    root: TempDir,
}

impl Node {
    fn new(log: &[(&str, &str)]) -> Self {
        let node = Self::without_folder();
        fs::create_dir(node.folder()).unwrap();
        for (name, text) in log {
            fs::write(node.folder().join(name), text).unwrap();
        }
        node
    }

    fn without_folder() -> Self {
        let node = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(node.data()).unwrap();
        fs::write(node.data().join("priv_validator_state.json"), "{}").unwrap();
        node
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn folder(&self) -> PathBuf {
        self.data().join("cs.wal")
    }

    fn aside(&self, run: &str) -> PathBuf {
        self.data().join(format!("cs.wal.fleet-{run}"))
    }

    fn script(&self, run: &str, call: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        let text = format!(
            "{SHARED}\nrun=$1 wal_file=$2 state_file=$3\naside=${{wal_file%/*}}.fleet-$run\nshift 3\n{call} \"$@\"\n"
        );
        shell.args(["-c", &text, "sh", run]).arg(self.folder().join("wal"));
        shell.arg(self.data().join("priv_validator_state.json"));
        shell
    }

    fn set(&self, run: &str, text: &str, input: &str) -> Output {
        let mut script = self.script(run, "set_wal");
        finish(script.arg(sha256(text)), input)
    }

    fn undo(&self, run: &str) -> Output {
        finish(&mut self.script(run, "undo_wal"), "")
    }

    /// What is seen while `run` holds the host.
    fn facts(&self, run: &str) -> String {
        let mut script = self.script("1", "wal_facts");
        String::from_utf8(finish(script.arg(self.folder().join("wal")).arg(run), "").stdout).unwrap()
    }

    fn sign(&self, state: &str) {
        fs::write(self.data().join("priv_validator_state.json"), state).unwrap();
    }

    /// The PATH under which the script is killed at its command number `after`.
    fn killers(&self, after: usize) -> String {
        killers(&self.root.path().join("bin"), &std::env::var("PATH").unwrap(), &COMMANDS, after)
    }

    /// Everything below the data folder, to see that nothing changed.
    fn everything(&self) -> Files {
        let mut found = Files::new();
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.display().to_string();
                if path.is_dir() {
                    folders.push(path);
                    found.insert(name, String::new());
                } else {
                    found.insert(name, fs::read_to_string(path).unwrap());
                }
            }
        }
        found
    }
}

fn finish(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.process_group(0).spawn().unwrap();
    // One that was killed early reads no more.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// The files of a log in a folder, as the node sees them: none when there is no folder.
fn log(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let of_log = entries.map(Result::unwrap).filter(|entry| entry.file_name().to_string_lossy().starts_with("wal"));
    of_log.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

/// Runs a step again and again, each time killed one command later, until it comes to its end; `check` looks at what
/// each left.
fn killed_everywhere(prepare: impl Fn() -> Node, step: impl Fn(&Node) -> (Command, String), check: impl Fn(&Node)) {
    for after in 1..200 {
        let node = prepare();
        let (mut command, input) = step(&node);
        let output = finish(command.env("PATH", node.killers(after)), &input);
        if output.status.code().is_some() {
            succeeds(&output);
            assert!(after > 5, "the commands that kill were not used");
            return;
        }
        check(&node);
    }
    panic!("it never comes to its end");
}

fn set_step(node: &Node) -> (Command, String) {
    let mut script = node.script("1", "set_wal");
    script.arg(sha256(NEW));
    (script, payload(NEW))
}

/// A node's log is `old` or `new` whole: with the head of one, older files of the other don't matter.
#[track_caller]
fn is_whole(node: &Node, old: &Files, new: &Files) {
    let found = log(&node.folder());
    let holds = |wanted: &Files| {
        wanted.get("wal") == found.get("wal") && wanted.iter().all(|(name, text)| found.get(name) == Some(text))
    };
    assert!(holds(old) || holds(new), "{found:?}");
}

#[test]
fn a_log_is_set_and_the_old_one_is_kept_with_the_signers_state() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    assert_eq!(log(&node.folder()), new_log());
    assert_eq!(log(&node.aside("1")), files(&OLD));
    assert_eq!(fs::read_to_string(node.aside("1").join(".signer")).unwrap(), "{}");
    assert_eq!(node.facts("1"), format!("wal.set={}\n", node.aside("1").display()));
}

#[test]
fn a_log_that_its_node_has_written_on_in_is_the_one_that_its_run_has_set() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    fs::write(node.folder().join("wal"), format!("{NEW}and more\n")).unwrap();
    assert_eq!((node.facts("1"), node.facts("2")), (format!("wal.set={}\n", node.aside("1").display()), String::new()));
    fs::write(node.folder().join("wal"), NEW.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!(node.facts("1"), "");
}

#[test]
fn a_log_that_is_another_changes_nothing() {
    for node in [Node::new(&OLD), Node::without_folder()] {
        let before = node.everything();
        let output = node.set("1", NEW, &payload("another"));
        assert!(!output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "the log did not come whole\n");
        assert_eq!(node.everything(), before);
    }
}

#[test]
fn a_link_that_dies_before_the_end_changes_nothing() {
    let whole = payload(NEW);
    for node in [Node::new(&OLD), Node::without_folder()] {
        let before = node.everything();
        for length in 0..whole.len() {
            // Without its newline, the last line is not a line.
            assert!(!node.set("1", NEW, &whole[..length]).status.success(), "{length}");
            assert_eq!(node.everything(), before, "{length}");
        }
    }
}

#[test]
fn a_log_is_set_where_there_was_no_folder() {
    let node = Node::without_folder();
    succeeds(&node.set("1", NEW, &payload(NEW)));
    assert_eq!(log(&node.folder()), new_log());
    assert_eq!(fs::metadata(node.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    succeeds(&node.undo("2"));
    assert_eq!(log(&node.folder()), Files::new());
    assert_eq!(log(&node.aside("1").join("replaced")), new_log());
}

#[test]
fn a_folder_half_made_is_made_whole() {
    let node = Node::new(&OLD);
    fs::create_dir(node.aside("1")).unwrap();
    fs::hard_link(node.folder().join("wal.000"), node.aside("1").join("wal.000")).unwrap();
    fs::write(node.aside("1").join("wal.001"), "of an earlier attempt").unwrap();
    succeeds(&node.set("1", NEW, &payload(NEW)));
    assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
}

#[test]
fn a_log_that_is_set_twice_leaves_the_old_one_aside() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    succeeds(&node.set("1", NEW, &payload(NEW)));
    assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
}

#[test]
fn undo_puts_the_old_log_back_and_keeps_what_the_node_wrote_since() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    let since = [("wal", "since"), ("wal.001", "full since"), ("wal.002", "fuller since")];
    for (name, text) in since {
        fs::write(node.folder().join(name), text).unwrap();
    }
    succeeds(&node.undo("2"));
    assert_eq!(log(&node.folder()), files(&OLD));
    assert_eq!(log(&node.aside("1").join("replaced")), files(&since));
    assert_eq!(log(&node.aside("1")), Files::new());
    assert_eq!(node.facts("2"), "wal.back=1\n");
}

#[test]
fn undo_twice_in_one_run_leaves_earlier_runs_alone() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", "first", &payload("first")));
    succeeds(&node.set("2", NEW, &payload(NEW)));
    succeeds(&node.undo("3"));
    succeeds(&node.undo("3"));
    assert_eq!(log(&node.folder()), files(&[("wal", "first")]));
    // What run 3 has done is done, whatever else could be put back.
    assert_eq!((node.facts("3"), node.facts("4")), ("wal.back=1\n".into(), String::new()));
    succeeds(&node.undo("4"));
    assert_eq!(log(&node.folder()), files(&OLD));
    succeeds(&node.undo("5"));
    assert_eq!(log(&node.folder()), files(&OLD));
}

#[test]
fn a_run_that_sets_again_after_its_undo_can_undo_again() {
    let node = Node::new(&OLD);
    for _ in 0..2 {
        succeeds(&node.set("1", NEW, &payload(NEW)));
        assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
        succeeds(&node.undo("1"));
        assert_eq!(log(&node.folder()), files(&OLD));
    }
}

#[test]
fn a_log_that_the_node_has_written_to_is_not_taken_for_the_old_one() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    fs::write(node.folder().join("wal"), format!("{NEW}since")).unwrap();
    assert_eq!(node.facts("2"), "");
    succeeds(&node.undo("2"));
    assert_eq!(node.facts("2"), "wal.back=1\n");
}

#[test]
fn a_signer_that_has_signed_since_keeps_its_log() {
    let gone = |node: &Node| fs::remove_file(node.data().join("priv_validator_state.json")).unwrap();
    let unknown = |node: &Node| fs::remove_file(node.aside("1").join(".signer")).unwrap();
    let changes: [&dyn Fn(&Node); 3] = [&|node| node.sign("{\"height\":\"36\"}"), &gone, &unknown];
    for change in changes {
        let node = Node::new(&OLD);
        succeeds(&node.set("1", NEW, &payload(NEW)));
        change(&node);
        let before = node.everything();
        let output = node.undo("2");
        assert!(!output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "its signer has signed since the old log was set aside\n");
        assert_eq!(node.everything(), before);
    }
}

#[test]
fn a_node_without_a_signer_gets_its_log_back() {
    let node = Node::new(&OLD);
    fs::remove_file(node.data().join("priv_validator_state.json")).unwrap();
    succeeds(&node.set("1", NEW, &payload(NEW)));
    succeeds(&node.undo("2"));
    assert_eq!(log(&node.folder()), files(&OLD));
}

#[test]
fn what_is_put_back_already_stays_whatever_is_signed_since() {
    let node = Node::new(&OLD);
    succeeds(&node.set("1", NEW, &payload(NEW)));
    succeeds(&node.undo("2"));
    node.sign("{\"height\":\"36\"}");
    succeeds(&node.undo("2"));
    assert_eq!(log(&node.folder()), files(&OLD));
}

#[test]
fn a_refusal_killed_at_any_command_changes_nothing() {
    let prepare = || {
        let node = Node::new(&OLD);
        succeeds(&node.set("1", NEW, &payload(NEW)));
        node.sign("{\"height\":\"36\"}");
        node
    };
    for after in 1..3 {
        let node = prepare();
        let mut command = node.script("2", "undo_wal");
        let output = finish(command.env("PATH", node.killers(after)), "");
        assert!(!output.status.success());
        assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
        assert!(node.aside("1").join(".sha256").exists());
    }
}

#[test]
fn a_log_killed_at_any_command_is_one_or_the_other_and_set_goes_on() {
    killed_everywhere(
        || Node::new(&OLD),
        set_step,
        |node| {
            is_whole(node, &files(&OLD), &new_log());
            succeeds(&node.set("1", NEW, &payload(NEW)));
            assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
            assert_eq!(node.facts("1"), format!("wal.set={}\n", node.aside("1").display()));
        },
    );
}

#[test]
fn set_killed_at_any_command_can_be_undone() {
    killed_everywhere(
        || Node::new(&OLD),
        set_step,
        |node| {
            succeeds(&node.undo("2"));
            assert_eq!(log(&node.folder()), files(&OLD));
            let begun = node.folder().join(".fleet-1");
            assert!(!begun.exists() || !node.aside("1").join(".undone-2").exists());
        },
    );
}

#[test]
fn set_killed_at_any_command_without_an_old_log_goes_on_or_is_undone() {
    killed_everywhere(Node::without_folder, set_step, |node| {
        is_whole(node, &Files::new(), &new_log());
        succeeds(&node.set("1", NEW, &payload(NEW)));
        assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), Files::new()));
        assert_eq!(fs::metadata(node.folder()).unwrap().permissions().mode() & 0o777, 0o700);
    });
    killed_everywhere(Node::without_folder, set_step, |node| {
        succeeds(&node.undo("2"));
        assert_eq!(log(&node.folder()), Files::new());
    });
}

#[test]
fn undo_killed_at_any_command_is_one_or_the_other_and_goes_on() {
    for old in [&OLD[..], &[]] {
        let prepare = || {
            let node = Node::new(old);
            succeeds(&node.set("1", NEW, &payload(NEW)));
            node
        };
        killed_everywhere(
            prepare,
            |node| (node.script("2", "undo_wal"), String::new()),
            |node| {
                is_whole(node, &files(old), &new_log());
                succeeds(&node.undo("2"));
                assert_eq!(log(&node.folder()), files(old));
                assert_eq!(log(&node.aside("1").join("replaced")), new_log());
            },
        );
    }
}

#[test]
fn a_log_that_is_no_longer_as_it_was_read_is_not_replaced() {
    let size: usize = OLD.iter().map(|(_, text)| text.len()).sum();
    let set = |node: &Node, size: usize, signer: &str| {
        let mut script = node.script("1", "set_wal");
        finish(script.arg(sha256(NEW)).arg(size.to_string()).arg(signer), &payload(NEW))
    };
    let write = |node: &Node, file: &str, text: &str| fs::write(node.folder().join(file), text).unwrap();
    let changes: [&dyn Fn(&Node); 6] = [
        &|node| write(node, "wal", "old head\nand a vote\n"),
        &|node| write(node, "wal.000", "cut\n"),
        &|node| write(node, "wal.002", "one more\n"),
        &|node| fs::remove_dir_all(node.folder()).unwrap(),
        &|node| node.sign("{\"height\": \"7\"}"),
        &|node| fs::remove_file(node.data().join("priv_validator_state.json")).unwrap(),
    ];
    for (index, change) in changes.iter().enumerate() {
        let node = Node::new(&OLD);
        change(&node);
        let before = node.everything();
        let output = set(&node, size, &sha256("{}"));
        assert!(!output.status.success(), "{index}: {output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "the node has run since its log was read; it keeps it\n", "{index}");
        assert_eq!(node.everything(), before, "{index}");
    }
    // A node without a signer's state has none that could have changed.
    for signer in [sha256("{}"), String::new()] {
        let node = Node::new(&OLD);
        succeeds(&set(&node, size, &signer));
        assert_eq!((log(&node.folder()), log(&node.aside("1"))), (new_log(), files(&OLD)));
    }
    let node = Node::without_folder();
    succeeds(&set(&node, 0, &sha256("{}")));
    assert_eq!(log(&node.folder()), new_log());
}
