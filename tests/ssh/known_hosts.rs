//! `known_hosts` read side by side with OpenSSH: which lines name a host, and whether it is connected to.

use std::path::Path;
use std::process::{Command, Stdio};

use fleet::ssh::known_hosts::{KnownHosts, hash_name};
use proptest::prelude::*;

use crate::sshd::{Options, Sshd, keygen, login, run};

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
const NAMES: [&str; 9] =
    ["a", "A.Example", "b.example", "x.b.example", "[a]:2222", "10.0.0.1", "[10.0.0.1]:22", "::1", "[::1]:2222"];

/// The numbers of the lines that `ssh-keygen -F` finds for `name`, which `ssh` asks for in lower case.
fn keygen_finds(file: &Path, name: &str) -> Vec<usize> {
    let output = Command::new("ssh-keygen")
        .args(["-l", "-F", &name.to_lowercase(), "-f"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("ssh-keygen is needed for this test (openssh-client): {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(" found: line "));
    numbers.map(|(_, rest)| rest.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn fleet_finds(text: &[u8], name: &str) -> Vec<usize> {
    let mut known = KnownHosts::default();
    known.read("known_hosts", &String::from_utf8_lossy(text));
    known.matching(name).map(|entry| entry.place.line).collect()
}

fn compare(text: &[u8], names: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, text).unwrap();
    for name in names {
        let (theirs, ours) = (keygen_finds(&file, name), fleet_finds(text, name));
        let differ = |number: &&usize| ours.contains(number) != theirs.contains(number);
        let differing: Vec<usize> = ours.iter().chain(&theirs).filter(differ).copied().collect();
        let lines: Vec<String> = String::from_utf8_lossy(text).lines().map(str::to_owned).collect();
        let shown: Vec<(bool, &String)> =
            differing.iter().map(|number| (ours.contains(number), &lines[number - 1])).collect();
        assert!(shown.is_empty(), "{name}: whether fleet finds it, other than ssh-keygen: {shown:#?}");
    }
}

#[test]
fn every_kind_of_line_is_found_as_ssh_keygen_finds_it() {
    let hashed = |name: &str| hash_name(&[5; 20], name);
    let lines = [
        "a ED".to_owned(),
        "a,b.example ED comment of several words".into(),
        "  a ED".into(),
        "\ta\tED".into(),
        "a  \t ED \t".into(),
        "a ED\r".into(),
        "# a ED".into(),
        " # a ED".into(),
        String::new(),
        "   ".into(),
        "a".into(),
        "a ssh-ed25519".into(),
        "a ssh-ed25519 AAAA".into(),
        "a ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF".into(),
        "a ssh-unknown AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF".into(),
        "garbage".into(),
        "@cert-authority a ED".into(),
        "@cert-authority *.example ED".into(),
        "@revoked * ED".into(),
        "@revoked\ta ED".into(),
        "@other a ED".into(),
        "@ a ED".into(),
        "@revoked @cert-authority a ED".into(),
        "* ED".into(),
        "? ED".into(),
        "*.example ED".into(),
        "*.example,!b.example ED".into(),
        "!b.example,*.example ED".into(),
        "!a ED".into(),
        "!*,a ED".into(),
        "a.example ED".into(),
        "A.EXAMPLE ED".into(),
        "[a]:2222 ED".into(),
        "[a]:* ED".into(),
        "[*]:2222 ED".into(),
        "10.0.0.* ED".into(),
        "10.0.0.? ED".into(),
        "::1 ED".into(),
        "[::1]:2222 ED".into(),
        ",a ED".into(),
        "a, ED".into(),
        "a,,b ED".into(),
        format!("{} ED", hashed("a")),
        format!("{} ED", hashed("a.example")),
        format!("{} ED", hashed("A.Example")),
        format!("{} ED", hashed("[a]:2222")),
        format!("@revoked {} ED", hashed("a")),
        format!("{},a ED", hashed("b")),
        format!("a,{} ED", hashed("b")),
        format!("{} ED", hashed("a").replace("|1|", "|2|")),
        "|1|AAAA|BBBB ED".into(),
        "|1| ED".into(),
        "| ED".into(),
        "\u{e4},a ED".into(),
    ];
    let mut text = lines.join("\n").replace("ED", ED).into_bytes();
    text.extend([b"\n\xff\xfe,a ", ED.as_bytes(), b" without an end"].concat());
    compare(&text, &NAMES);
}

fn pattern() -> impl Strategy<Value = String> {
    let word =
        prop::sample::select(vec!["a", "A", "b", "*", "?", "example", ".", "x", "10.0.0.", "1", "[", "]:2222", "::"]);
    (any::<bool>(), prop::collection::vec(word, 1..4))
        .prop_map(|(negated, words)| format!("{}{}", if negated { "!" } else { "" }, words.concat()))
}

fn names() -> impl Strategy<Value = String> {
    let hashed = (prop::sample::select(NAMES.to_vec()), any::<u8>())
        .prop_map(|(name, salt)| hash_name(&[salt; 20], &name.to_lowercase()));
    prop_oneof![3 => prop::collection::vec(pattern(), 1..4).prop_map(|list| list.join(",")), 1 => hashed]
}

fn line() -> impl Strategy<Value = String> {
    let marker = prop::sample::select(vec!["", "", "", "@revoked ", "@cert-authority\t", "@odd ", "# ", "  "]);
    let end = prop::sample::select(vec!["", " comment", "\t", "\r", " # x"]);
    let blank = prop::sample::select(vec![" ", "\t", "  "]);
    (marker, names(), blank, end).prop_map(|(marker, names, blank, end)| format!("{marker}{names}{blank}{ED}{end}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_file_is_read_as_ssh_keygen_reads_it(lines in prop::collection::vec(line(), 1..30), ended in any::<bool>()) {
        let text = lines.join("\n") + if ended { "\n" } else { "" };
        compare(text.as_bytes(), &NAMES[..6]);
    }
}

/// An `sshd` with keys of two types, of which an authority has signed one; `ca` and `client` are other keys.
fn certified() -> Sshd {
    let options = Options { host_keys: &["ed25519", "ecdsa"], ..Options::default() };
    let dir = Sshd::keys(&options);
    let at = |name: &str| dir.path().join(name).display().to_string();
    keygen(at("ca").as_ref(), "ed25519", "");
    run("ssh-keygen", &["-q", "-s", &at("ca"), "-I", "t", "-h", "-n", "127.0.0.1,localhost", &at("host_ed25519.pub")]);
    let extra = format!("HostCertificate {}", at("host_ed25519-cert.pub"));
    Sshd::serve(dir, &Options { extra: &extra, ..options })
}

fn ssh_connects(sshd: &Sshd) -> bool {
    let at = |name: &str| sshd.path(name).display().to_string();
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"]);
    command.args(["-o", &format!("UserKnownHostsFile={}", at("known_hosts")), "-o", "GlobalKnownHostsFile=none"]);
    command.args(["-i", &at("client"), "-p", &sshd.port.to_string(), &format!("{}@127.0.0.1", login()), "true"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).env_remove("SSH_AUTH_SOCK").status().unwrap().success()
}

#[tokio::test]
async fn fleet_connects_where_ssh_does_and_nowhere_else() {
    let sshd = certified();
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let cases = [
        ("", false),
        ("HOST ED\n", true),
        ("HOST EC\n", true),
        ("HOST ED\nHOST EC\n", true),
        ("HOST OTHER\n", false),
        ("HOST OTHER\nHOST ED\n", true),
        ("HASHED ED", true),
        ("127.0.0.1 ED\n", true),
        ("127.0.0.1 OTHER\n", false),
        ("127.0.0.1 ED\nHOST OTHER\n", true),
        ("127.0.0.* ED\n", true),
        ("[127.0.0.*]:* ED\n", true),
        ("[127.0.0.*]:*,!HOST ED\n", false),
        ("!127.0.0.1,* ED\n", true),
        ("!127.0.0.1,127.* ED\n", false),
        ("* ED\n", true),
        ("[127.0.0.1]:22 ED\n", false),
        ("garbage\nHOST ssh-ed25519 AAAA\nHOST\tED\n", true),
        ("# HOST ED\n", false),
        ("@odd HOST ED\n", false),
        ("HOST ED\n@revoked HOST ED\n", false),
        ("@revoked * ED\nHOST ED\n", false),
        ("@revoked other ED\nHOST ED\n", true),
        ("@revoked * ED\nHOST EC\n", true),
        ("@revoked * ED\nHOST ED\nHOST EC\n", true),
        ("@cert-authority * CA\n", true),
        ("@cert-authority HOST CA\n", true),
        ("@cert-authority 127.0.0.1 CA\n", true),
        ("@cert-authority other CA\n", false),
        ("@cert-authority * OTHER\n", false),
        ("@cert-authority * OTHER\nHOST ED\n", true),
        ("@cert-authority * CA\nHOST OTHER\n", true),
        ("@cert-authority * CA\n@revoked * CA\n", false),
        ("@cert-authority * CA\n@revoked * ED\n", false),
        ("@cert-authority * CA\n@revoked other CA\n", true),
        ("@cert-authority !127.0.0.1,* CA\n", true),
        ("@cert-authority HASHED CA\n", true),
        ("HOST CA\n", false),
    ];
    let key = |file: &str| std::fs::read_to_string(sshd.path(&format!("{file}.pub"))).unwrap().trim().to_owned();
    let mut wrong = Vec::new();
    for (lines, expected) in cases {
        let mut text = lines.replace("HASHED", &hash_name(&[9; 20], &name)).replace("HOST", &name);
        for (word, file) in [("ED", "host_ed25519"), ("EC", "host_ecdsa"), ("OTHER", "client"), ("CA", "ca")] {
            text = text.replace(&format!(" {word}"), &format!(" {}", key(file)));
            text = text.replace(&format!("\t{word}"), &format!("\t{}", key(file)));
        }
        sshd.known_hosts(&text);
        let ours = sshd.links().link("h").await;
        let (ours, why) = (ours.is_ok(), ours.err().map(|error| error.message));
        if (ours, ssh_connects(&sshd)) != (expected, expected) {
            wrong.push(format!("{lines:?}: fleet {ours}, expected {expected}; {why:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
