//! `fleet trust` as it is run.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::fleet::{Fleet, Run, files};
use crate::sshd::{Options, Sshd, free_port, keygen, login, run};

const BOTH: Options<'static> = Options { listen: &["127.0.0.1"], host_keys: &["ed25519", "ecdsa"], extra: "" };

/// The host `val-1`, of which nothing is recorded.
fn one(options: &Options<'_>) -> (Fleet, Sshd) {
    let sshd = Sshd::start(options);
    (of(&sshd), sshd)
}

fn of(sshd: &Sshd) -> Fleet {
    let mut fleet = Fleet::new();
    fleet.host("val-1", &format!("127.0.0.1:{}", sshd.port), sshd, "");
    fleet
}

fn recorded(fleet: &Fleet) -> String {
    std::fs::read_to_string(fleet.recorded()).unwrap()
}

fn name(sshd: &Sshd) -> String {
    format!("[127.0.0.1]:{}", sshd.port)
}

/// The fingerprint as OpenSSH tells it.
fn fingerprint(key: &Path) -> String {
    run("ssh-keygen", &["-l", "-f", key.to_str().unwrap()]).split(' ').nth(1).unwrap().to_owned()
}

fn answers(fleet: &Fleet) -> bool {
    fleet.run(&["exec", "all", "--", "true"]).code == Some(0)
}

#[test]
fn without_a_terminal_new_keys_are_shown_and_nothing_is_written() {
    let (fleet, sshd) = one(&BOTH);
    let before = files(fleet.home.path());
    let run = fleet.run(&["trust"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let line = |kind: &str, file: &str| format!("  new       {kind}  {}\n", fingerprint(&sshd.path(file)));
    let shown = format!(
        "val-1 (127.0.0.1:{})\n{}{}0 of 1 hosts trusted\n",
        sshd.port,
        line("ssh-ed25519", "host_ed25519.pub"),
        line("ecdsa-sha2-nistp256", "host_ecdsa.pub")
    );
    assert_eq!(run.stdout, shown);
    assert!(run.stderr.contains("record 2 new keys of val-1?") && run.stderr.contains("--yes"), "{}", run.stderr);
    assert!(files(fleet.home.path()) == before);
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[test]
fn recorded_keys_are_known_to_fleet_and_to_ssh() {
    let (fleet, sshd) = one(&BOTH);
    assert!(!answers(&fleet));
    let first = fleet.run(&["trust", "--yes"]);
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    assert!(first.stdout.ends_with("1 of 1 hosts trusted\n"), "{}", first.stdout);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&fleet.recorded()), mode(fleet.recorded().parent().unwrap())), (0o600, 0o700));
    let expected: String =
        ["ed25519", "ecdsa"].iter().map(|kind| format!("{} {}\n", name(&sshd), sshd.host_key(kind))).collect();
    assert_eq!(recorded(&fleet), expected);
    assert!(answers(&fleet));
    let second = fleet.run(&["trust"]);
    assert_eq!((second.code, recorded(&fleet)), (Some(0), expected));
    assert!(second.stdout.contains("  recorded  ssh-ed25519  SHA256:"), "{}", second.stdout);
}

#[test]
fn other_lines_stay_as_they_are() {
    let (fleet, sshd) = one(&Options::default());
    fleet.known_hosts("# mine\r\n\ngarbage\nother ssh-ed25519 AAAA");
    assert_eq!(fleet.run(&["trust", "--yes"]).code, Some(0));
    let line = format!("{} {}\n", name(&sshd), sshd.host_key("ed25519"));
    assert_eq!(recorded(&fleet), format!("# mine\r\n\ngarbage\nother ssh-ed25519 AAAA\n{line}"));
}

#[test]
fn names_are_hashed_where_ssh_config_says_so() {
    let (fleet, sshd) = one(&Options::default());
    fleet.ssh_config("HashKnownHosts yes");
    assert_eq!(fleet.run(&["trust", "--yes"]).code, Some(0));
    assert!(recorded(&fleet).starts_with("|1|") && !recorded(&fleet).contains("127.0.0.1"));
    run("ssh-keygen", &["-F", &name(&sshd), "-f", fleet.recorded().to_str().unwrap()]);
    assert!(answers(&fleet));
}

