//! `fleet exec` as it is run.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fleet::{Fleet, Run};
use crate::link::CUT;
use crate::sshd::{Options, Sshd, executable, free_port};

/// Something else on val-3 than on the others.
const VERSION: &str = "case $SSH_CONNECTION in *' 127.0.0.3 '*) echo v1.4.1;; *) echo v1.4.2;; esac";

/// Standard output with the time it took taken out.
fn timeless(run: &Run) -> String {
    let (before, after) = run.stdout.split_once(" in ").unwrap_or_else(|| panic!("{}{}", run.stdout, run.stderr));
    let (seconds, after) = after.split_once(" s").unwrap();
    assert!(seconds.parse::<f64>().is_ok(), "{seconds}");
    format!("{before} in T s{after}")
}

#[test]
fn equal_answers_are_folded_and_nothing_else_is_printed() {
    let (fleet, _sshd) = Fleet::of_three();
    let run = fleet.run(&["exec", "all", "--", VERSION]);
    let text = "val-[1-2]  v1.4.2\nval-3      v1.4.1\n3 of 3 answered in T s; 2 different answers\n";
    assert_eq!((timeless(&run).as_str(), run.code, run.stderr.as_str()), (text, Some(0), ""));
    let narrowed = fleet.run(&["-l", "val-[2-3]", "exec", "val-[1-2]", "--", "echo", "one"]);
    assert_eq!(timeless(&narrowed), "val-2  one\n1 of 1 answered in T s\n");
}

#[test]
fn words_stay_words_and_one_argument_is_shell() {
    let (fleet, _sshd) = Fleet::of_three();
    let words = fleet.run(&["exec", "val-1", "--", "printf", "%s|", "a b", "$HOME", "", "it's", "-l"]);
    assert!(words.stdout.starts_with("val-1  a b|$HOME||it's|-l|\n"), "{}", words.stdout);
    let shell = fleet.run(&["exec", "val-1", "--", "x=5; echo $((x + 1)) | tr 6 7"]);
    assert!(shell.stdout.starts_with("val-1  7\n"), "{}", shell.stdout);
    // Standard input is empty, and broken shell breaks nothing else.
    assert!(fleet.run(&["exec", "val-1", "--", "cat; echo end"]).stdout.starts_with("val-1  end\n"));
    let broken = fleet.run(&["exec", "val-1", "--", "echo 'a )"]);
    assert_eq!(broken.code, Some(4));
    assert!(broken.stdout.starts_with("val-1  exit 2\n  stderr: "), "{}", broken.stdout);
}

#[test]
fn a_failing_command_is_shown_with_its_status_and_both_outputs() {
    let (fleet, _sshd) = Fleet::of_three();
    let run = fleet.run(&["exec", "all", "--", "echo out; echo err >&2; exit 3"]);
    let text = "val-[1-3]  exit 3\n  out\n  stderr: err\n\
                3 of 3 answered in T s; all alike; 3 ended with an error\n";
    assert_eq!((timeless(&run).as_str(), run.code), (text, Some(4)));
}

#[test]
fn control_characters_and_odd_bytes_do_not_reach_the_terminal() {
    let (fleet, _sshd) = Fleet::of_three();
    let run = fleet.run(&["exec", "val-1", "--", r"printf '\033[2J\007\tx\377\n'"]);
    assert!(run.stdout.starts_with("val-1  \\x1b[2J\\x07\tx\\xff\n"), "{:?}", run.stdout);
    let json = fleet.run(&["-o", "json", "exec", "val-1", "--", r"printf '\033\377'"]).json();
    assert_eq!(json[0]["stdout"], "\u{1b}\u{fffd}");
}

#[test]
fn a_host_that_cannot_be_reached_is_a_row_and_the_others_answer() {
    let (mut fleet, sshd) = Fleet::of_three();
    fleet.host("gone", &format!("127.0.0.9:{}", free_port()), &sshd, "");
    let run = fleet.run(&["exec", "all", "--", "echo here"]);
    assert_eq!(run.code, Some(4));
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], "val-[1-3]  here");
    assert!(lines[1].starts_with("gone       failed: ssh 127.0.0.9:") && lines[1].contains("refused"), "{lines:?}");
    assert!(lines[2].starts_with("next: is the host up"), "{lines:?}");
    assert!(lines[3].starts_with("3 of 4 answered") && lines[3].ends_with("all alike; 1 failed"), "{lines:?}");
}

#[test]
fn a_command_that_hangs_is_unknown_and_delays_nobody() {
    let (fleet, _sshd) = Fleet::of_three();
    let command = "echo begun; case $SSH_CONNECTION in *' 127.0.0.2 '*) sleep 20;; esac";
    let run = fleet.run(&["exec", "all", "--timeout", "3s", "--", command]);
    assert_eq!(run.code, Some(4));
    let text = "val-[1,3]  begun\nval-2      unknown: still running after 3 s\n  begun\n\
                next: look at the host: what was sent may have been carried out\n\
                2 of 3 answered in T s; all alike; 1 unknown\n";
    assert_eq!(timeless(&run), text);
}

