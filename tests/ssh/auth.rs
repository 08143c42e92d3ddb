//! Logging in with agents and key files of every kind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet::model::inventory::SshOptions;
use fleet::ssh::{LinkError, LinkErrorKind, Setup};

use crate::sshd::{Options, Sshd, host, keygen, links, run, setup};

/// A real agent; it ends with the value.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("ssh-agent is needed for this test (openssh-client): {error}"));
        let until = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < until, "ssh-agent didn't come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        let status = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn trusted() -> Sshd {
    let sshd = Sshd::start(&Options::default());
    sshd.trust();
    sshd
}

/// Whether `sshd` lets in who has these surroundings and options.
async fn login(sshd: &Sshd, setup: Setup, ssh: SshOptions) -> Result<(), LinkError> {
    let links = links(vec![host("h", "127.0.0.1", sshd.port, ssh)], setup);
    links.link("h").await.map(drop)
}

fn with_identity(sshd: &Sshd, path: PathBuf) -> SshOptions {
    SshOptions { identity: vec![path], ..sshd.options() }
}

#[tokio::test]
async fn the_agent_has_the_key() {
    let sshd = trusted();
    let agent = Agent::start(sshd.dir.path());
    keygen(&sshd.path("other"), "ed25519", "");
    agent.add(&sshd.path("other"));
    let without_files = || SshOptions { identity: Vec::new(), ..sshd.options() };
    let surroundings = || Setup { agent: Some(agent.socket.clone()), ..setup(sshd.dir.path()) };
    let refused = login(&sshd, surroundings(), without_files()).await.unwrap_err();
    assert_eq!(refused.kind, LinkErrorKind::Auth);
    assert!(refused.message.contains("the agent's SHA256:"), "{refused}");
    agent.add(&sshd.path("client"));
    login(&sshd, surroundings(), without_files()).await.unwrap();
}

#[tokio::test]
async fn the_agent_unlocks_what_the_inventory_names_by_its_public_half() {
    let sshd = trusted();
    let agent = Agent::start(sshd.dir.path());
    agent.add(&sshd.path("client"));
    std::fs::remove_file(sshd.path("client")).unwrap();
    let surroundings = Setup { agent: Some(agent.socket.clone()), ..setup(sshd.dir.path()) };
    login(&sshd, surroundings, sshd.options()).await.unwrap();
    let alone = login(&sshd, setup(sshd.dir.path()), sshd.options()).await.unwrap_err();
    assert!(alone.message.contains("only its public half is here"), "{alone}");
}

#[tokio::test]
async fn an_agent_that_is_gone_is_named() {
    let sshd = trusted();
    let surroundings = Setup { agent: Some(sshd.path("no.sock")), ..setup(sshd.dir.path()) };
    let options = SshOptions { identity: Vec::new(), ..sshd.options() };
    let error = login(&sshd, surroundings, options).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Auth);
    assert!(error.message.contains("there is no key to offer") && error.message.contains("no.sock"), "{error}");
}

#[tokio::test]
async fn an_encrypted_key_wants_its_passphrase() {
    let sshd = trusted();
    let key = sshd.path("client");
    run("ssh-keygen", &["-q", "-p", "-P", "", "-N", "open sesame", "-f", key.to_str().unwrap()]);
    let passphrase = |text: &str| {
        let file = sshd.path("passphrase");
        std::fs::write(&file, text).unwrap();
        Setup { passphrase_file: Some(file), ..setup(sshd.dir.path()) }
    };
    login(&sshd, passphrase("open sesame\n"), sshd.options()).await.unwrap();
    let wrong = login(&sshd, passphrase("open sesam"), sshd.options()).await.unwrap_err();
    assert_eq!(wrong.kind, LinkErrorKind::Auth);
    assert!(wrong.message.contains("the passphrase doesn't fit"), "{wrong}");
    let none = login(&sshd, setup(sshd.dir.path()), sshd.options()).await.unwrap_err();
    assert!(none.message.contains("there is no terminal"), "{none}");
    assert!(none.hint.unwrap().contains("ssh-add"));
}

#[tokio::test]
async fn other_key_formats_work_too() {
    let sshd = trusted();
    let key = sshd.path("client");
    let file = sshd.path("passphrase");
    std::fs::write(&file, "open sesame").unwrap();
    for (format, passphrase) in [("PEM", ""), ("PKCS8", ""), ("PKCS8", "open sesame")] {
        std::fs::remove_file(&key).unwrap();
        std::fs::remove_file(sshd.path("client.pub")).unwrap();
        let path = key.to_str().unwrap();
        run("ssh-keygen", &["-q", "-t", "ecdsa", "-m", format, "-N", passphrase, "-f", path]);
        std::fs::copy(sshd.path("client.pub"), sshd.path("authorized_keys")).unwrap();
        let surroundings = Setup { passphrase_file: Some(file.clone()), ..setup(sshd.dir.path()) };
        let result = login(&sshd, surroundings, sshd.options()).await;
        assert!(result.is_ok(), "{format} {passphrase}: {result:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_named_with_what_to_do() {
    let sshd = trusted();
    keygen(&sshd.path("wrong"), "ed25519", "");
    let error = login(&sshd, setup(sshd.dir.path()), with_identity(&sshd, sshd.path("wrong"))).await.unwrap_err();
    assert_eq!(error.kind, LinkErrorKind::Auth);
    assert!(error.message.contains("refused ~/wrong"), "{error}");
    assert!(error.hint.unwrap().contains("authorized_keys"));
}

#[tokio::test]
async fn a_named_key_file_that_cannot_be_read_is_an_error_before_anything_is_offered() {
    let sshd = trusted();
    std::fs::create_dir(sshd.path("folder")).unwrap();
    std::fs::write(sshd.path("garbage"), "not a key\n").unwrap();
    for (name, why) in [("missing", "there is no such key file"), ("folder", "directory"), ("garbage", "key")] {
        let error = login(&sshd, setup(sshd.dir.path()), with_identity(&sshd, sshd.path(name))).await.unwrap_err();
        assert_eq!(error.kind, LinkErrorKind::Config, "{name}: {error}");
        assert!(error.message.contains(name) && error.message.contains(why), "{error}");
    }
    assert!(!sshd.log().contains("Failed publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn a_user_certificate_beside_the_key_lets_in() {
    let folder = Sshd::keys(&Options::default());
    let at = |name: &str| folder.path().join(name).display().to_string();
    keygen(Path::new(&at("ca")), "ed25519", "");
    let user = crate::sshd::login();
    run("ssh-keygen", &["-q", "-s", &at("ca"), "-I", "test", "-n", &user, &at("client.pub")]);
    std::fs::write(at("authorized_keys"), "").unwrap();
    let extra = format!("TrustedUserCAKeys {}.pub", at("ca"));
    let sshd = Sshd::serve(folder, &Options { extra: &extra, ..Options::default() });
    sshd.trust();
    login(&sshd, setup(sshd.dir.path()), sshd.options()).await.unwrap();
}