#[test]
fn a_changed_key_is_recorded_only_to_replace_the_old_one() {
    let (fleet, sshd) = one(&Options::default());
    keygen(&sshd.path("old"), "ed25519", "");
    let old = std::fs::read_to_string(sshd.path("old.pub")).unwrap();
    let before = format!("other,{} {old}# end", name(&sshd));
    fleet.known_hosts(&before);
    let refused = fleet.run(&["trust", "--yes"]);
    assert_eq!((refused.code, recorded(&fleet)), (Some(4), before.clone()));
    let told =
        format!("recorded is ssh-ed25519 {} at {}:1\n", fingerprint(&sshd.path("old.pub")), fleet.recorded().display());
    assert!(refused.stdout.contains("  CHANGED   ssh-ed25519") && refused.stdout.contains(&told), "{}", refused.stdout);
    assert!(refused.stdout.contains("fleet trust val-1 --replace"), "{}", refused.stdout);
    let unasked = fleet.run(&["trust", "--replace"]);
    assert_eq!((unasked.code, recorded(&fleet)), (Some(2), before.clone()));
    let replaced = fleet.run(&["trust", "--replace", "--yes"]);
    assert_eq!(replaced.code, Some(0), "{}{}", replaced.stdout, replaced.stderr);
    let line = format!("{} {}\n", name(&sshd), sshd.host_key("ed25519"));
    assert_eq!(recorded(&fleet), format!("other {old}# end\n{line}"));
    let copy = files(&fleet.path(".ssh")).into_iter().find(|(path, _)| *path != fleet.recorded()).unwrap();
    assert_eq!(String::from_utf8(copy.1).unwrap(), before);
    assert!(replaced.stdout.contains(&format!("as it was: {}", copy.0.display())), "{}", replaced.stdout);
    assert!(answers(&fleet));
}

