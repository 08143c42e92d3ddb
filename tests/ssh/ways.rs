//! The way to a host: jump hosts, `ssh_config`, IPv6, forwarding.

use std::path::Path;
use std::time::Duration;

use fleet::model::inventory::{Address, Jump, SshOptions};
use fleet::ssh::{LinkErrorKind, Setup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::sshd::{Options, Sshd, behind, host, links, login, setup};

const BOUND: Duration = Duration::from_secs(20);

/// Two of them; each trusts the other's client key, and the first one's `known_hosts` knows both.
fn two() -> (Sshd, Sshd) {
    let (first, second) = (Sshd::start(&Options::default()), Sshd::start(&Options::default()));
    std::fs::copy(first.path("client.pub"), second.path("authorized_keys")).unwrap();
    let line = |sshd: &Sshd| format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key("ed25519"));
    first.known_hosts(&(line(&first) + &line(&second)));
    (first, second)
}

/// Where a host of `links` thinks that its connection comes from and goes to.
async fn ends(links: &fleet::ssh::Links, name: &str) -> String {
    let link = links.link(name).await.unwrap_or_else(|error| panic!("{error} {:?}", error.hint));
    let output = link.run("echo $SSH_CONNECTION", b"", BOUND).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_jump_host_of_the_inventory_is_gone_through() {
    let (jump, inner) = two();
    let hosts = vec![
        jump.host("jump"),
        host("inner", "127.0.0.1", inner.port, behind(jump.options(), Jump::Host("jump".into()))),
    ];
    let links = links(hosts, setup(jump.dir.path()));
    assert!(ends(&links, "inner").await.ends_with(&format!(" {}\n", inner.port)));
    assert!(jump.log().contains("Accepted publickey") && inner.log().contains("Accepted publickey"));
}

#[tokio::test]
async fn a_jump_host_outside_the_inventory_is_gone_through() {
    let (jump, inner) = two();
    let address = Address { host: "127.0.0.1".into(), port: Some(jump.port) };
    let way = Jump::Other { user: Some(login()), address };
    let links =
        links(vec![host("inner", "127.0.0.1", inner.port, behind(jump.options(), way))], setup(jump.dir.path()));
    ends(&links, "inner").await;
    assert!(jump.log().contains("Accepted publickey"));
}

#[tokio::test]
async fn a_jump_host_with_an_unknown_key_is_named() {
    let (jump, inner) = two();
    jump.known_hosts(&format!("[127.0.0.1]:{} {}\n", inner.port, inner.host_key("ed25519")));
    let address = Address { host: "127.0.0.1".into(), port: Some(jump.port) };
    for (way, hint) in [
        (Jump::Host("jump".into()), "fleet trust jump"),
        // It has no name that could be given to fleet: the host behind it has.
        (Jump::Other { user: None, address }, "fleet trust inner"),
    ] {
        let hosts = vec![jump.host("jump"), host("inner", "127.0.0.1", inner.port, behind(jump.options(), way))];
        let error = links(hosts, setup(jump.dir.path())).link("inner").await.err().unwrap();
        assert_eq!(error.kind, LinkErrorKind::HostKey);
        assert!(error.message.starts_with("inner is reached through "), "{error}");
        assert_eq!(error.hint.as_deref(), Some(hint));
    }
}

#[tokio::test]
async fn jump_hosts_in_a_circle_are_an_error() {
    let options = |jump: &str| behind(SshOptions::default(), Jump::Host(jump.into()));
    let hosts = vec![host("a", "127.0.0.1", 1, options("b")), host("b", "127.0.0.1", 2, options("a"))];
    let folder = tempfile::TempDir::new().unwrap();
    let links = links(hosts, setup(folder.path()));
    for error in [links.link("a").await.err().unwrap(), links.way("a").await.unwrap_err()] {
        assert_eq!(error.kind, LinkErrorKind::Config);
        assert!(error.message.contains("circle"), "{error}");
    }
}

/// Surroundings with this `ssh_config`.
fn with_config(home: &Path, text: &str) -> Setup {
    let file = home.join("ssh_config");
    std::fs::write(&file, text).unwrap();
    Setup { ssh: vec!["ssh".into(), "-F".into(), file.display().to_string()], ..setup(home) }
}

#[tokio::test]
async fn ssh_config_says_how_an_alias_is_reached() {
    let (jump, inner) = two();
    let home = jump.dir.path();
    let at = home.display();
    let config = format!(
        "Host inner\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {at}/client\n ProxyJump hop\n\
         Match host hop\n HostName 127.0.0.1\n Port {}\n IdentityFile {at}/client\n\
         Host *\n UserKnownHostsFile {at}/known_hosts\n ConnectTimeout 20\n",
        inner.port,
        login(),
        jump.port
    );
    let mut alias = host("val-1", "inner", 0, SshOptions::default());
    alias.address.port = None;
    let links = links(vec![alias], with_config(home, &config));
    assert!(ends(&links, "val-1").await.ends_with(&format!(" {}\n", inner.port)));
    assert!(jump.log().contains("Accepted publickey"), "{}", jump.log());
}

#[tokio::test]
async fn a_proxy_command_is_a_way_too() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let home = sshd.dir.path();
    let config = format!(
        "Host *\n ProxyCommand ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes \
         -o UserKnownHostsFile={at}/known_hosts -i {at}/client -p %p -W %h:%p %h\n",
        at = home.display()
    );
    let links = links(vec![sshd.host("h")], with_config(home, &config));
    ends(&links, "h").await;
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2, "{}", sshd.log());
}

