//! The SSH layer against a real `sshd`.

mod sshd;

use std::time::Duration;

use fleet::ssh::{Exit, LinkErrorKind};
use sshd::{Options, Sshd};

const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_command_runs_and_its_whole_output_comes_back() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let link = sshd.links().link("h").await.unwrap();
    let output = link.run("cat; echo err >&2; exit 3", b"hello", BOUND).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello"[..], &b"err\n"[..]));
    assert_eq!(output.exit, Exit::Code(3));
    let killed = link.run("kill -TERM $$", b"", BOUND).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal("TERM".into()));
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_before_anything_is_sent() {
    let sshd = Sshd::start(&Options::default());
    sshd.known_hosts("");
    let error = sshd.links().link("h").await.err().unwrap();
    assert_eq!(error.kind, LinkErrorKind::HostKey, "{error}");
    assert!(error.message.contains("SHA256:") && error.message.contains("known_hosts"), "{error}");
    assert_eq!(error.hint.as_deref(), Some("fleet trust h"));
    assert!(!sshd.log().contains("Accepted"), "{}", sshd.log());
}