#[test]
fn what_a_dead_link_had_sent_is_kept() {
    let (fleet, _sshd) = Fleet::of_three();
    let command = format!("echo begun; case $SSH_CONNECTION in *' 127.0.0.1 '*) sleep 1; {CUT}; sleep 5;; esac");
    let run = fleet.run(&["-o", "json", "exec", "val-[1-2]", "--", &command]);
    assert_eq!(run.code, Some(4));
    let rows = run.json();
    assert_eq!(
        (&rows[0]["host"], &rows[0]["unknown"], &rows[0]["exit"]),
        (&"val-1".into(), &true.into(), &Value::Null)
    );
    assert_eq!(
        (&rows[0]["stdout"], &rows[0]["error"]),
        (&"begun\n".into(), &"the link died after the command was sent".into())
    );
    assert_eq!((&rows[1]["stdout"], &rows[1]["exit"], &rows[1]["error"]), (&"begun\n".into(), &0.into(), &Value::Null));
}

#[test]
fn programs_get_a_document_or_lines() {
    let (fleet, _sshd) = Fleet::of_three();
    let document = fleet.run(&["-o", "json", "exec", "all", "--", "echo a; echo b >&2; exit 5"]);
    let hosts: Vec<&str> = document
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!((&row["stdout"], &row["stderr"], &row["exit"]), (&"a\n".into(), &"b\n".into(), &5.into()));
            ["val-1", "val-2", "val-3"].into_iter().find(|host| row["host"] == **host).unwrap()
        })
        .collect();
    assert_eq!((hosts, document.code), (vec!["val-1", "val-2", "val-3"], Some(4)));
    let lines = fleet.run(&["-o", "jsonl", "exec", "all", "--", "true"]);
    let rows: Vec<Value> = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), lines.code), (3, Some(0)));
    assert!(rows.iter().all(|row| row["exit"] == 0 && row["unknown"] == false));
}

/// What a run that was interrupted by `signal` once its command had begun came to.
fn interrupted(args: &[&str], signal: rustix::process::Signal) -> Run {
    let (fleet, _sshd) = Fleet::of_three();
    let mark = fleet.path("begun");
    let command = format!(
        "echo begun; case $SSH_CONNECTION in *' 127.0.0.1 '*) sleep 1; touch {}; exec sleep 20;; esac",
        mark.display()
    );
    let args = [args, &["exec", "val-[1-2]", "--", &command]].concat();
    let stdout = std::fs::File::create(fleet.path("out")).unwrap();
    let mut child = fleet.command(&args).stdout(stdout).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !mark.exists() {
        assert!(Instant::now() < until, "the command didn't begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).unwrap();
    let code = child.wait().unwrap().code();
    Run { code, stdout: std::fs::read_to_string(fleet.path("out")).unwrap(), stderr: String::new() }
}

#[test]
fn an_interrupt_prints_what_has_come() {
    let run = interrupted(&[], rustix::process::Signal::INT);
    assert_eq!(run.code, Some(130));
    assert!(
        run.stdout.starts_with("val-2  begun\nval-1  unknown: interrupted while it ran\n  begun\n"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("1 unknown\n"), "{}", run.stdout);
}

#[test]
fn a_termination_is_told_by_its_own_code() {
    let run = interrupted(&["-o", "jsonl"], rustix::process::Signal::TERM);
    assert_eq!((run.code, run.stdout.lines().count()), (Some(143), 2));
}

/// Three hosts whose `sudo` is this script.
fn with_sudo(script: &str) -> (Fleet, Sshd) {
    let dir = Sshd::keys(&Options::default());
    executable(&dir.path().join("sudo"), script);
    let path = std::env::var("PATH").unwrap();
    let extra = format!("SetEnv PATH={}:{path}", dir.path().display());
    let sshd = Sshd::serve(dir, &Options { extra: &extra, ..Options::default() });
    let mut fleet = Fleet::new();
    fleet.host("val-1", &format!("127.0.0.1:{}", sshd.port), &sshd, "ssh.become = \"sudo\"");
    fleet.known_hosts(&format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key("ed25519")));
    (fleet, sshd)
}

#[test]
fn sudo_is_used_only_when_asked_for() {
    let (fleet, _sshd) = with_sudo("#!/bin/sh\n[ \"$1\" = -n ] || exit 9\nshift\nBY_SUDO=yes exec \"$@\"\n");
    let command = "echo sudo=$BY_SUDO";
    assert!(fleet.run(&["exec", "all", "--", command]).stdout.starts_with("val-1  sudo=\n"));
    assert!(fleet.run(&["exec", "all", "--sudo", "--", command]).stdout.starts_with("val-1  sudo=yes\n"));
}

#[test]
fn sudo_that_refuses_is_a_failure_not_an_unknown() {
    let (fleet, _sshd) = with_sudo("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n");
    let run = fleet.run(&["exec", "all", "--sudo", "--", "touch /nowhere"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stdout.starts_with("val-1  failed: sudo refused: sudo: a password is required\n"), "{}", run.stdout);
    assert!(run.stdout.contains("next: allow it without a password"), "{}", run.stdout);
}