#[test]
fn a_key_of_another_type_is_new_while_a_recorded_one_is_shown() {
    let (fleet, sshd) = one(&BOTH);
    fleet.known_hosts(&format!("{} {}\n", name(&sshd), sshd.host_key("ecdsa")));
    let run = fleet.run(&["trust"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stdout.contains("  new       ssh-ed25519") && run.stdout.contains("  recorded  ecdsa"),
        "{}",
        run.stdout
    );
    // Without a recorded one it may be another machine.
    keygen(&sshd.path("old"), "ecdsa", "");
    let old = std::fs::read_to_string(sshd.path("old.pub")).unwrap();
    fleet.known_hosts(&format!("{} {old}", name(&sshd)));
    let run = fleet.run(&["trust", "--yes"]);
    assert_eq!((run.code, run.stdout.matches("  CHANGED ").count()), (Some(4), 2), "{}", run.stdout);
}

#[test]
fn a_revoked_key_is_never_recorded() {
    let (fleet, sshd) = one(&BOTH);
    let before = format!("@revoked * {}\n", sshd.host_key("ed25519"));
    fleet.known_hosts(&before);
    let run = fleet.run(&["trust", "--yes", "--replace"]);
    assert_eq!((run.code, recorded(&fleet)), (Some(4), before));
    assert!(run.stdout.contains("  REVOKED   ssh-ed25519"), "{}", run.stdout);
    assert!(run.stdout.contains("next: find out why it was revoked"), "{}", run.stdout);
}

#[test]
fn an_authority_is_named_and_its_hosts_need_no_record() {
    let dir = Sshd::keys(&Options::default());
    let at = |name: &str| dir.path().join(name).display().to_string();
    keygen(at("ca").as_ref(), "ed25519", "");
    run("ssh-keygen", &["-q", "-s", &at("ca"), "-I", "t", "-h", "-n", "127.0.0.1", &at("host_ed25519.pub")]);
    let authority = std::fs::read_to_string(at("ca.pub")).unwrap();
    let extra = format!("HostCertificate {}", at("host_ed25519-cert.pub"));
    let sshd = Sshd::serve(dir, &Options { extra: &extra, ..Options::default() });
    let fleet = of(&sshd);
    fleet.known_hosts(&format!("@cert-authority * {authority}"));
    let run = fleet.run(&["trust"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("  vouched   ssh-ed25519") && run.stdout.contains("known_hosts:1\n"), "{}", run.stdout);
}

/// `inner`, which is behind a jump host of its own `sshd`; both take the same client key.
fn behind(extra: impl Fn(&Sshd) -> String) -> (Fleet, Sshd, Sshd) {
    let (jump, inner) = (Sshd::start(&Options::default()), Sshd::start(&Options::default()));
    std::fs::copy(jump.path("client.pub"), inner.path("authorized_keys")).unwrap();
    let mut fleet = Fleet::new();
    fleet.host("inner", &format!("127.0.0.1:{}", inner.port), &jump, &extra(&jump));
    (fleet, jump, inner)
}

fn both_recorded(run: &Run, fleet: &Fleet, jump: &Sshd, inner: &Sshd) {
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let line = |sshd: &Sshd| format!("{} {}\n", name(sshd), sshd.host_key("ed25519"));
    assert_eq!(recorded(fleet), line(jump) + &line(inner));
    assert!(answers(fleet));
}

#[test]
fn jump_hosts_are_trusted_first() {
    let (mut fleet, jump, inner) = behind(|_| "ssh.jump = \"bastion\"".into());
    fleet.host("bastion", &format!("127.0.0.1:{}", jump.port), &jump, "");
    // Nothing of the jump host is recorded, so nobody can look behind it yet.
    let unasked = fleet.run(&["trust", "inner"]);
    assert_eq!(unasked.code, Some(2));
    assert!(
        unasked.stdout.contains("bastion (") && unasked.stdout.contains("failed: inner is reached through bastion")
    );
    both_recorded(&fleet.run(&["trust", "inner", "--yes"]), &fleet, &jump, &inner);
}

#[test]
fn jump_hosts_outside_the_inventory_are_trusted_too() {
    let (fleet, jump, inner) = behind(|jump| format!("ssh.jump = \"{}@127.0.0.1:{}\"", login(), jump.port));
    let refused = fleet.run(&["exec", "inner", "--", "true"]);
    assert!(refused.stdout.contains("next: fleet trust inner\n"), "{}", refused.stdout);
    both_recorded(&fleet.run(&["trust", "--yes"]), &fleet, &jump, &inner);
}

#[test]
fn a_host_that_does_not_answer_is_a_row_and_the_others_are_recorded() {
    let (mut fleet, sshd) = one(&Options::default());
    fleet.host("gone", &format!("127.0.0.9:{}", free_port()), &sshd, "");
    let run = fleet.run(&["trust", "--yes"]);
    assert_eq!(run.code, Some(4));
    assert!(run.stdout.contains("gone\n  failed: ssh 127.0.0.9:"), "{}", run.stdout);
    assert!(run.stdout.ends_with("1 of 2 hosts trusted\n"), "{}", run.stdout);
    assert!(recorded(&fleet).starts_with(&name(&sshd)));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let (fleet, _sshd) = one(&Options::default());
    std::fs::write(fleet.path(".ssh"), "in the way").unwrap();
    let run = fleet.run(&["trust", "--yes"]);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(".ssh/known_hosts"), "{}", run.stdout);
}

#[test]
fn programs_get_rows() {
    let (fleet, sshd) = one(&Options::default());
    let run = fleet.run(&["-o", "json", "trust"]);
    let row = &run.json()[0];
    assert_eq!((run.code, &row["host"], &row["trusted"]), (Some(2), &"val-1".into(), &false.into()));
    let key = &row["keys"][0];
    assert_eq!((&key["type"], &key["state"]), (&"ssh-ed25519".into(), &"new".into()));
    assert_eq!(key["fingerprint"], fingerprint(&sshd.path("host_ed25519.pub")));
    let written = fleet.run(&["-o", "jsonl", "trust", "--yes"]).json();
    let file = fleet.recorded().display().to_string();
    assert_eq!((&written["recorded_in"], &written["trusted"]), (&file.into(), &true.into()));
}

/// What is typed at a terminal in which `fleet trust` runs, and what it came to.
fn typed(fleet: &Fleet, text: &str) -> i32 {
    let command = format!("{} trust", env!("CARGO_BIN_EXE_fleet"));
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &command, "/dev/null"])
        .current_dir(fleet.home.path())
        .env("HOME", fleet.home.path())
        .env("PATH", format!("{}:{}", fleet.path("bin").display(), std::env::var("PATH").unwrap()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("script is needed for this test (bsdutils): {error}"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().status.code().unwrap()
}

#[test]
fn on_a_terminal_it_asks() {
    let (fleet, _sshd) = one(&Options::default());
    assert_eq!(typed(&fleet, "n\n"), 4);
    assert!(!fleet.recorded().exists());
    assert_eq!(typed(&fleet, "y\n"), 0);
    assert!(answers(&fleet));
}
