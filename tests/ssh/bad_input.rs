//! Mistakes of the operator: told plainly, with the right exit code, and nothing is changed.

use crate::fleet::{Fleet, Run, files};
use crate::sshd::{Sshd, keygen};

/// Runs it, and sees that it changed nothing and that no host was logged in to.
fn harmless(fleet: &Fleet, sshd: &Sshd, args: &[&str]) -> Run {
    let before = files(fleet.home.path());
    let run = fleet.run(args);
    assert!(files(fleet.home.path()) == before, "{args:?} changed a file");
    assert!(!sshd.log().contains("Accepted"), "{args:?} logged in");
    run
}

#[test]
fn mistakes_on_the_command_line() {
    let (fleet, sshd) = Fleet::of_three();
    let cases: [(&[&str], &str); 11] = [
        (&["exec", "", "--", "true"], "error: "),
        (&["exec", "  ", "--", "true"], "error: "),
        (&["exec", "val-9", "--", "true"], "val-9"),
        (&["exec", "role:validator", "--", "true"], "no host matches"),
        (&["exec", "val-1"], "<CMD>"),
        (&["exec", "val-1", "--"], "<CMD>"),
        (&["exec", "val-1", "--", ""], "there is no command\nnext: fleet exec SELECTOR -- uptime"),
        (&["exec", "val-1", "--timeout", "0s", "--", "true"], "more than zero"),
        (&["exec", "val-1", "--timeout", "soon", "--", "true"], "write 500ms, 10s or 1m30s"),
        (&["-l", "val-2", "exec", "val-1", "--", "true"], "no host matches"),
        (&["trust", "val-9"], "val-9"),
    ];
    for (args, said) in cases {
        let run = harmless(&fleet, &sshd, args);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn an_inventory_that_is_not_there() {
    let (fleet, sshd) = Fleet::of_three();
    let run = harmless(&fleet, &sshd, &["-i", "other.toml", "exec", "all", "--", "true"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("looked at other.toml"), "{}", run.stderr);
}

#[test]
fn an_unknown_host_key_names_fleet_trust() {
    let (fleet, sshd) = Fleet::of_three();
    fleet.known_hosts("");
    let run = harmless(&fleet, &sshd, &["exec", "val-[1-2]", "--", "true"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stdout.contains("host key of val-1") && run.stdout.contains("not recorded in"), "{}", run.stdout);
    assert!(run.stdout.contains("next: fleet trust val-[1-2]\n0 of 2 answered"), "{}", run.stdout);
}

#[test]
fn keys_that_cannot_be_used() {
    let (fleet, sshd) = Fleet::of_three();
    keygen(&sshd.path("wrong"), "ed25519", "");
    let text = std::fs::read_to_string(fleet.path("inventory.toml")).unwrap();
    for (file, said) in [("missing", "there is no such key file"), ("wrong", "/wrong; it takes")] {
        let changed = text.replace("/client\"", &format!("/{file}\""));
        std::fs::write(fleet.path("inventory.toml"), changed).unwrap();
        let run = harmless(&fleet, &sshd, &["exec", "val-1", "--", "true"]);
        assert_eq!(run.code, Some(4));
        assert!(run.stdout.starts_with("val-1  failed: ") && run.stdout.contains(said), "{}", run.stdout);
        assert!(run.stdout.contains("next: "), "{}", run.stdout);
    }
}
