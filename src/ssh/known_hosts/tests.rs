use super::*;

const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhtYcaHwqnGAkPKnvFBaxYbP9vUuC0qMKY3CZ5oBCeS";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn verdict(lines: &str, name: &str, port: u16) -> &'static str {
    let mut known = KnownHosts::default();
    known.read("known_hosts", lines);
    match known.about(&Subject { name: name.into(), port: Some(port) }).check(&key(ED)) {
        Verdict::Trusted(_) | Verdict::Vouched(_) => "trusted",
        Verdict::Unknown => "unknown",
        Verdict::Changed(_) => "changed",
        Verdict::Revoked(_) => "revoked",
        Verdict::BadCertificate(_) => "bad certificate",
    }
}

#[test]
fn a_key_is_judged_by_the_lines_that_name_its_host() {
    let cases = [
        ("", "a", 22, "unknown"),
        ("a ED", "a", 22, "trusted"),
        ("a OTHER", "a", 22, "changed"),
        ("a OTHER\na ED", "a", 22, "trusted"),
        ("b ED", "a", 22, "unknown"),
        ("b,a ED", "a", 22, "trusted"),
        ("A.Example ED", "a.eXample", 22, "trusted"),
        ("a\t  ED  comment here", "a", 22, "trusted"),
        ("  a ED", "a", 22, "trusted"),
        ("# a ED", "a", 22, "unknown"),
        ("garbage\n@new a ED\na ssh-ed25519 AAAA\na ED", "a", 22, "trusted"),
        ("*.example,!x.example ED", "y.example", 22, "trusted"),
        ("*.example,!x.example ED", "x.example", 22, "unknown"),
        ("10.0.?.* ED", "10.0.1.25", 22, "trusted"),
        ("10.0.?.* ED", "10.0.11.25", 22, "unknown"),
        ("[a]:2222 ED", "a", 2222, "trusted"),
        ("[a]:2222 ED", "a", 22, "unknown"),
        ("a ED", "a", 2222, "trusted"),
        ("a OTHER", "a", 2222, "unknown"),
        ("a ED\n[a]:2222 OTHER", "a", 2222, "trusted"),
        ("::1 ED", "::1", 22, "trusted"),
        ("[::1]:2222 ED", "::1", 2222, "trusted"),
        ("a ED\n@revoked * ED", "a", 22, "revoked"),
        ("@revoked * ED", "a", 22, "revoked"),
        ("@revoked b ED\na ED", "a", 22, "trusted"),
        ("@cert-authority a ED", "a", 22, "unknown"),
    ];
    for (lines, name, port, expected) in cases {
        let lines = lines.replace("ED", ED).replace("OTHER", OTHER);
        assert_eq!(verdict(&lines, name, port), expected, "{lines:?} {name} {port}");
    }
}

#[test]
fn a_hashed_name_matches_only_its_own_name() {
    let line = format!("{} {ED}", hash_name(&[7; 20], "a.example"));
    assert_eq!(verdict(&line, "A.example", 22), "trusted");
    assert_eq!(verdict(&line, "b.example", 22), "unknown");
    assert_eq!(verdict(&line.replace("|1|", "|2|"), "a.example", 22), "unknown");
}

#[test]
fn skipped_lines_are_named() {
    let mut known = KnownHosts::default();
    known.read("f", "\n# c\na b\n@x a b c\n");
    let notes = known.notes().join("\n");
    assert!(notes.contains("f:3: skipped") && notes.contains("f:4: skipped: unknown marker @x"), "{notes}");
}

#[test]
fn recorded_types_come_once_and_in_order() {
    let mut known = KnownHosts::default();
    known.read("f", &format!("a {ED}\na {OTHER}\n"));
    assert_eq!(known.about(&Subject { name: "a".into(), port: None }).types(), vec![Algorithm::Ed25519]);
}
