//! Host keys: what is trusted, what is refused, and that nothing is sent to a host that is refused.

use fleet::ssh::known_hosts::hash_name;
use fleet::ssh::{LinkError, LinkErrorKind};

use crate::sshd::{Options, Sshd, keygen, run};

const BOTH: Options<'static> = Options { listen: &["127.0.0.1"], host_keys: &["ed25519", "ecdsa"], extra: "" };

/// Connects with this `known_hosts`; in it `HOST` is the name, `ED` and `EC` are the host's keys.
async fn connect(sshd: &Sshd, known_hosts: &str) -> Result<(), LinkError> {
    sshd.known_hosts(&filled(sshd, known_hosts));
    sshd.links().link("h").await.map(drop)
}

fn filled(sshd: &Sshd, text: &str) -> String {
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let mut text = text.replace("HASHED", &hash_name(&[9; 20], &name)).replace("HOST", &name);
    for (word, file) in [("ED", "host_ed25519"), ("EC", "host_ecdsa"), ("OTHER", "client"), ("CA", "ca")] {
        if let Ok(key) = std::fs::read_to_string(sshd.path(&format!("{file}.pub"))) {
            text = text.replace(&format!(" {word}"), &format!(" {}", key.trim()));
        }
    }
    text
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_before_anything_is_sent() {
    let sshd = Sshd::start(&Options::default());
    let error = connect(&sshd, "").await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::HostKey, "{error}");
    assert!(error.message.contains("SHA256:") && error.message.contains("known_hosts"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("fleet trust h"));
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test]
async fn a_changed_key_is_refused_with_the_line_that_says_otherwise() {
    let sshd = Sshd::start(&Options::default());
    let error = connect(&sshd, "# a comment\nHOST OTHER\n").await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::HostKey);
    assert!(error.message.contains("CHANGED") && error.message.contains("known_hosts:2"), "{error}");
    assert!(error.hint.unwrap().contains("--replace"));
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}

#[tokio::test]
async fn the_recorded_type_is_asked_for() {
    let sshd = Sshd::start(&BOTH);
    connect(&sshd, "HOST EC\n").await.unwrap();
    connect(&sshd, "HOST ED\n").await.unwrap();
    // One type is recorded, but the host has only another one.
    let only = Sshd::start(&Options::default());
    let ecdsa = sshd.host_key("ecdsa");
    let error = connect(&only, &format!("HOST {ecdsa}\n")).await.unwrap_err();
    assert!(error.message.contains("CHANGED, recorded is ecdsa-sha2-nistp256"), "{error}");
}

#[tokio::test]
async fn a_hashed_name_is_found() {
    let sshd = Sshd::start(&Options::default());
    connect(&sshd, "HASHED ED\n").await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_whatever_else_is_recorded() {
    let sshd = Sshd::start(&Options::default());
    let error = connect(&sshd, "HOST ED\n@revoked * ED\n").await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::HostKey);
    assert!(error.message.contains("REVOKED at") && error.message.contains("known_hosts:2"), "{error}");
}

#[tokio::test]
async fn a_key_revoked_under_the_bare_name_is_refused_at_any_port() {
    // Here fleet is stricter than ssh, which looks only at the name with the port.
    let sshd = Sshd::start(&Options::default());
    let error = connect(&sshd, "@revoked 127.0.0.1 ED\nHOST ED\n").await.unwrap_err();
    assert!(error.message.contains("REVOKED"), "{error}");
}

/// One whose ed25519 key an authority has signed, for these principals and this long.
fn certified(principals: &str, validity: &str, kind: &[&str]) -> Sshd {
    let dir = Sshd::keys(&BOTH);
    let at = |name: &str| dir.path().join(name).display().to_string();
    keygen(at("ca").as_ref(), "ed25519", "");
    let (ca, key) = (at("ca"), at("host_ed25519.pub"));
    let mut args = vec!["-q", "-s", &ca, "-I", "test", "-n", principals, "-V", validity];
    args.extend(kind);
    args.push(&key);
    run("ssh-keygen", &args);
    let extra = format!("HostCertificate {}", at("host_ed25519-cert.pub"));
    Sshd::serve(dir, &Options { extra: &extra, ..BOTH })
}

#[tokio::test]
async fn an_authority_vouches_for_a_host() {
    let sshd = certified("127.0.0.1", "always:forever", &["-h"]);
    connect(&sshd, "@cert-authority * CA\n").await.unwrap();
    connect(&sshd, "@cert-authority 127.0.0.1 CA\n").await.unwrap();
    let error = connect(&sshd, "@cert-authority other.example CA\n").await.unwrap_err();
    assert!(error.message.contains("not recorded"), "{error}");
    // A key that is merely signed by someone else's authority is an unknown key.
    assert!(connect(&sshd, "@cert-authority * OTHER\n").await.is_err());
    connect(&sshd, "@cert-authority * OTHER\nHOST ED\n").await.unwrap();
}

#[tokio::test]
async fn a_revoked_authority_or_key_ends_the_trust() {
    let sshd = certified("127.0.0.1", "always:forever", &["-h"]);
    for revoked in ["CA", "ED"] {
        let error = connect(&sshd, &format!("@cert-authority * CA\n@revoked * {revoked}\n")).await.unwrap_err();
        assert!(error.message.contains("REVOKED"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_must_be_good_for_this_host_now() {
    for (principals, validity, kind, why) in [
        ("other.example", "always:forever", &["-h"][..], "it is for other.example"),
        ("127.0.0.1", "20200101:20210101", &["-h"], "it has expired"),
        ("127.0.0.1", "20980101:20990101", &["-h"], "isn't valid yet"),
    ] {
        let sshd = certified(principals, validity, kind);
        let error = connect(&sshd, "@cert-authority * CA\n").await.unwrap_err();
        assert_eq!(error.kind, LinkErrorKind::HostKey);
        assert!(error.message.contains(why), "{error}");
        connect(&sshd, "@cert-authority * CA\nHOST ED\n").await.unwrap();
    }
}

#[tokio::test]
async fn an_unreadable_known_hosts_is_an_error_not_an_empty_one() {
    let sshd = Sshd::start(&Options::default());
    std::fs::create_dir(sshd.path("known_hosts")).unwrap();
    let error = sshd.links().link("h").await.err().unwrap();
    assert_eq!(error.kind, LinkErrorKind::Config);
    assert!(error.message.contains("known_hosts"), "{error}");
}

#[tokio::test]
async fn garbage_in_known_hosts_takes_no_trust_away() {
    let sshd = Sshd::start(&Options::default());
    connect(&sshd, "garbage\n\u{0}\u{1}\n|1|x|y ED\nHOST ssh-ed25519 AAAA\n  HOST \t ED   \n").await.unwrap();
}