#[tokio::test]
async fn without_an_ssh_program_there_is_no_ssh_config() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let surroundings = Setup { ssh: vec!["/nowhere/ssh".into()], ..setup(sshd.dir.path()) };
    ends(&links(vec![sshd.host("h")], surroundings), "h").await;
}

#[tokio::test]
async fn ipv6_works() {
    assert!(
        std::net::TcpListener::bind(("::1", 0)).is_ok(),
        "THIS MACHINE HAS NO IPv6 LOOPBACK (::1), which this test needs: sysctl net.ipv6.conf.lo.disable_ipv6=0"
    );
    let sshd = Sshd::start(&Options { listen: &["::1"], ..Options::default() });
    sshd.known_hosts(&format!("[::1]:{} {}\n", sshd.port, sshd.host_key("ed25519")));
    let links = links(vec![host("h", "::1", sshd.port, sshd.options())], setup(sshd.dir.path()));
    assert!(ends(&links, "h").await.contains(" ::1 "));
}

#[tokio::test]
async fn a_tunnel_carries_bytes_and_says_who_does_not_answer() {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = sshd.links().link("h").await.unwrap();
    let mut tunnel = link.tcp("127.0.0.1", port).await.unwrap();
    let (mut inside, _) = listener.accept().await.unwrap();
    tunnel.write_all(b"ping").await.unwrap();
    let mut read = [0; 4];
    inside.read_exact(&mut read).await.unwrap();
    inside.write_all(b"pong").await.unwrap();
    drop(inside);
    let mut answer = Vec::new();
    tunnel.read_to_end(&mut answer).await.unwrap();
    assert_eq!((&read, answer.as_slice()), (b"ping", &b"pong"[..]));
    drop(listener);
    let error = link.tcp("127.0.0.1", port).await.err().unwrap();
    assert_eq!(error.kind, LinkErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn forbidden_forwarding_names_the_option_of_sshd() {
    let forbidding = Sshd::start(&Options { extra: "AllowTcpForwarding no", ..Options::default() });
    forbidding.trust();
    let link = forbidding.links().link("h").await.unwrap();
    let error = link.tcp("127.0.0.1", 26657).await.err().unwrap();
    assert_eq!(error.kind, LinkErrorKind::ForwardForbidden);
    assert!(error.hint.as_deref().unwrap().contains("AllowTcpForwarding local"), "{error:?}");
    // The same at a jump host.
    let inner = Sshd::start(&Options::default());
    let options = behind(forbidding.options(), Jump::Host("jump".into()));
    let hosts = vec![forbidding.host("jump"), host("inner", "127.0.0.1", inner.port, options)];
    let error = links(hosts, setup(forbidding.dir.path())).link("inner").await.err().unwrap();
    assert!(error.message.contains("through jump") && error.message.contains("forbids forwarding"), "{error}");
}

#[tokio::test]
async fn who_does_not_listen_or_does_not_speak_ssh_is_named() {
    let folder = tempfile::TempDir::new().unwrap();
    let closed = crate::sshd::free_port();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = || SshOptions { connect_timeout: Some(Duration::from_secs(1)), ..SshOptions::default() };
    let hosts = vec![
        host("closed", "127.0.0.1", closed, options()),
        host("mute", "127.0.0.1", mute.local_addr().unwrap().port(), options()),
    ];
    let links = links(hosts, setup(folder.path()));
    let refused = links.link("closed").await.err().unwrap();
    assert_eq!(refused.kind, LinkErrorKind::Connect);
    assert!(refused.message.contains("refused"), "{refused}");
    let late = links.link("mute").await.err().unwrap();
    assert_eq!(late.kind, LinkErrorKind::Timeout);
    assert!(late.message.contains("timed out after 1 s"), "{late}");
}
