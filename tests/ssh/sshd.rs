//! A real `sshd` on a loopback port, with its own keys and configuration, for tests of the SSH layer.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::model::inventory::{Address, Host, Inventory, Jump, Role, SshOptions};
use fleet::ssh::{Links, Setup};
use tempfile::TempDir;

/// Where Debian and most others install it.
const SSHD: &str = "/usr/sbin/sshd";

/// Runs a program of OpenSSH and returns what it prints; a missing one fails the test.
pub fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).output().unwrap_or_else(|error| {
            panic!("{program} is needed for this test (openssh-client, openssh-server): {error}")
        });
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key pair at `path`.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    run("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path.to_str().unwrap()]);
}

/// Writes a program.
pub fn executable(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The login that runs the tests.
pub fn login() -> String {
    run("id", &["-un"]).trim().to_owned()
}

/// A running `sshd`; it ends with the value.
pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    child: Child,
}

/// The words that sshd's configuration is made of.
pub struct Options<'a> {
    pub listen: &'a [&'a str],
    pub host_keys: &'a [&'a str],
    pub extra: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { listen: &["127.0.0.1"], host_keys: &["ed25519"], extra: "" }
    }
}

impl Sshd {
    /// Starts one that lets in the key `client` (made beside its own keys).
    pub fn start(options: &Options<'_>) -> Self {
        Self::serve(Self::keys(options), options)
    }

    /// A folder with all keys.
    pub fn keys(options: &Options<'_>) -> TempDir {
        let dir = TempDir::new().unwrap();
        keygen(&dir.path().join("client"), "ed25519", "");
        for kind in options.host_keys {
            keygen(&dir.path().join(format!("host_{kind}")), kind, "");
        }
        std::fs::copy(dir.path().join("client.pub"), dir.path().join("authorized_keys")).unwrap();
        dir
    }

    /// Starts one that runs the shell script `text` for every login, shows it as its banner too, and is trusted.
    pub fn forcing(text: &str) -> Self {
        let dir = Self::keys(&Options::default());
        let script = executable(&dir.path().join("forced"), text);
        let extra = format!("ForceCommand {script}\nBanner {script}");
        let sshd = Self::serve(dir, &Options { extra: &extra, ..Options::default() });
        sshd.trust();
        sshd
    }

    /// Starts one on the keys that lie in `dir`.
    pub fn serve(dir: TempDir, options: &Options<'_>) -> Self {
        assert!(Path::new(SSHD).exists(), "{SSHD} is needed for this test: apt-get install openssh-server");
        let port = free_port();
        let at = dir.path().display();
        let listen = options.listen.iter().map(|address| format!("ListenAddress {address}"));
        let keys = options.host_keys.iter().map(|kind| format!("HostKey {at}/host_{kind}"));
        let lines = listen.chain(keys).collect::<Vec<_>>().join("\n");
        let config = format!(
            "Port {port}\n{lines}\nAuthorizedKeysFile {at}/authorized_keys\nPidFile {at}/pid\n\
             UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\nMaxStartups 100\n{}\n",
            options.extra
        );
        std::fs::write(dir.path().join("sshd_config"), config).unwrap();
        if login() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(dir.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { dir, port, child };
        sshd.wait(options.listen[0]);
        sshd
    }

    fn wait(&self, address: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((address, self.port)).is_err() {
            assert!(Instant::now() < until, "sshd didn't come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// A file beside its keys.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `type key` of its host key.
    pub fn host_key(&self, kind: &str) -> String {
        let text = std::fs::read_to_string(self.path(&format!("host_{kind}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Writes `known_hosts` with its own key under `127.0.0.1`.
    pub fn trust(&self) {
        self.known_hosts(&format!("[127.0.0.1]:{} {}\n", self.port, self.host_key("ed25519")));
    }

    /// Writes `known_hosts`.
    pub fn known_hosts(&self, text: &str) {
        std::fs::write(self.path("known_hosts"), text).unwrap();
    }

    /// How to reach it: the client key and the `known_hosts` beside its keys.
    pub fn options(&self) -> SshOptions {
        SshOptions {
            user: Some(login()),
            identity: vec![self.path("client")],
            known_hosts: vec![self.path("known_hosts")],
            connect_timeout: Some(Duration::from_secs(20)),
            ..SshOptions::default()
        }
    }

    /// A host of an inventory that stands for it.
    pub fn host(&self, name: &str) -> Host {
        host(name, "127.0.0.1", self.port, self.options())
    }

    /// Links to it alone, as the host `h`.
    pub fn links(&self) -> Links {
        links(vec![self.host("h")], setup(self.dir.path()))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A host of an inventory.
pub fn host(name: &str, address: &str, port: u16, ssh: SshOptions) -> Host {
    Host {
        name: name.into(),
        address: Address { host: address.into(), port: Some(port) },
        role: Role::Full,
        region: None,
        labels: BTreeMap::new(),
        sentries: Vec::new(),
        ssh,
        services: Vec::new(),
    }
}

/// `ssh` with a jump.
pub fn behind(ssh: SshOptions, jump: Jump) -> SshOptions {
    SshOptions { jump: Some(jump), ..ssh }
}

/// Surroundings without an agent, a terminal or an `ssh_config` of anybody's own.
pub fn setup(home: &Path) -> Setup {
    Setup {
        home: home.to_path_buf(),
        login: login(),
        agent: None,
        ssh: vec!["ssh".into(), "-F".into(), "none".into()],
        passphrase_file: None,
        ask: false,
    }
}

/// The links of an inventory of `hosts`.
pub fn links(hosts: Vec<Host>, setup: Setup) -> Links {
    Links::with(Arc::new(inventory(hosts)), setup)
}

/// An inventory of `hosts`.
pub fn inventory(hosts: Vec<Host>) -> Inventory {
    Inventory {
        name: "test".into(),
        source: "inventory.toml".into(),
        chains: BTreeMap::new(),
        hosts,
        groups: BTreeMap::new(),
        foreign: BTreeMap::new(),
        schedules: Vec::new(),
        backup: fleet::model::inventory::Backup::default(),
    }
}
